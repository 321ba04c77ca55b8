package history_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/synod-network/synod/sequencer/history"
	"github.com/synod-network/synod/sequencer/historytest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// stored is a closed history on a disk in memory, and what it should tell.
func stored(t *testing.T) (*vfs.MemFS, *historytest.Model, []*sequencing.Output) {
	fs, story, m := vfs.NewMem(), historytest.NewStory(11), &historytest.Model{}
	s := open(t, small(fs))
	var outs []*sequencing.Output
	for range 120 {
		out := story.Next()
		if err := s.Append(out); err != nil {
			t.Fatal(err)
		}
		m.Append(out)
		outs = append(outs, out)
	}
	if err := errors.Join(m.CheckAll(s, 0, 9), s.Close()); err != nil {
		t.Fatal(err)
	}
	return fs, m, outs
}

// flip changes one bit of a file.
func flip(t *testing.T, fs vfs.FS, name string, at int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// Whatever bit is wrong in a log file, nobody is told anything else than what was
// sequenced, and the error names the file.
func TestDamageInLogFilesIsNeverTold(t *testing.T) {
	fs, m, _ := stored(t)
	names, err := fs.List("/history")
	if err != nil {
		t.Fatal(err)
	}
	rng, noticed := rand.New(rand.NewPCG(1, 2)), 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		path := fs.PathJoin("/history", name)
		info, err := fs.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 12 {
			at := rng.Int64N(info.Size())
			flip(t, fs, path, at)
			s := open(t, small(fs))
			err := m.CheckAll(s, 0, 9)
			if err != nil && (!errors.Is(err, history.ErrCorrupt) || !strings.Contains(err.Error(), name)) {
				t.Errorf("bit at %d of %s: %v", at, name, err)
			}
			if err != nil {
				noticed++
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			flip(t, fs, path, at)
		}
	}
	if noticed < 20 { // bits of the events of a record are told to nobody
		t.Errorf("%d damages were noticed", noticed)
	}
}

// A row that is gone from the index is noticed, and a log file too.
func TestWhatIsGoneIsNoticed(t *testing.T) {
	for name, lose := range map[string]func(fs vfs.FS, db *pebble.DB) error{
		"a run of events": func(_ vfs.FS, db *pebble.DB) error { return loseRow(db, 'e', 10) },
		"the last run":    func(_ vfs.FS, db *pebble.DB) error { return loseRow(db, 'e', -1) },
		"a segment":       func(_ vfs.FS, db *pebble.DB) error { return loseRow(db, 's', 1) },
		"a log file":      func(fs vfs.FS, _ *pebble.DB) error { return fs.Remove("/history/0000000000000001.log") },
		"the state": func(_ vfs.FS, db *pebble.DB) error {
			return db.Set([]byte{'a'}, []byte{2, 1}, pebble.Sync)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs, m, _ := stored(t)
			db, err := pebble.Open("/history/index", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
			if err == nil {
				err = errors.Join(lose(fs, db), db.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
			s, err := history.Open(small(fs))
			if err == nil {
				defer func() { _ = s.Close() }()
				err = m.CheckAll(s, 0, 9)
			}
			if !errors.Is(err, history.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
}

// quiet drops what the index has to say.
type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

// loseRow deletes the n-th row of a prefix, or the last.
func loseRow(db *pebble.DB, prefix byte, n int) error {
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	valid := iter.First()
	for ; valid && n > 0; n-- {
		valid = iter.Next()
	}
	if n < 0 {
		valid = iter.Last()
	}
	if !valid {
		return errors.Join(errors.New("no such row"), iter.Close())
	}
	return errors.Join(db.Delete(iter.Key(), pebble.Sync), iter.Close())
}

// A history of another network, or one that is open already, is refused.
func TestOpenRefuses(t *testing.T) {
	fs, _, _ := stored(t)
	o := small(fs)
	o.Network[0]++
	if _, err := history.Open(o); !errors.Is(err, history.ErrNetwork) {
		t.Errorf("another network: %v", err)
	}
	s := open(t, small(fs))
	if _, err := history.Open(small(fs)); !errors.Is(err, history.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Readers follow their streams while blocks are appended and what all have read is
// pruned: each sees every event once.
func TestReadersBesideTheWriter(t *testing.T) {
	story, m := historytest.NewStory(12), &historytest.Model{}
	s := open(t, small(vfs.NewMem()))
	defer func() { _ = s.Close() }()
	const blocks, members = 400, 8
	var mu sync.Mutex
	reached, seen := make([]sequencing.Time, members), make([]int, members)
	end := make(chan sequencing.Time, 1)
	var readers sync.WaitGroup
	for i := range members {
		readers.Go(func() {
			last, after, until := sequencing.Time(0), sequencing.Time(0), sequencing.Time(1<<62)
			for after < until {
				events, through, err := s.Read(sequencing.Index(i), after, sequencing.Limit{Events: 1 + i})
				if err != nil {
					t.Errorf("member %d after %d: %v", i, after, err)
					break
				}
				for _, e := range events {
					if e.Previous != last {
						t.Errorf("member %d: event at %d comes after %d, the last seen is that of %d", i, e.Time, e.Previous, last)
					}
					last = e.Time
				}
				after = max(after, through)
				mu.Lock()
				reached[i], seen[i] = after, seen[i]+len(events)
				mu.Unlock()
				select {
				case until = <-end:
					end <- until
				default:
				}
			}
			mu.Lock()
			reached[i] = 1 << 62
			mu.Unlock()
		})
	}
	for n := range blocks {
		out := story.Next()
		if err := s.Append(out); err != nil {
			t.Fatal(err)
		}
		m.Append(out)
		if n%10 == 9 {
			mu.Lock()
			upTo := out.Time
			for _, at := range reached {
				upTo = min(upTo, at)
			}
			mu.Unlock()
			if err := s.Prune(upTo, upTo); err != nil {
				t.Fatal(err)
			}
		}
	}
	end <- s.Position().Time
	readers.Wait()
	for i := range members {
		if want := m.Events(sequencing.Index(i)); seen[i] != want {
			t.Errorf("member %d saw %d events of %d", i, seen[i], want)
		}
	}
}

// Pruning gives space back, of log files and of the index.
func TestPruningFreesSpace(t *testing.T) {
	fs, story := vfs.NewMem(), historytest.NewStory(13)
	s := open(t, small(fs))
	defer func() { _ = s.Close() }()
	logs := func() (n int) {
		names, _ := fs.List("/history")
		for _, name := range names {
			if strings.HasSuffix(name, ".log") {
				n++
			}
		}
		return n
	}
	for range 200 {
		if err := s.Append(story.Next()); err != nil {
			t.Fatal(err)
		}
	}
	before := logs()
	if err := s.Prune(s.Position().Time, s.Position().Time); err != nil {
		t.Fatal(err)
	}
	if after := logs(); before < 5 || after != 1 {
		t.Errorf("%d log files before pruning, %d after", before, after)
	}
}

// What was appended last is told from memory: the log files are not needed for it.
func TestTheNewestEventsAreNotReadFromTheDisk(t *testing.T) {
	for name, c := range map[string]struct {
		recent int64
		fails  bool
	}{"in memory": {1 << 20, false}, "not in memory": {-1, true}} {
		t.Run(name, func(t *testing.T) {
			fs, story, m := vfs.NewMem(), historytest.NewStory(11), &historytest.Model{}
			o := small(fs)
			o.RecentSize = c.recent
			s := open(t, o)
			defer func() { _ = s.Close() }()
			for range 20 {
				out := story.Next()
				if err := s.Append(out); err != nil {
					t.Fatal(err)
				}
				m.Append(out)
			}
			names, err := fs.List("/history")
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				if strings.HasSuffix(name, ".log") {
					if err := fs.Remove(fs.PathJoin("/history", name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := m.CheckAll(s, 0, 9); (err != nil) != c.fails {
				t.Errorf("without log files: %v; want an error: %v", err, c.fails)
			}
		})
	}
}
