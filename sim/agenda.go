package sim

import (
	"container/heap"

	"github.com/synod-network/synod/bft"
)

// agenda is what is going to happen, in order of time; what is due at the same
// time happens in the order in which it was planned.
type agenda struct {
	events eventHeap
	seq    uint64
}

type event struct {
	at  bft.Time
	seq uint64
	do  func()
}

func (a *agenda) plan(at bft.Time, do func()) {
	a.seq++
	heap.Push(&a.events, event{at: at, seq: a.seq, do: do})
}

// next takes the earliest event, if there is one.
func (a *agenda) next() (event, bool) {
	if len(a.events) == 0 {
		return event{}, false
	}
	return heap.Pop(&a.events).(event), true
}

type eventHeap []event

func (h eventHeap) Len() int      { return len(h) }
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h eventHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}
func (h *eventHeap) Push(e any) { *h = append(*h, e.(event)) }
func (h *eventHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = event{} // let go of the closure
	*h = (*h)[:last]
	return e
}
