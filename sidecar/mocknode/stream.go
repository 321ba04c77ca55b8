package mocknode

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// What nodes say to a request that they cannot serve.
const (
	badPath1 = "invalid path: expected '/events/main', '/events/deploys' or '/events/sigs'\n"
	badPath2 = "invalid path: expected '/events'\n"
	badQuery = "invalid query: expected single field 'start_from=<EVENT ID>'\n"
	full     = "server has reached limit of subscribers"
)

func (n *Node) streamHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.muted(r.Context()) != nil {
			return
		}
		filter, start, status, text := n.route(r)
		if status != 0 {
			w.WriteHeader(status)
			fmt.Fprint(w, text)
			return
		}
		s := n.subscribe(filter, start)
		if s == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, full)
			return
		}
		defer n.unsubscribe()
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-cache")
		if !s.run(r.Context(), w) {
			panic(http.ErrAbortHandler) // cut, without the end of the body
		}
	})
}

// muted waits while the node answers nothing.
func (n *Node) muted(ctx context.Context) error {
	n.mu.Lock()
	until := n.mute
	n.mu.Unlock()
	if until.IsZero() {
		return nil
	}
	return rest(ctx, time.Until(until))
}

// start is where a stream begins: at an event's number, or at whatever comes next.
type start struct {
	id    uint32
	given bool
}

func (n *Node) route(r *http.Request) (filter event.Filter, from start, status int, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	wanted := event.Filter(strings.Trim(r.URL.Path, "/"))
	known := false
	for _, f := range n.filters() {
		known = known || f == wanted
	}
	if !known || r.Method != http.MethodGet {
		if n.version.OneStream() {
			return "", start{}, http.StatusNotFound, badPath2
		}
		return "", start{}, http.StatusNotFound, badPath1
	}
	if r.URL.RawQuery == "" {
		return wanted, start{}, 0, ""
	}
	query := r.URL.Query()
	id, err := strconv.ParseUint(query.Get("start_from"), 10, 32)
	if err != nil || len(query) != 1 || len(query["start_from"]) != 1 {
		return "", start{}, http.StatusUnprocessableEntity, badQuery
	}
	return wanted, start{id: uint32(id), given: true}, 0, ""
}

// stream is one subscriber's.
type stream struct {
	node       *Node
	filter     event.Filter
	version    Version
	at         uint64 // position of what it gets next
	generation uint64
	sent       int // events
}

// subscribe returns nil if there are too many subscribers.
func (n *Node) subscribe(filter event.Filter, from start) *stream {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open >= n.o.Subscribers {
		return nil
	}
	n.open++
	s := &stream{node: n, filter: filter, version: n.version, at: n.ring.end(), generation: n.streams}
	if from.given {
		s.at = n.ring.from(from.id)
	}
	return s
}

func (n *Node) unsubscribe() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.open--
	n.changed()
}

// run sends until the stream is to end. It returns whether that was in order.
func (s *stream) run(ctx context.Context, w http.ResponseWriter) bool {
	out := http.NewResponseController(w)
	fmt.Fprintf(w, "data:{\"ApiVersion\":\"%s\"}\n\n", s.version)
	keepAlive := time.NewTimer(s.node.o.KeepAlive)
	defer keepAlive.Stop()
	for {
		if err := out.Flush(); err != nil {
			return false
		}
		text, wake, end := s.next(ctx)
		if len(text) > 0 {
			if _, err := w.Write(text); err != nil {
				return false
			}
			keepAlive.Reset(s.node.o.KeepAlive)
		}
		switch {
		case end != goOn:
			_ = out.Flush() // it ends anyway
			return end == inOrder
		case len(text) > 0:
			continue
		}
		select {
		case <-ctx.Done():
			return false
		case <-wake:
		case <-keepAlive.C:
			if s.node.stalledFor() > 0 {
				continue
			}
			fmt.Fprint(w, ":\n\n")
			keepAlive.Reset(s.node.o.KeepAlive)
		}
	}
}

type ending int

const (
	goOn ending = iota
	inOrder
	abruptly
)

// next returns what to send now, and if that is nothing, what to wait for.
func (s *stream) next(ctx context.Context) (text []byte, wake <-chan struct{}, end ending) {
	if span := s.node.stalledFor(); span > 0 {
		if rest(ctx, span) != nil {
			return nil, nil, abruptly
		}
	}
	s.node.mu.Lock()
	defer s.node.mu.Unlock()
	n, f := s.node, s.node.o.Faults
	if s.generation < n.cut {
		return nil, nil, abruptly
	}
	count := 1 << 30
	for _, every := range []int{f.DisconnectEvery, f.StallEvery} {
		if every > 0 {
			count = min(count, every-s.sent%every)
		}
	}
	text, at, taken, kept := n.ring.take(nil, s.at, s.filter, chunk, count)
	if !kept {
		return nil, nil, abruptly // too slow
	}
	s.at = at
	s.sent += taken
	if taken > 0 && due(s.sent, f.DisconnectEvery) {
		return text, nil, abruptly
	}
	if taken > 0 && due(s.sent, f.StallEvery) {
		n.stalled = time.Now().Add(f.StallFor)
	}
	if len(text) == 0 && s.generation < n.finish {
		return nil, nil, inOrder
	}
	return text, n.wake, goOn
}

// chunk is about how many bytes are written at once.
const chunk = 256 << 10

func (n *Node) stalledFor() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stalled.IsZero() {
		return 0
	}
	return time.Until(n.stalled)
}
