package p2p

import "sync"

// frameCost is what a frame occupies in the queue beside its bytes, so that a flood of empty frames is bounded too.
const (
	frameCost = 80
	partCost  = 24
)

// frame is what Send was given. The parts are never copied and never changed.
type frame struct {
	parts [][]byte
	size  int // bytes of all parts
}

func (f frame) cost() int { return f.size + frameCost + partCost*len(f.parts) }

// sendQueue holds the frames that wait to be written to one link, first in, first out, at most limit bytes of them.
// A frame leaves the account when it has been written, not when the writer takes it.
type sendQueue struct {
	limit int
	ready chan struct{} // holds a token when there may be something to take

	mu     sync.Mutex
	frames []frame
	bytes  int
}

func newSendQueue(limit int) *sendQueue {
	return &sendQueue{limit: limit, ready: make(chan struct{}, 1)}
}

// put reports whether the frame had room. An empty queue has room for every frame.
func (q *sendQueue) put(f frame) bool {
	q.mu.Lock()
	if q.bytes > 0 && q.bytes+f.cost() > q.limit {
		q.mu.Unlock()
		return false
	}
	q.bytes += f.cost()
	q.frames = append(q.frames, f)
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default:
	}
	return true
}

// take hands all waiting frames to the writer, which gives back the slice of the take before to be reused.
func (q *sendQueue) take(spare []frame) []frame {
	clear(spare) // lets go of the parts
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := q.frames
	q.frames = spare[:0]
	return taken
}

func (q *sendQueue) written(f frame) {
	q.mu.Lock()
	q.bytes -= f.cost()
	q.mu.Unlock()
}

func (q *sendQueue) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}
