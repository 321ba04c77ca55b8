package page_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/browsertest"
	"github.com/synod-network/synod/sidecar/admin"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/page"
	"github.com/synod-network/synod/sidecar/stream"
)

// world is a board with a page over it.
type world struct {
	board *admin.Board
	url   string

	mu     sync.Mutex
	status log.Status
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{board: admin.NewBoard("9.8.7")}
	sources := admin.Sources{
		Log: func() log.Status {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.status
		},
		Stream: func() stream.Stats { return stream.Stats{Subscribers: map[string]int64{"/events/main": 42}} },
		Totals: func(context.Context) (log.Totals, error) {
			return log.Totals{Events: 1234, Bytes: 5 << 20, Disk: 7 << 30}, nil
		},
		Database: "sqlite", Layout: log.V1,
	}
	p := page.New(func(ctx context.Context) any { return w.board.Overview(ctx, sources) }, 50*time.Millisecond)
	server := httptest.NewServer(p)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		server.CloseClientConnections()
		server.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	w.url = server.URL
	return w
}

func (w *world) publish(height int) {
	w.board.Published([]event.Numbered{{Event: logtest.Block(height)}})
}

// TestPageInABrowser looks at the page with headless Chromium: it fills, stays live, shows what nodes say as text, and asks nobody
// else for anything.
func TestPageInABrowser(t *testing.T) {
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	w := newWorld(t)
	w.board.Node(event.NodeState{Node: "10.0.0.1:9999", Status: event.Connected, Build: "1.5.3-abc", Network: "casper-test", LastEvent: time.Now()})
	w.board.Node(event.NodeState{Node: "10.0.0.2:9999", Status: event.Defunct, LastError: "<img src=x onerror=document.title='owned'>"})
	w.publish(1234567)

	page := browsertest.Open(t, w.url+"/")
	has := func(id, text string) string {
		return fmt.Sprintf(`document.getElementById(%q).textContent.includes(%q)`, id, text)
	}
	page.Shows("that it is live", has("link", "live"))
	page.Shows("the connected node", has("nodes", "10.0.0.1:9999connected1.5.3-abccasper-test"))
	page.Shows("the node that was given up", has("nodes", "given up"))
	page.Shows("an error as text", has("nodes", "<img src=x"))
	page.Shows("the newest block", has("blocks", "1,234,567"))
	page.Shows("subscribers", has("subscribers", "/events/main42"))
	page.Shows("the database", has("figures", "7.0 GiB"))
	w.publish(1234568)
	page.Shows("the next block, without loading anew", has("blocks", "1,234,568"))
	w.mu.Lock()
	w.status.Blocked = "no space left on device"
	w.mu.Unlock()
	page.Shows("the alarm", has("alarm", "No event can be made durable: no space left on device"))
	title := browsertest.Value[string](page, `document.title`)
	foreign := browsertest.Value[int](page, `performance.getEntriesByType('resource').filter(r => !r.name.startsWith(location.origin) && !r.name.startsWith('data:')).length`)
	if title != "Event sidecar" || foreign != 0 {
		t.Errorf("title %q, %d things from elsewhere", title, foreign)
	}
}

func TestPageRefusesWhatItDoesNotServe(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		method, path string
		status       int
	}{{"GET", "/page/other", 404}, {"POST", "/", 405}, {"HEAD", "/", 200}} {
		req, err := http.NewRequest(tc.method, w.url+tc.path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tc.status {
			t.Errorf("%s %s: %s", tc.method, tc.path, resp.Status)
		}
	}
}
