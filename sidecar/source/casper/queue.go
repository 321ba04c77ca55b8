package casper

import (
	"context"
	"sync"

	"github.com/synod-network/synod/sidecar/event"
)

// queue holds events between the goroutine that reads a stream and the one that waits for the sink, so that what comes while a
// group is committed makes the next group. It is bounded by count and bytes, except that one event always fits.
type queue struct {
	maxEvents, maxBytes int

	mu     sync.Mutex
	events []event.Event
	bytes  int
	closed bool
	filled chan struct{} // holds a token if there are events, or there will be none
	room   chan struct{} // holds a token if take has made room
}

func newQueue(maxEvents, maxBytes int) *queue {
	return &queue{maxEvents: maxEvents, maxBytes: maxBytes, filled: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// put waits for room.
func (q *queue) put(ctx context.Context, e event.Event) error {
	for !q.tryPut(e) {
		select {
		case <-q.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (q *queue) tryPut(e event.Event) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.events) > 0 && (len(q.events) >= q.maxEvents || q.bytes+len(e.Body) > q.maxBytes) {
		return false
	}
	q.events = append(q.events, e)
	q.bytes += len(e.Body)
	signal(q.filled)
	return true
}

// close ends the queue once it is empty. Nothing is put after it.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	signal(q.filled)
}

// take waits for events and returns all there are, into the space of a batch that is no longer needed; nil at the end.
func (q *queue) take(space []event.Event) []event.Event {
	clear(space)
	for {
		<-q.filled
		q.mu.Lock()
		batch, closed := q.events, q.closed
		if len(batch) > 0 {
			q.events, q.bytes = space[:0], 0
			signal(q.room)
		}
		if closed {
			signal(q.filled) // for the next call
		}
		q.mu.Unlock()
		if len(batch) > 0 {
			return batch
		}
		if closed {
			return nil
		}
	}
}

func signal(token chan struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}
