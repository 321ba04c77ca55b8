package sidecar

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/synod-network/synod/internal/browsertest"
	"github.com/synod-network/synod/sidecar/event"
)

// listening is a page of some explorer. It does what every EventSource does: remember the last number, and come back with it.
const listening = `<!doctype html><title>Explorer</title><script>
const got = []; let opened = 0
const events = new EventSource('http://%s/events/main?start_from=0')
events.onopen = () => opened++
events.onmessage = m => { if (!m.data.startsWith('{"ApiVersion"')) got.push([Number(m.lastEventId), m.data]) }
</script>`

// TestBrowserThroughKills lets an EventSource in a browser, on a page of another origin, follow a sidecar that is killed and started
// again while the node goes on. The browser is never told: it comes back by itself.
func TestBrowserThroughKills(t *testing.T) {
	n, sent := pretend(t, nil)
	p := configure(t, n)
	p.start()
	front := stand(t, p.events)
	explorer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, listening, front.address) }))
	t.Cleanup(explorer.Close)
	page := browsertest.Open(t, explorer.URL)
	arrived := func(count, opened int) {
		t.Helper()
		page.Shows(fmt.Sprintf("%d events", count), fmt.Sprintf("got.length >= %d && opened >= %d", count, opened))
	}
	n.Emit(150)
	for round := range 2 {
		arrived(len(sent.on(event.FilterMain))-10, round+1)
		n.Emit(100) // some arrive before the kill, some come to a sidecar that is not there
		p.kill()
		n.Emit(100)
		p.start()
		front.point(p.events)
		n.Emit(100)
	}
	arrived(len(sent.on(event.FilterMain)), 3)
	var s subscriber
	for _, e := range browsertest.Value[[][2]any](page, "got") {
		s.ids, s.got = append(s.ids, uint64(e[0].(float64))), append(s.got, digest([]byte(e[1].(string))))
	}
	s.check(t, sent.on(event.FilterMain))
}

// front is an address that stays while what is behind it changes, as with a service of an operator's. Bytes pass through untouched.
type front struct {
	address string
	behind  atomic.Pointer[string]
}

func stand(t *testing.T, behind string) *front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{address: listener.Addr().String()}
	f.point(behind)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // closed
			}
			open.Go(func() { f.pass(t, client) })
		}
	})
	t.Cleanup(open.Wait)
	t.Cleanup(func() { listener.Close() })
	return f
}

func (f *front) point(behind string) { f.behind.Store(&behind) }

// pass carries bytes both ways until either side ends, or the test.
func (f *front) pass(t *testing.T, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", *f.behind.Load())
	if err != nil {
		return // nobody is there just now
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	carry := func(to, from net.Conn) {
		_, _ = io.Copy(to, from) // however it ends, it has ended
		ended <- struct{}{}
	}
	go carry(server, client)
	go carry(client, server)
	select {
	case <-ended:
	case <-t.Context().Done():
	}
}
