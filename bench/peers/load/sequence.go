package load

import (
	"fmt"
	"sync"
)

// A sequence is what one node delivered: how many requests, and a running hash
// over their numbers in order. Hashes are kept at every stride-th request, so
// that nodes can be compared at the same height although they stop at different
// ones.
type sequence struct {
	size int // bytes per request

	mu          sync.Mutex // guards the following
	count       uint64
	hash        uint64
	checkpoints []uint64 // hash after stride, 2·stride, … requests
	seen        []uint64 // bit set of request numbers
	err         error    // first request that should not have been delivered
}

const stride = 256

// append adds delivered requests and calls each for the number of every one.
func (s *sequence) append(requests [][]byte, each func(id uint64)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range requests {
		id, ok := requestID(r, s.size)
		if !ok {
			s.fail(fmt.Errorf("delivered a damaged request at position %d", s.count))
			return
		}
		if s.mark(id) {
			s.fail(fmt.Errorf("delivered request %d twice, again at position %d", id, s.count))
			return
		}
		s.count++
		s.hash = mix(s.hash, id)
		if s.count%stride == 0 {
			s.checkpoints = append(s.checkpoints, s.hash)
		}
		each(id)
	}
}

func (s *sequence) fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// mark notes id and reports whether it had been noted before.
func (s *sequence) mark(id uint64) bool {
	word, bit := id/64, uint64(1)<<(id%64)
	for uint64(len(s.seen)) <= word {
		s.seen = append(s.seen, make([]uint64, 1024)...)
	}
	before := s.seen[word]&bit != 0
	s.seen[word] |= bit
	return before
}

// mix folds one number into a running hash; the order of numbers matters.
// It guards against mistakes, not against forgery.
func mix(hash, id uint64) uint64 {
	hash = (hash ^ id) * 0xff51afd7ed558ccd
	return hash ^ hash>>32
}

func (s *sequence) height() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *sequence) broken() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}

// compare reports the first node that delivered something else than the first
// node at the same height. Nodes in live must also have ended at one height.
func compare(nodes []*sequence, live func(node int) bool) error {
	reference := -1
	for i, s := range nodes {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err != nil {
			return fmt.Errorf("node %d %w", i, s.err)
		}
		if reference < 0 && live(i) {
			reference = i
		}
	}
	if reference < 0 {
		return fmt.Errorf("no node is left to compare with")
	}
	want := nodes[reference]
	for i, s := range nodes {
		for c := range min(len(s.checkpoints), len(want.checkpoints)) {
			if s.checkpoints[c] != want.checkpoints[c] {
				return fmt.Errorf("nodes %d and %d delivered different sequences, first seen at height %d", reference, i, (c+1)*stride)
			}
		}
		if live(i) && (s.count != want.count || s.hash != want.hash) {
			return fmt.Errorf("nodes %d and %d ended differently: %d requests (hash %016x) and %d (hash %016x)",
				reference, i, want.count, want.hash, s.count, s.hash)
		}
	}
	return nil
}
