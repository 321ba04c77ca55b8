package history_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/historytest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// life is one sequencer's history over several crashes.
type life struct {
	rng   *rand.Rand
	disk  *disk
	story *historytest.Story
	order []*sequencing.Output // the durable order
	s     *history.Store

	applied ordering.Height // appended in this life
	// What was acknowledged as durable: position, pruning, newest snapshot.
	durable  ordering.Height
	pruned   sequencing.Time
	pruning  sequencing.Time // under way: may be there or not
	snapshot ordering.Height
	digests  map[ordering.Height]sequencing.Digest
}

func newLife(seed uint64, l lie) *life {
	rng := rand.New(rand.NewPCG(seed, 3))
	d := newDisk(rng)
	d.lie = l
	return &life{rng: rng, disk: d, story: historytest.NewStory(seed), digests: map[ordering.Height]sequencing.Digest{}}
}

// live goes through crashes at random operations, and returns the first thing found
// wrong.
func (l *life) live(crashes int) error {
	for n := range crashes {
		l.disk.powerAt = 1 + l.rng.IntN(400)
		if err := l.until(l.disk.dark); err != nil {
			return fmt.Errorf("life %d: %w", n, err)
		}
		l.disk = l.disk.next()
	}
	return nil
}

// until opens the history and does random things until the end. Errors count only
// before it.
func (l *life) until(end func() bool) error {
	s, err := history.Open(small(l.disk.fs()))
	if err != nil {
		if end() {
			return nil
		}
		return err
	}
	l.s = s
	defer func() { _ = s.Close() }() // of a machine without power it only frees what the test holds
	err = l.found()
	for err == nil && !end() {
		err = l.act()
	}
	if end() {
		return nil
	}
	return err
}

// found checks what a crash left, and applies again what it took.
func (l *life) found() error {
	at := l.s.Position().Height
	if at < l.durable || at > ordering.Height(len(l.order)) {
		return fmt.Errorf("found blocks up to %d, durable were %d of %d", at, l.durable, len(l.order))
	}
	from, err := l.restore()
	if err != nil {
		return err
	}
	if err := l.check(at); err != nil {
		return fmt.Errorf("as found, up to block %d: %w", at, err)
	}
	l.applied = at
	for _, out := range l.order[from:] {
		if err := l.append(out); err != nil {
			return err
		}
	}
	return l.check(l.applied)
}

// restore is what a sequencer does first: it takes the newest snapshot, and goes on
// with the blocks after it.
func (l *life) restore() (from ordering.Height, err error) {
	stored, err := l.s.Snapshot()
	if errors.Is(err, history.ErrNoSnapshot) && l.snapshot == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, stored.Close()) }()
	if stored.Height < l.snapshot {
		return 0, fmt.Errorf("snapshot of block %d, stored was that of %d", stored.Height, l.snapshot)
	}
	if beside, err := stored.Beside(); err != nil || string(beside) != string(digestBytes(l.digests[stored.Height])) {
		return 0, fmt.Errorf("beside the snapshot of block %d lies %x: %w", stored.Height, beside, err)
	}
	m, err := sequencing.Restore(l.digests[stored.Height], stored.Manifest, nil, stored.Chunk)
	if err == nil && m.Height() != stored.Height {
		err = errors.New("restored another state")
	}
	return stored.Height, err
}

func (l *life) append(out *sequencing.Output) error {
	err := l.s.Append(out)
	if err == nil {
		l.applied = max(l.applied, out.Height)
	}
	return err
}

// check compares the history with the order up to a block.
func (l *life) check(upTo ordering.Height) error {
	model := func(pruned sequencing.Time) *historytest.Model {
		m := &historytest.Model{}
		for _, out := range l.order[:upTo] {
			m.Append(out)
		}
		m.Prune(pruned)
		return m
	}
	after := sequencing.Time(l.rng.IntN(2)) * (historytest.Start + sequencing.Time(l.rng.IntN(100))*sequencing.Second)
	err := model(l.pruned).CheckAll(l.s, after, 5)
	if err != nil && l.pruning > l.pruned {
		if model(l.pruning).CheckAll(l.s, after, 5) == nil {
			l.pruned, err = l.pruning, nil
		}
	}
	return err
}

// act does one random thing.
func (l *life) act() error {
	switch n := l.rng.IntN(40); {
	case n == 0:
		now := l.s.Position().Time
		l.pruning = max(l.pruned, now-sequencing.Time(l.rng.IntN(30))*sequencing.Second)
		if err := l.s.Prune(l.pruning, now); err != nil {
			return err
		}
		if !l.disk.dark() {
			l.pruned = l.pruning
		}
	case n == 1:
		if err := l.s.Checkpoint(); err != nil {
			return err
		}
		if !l.disk.dark() {
			l.durable = l.applied
		}
	case n == 2:
		m := l.story.Machine
		l.digests[m.Height()] = m.Digest()
		digest := m.Digest()
		if err := l.s.PutSnapshot(m.Snapshot(), digest[:]); err != nil {
			return err
		}
		if !l.disk.dark() {
			l.durable, l.snapshot = max(l.durable, m.Height()), m.Height()
		}
	case n == 3:
		return l.check(l.applied)
	default:
		out := l.story.Next()
		l.order = append(l.order, out)
		return l.append(out)
	}
	return nil
}

func TestACrashLosesOnlyWhatTheOrderHas(t *testing.T) {
	seeds := 25
	if testing.Short() {
		seeds = 10
	}
	for seed := range uint64(seeds) {
		if err := newLife(seed, honest).live(6); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A disk that only pretends to sync loses what was acknowledged; a harness that did
// not notice would be worth nothing.
func TestTheHarnessNoticesMissingSyncs(t *testing.T) {
	for name, l := range map[string]lie{"log files": logsNotSynced, "directory": directoryNotSynced, "index": indexNotSynced} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(40) {
				if err := newLife(seed, l).live(6); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("40 lives on a disk that does not sync, and nothing was found wrong")
		})
	}
}

// After an error of the disk the store takes nothing more, and what it had made
// durable is found by the next start.
func TestStorageErrorsAreFinal(t *testing.T) {
	seeds := 25
	if testing.Short() {
		seeds = 8
	}
	for seed := range uint64(seeds) {
		l := newLife(seed, honest)
		l.disk.failAt, l.disk.failure = 100+l.rng.IntN(400), errBroken
		err := l.until(func() bool { return false })
		if l.s == nil {
			continue // opening failed
		}
		if !errors.Is(err, history.ErrFailed) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if err := l.s.Checkpoint(); !errors.Is(err, history.ErrFailed) {
			t.Errorf("seed %d: checkpoint after the failure: %v", seed, err)
		}
		l.order = append(l.order, l.story.Next())
		if err := l.s.Append(l.order[len(l.order)-1]); !errors.Is(err, history.ErrFailed) {
			t.Errorf("seed %d: append after the failure: %v", seed, err)
		}
		l.disk.image = l.disk.crash()
		l.disk = l.disk.next()
		turns := 0
		if err := l.until(func() bool { turns++; return turns > 50 }); err != nil {
			t.Fatalf("seed %d, after the failure: %v", seed, err)
		}
	}
}

// The system tells of a failed write to disk once, to whoever asks first.
func TestAnErrorToldOnlyOnceIsFinal(t *testing.T) {
	told := false
	once := errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind != errorfs.OpFileSyncTo || told || !strings.HasSuffix(op.Path, ".log") {
			return nil
		}
		told = true
		return errBroken
	})
	story := historytest.NewStory(3)
	s := open(t, small(errorfs.Wrap(vfs.NewMem(), once)))
	for range 1000 {
		err := s.Append(story.Next())
		if !told {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		if !errors.Is(err, errBroken) || !errors.Is(err, history.ErrFailed) {
			t.Fatalf("the error is answered with %v", err)
		}
		if err := s.Append(story.Next()); !errors.Is(err, history.ErrFailed) {
			t.Fatalf("after that, a block is taken: %v", err)
		}
		_ = s.Close() // says the same
		return
	}
	t.Fatal("the system was never told to write")
}

func digestBytes(d sequencing.Digest) []byte { return d[:] }
