package history

import (
	"encoding/binary"
	"fmt"
	"sort"

	"github.com/cockroachdb/pebble/v2"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Prune implements [sequencing.History]. Nothing up to the time can be read any
// more, and the log files whose records all lie there are removed with their part of
// the index. The error also matches [ErrFailed].
func (s *Store) Prune(upTo, point sequencing.Time) error {
	if err := sequencing.CheckPrune(upTo, point); err != nil {
		return err
	}
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	if upTo = min(upTo, s.position.Time); upTo <= s.pruned {
		return nil
	}
	return s.final(s.prune(upTo))
}

// Pruned is the time up to which nothing can be read any more, 0 if nothing was ever pruned.
func (s *Store) Pruned() sequencing.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.pruned
}

func (s *Store) prune(upTo sequencing.Time) error {
	// The segment that is written stays, so that its rows, some still in memory, go
	// another time.
	n := sort.Search(len(s.segments), func(i int) bool { return s.segments[i].last > upTo })
	if n == len(s.segments) && n > 0 {
		n--
	}
	s.mu.Lock() // before anything is gone, so that a reader that misses it knows why
	s.pruned = upTo
	if n > 0 {
		s.first = s.segments[n].number
	}
	gone := s.segments[:n]
	s.segments = s.segments[n:]
	s.mu.Unlock()

	err := s.checkpoint(true, func(b *pebble.Batch) error {
		if n == 0 {
			return nil
		}
		for _, prefix := range []byte{prefixEvents, prefixSegment} {
			if err := b.DeleteRange([]byte{prefix}, segmentKey(prefix, s.first), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("prune up to %d: %w", upTo, err)
	}
	return s.remove(gone)
}

// remove removes log files to which nothing points any more.
func (s *Store) remove(gone []segment) error {
	if len(gone) == 0 {
		return nil
	}
	last := gone[len(gone)-1].number
	s.files.forget(func(number uint64) bool { return number <= last })
	for _, seg := range gone {
		if err := s.opts.FS.Remove(s.path(seg.number)); err != nil {
			return fmt.Errorf("remove %s: %w", s.path(seg.number), err)
		}
	}
	return nil
}

// Begin implements [sequencing.History]. It is for a machine whose state came from
// another sequencer; what is kept here of before is given up. The machine's snapshot is
// stored with it. A crash leaves all of the old or all of the new.
func (s *Store) Begin(m *sequencing.Machine) error { return s.BeginWith(m, nil) }

// BeginWith is [Store.Begin] with what the owner keeps beside the snapshot; see
// [Store.PutSnapshot].
func (s *Store) BeginWith(m *sequencing.Machine, beside []byte) error {
	s.snapshots.Lock()
	defer s.snapshots.Unlock()
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	return s.final(s.begin(m, beside))
}

func (s *Store) begin(m *sequencing.Machine, beside []byte) error {
	snapshot := m.Snapshot()
	if err := s.putChunks(snapshot); err != nil {
		return err
	}
	if err := s.log.close(); err != nil {
		return err
	}
	gone := s.segments
	s.mu.Lock()
	s.position, s.pruned, s.first = m.Position(), m.Time(), s.next
	s.segments = nil
	s.pending.reset()
	s.recent = recent{}
	s.mu.Unlock()
	err := s.commit(s.state, func(b *pebble.Batch) error {
		for _, prefix := range []byte{prefixEvents, prefixMember, prefixName, prefixSegment} {
			if err := b.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil); err != nil {
				return err
			}
		}
		if err := s.putManifest(b, snapshot, beside); err != nil {
			return err
		}
		for member := range m.Members {
			if err := b.Set(memberKey(prefixName, member.Index), []byte(member.ID), nil); err != nil {
				return err
			}
			if err := b.Set(memberKey(prefixMember, member.Index), binary.BigEndian.AppendUint64(nil, uint64(member.Last)), nil); err != nil {
				return err
			}
		}
		return nil
	}, true)
	if err != nil {
		return fmt.Errorf("begin after block %d: %w", m.Height(), err)
	}
	return s.remove(gone)
}
