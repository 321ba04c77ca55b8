package history

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/synod-network/synod/internal/openfiles"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Options say where a history lies and how much it gathers. Zero values stand for
// the defaults.
type Options struct {
	// Dir is the directory of this history and of nothing else.
	Dir     string
	Network sequencing.NetworkID
	// SegmentSize is when a log file is full, in bytes; default 64 MiB. Pruning frees
	// whole segments. CheckpointSize is how much may be appended between checkpoints,
	// in bytes; default 8 MiB. It is what a crash makes to be applied again at most,
	// and CheckpointEvents, default 65 536, the same in events: what places are kept in
	// memory for.
	SegmentSize, CheckpointSize int64
	CheckpointEvents            int
	// CacheSize is the memory for blocks of the index, in bytes; default 16 MiB.
	CacheSize int64
	// RecentSize is how much of the newest records stays in memory, in bytes of the blocks that they came in; default 2 MiB, less
	// than 0 for none.
	RecentSize int64
	// FS is the file system; default that of the operating system.
	FS vfs.FS
	// Log takes what the index has to say; default nowhere.
	Log *slog.Logger
}

func (o Options) withDefaults() Options {
	set := func(v *int64, standard int64) {
		if *v <= 0 {
			*v = standard
		}
	}
	set(&o.SegmentSize, 64<<20)
	set(&o.CheckpointSize, 8<<20)
	set(&o.CacheSize, 16<<20)
	if o.RecentSize == 0 {
		o.RecentSize = 2 << 20
	}
	o.SegmentSize = min(o.SegmentSize, maxSegment/4)
	if o.CheckpointEvents <= 0 {
		o.CheckpointEvents = 1 << 16
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store is a durable [sequencing.History].
type Store struct {
	opts  Options
	db    *pebble.DB
	lock  interface{ Close() error }
	files files

	// snapshots is held by whoever stores a snapshot. It is taken before write.
	snapshots sync.Mutex
	// write is held by whoever changes the history: it guards the log file that is
	// written, and the order of batches.
	write sync.Mutex
	log   log

	mu sync.RWMutex // guards all that follows; held for a few words only
	state
	segments []segment // ascending; replaced, never changed, but for the last
	pending  pending
	recent   recent
	failure  error
}

// Open opens the history in a directory, or makes one there that begins before the
// first block. The error matches [ErrLocked], [ErrNetwork], [ErrFormat] or
// [ErrCorrupt].
func Open(opts Options) (_ *Store, err error) {
	opts = opts.withDefaults()
	fs := opts.FS
	if err := makeDir(fs, opts.Dir); err != nil {
		return nil, fmt.Errorf("open history in %s: %w", opts.Dir, err)
	}
	s := &Store{opts: opts}
	s.pending.reset()
	s.files = files{fs: fs, path: s.path, open: map[uint64]*file{}}
	// Pebble takes the same kind of lock inside its own directory, but says less when another has it.
	if s.lock, err = fs.Lock(filepath.Join(opts.Dir, "lock")); err != nil {
		return nil, fmt.Errorf("open history in %s: %w: %w", opts.Dir, ErrLocked, err)
	}
	if err = s.openIndex(); err == nil {
		if err = s.load(); err != nil {
			err = errors.Join(err, s.db.Close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open history in %s: %w", opts.Dir, errors.Join(err, s.lock.Close()))
	}
	return s, nil
}

// makeDir makes a directory that survives a crash, with all above it.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); err == nil {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeDir(fs, parent); err != nil {
			return err
		}
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(fs, parent)
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

func (s *Store) path(number uint64) string { return filepath.Join(s.opts.Dir, segmentName(number)) }

func (s *Store) openIndex() (err error) {
	cache := pebble.NewCache(s.opts.CacheSize)
	defer cache.Unref()
	defer recovered(&err)
	s.db, err = pebble.Open(filepath.Join(s.opts.Dir, "index"), &pebble.Options{
		FS: s.opts.FS, Cache: cache, Logger: indexLog{s.opts.Log, s.fail}, FormatMajorVersion: pebble.FormatNewest,
		MemTableSize: 8 << 20, MaxOpenFiles: openfiles.Index(openfiles.Limit()),
		EventListener: &pebble.EventListener{BackgroundError: s.fail},
	})
	if pebble.IsCorruptionError(err) {
		err = fmt.Errorf("%w: index: %w", ErrCorrupt, err)
	}
	return err
}

// load reads the state, and removes log files that no checkpoint knows.
func (s *Store) load() error {
	value, found, err := s.get(stateKey())
	if err != nil {
		return err
	}
	if !found {
		s.state = state{network: s.opts.Network}
		if err := s.commit(s.state, s.fill, true); err != nil {
			return err
		}
	} else if s.state, err = decodeState(value); err != nil {
		return err
	}
	if s.network != s.opts.Network {
		return fmt.Errorf("%w: it is of %x, not of %x", ErrNetwork, s.network[:4], s.opts.Network[:4])
	}
	if err := s.loadSegments(); err != nil {
		return err
	}
	return s.removeStrays()
}

func (s *Store) loadSegments() error {
	iter, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixSegment}, UpperBound: []byte{prefixSegment + 1}})
	if err != nil {
		return s.unreadable("segments", err)
	}
	for valid := iter.First(); valid; valid = iter.Next() {
		seg, err := decodeSegment(iter.Key(), iter.Value())
		if err == nil && (seg.number < s.first || seg.number >= s.next) {
			err = fmt.Errorf("%w: segment %d is not among %d to %d of the index", ErrCorrupt, seg.number, s.first, s.next)
		}
		if err != nil {
			return errors.Join(err, iter.Close())
		}
		s.segments = append(s.segments, seg)
	}
	if err := iter.Close(); err != nil {
		return s.unreadable("segments", err)
	}
	return nil
}

// removeStrays removes log files from before the oldest segment, which a crash left
// behind while pruning, and such as no checkpoint knows. It misses none that should
// be there.
func (s *Store) removeStrays() error {
	names, err := s.opts.FS.List(s.opts.Dir)
	if err != nil {
		return err
	}
	there := map[uint64]bool{}
	for _, name := range names {
		number, ok := parseName(name)
		if !ok {
			continue
		}
		if there[number] = true; number >= s.first && number < s.next {
			continue
		}
		if err := s.opts.FS.Remove(filepath.Join(s.opts.Dir, name)); err != nil {
			return err
		}
	}
	for _, seg := range s.segments {
		if !there[seg.number] {
			return fmt.Errorf("%w: %s is gone", ErrCorrupt, s.path(seg.number))
		}
	}
	return nil
}

// Close makes a checkpoint, unless the store has failed, and closes everything. No
// other method may run or be called any more.
func (s *Store) Close() error {
	err := s.Checkpoint()
	if errors.Is(err, ErrFailed) {
		err = nil // it was reported
	}
	s.files.forget(func(uint64) bool { return true })
	err = errors.Join(err, s.log.close(), s.closeIndex(), s.lock.Close())
	if err != nil {
		return fmt.Errorf("close history in %s: %w", s.opts.Dir, err)
	}
	return nil
}

func (s *Store) closeIndex() (err error) {
	defer recovered(&err)
	if s.failed() != nil {
		return nil // Pebble may hold its locks for ever after a failure
	}
	return s.db.Close()
}
