package synchronizer

import (
	"sync"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// watches wake readers who wait for events of their member, and nobody else.
type watches struct {
	mu  sync.Mutex
	all map[sequencing.Index]map[*watch]struct{}
}

type watch struct{ c chan struct{} }

// Watch returns a channel that receives after each block with an event for the member, until stop is
// called; for [sequencing.Nobody] after each block by which somebody joins. A slow reader finds one signal for many events.
func (s *State) Watch(member sequencing.Index) (c <-chan struct{}, stop func()) {
	w := &watch{make(chan struct{}, 1)}
	ws := &s.watches
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = map[sequencing.Index]map[*watch]struct{}{}
	}
	if ws.all[member] == nil {
		ws.all[member] = map[*watch]struct{}{}
	}
	ws.all[member][w] = struct{}{}
	return w.c, func() {
		ws.mu.Lock()
		defer ws.mu.Unlock()
		delete(ws.all[member], w)
		if len(ws.all[member]) == 0 {
			delete(ws.all, member)
		}
	}
}

// tell wakes those whom a block concerns.
func (ws *watches) tell(out *sequencing.Output) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.all) == 0 {
		return
	}
	if len(out.Joined) > 0 {
		for w := range ws.all[sequencing.Nobody] {
			w.wake()
		}
	}
	for i := range out.Records {
		for _, e := range out.Records[i].Events {
			for w := range ws.all[e.Member] {
				w.wake()
			}
		}
	}
}

func (ws *watches) tellAll() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, of := range ws.all {
		for w := range of {
			w.wake()
		}
	}
}

func (w *watch) wake() {
	select {
	case w.c <- struct{}{}:
	default:
	}
}
