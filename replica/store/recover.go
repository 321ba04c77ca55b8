package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// recover finds the segments, replays into the index what it lacks, cuts off a torn tail, and makes the last group
// durable again.
func (s *Store) recover() error {
	unused, err := s.findSegments()
	if err != nil {
		return err
	}
	end := s.index.snapshot().end
	replayed := end.number
	if end, err = s.replay(end); err != nil {
		return err
	}
	if err := s.line(unused, end); err != nil {
		return err
	}
	if err := s.settle(end); err != nil {
		return err
	}
	if end.number > replayed {
		s.log.Info("replayed the end of the log into the index", "dir", s.opts.Dir, "groups", end.number-replayed)
	}
	return s.index.drain(false, nil)
}

// findSegments sorts the files of the log into live segments, spares, and those that were prepared but not used, which it
// returns in order of their numbers. It removes drafts.
func (s *Store) findSegments() (unused []*segment, err error) {
	names, err := s.fs.List(s.opts.logDir())
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	first := s.index.snapshot().first
	for _, name := range names {
		path := filepath.Join(s.opts.logDir(), name)
		number, numbered := parseSegmentName(strings.TrimPrefix(name, sparePrefix))
		seg := &segment{number: number, path: path}
		switch {
		case strings.HasPrefix(name, draftPrefix):
			if err := s.fs.Remove(path); err != nil {
				return nil, err
			}
			continue
		case !numbered:
			return nil, fmt.Errorf("%s is not a file of the log; remove it", path)
		}
		used, err := s.inspect(seg, strings.HasPrefix(name, sparePrefix) || number < first)
		switch {
		case err != nil:
			return nil, err
		case strings.HasPrefix(name, sparePrefix):
			s.segments.spare = append(s.segments.spare, seg)
		case number < first:
			// A crash came between the end of pruning and this.
			if err := s.segments.dispose(seg); err != nil {
				return nil, err
			}
		case used && len(unused) > 0:
			return nil, fmt.Errorf("%w: %s is in use, but %s before it is not", ErrCorrupt, path, unused[0].path)
		case used:
			s.segments.live[number] = seg
		default:
			unused = append(unused, seg)
		}
		s.segments.next = max(s.segments.next, number+1)
	}
	for n := range uint64(len(s.segments.live)) {
		if s.segments.live[first+n] == nil {
			return nil, fmt.Errorf("%w: %s is missing", ErrCorrupt, filepath.Join(s.opts.logDir(), segmentName(first+n)))
		}
	}
	return unused, nil
}

// inspect reads a segment's size and, unless it is out of use, its header.
func (s *Store) inspect(seg *segment, retired bool) (used bool, err error) {
	f, err := s.fs.Open(seg.path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if seg.capacity, err = f.Size(); err != nil || retired {
		return false, err
	}
	page := make([]byte, pageSize)
	if _, err := f.ReadAt(page, 0); err != nil {
		return false, fmt.Errorf("read header of %s: %w", seg.path, err)
	}
	h, used, err := decodeSegmentHeader(page)
	switch {
	case err != nil:
		return false, fmt.Errorf("%s: %w", seg.path, err)
	case used && h.number != seg.number:
		return false, fmt.Errorf("%s: %w: its header is that of segment %d", seg.path, ErrCorrupt, h.number)
	case used && h.network != s.opts.Network:
		return false, fmt.Errorf("%s: %w: %s", seg.path, ErrNetwork, h.network)
	}
	seg.header = h
	return used, nil
}

// replay adds to the index every group behind a position and returns the end of the log.
func (s *Store) replay(at position) (position, error) {
	if at.number > 0 {
		// The index must not know more than the log has.
		last, err := s.groupAt(at.segment, at.last, at.number-1)
		if err != nil || at.last+last.size() != at.next {
			return at, fmt.Errorf("%w: group %d in segment %d, which the index knows, is not in the log: %w", ErrCorrupt, at.number-1, at.segment, err)
		}
	}
	for {
		g, err := s.groupAt(at.segment, at.next, at.number)
		switch {
		case err == nil:
			s.index.add(&g.group, g.head)
			if entries, _ := s.index.backlog(); entries > maxBacklog {
				if err := s.index.drain(false, nil); err != nil {
					return at, err
				}
			}
			at = position{segment: at.segment, last: at.next, next: at.next + g.size(), number: at.number + 1}
		case !errors.Is(err, errNoGroup):
			return at, err
		default:
			next := s.segments.live[at.segment+1]
			if next == nil {
				return at, s.expectEnd(at)
			}
			if next.header.first != at.number {
				return at, fmt.Errorf("%w: segment %d ends before group %d, but %s begins with group %d",
					ErrCorrupt, at.segment, at.number, next.path, next.header.first)
			}
			at = position{segment: next.number, next: firstGroup, number: at.number}
		}
	}
}

// readGroup is a group with its bytes.
type readGroup struct {
	group
	bytes []byte
}

// head returns a copy of a record's head, which does not keep the whole group in memory.
func (g *readGroup) head(i int) []byte {
	l := g.entries[i].at
	return bytes.Clone(g.bytes[l.offset-g.offset:][:l.head])
}

// groupAt reads and checks all of a group. Its error is errNoGroup if there is no complete one.
func (s *Store) groupAt(number uint64, offset int64, want uint64) (*readGroup, error) {
	seg, err := s.segments.pin(number)
	if err != nil {
		return nil, err
	}
	if seg == nil {
		return nil, errNoGroup
	}
	defer s.segments.unpin(seg)
	limit := seg.capacity - offset
	if limit < pageSize {
		return nil, errNoGroup
	}
	page := make([]byte, pageSize)
	if _, err := seg.file.ReadAt(page, offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", seg.path, err)
	}
	g, table, err := parseGroupHeader(page, &seg.header, offset, limit)
	if err != nil {
		return nil, err
	}
	if g.number != want {
		return nil, errNoGroup
	}
	r := &readGroup{group: *g, bytes: make([]byte, pages(int64(groupHeader+table)+g.body))}
	if _, err := seg.file.ReadAt(r.bytes, offset); err != nil {
		return nil, fmt.Errorf("read %s: %w", seg.path, err)
	}
	if err := r.parseTable(r.bytes[:groupHeader+table]); err != nil {
		return nil, err
	}
	for _, e := range r.entries {
		p := r.bytes[e.at.offset-offset:]
		if checksum(p[:e.at.head]) != e.at.headSum || checksum(p[e.at.head:e.at.head+e.at.tail]) != e.at.tailSum {
			return nil, errNoGroup
		}
	}
	return r, nil
}

// expectEnd makes sure that nothing follows the end of the log. Groups are written one after the other, each synced before
// the next, so a crash can spoil the last one only; a group behind a bad one means that acknowledged data was damaged.
func (s *Store) expectEnd(at position) error {
	seg, err := s.segments.pin(at.segment)
	if seg == nil || err != nil {
		return err
	}
	defer s.segments.unpin(seg)
	buf := make([]byte, zeroChunk)
	for offset := at.next; offset < seg.capacity; offset += int64(len(buf)) {
		n, err := seg.file.ReadAt(buf[:min(int64(len(buf)), seg.capacity-offset)], offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s: %w", seg.path, err)
		}
		for p := 0; p+pageSize <= n; p += pageSize {
			g, _, err := parseGroupHeader(buf[p:p+pageSize], &seg.header, offset+int64(p), math.MaxInt64)
			if err == nil && g.number > at.number {
				return fmt.Errorf("%w: group %d at offset %d of %s is damaged, but group %d follows it; restore the disk, or replace the store and rejoin",
					ErrCorrupt, at.number, at.next, seg.path, g.number)
			}
		}
	}
	return nil
}

// line puts segments that were prepared before in line for use.
func (s *Store) line(unused []*segment, end position) error {
	want := end.segment + 1
	if len(s.segments.live) == 0 {
		want = 0
	}
	for i, seg := range unused {
		if seg.number != want+uint64(i) {
			return fmt.Errorf("%w: %s is in line for use, but %s is not there", ErrCorrupt, seg.path, segmentName(want+uint64(i)))
		}
		f, err := s.fs.Open(seg.path)
		if err != nil {
			return err
		}
		seg.file = f
		s.segments.ready = append(s.segments.ready, seg)
		s.segments.size = seg.capacity
	}
	return nil
}

// settle puts the tail at the end of the log. It writes the last group once more: the group may be one whose sync failed
// or never happened, and a sync alone does not write what the system believes to be written.
func (s *Store) settle(end position) error {
	s.tail = tail{offset: end.next, number: end.number}
	seg, err := s.segments.pin(end.segment)
	if seg == nil || err != nil {
		return err
	}
	s.tail.segment = seg
	s.segments.size = max(s.segments.size, seg.capacity)
	if end.last == 0 {
		return nil
	}
	page := alignedBuffer(int(end.next - end.last))
	if _, err := seg.file.ReadAt(page, end.last); err != nil {
		return fmt.Errorf("read %s: %w", seg.path, err)
	}
	if _, err := seg.file.WriteAt(page, end.last); err != nil {
		return fmt.Errorf("write to %s: %w", seg.path, err)
	}
	if err := seg.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", seg.path, err)
	}
	return nil
}
