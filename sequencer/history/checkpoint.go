package history

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Checkpoint makes everything durable that was appended. The error matches
// [ErrFailed].
func (s *Store) Checkpoint() error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	return s.final(s.checkpoint(true, nil))
}

// final makes an error the end of the store. What the index only reported to its
// logger counts as well: a commit may return without an error then.
func (s *Store) final(err error) error {
	if err != nil {
		s.fail(err)
	}
	return s.failed()
}

// checkpoint syncs the log and commits what points into it, with what more adds.
// Unless sync is set, the commit may be lost in a crash, as a whole and with all
// after it.
func (s *Store) checkpoint(sync bool, more func(*pebble.Batch) error) error {
	if err := s.syncLog(); err != nil {
		return err
	}
	// Nobody else changes state and pending now, so they may be read without mu.
	err := s.commit(s.state, func(b *pebble.Batch) error {
		if err := s.fill(b); err != nil || more == nil {
			return err
		}
		return more(b)
	}, sync)
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	s.mu.Lock()
	s.pending.reset()
	s.mu.Unlock()
	return nil
}

func (s *Store) syncLog() error {
	l := &s.log
	if l.file == nil || l.unsynced == 0 {
		return nil
	}
	if err := l.file.SyncData(); err != nil {
		return fmt.Errorf("sync %s: %w", s.path(s.next-1), err)
	}
	if !l.named {
		if err := syncDir(s.opts.FS, s.opts.Dir); err != nil {
			return err
		}
		l.named = true
	}
	l.unsynced, l.begun = 0, 0
	return nil
}

// fill adds what is pending to a batch.
func (s *Store) fill(b *pebble.Batch) error {
	p := &s.pending
	for i, id := range p.joined {
		if err := b.Set(memberKey(prefixName, p.first+sequencing.Index(i)), []byte(id), nil); err != nil {
			return err
		}
	}
	if len(p.runs) == 0 {
		return nil
	}
	seg := s.segments[len(s.segments)-1]
	if err := b.Set(segmentKey(prefixSegment, seg.number), seg.encode(), nil); err != nil {
		return err
	}
	members := make([]sequencing.Index, 0, len(p.runs))
	for member := range p.runs {
		members = append(members, member)
	}
	slices.Sort(members) // keys in order are cheaper to insert
	var key, value []byte
	for _, member := range members {
		r := p.runs[member]
		for previous, rest := r.previous, r.places; len(rest) > 0; {
			n := min(len(rest), maxRun)
			key = runKey(key, seg.number, member, rest[0].time)
			value = appendRun(value[:0], previous, rest[:n])
			if err := b.Set(key, value, nil); err != nil {
				return err
			}
			previous, rest = rest[n-1].time, rest[n:]
		}
		last := r.places[len(r.places)-1].time
		if err := b.Set(memberKey(prefixMember, member), binary.BigEndian.AppendUint64(nil, uint64(last)), nil); err != nil {
			return err
		}
	}
	return nil
}
