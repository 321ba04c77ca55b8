package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/openfiles"
	"golang.org/x/sync/errgroup"
)

// Options say where a store is and how it behaves. Only Dir and Network are required.
type Options struct {
	Dir     string
	Network bft.NetworkID
	// SegmentSize is the size of a full-grown file of the log, in bytes, a multiple of 1 MiB; 0 means 64 MiB.
	SegmentSize int64
	// Spares bounds the pruned segments that are kept for reuse; 0 means 4.
	Spares int
	// FS is the file system; nil means OS.
	FS FS
	// Log is told about repairs and damage; nil means nobody is.
	Log *slog.Logger
	// ObserveSync, if set, is called by Persist after every group with its size and the time that writing and syncing
	// it took. It must be quick.
	ObserveSync func(bytes int64, took time.Duration)
}

func (o Options) withDefaults() Options {
	if o.SegmentSize == 0 {
		o.SegmentSize = 64 << 20
	}
	if o.Spares == 0 {
		o.Spares = 4
	}
	if o.FS == nil {
		o.FS = OS{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	if o.Dir == "" {
		return errors.New("open store: no directory given")
	}
	if o.SegmentSize < smallestSegment || o.SegmentSize%zeroChunk != 0 || o.SegmentSize > MaxGroup {
		return fmt.Errorf("open store in %s: segment size %d must be a multiple of 1 MiB, up to 1 GiB", o.Dir, o.SegmentSize)
	}
	return nil
}

func (o Options) logDir() string   { return filepath.Join(o.Dir, "log") }
func (o Options) indexDir() string { return filepath.Join(o.Dir, "index") }

// Store is one member's durable state. See the package comment for who may call what.
type Store struct {
	opts   Options
	fs     FS
	log    *slog.Logger
	origin Origin
	lock   io.Closer

	index    *index
	segments *segments

	// writeMu is held by Persist and guards what only it uses.
	writeMu sync.Mutex
	tail    tail
	out     output

	wakeIndex   chan struct{}
	wakePrepare chan struct{}

	failOnce sync.Once
	failed   chan struct{} // closed after failure is set
	failure  error

	groups     atomic.Uint64
	bytes      atomic.Uint64
	readErrors atomic.Uint64
}

// tail is where the next group goes. Its segment is pinned, or nil before the very first group.
type tail struct {
	segment *segment
	offset  int64
	number  uint64
}

// Open opens a store that Create made and brings index and log together. Its errors are ErrMissing, ErrLocked, ErrNetwork,
// ErrFormat, ErrCorrupt, or those of the file system. The caller runs Run beside whatever uses the store, and calls Close
// once Run has returned.
func Open(opts Options) (*Store, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	m, err := readMarker(opts)
	if err != nil {
		return nil, err
	}
	lock, err := opts.FS.Lock(filepath.Join(opts.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open store in %s: %w", opts.Dir, err)
	}
	s := &Store{
		opts: opts, fs: opts.FS, log: opts.Log, origin: m.origin, lock: lock,
		wakeIndex: make(chan struct{}, 1), wakePrepare: make(chan struct{}, 1), failed: make(chan struct{}),
		segments: &segments{
			fs: opts.FS, dir: opts.logDir(), target: opts.SegmentSize, maxSpares: opts.Spares, live: map[uint64]*segment{},
		},
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store in %s: %w", opts.Dir, err), s.release())
	}
	return s, nil
}

func (s *Store) open() (err error) {
	s.index, err = openIndex(s.fs.Index(), s.opts.indexDir(), indexLog{s.log, s.fail}, s.fail)
	if err != nil {
		return err
	}
	return s.recover()
}

// Run does what Persist need not wait for: it writes the index and prepares segments, until ctx ends (nil) or the store
// fails (ErrFailed: the node must stop). Without it Persist does that work itself, in time but slower.
func (s *Store) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.runIndex(ctx) })
	g.Go(func() error { return s.runPrepare(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.failed:
			return s.Err()
		}
	})
	return g.Wait()
}

// indexDelay lets entries of several groups share one write of the index.
const indexDelay = 20 * time.Millisecond

func (s *Store) runIndex(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wakeIndex:
		}
		t := time.NewTimer(indexDelay)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
		if err := s.index.drain(false, nil); err != nil {
			s.fail(err)
			return s.Err()
		}
	}
}

func (s *Store) runPrepare(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wakePrepare:
		}
		err := s.segments.prepare(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			s.fail(err)
			return s.Err()
		}
	}
}

// Close writes the index to its end and closes everything. Nobody may use the store meanwhile or afterwards.
func (s *Store) Close() error {
	var err error
	if s.Err() == nil {
		err = s.index.drain(true, nil)
	}
	if err = errors.Join(err, s.release()); err != nil {
		return fmt.Errorf("close store in %s: %w", s.opts.Dir, err)
	}
	return nil
}

func (s *Store) release() error {
	var err error
	if s.index != nil {
		err = s.index.close()
	}
	return errors.Join(err, s.segments.close(), s.lock.Close())
}

// fail makes the first storage error final.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		advice := "mend the disk or make room on it, then start the node again"
		if openfiles.Exhausted(err) {
			advice = openfiles.Advice(err)
		}
		s.failure = fmt.Errorf("%w: %s: %w; %s", ErrFailed, s.opts.Dir, err, advice)
		close(s.failed)
	})
}

// Err returns nil while the store is usable, and an ErrFailed with the cause once it is not.
func (s *Store) Err() error {
	select {
	case <-s.failed:
		return s.failure
	default:
		return nil
	}
}
