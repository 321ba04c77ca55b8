package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
)

const (
	// maxBacklog and maxBacklogBytes bound what waits for the index: entries in memory, bytes of log to replay. Over
	// them Persist writes the index itself.
	maxBacklog      = 1 << 14
	maxBacklogBytes = 256 << 20
	// maxKey bounds the key of a value; the format could hold 64 KiB.
	maxKey = 1 << 10
)

// Persist makes a batch durable, all of it or nothing. When it returns nil the batch survives a crash and every reader sees
// it. ErrOrder and ErrTooLarge change nothing; any other error is an ErrFailed and final: whether the batch is durable is
// then known only after the store was opened again.
func (s *Store) Persist(b *Batch) error {
	s.writeMu.Lock()
	defer s.writeMu.Unlock()
	if err := s.Err(); err != nil {
		return err
	}
	if len(b.records) == 0 {
		return nil
	}
	if err := s.check(b); err != nil {
		return err
	}
	start := time.Now()
	g, err := s.append(b)
	if err != nil {
		s.fail(err)
		return s.Err()
	}
	if s.opts.ObserveSync != nil {
		s.opts.ObserveSync(g.size(), time.Since(start))
	}
	s.groups.Add(1)
	s.bytes.Add(uint64(g.size()))
	s.index.add(g, func(i int) []byte { return b.records[i].head })
	return s.delegate()
}

func (s *Store) check(b *Batch) error {
	if b.lastCommit != 0 || b.disordered {
		if highest := s.index.snapshot().highest; b.disordered || b.firstCommit <= highest {
			return fmt.Errorf("%w: commits %d to %d after %d", ErrOrder, b.firstCommit, b.lastCommit, highest)
		}
	}
	if size := groupSize(b); size > MaxGroup {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, size, MaxGroup)
	}
	for _, r := range b.records {
		if len(r.key) > maxKey {
			return fmt.Errorf("%w: a key of %d bytes, limit %d", ErrTooLarge, len(r.key), maxKey)
		}
	}
	return nil
}

// append writes a batch behind the last group and syncs it.
func (s *Store) append(b *Batch) (*group, error) {
	t := &s.tail
	if t.segment == nil || t.offset > firstGroup && t.offset+groupSize(b) > t.segment.capacity {
		if err := s.roll(); err != nil {
			return nil, err
		}
	}
	b.numberEvidence(t.number)
	g := planGroup(b, &t.segment.header, t.offset, t.number)
	if t.offset > firstGroup {
		s.out.start(t.segment.file, t.offset)
	} else {
		// A segment's header reaches the disk with its first group, and again if a crash left it without one.
		s.out.start(t.segment.file, 0)
		s.out.put(t.segment.header.encode())
	}
	s.out.put(g.header)
	for _, r := range b.records {
		s.out.put(r.head)
		s.out.put(r.tail)
	}
	if err := s.out.finish(); err != nil {
		return nil, fmt.Errorf("write to %s: %w", t.segment.path, err)
	}
	if err := t.segment.file.Sync(); err != nil {
		return nil, fmt.Errorf("sync %s: %w", t.segment.path, err)
	}
	t.offset += g.size()
	s.segments.grow(t.segment, t.offset)
	t.number++
	return g, nil
}

// roll moves the tail to the next segment.
func (s *Store) roll() error {
	next, err := s.segments.take()
	if err != nil {
		return err
	}
	if s.tail.segment != nil {
		s.segments.unpin(s.tail.segment)
	}
	var salt [8]byte
	_, _ = rand.Read(salt[:]) // never fails
	next.header = segmentHeader{
		network: s.opts.Network, number: next.number, salt: binary.BigEndian.Uint64(salt[:]), first: s.tail.number,
	}
	s.tail.segment, s.tail.offset = next, firstGroup
	return nil
}

// delegate hands work that this group has made to Run, or does it if too much has come together.
func (s *Store) delegate() error {
	if entries, bytes := s.index.backlog(); entries > maxBacklog || bytes > maxBacklogBytes {
		if err := s.index.drain(false, nil); err != nil {
			s.fail(err)
			return s.Err()
		}
	}
	wake(s.wakeIndex)
	s.segments.fill(s.tail.segment, s.tail.offset)
	if float64(s.tail.offset) > zeroFrom*float64(s.tail.segment.capacity) && !s.segments.hasReady() {
		wake(s.wakePrepare)
	}
	return nil
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// output gathers pieces into page-aligned writes. A small group is one write; a large one goes out in pieces of a size at
// which the disk is at its best, through one buffer that stays in the processor's cache.
type output struct {
	file File
	at   int64
	buf  []byte
	n    int
	err  error
}

const outputSize = 1 << 20

func (o *output) start(f File, at int64) {
	if o.buf == nil {
		o.buf = alignedBuffer(outputSize)
	}
	o.file, o.at, o.n, o.err = f, at, 0, nil
}

func (o *output) put(p []byte) {
	for len(p) > 0 {
		n := copy(o.buf[o.n:], p)
		o.n += n
		p = p[n:]
		if o.n == len(o.buf) {
			o.flush()
		}
	}
}

// finish fills the last page with zeros and writes it.
func (o *output) finish() error {
	end := int(pages(int64(o.n)))
	clear(o.buf[o.n:end])
	o.n = end
	o.flush()
	return o.err
}

func (o *output) flush() {
	if o.err == nil && o.n > 0 {
		_, o.err = o.file.WriteAt(o.buf[:o.n], o.at)
	}
	o.at += int64(o.n)
	o.n = 0
}
