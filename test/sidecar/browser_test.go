package sidecar

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/browsertest"
)

// listening is a page of some explorer, of another origin than the sidecar. It does nothing but listen: what comes back after the end of a
// stream, with the last number that came, is the browser.
const listening = `<!doctype html><title>Explorer</title><script>
const followed = []
function follow(url) {
  const f = { got: [], opened: 0, broken: 0 }
  const events = new EventSource(url)
  events.onopen = () => f.opened++
  events.onerror = () => { f.broken++; f.gaveUp = events.readyState === EventSource.CLOSED }
  events.onmessage = m => { if (!m.data.startsWith('{"ApiVersion"')) f.got.push([m.lastEventId, m.data]) }
  return followed.push(f) - 1
}
</script>`

// explorer is that page, open in a browser.
type explorer struct{ page *browsertest.Page }

func explore(t testing.TB) *explorer {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, listening) }))
	t.Cleanup(site.Close)
	return &explorer{browsertest.Open(t, site.URL)}
}

// from lets the page listen from where a query says on.
func (e *explorer) from(query string) func(context.Context, testing.TB, string, *front) follower {
	return func(_ context.Context, t testing.TB, url string, _ *front) follower {
		t.Helper()
		source := &eventSource{explorer: e, index: browsertest.Value[int](e.page, fmt.Sprintf("follow(%q)", url+query))}
		e.page.Shows("an open stream", source.script("opened > 0"))
		return source
	}
}

// eventSource is one EventSource of a page.
type eventSource struct {
	*explorer
	index int
	got   []arrival
}

func (s *eventSource) script(what string) string {
	return fmt.Sprintf("followed[%d].%s", s.index, what)
}

func (s *eventSource) await(ctx context.Context, t testing.TB, count int) []arrival {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		for _, e := range browsertest.Value[[][2]string](s.page, s.script(fmt.Sprintf("got.slice(%d)", len(s.got)))) {
			var id uint64
			if _, err := fmt.Sscan(e[0], &id); err != nil {
				t.Fatalf("the browser has the number %q: %v", e[0], err)
			}
			s.got = append(s.got, arrival{id, describe([]byte(e[1]))})
		}
		if len(s.got) >= count {
			return s.got
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Logf("the browser: %s", browsertest.Value[string](s.page, fmt.Sprintf("JSON.stringify({...followed[%d], got: undefined})", s.index)))
			return s.got
		}
	}
}
