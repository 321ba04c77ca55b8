package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// smallestSegment is the size of a new store's first segment. Each later one is twice as large, up to the
	// configured size, so that a new store is small and quickly made.
	smallestSegment = 1 << 20
	segmentGrowth   = 2
	// maxOpen bounds the files kept open for readers that may come back.
	maxOpen = 64
	// zeroChunk is written at a time when a segment is prepared, and at least zeroPause lies between two chunks unless a
	// commit waits. Zeroing begins when the segment in use is filled to zeroFrom and keeps pace with it, to end at zeroTo:
	// what commits do not need soon must not compete with them for the disk.
	zeroChunk = 1 << 20
	zeroPause = 2 * time.Millisecond
	zeroFrom  = 0.25
	zeroTo    = 0.9
)

// segments keeps the files of the log: those in use, those prepared to be used next, and spares that wait to be prepared.
type segments struct {
	fs  FS
	dir string
	// target is the full size of a segment, spares how many files pruning keeps for reuse.
	target    int64
	maxSpares int

	// preparing is held by whoever prepares a segment; urgent tells it that a commit waits.
	preparing sync.Mutex
	urgent    atomic.Bool
	filled    atomic.Uint64 // share of the segment in use that is written, as bits of a float64
	// Guarded by preparing.
	next  uint64 // number of the segment to prepare next
	size  int64  // of the segment prepared last
	zeros []byte

	mu    sync.Mutex
	live  map[uint64]*segment
	ready []*segment
	spare []*segment
	idle  int // open files in live that nobody pins

	recycled atomic.Uint64
	stalls   atomic.Uint64
}

// pin returns a live segment whose file stays as it is until unpin; nil if there is none (any more).
func (l *segments) pin(number uint64) (*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.live[number]
	if s == nil {
		return nil, nil
	}
	switch {
	case s.file == nil:
		f, err := l.fs.Open(s.path)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", s.path, err)
		}
		s.file = f
	case s.pins == 0:
		l.idle--
	}
	s.pins++
	return s, nil
}

func (l *segments) unpin(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.pins--
	if s.pins > 0 {
		return
	}
	if s.retired || l.idle >= maxOpen {
		// Nothing was written through this handle that is not synced.
		_ = s.file.Close()
		s.file = nil
		return
	}
	l.idle++
}

// take removes the next prepared segment from the line, preparing it now if there is none. The caller holds a pin.
func (l *segments) take() (*segment, error) {
	for {
		l.mu.Lock()
		if len(l.ready) > 0 {
			s := l.ready[0]
			l.ready = slices.Delete(l.ready, 0, 1)
			s.pins = 1
			l.live[s.number] = s
			l.mu.Unlock()
			return s, nil
		}
		l.mu.Unlock()
		l.stalls.Add(1)
		l.urgent.Store(true)
		err := l.prepare(context.Background())
		l.urgent.Store(false)
		if err != nil {
			return nil, err
		}
	}
}

// grow notes that a group larger than its segment has extended it. Only the writing goroutine changes a capacity.
func (l *segments) grow(s *segment, end int64) {
	if end > s.capacity {
		l.mu.Lock()
		s.capacity = end
		l.mu.Unlock()
	}
}

// hasReady tells whether a segment waits for use.
func (l *segments) hasReady() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ready) > 0
}

// prepare adds a segment to the line if none is there: a spare with its header erased, or a new file full of zeros. It
// has its final name before it is needed, so that a commit never waits for a directory.
func (l *segments) prepare(ctx context.Context) error {
	l.preparing.Lock()
	defer l.preparing.Unlock()
	if l.hasReady() {
		return nil
	}
	s, err := l.reuse()
	if s == nil && err == nil {
		s, err = l.create(ctx)
	}
	if err != nil {
		return err
	}
	from := s.path
	s.number, s.path = l.next, filepath.Join(l.dir, segmentName(l.next))
	if err := l.fs.Rename(from, s.path); err != nil {
		return errors.Join(fmt.Errorf("rename %s: %w", from, err), s.file.Close())
	}
	if err := l.fs.SyncDir(l.dir); err != nil {
		return errors.Join(fmt.Errorf("sync directory %s: %w", l.dir, err), s.file.Close())
	}
	l.next++
	l.size = s.capacity
	l.mu.Lock()
	l.ready = append(l.ready, s)
	l.mu.Unlock()
	return nil
}

// reuse returns a spare without its header, or nil. Its old groups stay: they do not have the salt to come.
func (l *segments) reuse() (*segment, error) {
	l.mu.Lock()
	i := slices.IndexFunc(l.spare, func(s *segment) bool { return s.pins == 0 })
	if i < 0 {
		l.mu.Unlock()
		return nil, nil
	}
	old := l.spare[i]
	l.spare = slices.Delete(l.spare, i, i+1)
	l.mu.Unlock()

	f, err := l.fs.Open(old.path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", old.path, err)
	}
	size, err := f.Size()
	if err == nil {
		_, err = f.WriteAt(l.zeroPages()[:pageSize], 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reuse %s: %w", old.path, err), f.Close())
	}
	l.recycled.Add(1)
	return &segment{path: old.path, file: f, capacity: size}, nil
}

// create writes a new file full of zeros.
func (l *segments) create(ctx context.Context) (*segment, error) {
	size := min(l.target, max(smallestSegment, l.size*segmentGrowth))
	path := filepath.Join(l.dir, draftName(l.next))
	f, err := l.fs.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	for at := int64(0); at < size && err == nil; at += zeroChunk {
		if at >= l.shortest() && l.urgent.Load() {
			size = at // a commit had better not wait for the rest
			break
		}
		_, err = f.WriteAt(l.zeroPages(), at)
		if err == nil {
			err = l.pause(ctx, float64(at+zeroChunk)/float64(size))
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("write zeros to new segment %s: %w", path, err), f.Close(), l.fs.Remove(path))
	}
	return &segment{path: path, file: f, capacity: size}, nil
}

// shortest is the size of the shortest segment worth keeping.
func (l *segments) shortest() int64 { return max(smallestSegment, l.target/4) }

// pause waits until a share of the next segment may have been written, or a commit waits for it.
func (l *segments) pause(ctx context.Context, done float64) error {
	t := time.NewTicker(zeroPause)
	defer t.Stop()
	for !l.urgent.Load() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
		if done <= (math.Float64frombits(l.filled.Load())-zeroFrom)/(zeroTo-zeroFrom) {
			break
		}
	}
	return nil
}

// fill notes how full the segment in use is.
func (l *segments) fill(s *segment, offset int64) {
	l.filled.Store(math.Float64bits(float64(offset) / float64(s.capacity)))
}

func (l *segments) zeroPages() []byte {
	if l.zeros == nil {
		l.zeros = alignedBuffer(zeroChunk)
	}
	return l.zeros
}

// retire takes segments out of use. Those for which there is room become spares, the others are deleted; a reader that
// has pinned one can go on. Nothing in the index may name them any more, durably.
func (l *segments) retire(below uint64) error {
	var numbers []uint64
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := range l.live {
		if n < below {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		s := l.live[n]
		delete(l.live, n)
		s.retired = true
		if s.file != nil && s.pins == 0 {
			l.idle--
			_ = s.file.Close()
			s.file = nil
		}
		if err := l.dispose(s); err != nil {
			return err
		}
	}
	return l.fs.SyncDir(l.dir)
}

// dispose makes a retired segment a spare or deletes it. l.mu is held.
func (l *segments) dispose(s *segment) error {
	if len(l.spare) >= l.maxSpares || s.capacity > 2*l.target || s.capacity < l.shortest() {
		if err := l.fs.Remove(s.path); err != nil {
			return fmt.Errorf("delete pruned segment: %w", err)
		}
		return nil
	}
	to := filepath.Join(l.dir, spareName(s.number))
	if err := l.fs.Rename(s.path, to); err != nil {
		return fmt.Errorf("set pruned segment aside: %w", err)
	}
	s.path = to
	l.spare = append(l.spare, s)
	return nil
}

// close closes every file.
func (l *segments) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, s := range l.live {
		if s.file != nil {
			errs = append(errs, s.file.Close())
		}
	}
	for _, s := range l.ready {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
