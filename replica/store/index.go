package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/openfiles"
)

// Keys of the index. Values of blocks and commits are locations; the others are the records themselves.
const (
	prefixBlock    = 'b' // epoch, round, author, digest
	prefixCommit   = 'c' // index
	prefixEvidence = 'e' // group, place in the group
	prefixHandover = 'h' // epoch
	prefixMeta     = 'm' // the caller's key
	prefixSegment  = 's' // number; value: segmentSummary
	prefixState    = 'z' // value: state
)

func blockKey(epoch bft.Epoch, ref bft.Ref) []byte {
	b := roundKey(blockPoint{epoch, ref.Round})
	b = binary.BigEndian.AppendUint16(b, uint16(ref.Author))
	return append(b, ref.Digest[:]...)
}

// roundKey is the lowest key of the blocks of a round.
func roundKey(p blockPoint) []byte {
	b := append(make([]byte, 0, 51), prefixBlock)
	b = binary.BigEndian.AppendUint64(b, uint64(p.epoch))
	return binary.BigEndian.AppendUint64(b, uint64(p.round))
}

func parseBlockKey(k []byte) (epoch bft.Epoch, ref bft.Ref) {
	epoch = bft.Epoch(binary.BigEndian.Uint64(k[1:]))
	ref.Round = bft.Round(binary.BigEndian.Uint64(k[9:]))
	ref.Author = bft.Author(binary.BigEndian.Uint16(k[17:]))
	copy(ref.Digest[:], k[19:])
	return epoch, ref
}

func numberKey(prefix byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{prefix}, n) }

func commitKey(i bft.CommitIndex) []byte { return numberKey(prefixCommit, uint64(i)) }
func handoverKey(e bft.Epoch) []byte     { return numberKey(prefixHandover, uint64(e)) }
func segmentKey(n uint64) []byte         { return numberKey(prefixSegment, n) }
func metaKey(key string) []byte          { return append([]byte{prefixMeta}, key...) }
func stateKey() []byte                   { return []byte{prefixState} }
func evidenceKey(group uint64, place uint32) []byte {
	return binary.BigEndian.AppendUint32(numberKey(prefixEvidence, group), place)
}

// position is a place in the log between two groups.
type position struct {
	segment uint64
	// last is the offset of the group before the position, in the same segment; 0 if there is none in it.
	last int64
	// next is where the next group goes, number its number.
	next   int64
	number uint64
}

// state is what the index knows of the log as a whole. It is written with every batch of entries.
type state struct {
	// end is the position up to which the log is indexed.
	end position
	// first is the number of the oldest segment in use.
	first uint64
	// lowest and highest bound the commits stored; both are 0 before the first one. There is no gap between them.
	lowest, highest bft.CommitIndex
}

func (s state) encode() []byte {
	var b []byte
	for _, v := range []uint64{
		s.end.segment, uint64(s.end.last), uint64(s.end.next), s.end.number, s.first, uint64(s.lowest), uint64(s.highest),
	} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func decodeState(b []byte) (s state, err error) {
	if len(b) != 7*8 {
		return s, fmt.Errorf("%w: state of the index has %d bytes", ErrCorrupt, len(b))
	}
	v := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return state{
		end:   position{segment: v(0), last: int64(v(1)), next: int64(v(2)), number: v(3)},
		first: v(4), lowest: bft.CommitIndex(v(5)), highest: bft.CommitIndex(v(6)),
	}, nil
}

// segmentSummary is what pruning must know of a segment: the highest commit and the newest block in it.
type segmentSummary struct {
	commit bft.CommitIndex
	block  blockPoint
}

func (s segmentSummary) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.commit))
	b = binary.BigEndian.AppendUint64(b, uint64(s.block.epoch))
	return binary.BigEndian.AppendUint64(b, uint64(s.block.round))
}

func decodeSegmentSummary(b []byte) (s segmentSummary, err error) {
	if len(b) != 3*8 {
		return s, fmt.Errorf("%w: summary of a segment has %d bytes", ErrCorrupt, len(b))
	}
	s.commit = bft.CommitIndex(binary.BigEndian.Uint64(b))
	s.block = blockPoint{bft.Epoch(binary.BigEndian.Uint64(b[8:])), bft.Round(binary.BigEndian.Uint64(b[16:]))}
	return s, nil
}

// index finds things in the log. New entries wait in memory until drain writes them to the database.
type index struct {
	db *pebble.DB
	// broken is set once the database has panicked.
	broken atomic.Bool

	// drainMu is held by whoever writes to the database.
	drainMu sync.Mutex
	synced  uint64 // bytes of log indexed at the last sync; guarded by drainMu

	mu sync.RWMutex
	// filling takes new entries; draining is being written. A reader looks in both, newest first, then in the database.
	filling, draining map[string][]byte
	state             state
	summaries         map[uint64]segmentSummary
	// logged counts the bytes of groups added since the store was opened, waiting those among them not yet drained.
	logged, waiting uint64
}

// syncEvery bounds the log, in bytes, that must be replayed after a power failure.
const syncEvery = 64 << 20

func openIndex(fs vfs.FS, dir string, logger pebble.Logger, onError func(error)) (*index, error) {
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	db, err := pebble.Open(dir, &pebble.Options{
		FS: fs, Cache: cache, Logger: logger, FormatMajorVersion: pebble.FormatNewest,
		MemTableSize: 4 << 20, MaxOpenFiles: openfiles.Index(openfiles.Limit()),
		EventListener: &pebble.EventListener{BackgroundError: onError},
	})
	if err != nil {
		return nil, fmt.Errorf("open index in %s: %w", dir, err)
	}
	x := &index{db: db, filling: map[string][]byte{}, summaries: map[uint64]segmentSummary{}}
	if err := x.load(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

func (x *index) load() error {
	b, err := x.get(stateKey())
	switch {
	case errors.Is(err, ErrNotFound):
		x.state.end.next = firstGroup
		return nil
	case err != nil:
		return err
	}
	if x.state, err = decodeState(b); err != nil {
		return err
	}
	var bad error
	err = x.scan([]byte{prefixSegment}, []byte{prefixSegment + 1}, func(k, v []byte) bool {
		var s segmentSummary
		if s, bad = decodeSegmentSummary(v); bad != nil {
			return false
		}
		x.summaries[binary.BigEndian.Uint64(k[1:])] = s
		return true
	})
	return errors.Join(err, bad)
}

// add makes the entries of a durable group visible and moves the end of the log behind it. inline returns the head of an
// entry that is kept in the index itself.
func (x *index) add(g *group, inline func(i int) []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	sum := x.summaries[g.segment]
	for i, e := range g.entries {
		switch e.key[0] {
		case prefixBlock:
			x.filling[string(e.key)] = e.at.encode()
			epoch, ref := parseBlockKey(e.key)
			if p := (blockPoint{epoch, ref.Round}); sum.block.before(p) {
				sum.block = p
			}
		case prefixCommit:
			x.filling[string(e.key)] = e.at.encode()
			c := bft.CommitIndex(binary.BigEndian.Uint64(e.key[1:]))
			if c != x.state.highest+1 || x.state.lowest == 0 {
				x.state.lowest = c
			}
			x.state.highest = c
			sum.commit = max(sum.commit, c)
		default:
			x.filling[string(e.key)] = inline(i)
		}
	}
	x.summaries[g.segment] = sum
	x.filling[string(segmentKey(g.segment))] = sum.encode()
	x.state.end = position{segment: g.segment, last: g.offset, next: g.offset + g.size(), number: g.number + 1}
	x.logged += uint64(g.size())
	x.waiting += uint64(g.size())
}

// backlog returns the number of entries that wait and the bytes of log that they are for.
func (x *index) backlog() (entries int, bytes uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.filling), x.waiting
}

// drain writes what waits to the database. The batch is atomic and tells how far the log is indexed with it. It reaches
// the disk when sync is set, or when so much has come together that replaying it would take long.
//
// change, if not nil, alters the state in the same write; what it returns completes the batch.
func (x *index) drain(sync bool, change func(*state) completion) error {
	x.drainMu.Lock()
	defer x.drainMu.Unlock()

	x.mu.Lock()
	var complete completion
	if change != nil {
		complete = change(&x.state)
	}
	entries, st, logged := x.filling, x.state, x.logged
	x.draining, x.filling, x.waiting = entries, make(map[string][]byte), 0
	x.mu.Unlock()

	sync = sync || logged-x.synced >= syncEvery
	err := x.write(entries, st, sync, complete)
	if err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	if sync {
		x.synced = logged
	}
	x.mu.Lock()
	x.draining = nil
	x.mu.Unlock()
	return nil
}

// completion adds to a batch what depends on a change of the state.
type completion func(*pebble.Batch) error

func (x *index) write(entries map[string][]byte, st state, sync bool, complete completion) (err error) {
	// Pebble panics when it cannot write its own log, a full disk included, and keeps its locks then. For the store that
	// is an error like any other, after which the database is left alone.
	defer func() {
		if r := recover(); r != nil {
			x.broken.Store(true)
			err = fmt.Errorf("database gave up: %v", r)
		}
	}()
	b := x.db.NewBatch()
	defer func() { _ = b.Close() }()
	for k, v := range entries {
		if err := b.Set([]byte(k), v, nil); err != nil {
			return err
		}
	}
	if complete != nil {
		if err := complete(b); err != nil {
			return err
		}
	}
	if err := b.Set(stateKey(), st.encode(), nil); err != nil {
		return err
	}
	return b.Commit(&pebble.WriteOptions{Sync: sync})
}

// get returns a copy of a value that the caller may keep but not change, or ErrNotFound.
func (x *index) get(key []byte) ([]byte, error) {
	x.mu.RLock()
	v, ok := x.filling[string(key)]
	if !ok {
		v, ok = x.draining[string(key)]
	}
	x.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, closer, err := x.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	defer func() { _ = closer.Close() }()
	return bytes.Clone(v), nil
}

// scan calls yield for the entries with lower ≤ key < upper in order of keys, until it returns false. The slices are
// valid during the call.
func (x *index) scan(lower, upper []byte, yield func(key, value []byte) bool) (err error) {
	// Memory first, then the database: an entry that moves between the two looks is seen twice, never missed.
	recent := x.recent(string(lower), string(upper))
	iter, err := x.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	valid := iter.First()
	for valid || len(recent) > 0 {
		order := -1
		switch {
		case len(recent) == 0:
			order = 1
		case valid:
			order = bytes.Compare(recent[0].key, iter.Key())
		}
		if order > 0 {
			if !yield(iter.Key(), iter.Value()) {
				return nil
			}
			valid = iter.Next()
			continue
		}
		if !yield(recent[0].key, recent[0].value) {
			return nil
		}
		recent = recent[1:]
		if order == 0 {
			valid = iter.Next()
		}
	}
	return nil
}

// last calls use with the value of the highest key in a range, or returns ErrNotFound.
func (x *index) last(lower, upper []byte, use func(value []byte) error) (err error) {
	recent := x.recent(string(lower), string(upper))
	iter, err := x.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	valid := iter.Last()
	switch n := len(recent); {
	case n > 0 && (!valid || bytes.Compare(recent[n-1].key, iter.Key()) >= 0):
		return use(recent[n-1].value)
	case valid:
		return use(iter.Value())
	}
	return ErrNotFound
}

type pair struct{ key, value []byte }

// recent returns the entries of a range that are in memory, in order of keys.
func (x *index) recent(lower, upper string) []pair {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var list []pair
	for k, v := range x.filling {
		if lower <= k && k < upper {
			list = append(list, pair{[]byte(k), v})
		}
	}
	for k, v := range x.draining {
		if _, newer := x.filling[k]; !newer && lower <= k && k < upper {
			list = append(list, pair{[]byte(k), v})
		}
	}
	slices.SortFunc(list, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	return list
}

func (x *index) close() error {
	if x.broken.Load() {
		return nil
	}
	return x.db.Close()
}

func (x *index) snapshot() state {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.state
}

// indexLog passes the database's few errors on and drops its talk.
type indexLog struct {
	log  *slog.Logger
	fail func(error)
}

func (l indexLog) Infof(format string, args ...any) {
	l.log.Debug("index", "text", fmt.Sprintf(format, args...))
}

func (l indexLog) Errorf(format string, args ...any) {
	l.log.Warn("index", "text", fmt.Sprintf(format, args...))
}

// Fatalf is called when the database cannot go on. By its contract it ends the process; here it ends the store.
func (l indexLog) Fatalf(format string, args ...any) { l.fail(fmt.Errorf(format, args...)) }
