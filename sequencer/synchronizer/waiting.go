package synchronizer

import (
	"crypto/sha256"
	"sync"

	"github.com/synod-network/synod/sequencer/membership"
)

// waiting is who waits for what becomes of a topology change, by its digest: the order tells nobody of one that it refuses.
type waiting struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]map[chan membership.Judgement]struct{}
}

// AwaitChange returns a channel that receives what becomes of a change, encoded as [membership.Encode] does, when the order
// comes to it the next time; nothing before stop is called if it never does.
func (s *State) AwaitChange(change []byte) (judged <-chan membership.Judgement, stop func()) {
	w, key, c := &s.waiting, sha256.Sum256(change), make(chan membership.Judgement, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[[sha256.Size]byte]map[chan membership.Judgement]struct{}{}
	}
	if w.all[key] == nil {
		w.all[key] = map[chan membership.Judgement]struct{}{}
	}
	w.all[key][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.all[key], c)
		if len(w.all[key]) == 0 {
			delete(w.all, key)
		}
	}
}

// listening has the judgements noted that somebody waits for.
func (s *State) listening(t *membership.Topology) *membership.Topology {
	t.Judged(func(j membership.Judgement) {
		if s.waiting.any() {
			s.judged = append(s.judged, j)
		}
	})
	return t
}

func (w *waiting) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.all) > 0
}

// tell tells those who wait, once what they are told can be read.
func (w *waiting) tell(judged []membership.Judgement) {
	if len(judged) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, j := range judged {
		for c := range w.all[sha256.Sum256(j.Change)] {
			select {
			case c <- j:
			default: // it was told of an earlier repetition
			}
		}
	}
}
