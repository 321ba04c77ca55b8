package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/synod-network/synod/bft"
)

// Prune forgets the commits below an index, and the blocks that none of the others can contain: those of earlier epochs
// and those more than depth rounds below the leader of the commit, depth being the epoch's garbage collection depth.
// Segments with nothing else in them are used again or deleted. Hand-overs, evidence and values stay. Blocks that still
// wait to be committed are never that old. A crash on the way leaves every step done or not done.
//
// The commit itself must be stored, so that the last one always stays: otherwise the error is ErrNotFound.
func (s *Store) Prune(below bft.CommitIndex, depth bft.Round) error {
	if err := s.Err(); err != nil {
		return err
	}
	c, err := s.CommitRecord(below)
	if err != nil {
		return fmt.Errorf("prune: %w", err)
	}
	floor := blockPoint{c.Epoch, c.Leader.Round - min(c.Leader.Round, depth)}
	if err := s.prune(below, floor); err != nil {
		s.fail(fmt.Errorf("prune: %w", err))
		return s.Err()
	}
	return nil
}

func (s *Store) prune(below bft.CommitIndex, floor blockPoint) error {
	var first uint64
	// The index forgets first: in one write, durably, and together with all that the log holds up to here. Then nothing
	// needs the files.
	err := s.index.drain(true, func(st *state) completion {
		first = s.index.forget(st, below, floor)
		return func(b *pebble.Batch) error {
			for _, r := range [][2][]byte{
				{commitKey(0), commitKey(below)},
				{roundKey(blockPoint{}), roundKey(floor)},
				{segmentKey(0), segmentKey(first)},
			} {
				if err := b.DeleteRange(r[0], r[1], nil); err != nil {
					return err
				}
			}
			return nil
		}
	})
	if err != nil {
		return err
	}
	return s.segments.retire(first)
}

// forget raises the lowest commit and returns the new first segment: the oldest that holds something still needed, or the
// one in use. x.mu is held.
func (x *index) forget(st *state, below bft.CommitIndex, floor blockPoint) (first uint64) {
	st.lowest = max(st.lowest, below)
	for st.first < st.end.segment {
		sum := x.summaries[st.first]
		if sum.commit >= below || sum.block != (blockPoint{}) && !sum.block.before(floor) {
			break
		}
		delete(x.summaries, st.first)
		st.first++
	}
	return st.first
}
