package history

import (
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// log is the segment that is written. Store.write guards it.
type log struct {
	file     vfs.File // nil before the first record after Open or a full segment
	size     int64
	unsynced int64 // bytes since the last checkpoint
	begun    int64 // of these, bytes that the system was asked to write
	named    bool  // the directory is synced with the file's name in it
	buf      []byte
}

func (l *log) close() error {
	if l.file == nil {
		return nil
	}
	f := l.file
	*l = log{buf: l.buf}
	return f.Close()
}

// writeAhead is how often, between two checkpoints, the system is told to write what came together, without being waited for.
const writeAhead = 8

// pending is what was appended since the last checkpoint. All of it is in the last
// segment. Readers copy slices of places, which are only ever appended to.
type pending struct {
	runs   map[sequencing.Index]*run
	joined []sequencing.MemberID
	first  sequencing.Index // of joined
	events int
}

func (p *pending) reset() { *p = pending{runs: make(map[sequencing.Index]*run, len(p.runs))} }

// Position implements [sequencing.History].
func (s *Store) Position() sequencing.Position {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.position
}

// Append implements [sequencing.History]. The block can be read at once and is durable
// with the next checkpoint, which Append makes by itself when enough has come
// together. The error also matches [ErrFailed] or [ErrTooLarge]; the store then
// takes nothing more.
func (s *Store) Append(out *sequencing.Output) error {
	s.write.Lock()
	defer s.write.Unlock()
	if err := s.failed(); err != nil {
		return err
	}
	if next, err := s.Position().Follows(out); !next {
		return err
	}
	return s.final(s.append(out))
}

func (s *Store) append(out *sequencing.Output) error {
	places, err := s.writeRecords(out.Records)
	if err != nil {
		return fmt.Errorf("append block %d: %w", out.Height, err)
	}
	s.mu.Lock()
	s.note(out, places)
	events := s.pending.events
	s.mu.Unlock()
	switch {
	case s.log.size >= s.opts.SegmentSize:
		if err := s.checkpoint(false, nil); err != nil {
			return err
		}
		return s.log.close()
	case s.log.unsynced >= s.opts.CheckpointSize || events >= s.opts.CheckpointEvents:
		return s.checkpoint(false, nil)
	}
	return nil
}

// writeRecords appends records to the log and returns where each begins.
func (s *Store) writeRecords(records []sequencing.Record) ([]place, error) {
	if len(records) == 0 {
		return nil, nil
	}
	if s.log.file == nil {
		if err := s.beginSegment(); err != nil {
			return nil, err
		}
	}
	var err error
	buf, places := s.log.buf[:0], make([]place, len(records))
	if s.log.size == 0 {
		buf = append(buf, header(s.next-1)...)
	}
	for i := range records {
		places[i] = place{time: records[i].Time, segment: s.next - 1, offset: uint64(s.log.size) + uint64(len(buf))}
		if buf, err = appendFrame(buf, &records[i]); err != nil {
			return nil, err
		}
	}
	if _, err := s.log.file.Write(buf); err != nil {
		return nil, fmt.Errorf("write %s: %w", s.path(s.next-1), err)
	}
	s.log.size += int64(len(buf))
	s.log.unsynced += int64(len(buf))
	if s.log.unsynced-s.log.begun >= s.opts.CheckpointSize/writeAhead {
		// The system writes while more comes, and a checkpoint has little left to wait for: the disk is others' as well.
		if _, err := s.log.file.SyncTo(s.log.size); err != nil {
			return nil, fmt.Errorf("write %s to disk: %w", s.path(s.next-1), err)
		}
		s.log.begun = s.log.unsynced
	}
	if s.log.buf = buf; cap(buf) > 4<<20 { // one huge block is no reason to keep its memory
		s.log.buf = nil
	}
	return places, nil
}

// beginSegment makes the next log file. What a crash left under its name is replaced.
func (s *Store) beginSegment() (err error) {
	path := s.path(s.next)
	if s.log.file, err = s.opts.FS.Create(path, vfs.WriteCategoryUnspecified); err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	s.log.size, s.log.named = 0, false
	s.mu.Lock()
	s.next++
	s.mu.Unlock()
	return nil
}

// note makes a block visible to readers. The caller holds mu.
func (s *Store) note(out *sequencing.Output, places []place) {
	s.position = out.Position()
	s.recent.add(out, s.opts.RecentSize)
	p := &s.pending
	if len(p.joined) == 0 {
		p.first = out.FirstJoined
	}
	p.joined = append(p.joined, out.Joined...)
	for i := range out.Records {
		at := places[i]
		for _, e := range out.Records[i].Events {
			r := p.runs[e.Member]
			if r == nil {
				r = &run{previous: e.Previous}
				p.runs[e.Member] = r
			}
			r.places = append(r.places, at)
		}
		p.events += len(out.Records[i].Events)
	}
	if n := len(places); n > 0 {
		s.extend(segment{number: places[0].segment, first: places[0].time, last: places[n-1].time})
	}
}

// extend adds a segment, or records to the last one. Readers hold the old list.
func (s *Store) extend(seg segment) {
	n := len(s.segments)
	if n > 0 && s.segments[n-1].number == seg.number {
		seg.first = s.segments[n-1].first
		s.segments = append(slices.Clip(s.segments[:n-1]), seg)
		return
	}
	s.segments = append(s.segments, seg)
}
