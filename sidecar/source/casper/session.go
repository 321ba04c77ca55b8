package casper

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// session is the time from a successful probe to the loss of the streams.
type session struct {
	node     *node
	standing standing
	life     context.Context // the node's; what was read is handed over even when the streams are being ended
	arrivals *arrivals       // nil if streams need not wait for each other
}

// ending is how a stream ended.
type ending struct {
	filter event.Filter
	flowed bool // something new came
	err    error
}

// lastWords is how long the other streams may go on after one was lost. A node that stops ends all its streams, and what it said last
// is gone after its restart.
const lastWords = 500 * time.Millisecond

// read opens the node's streams and reads them until the first is lost, or, if the node may be read in part, until none is
// left; then it ends the others. It reports whether data flowed: something new came, or the streams lived for longer than the
// silence after which one is given up.
func (n *node) read(ctx context.Context, now standing) (flowed bool, err error) {
	filters := now.version.filters()
	s := &session{node: n, standing: now, life: ctx}
	if !n.o.Partial {
		s.arrivals = newArrivals(len(filters))
	}
	var streams sync.WaitGroup
	defer streams.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(errSibling)

	begun, ended := time.Now(), make(chan ending, len(filters))
	var lost error // why the streams are being ended
	start := func(filter event.Filter) {
		streams.Go(func() {
			flowed, err := s.stream(ctx, filter)
			ended <- ending{filter, flowed, err}
		})
	}
	for _, filter := range filters {
		start(filter)
	}
	again, live := make(chan event.Filter, len(filters)), len(filters)
	for {
		select {
		case e := <-ended:
			live--
			flowed = flowed || e.flowed
			var refused *sinkError
			switch {
			case errors.As(e.err, &refused):
				return flowed, e.err
			case lost == nil && (live == 0 || !n.o.Partial):
				lost = s.explain(e.err)
				flowed = flowed || time.Since(begun) >= n.o.Silence && s.wasUp()
				if s.wasUp() {
					defer time.AfterFunc(lastWords, func() { cancel(errSibling) }).Stop()
				} else {
					cancel(errSibling)
				}
			}
			if lost != nil && live == 0 {
				return flowed, lost
			}
			if lost != nil {
				continue
			}
			n.log.Warn("a stream of the node was lost, the others go on", "filter", e.filter, "err", e.err)
			streams.Go(func() {
				if wait(ctx, max(n.o.RetryDelay, shortestDelay)) == nil {
					again <- e.filter
				}
			})
		case filter := <-again:
			live++
			start(filter)
		}
	}
}

var errSibling = errors.New("another stream of the node was lost")

// wasUp reports whether all streams had begun.
func (s *session) wasUp() bool { return s.arrivals == nil || s.arrivals.complete() }

func (s *session) explain(err error) error {
	if s.wasUp() {
		return err
	}
	return fmt.Errorf("%w: %w", wording("Failed to connect to all filters. Disconnecting from "+s.node.url), err)
}

// arrivals lets streams wait until all of them have begun.
type arrivals struct {
	all chan struct{} // closed when none is missing

	mu      sync.Mutex
	missing int
}

func newArrivals(count int) *arrivals { return &arrivals{all: make(chan struct{}), missing: count} }

func (a *arrivals) arrive() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missing--; a.missing == 0 {
		close(a.all)
	}
}

func (a *arrivals) complete() bool {
	select {
	case <-a.all:
		return true
	default:
		return false
	}
}

func (a *arrivals) wait(ctx context.Context) error {
	select {
	case <-a.all:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
