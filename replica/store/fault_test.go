package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

func TestOpenRefusesWhatIsNotThisStore(t *testing.T) {
	opts := onDisk(t)
	if _, err := store.Open(opts); !errors.Is(err, store.ErrMissing) {
		t.Errorf("nothing there: %v", err)
	}
	create(t, opts)
	if err := store.Create(opts, store.Newborn); !errors.Is(err, store.ErrExists) {
		t.Errorf("created twice: %v", err)
	}
	other := opts
	other.Network = bft.NetworkID{9}
	if _, err := store.Open(other); !errors.Is(err, store.ErrNetwork) {
		t.Errorf("another network: %v", err)
	}
	s := open(t, opts)
	if _, err := store.Open(opts); !errors.Is(err, store.ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	marker := filepath.Join(opts.Dir, "store")
	text, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(marker, bytes.Replace(text, []byte("format 1"), []byte("format 7"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(opts); !errors.Is(err, store.ErrFormat) {
		t.Errorf("a later format: %v", err)
	}
}

// spoil changes one byte of the only segment, counted in pages from its start.
func spoil(t *testing.T, opts store.Options, page int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(opts.Dir, "log", fmt.Sprintf("%016x.segment", 0)), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, page*4096+20)
	b[0] ^= 1
	if err == nil {
		_, err = f.WriteAt(b, page*4096+20)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// loseIndex puts an empty index in place, so that the whole log is replayed.
func loseIndex(t *testing.T, opts store.Options) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(opts.Dir, "index")); err != nil {
		t.Fatal(err)
	}
}

func TestDamageIsNotTakenForATornTail(t *testing.T) {
	for _, c := range []struct {
		name string
		page int64
		want error
	}{
		{"segment header", 0, store.ErrCorrupt},
		{"first group", 1, store.ErrCorrupt},
		{"group in the middle", 2, store.ErrCorrupt},
		// Without its index a store cannot know whether the last group was acknowledged.
		{"last group", 3, nil},
		{"unused rest", 4, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			opts := onDisk(t)
			create(t, opts)
			s := open(t, opts)
			for i := range 3 {
				persist(t, s, func(b *store.Batch) { b.Block(newBlock(t, 0, bft.Round(i+1), 0, 1000)) })
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, opts, c.page)
			loseIndex(t, opts)
			s, err := store.Open(opts)
			if !errors.Is(err, c.want) {
				t.Fatalf("open: %v, want %v", err, c.want)
			}
			if err == nil {
				running(t, s)
			}
		})
	}
}

func TestAnAcknowledgedLastGroupIsMissed(t *testing.T) {
	opts := onDisk(t)
	create(t, opts)
	s := open(t, opts)
	persist(t, s, func(b *store.Batch) { b.Meta("k", []byte("v")) })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, opts, 1)
	if _, err := store.Open(opts); !errors.Is(err, store.ErrCorrupt) {
		t.Fatalf("the index knows a group that is damaged in the log: %v", err)
	}
}

func TestADamagedBlockIsNotServed(t *testing.T) {
	opts := onDisk(t)
	create(t, opts)
	s := running(t, open(t, opts))
	a := newBlock(t, 0, 1, 0, 100_000)
	persist(t, s, func(b *store.Batch) { b.Block(a) })
	spoil(t, opts, 5)
	if _, err := s.Payload(0, a.Ref()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("payload: %v", err)
	}
	if _, ok := s.Block(0, a.Ref()); ok || s.Stats().ReadErrors == 0 {
		t.Error("a damaged block was served or not counted")
	}
}

func TestStorageErrorsAreFinal(t *testing.T) {
	for name, damage := range map[string]func(*disk){
		"log full":    func(d *disk) { d.full = 1 },
		"log broken":  func(d *disk) { d.failAt, d.failure = d.ops+2, syscall.EIO },
		"sync failed": func(d *disk) { d.failAt, d.failure = d.ops+20, syscall.EIO },
		"index full":  func(d *disk) { d.indexFailure = syscall.ENOSPC },
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(1)
			opts := store.Options{Dir: "/state", Network: network, SegmentSize: 1 << 20, FS: d}
			create(t, opts)
			s := open(t, opts)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- s.Run(ctx) }()
			persist(t, s, func(b *store.Batch) { b.Meta("k", []byte("v")) })
			d.mu.Lock()
			damage(d)
			d.mu.Unlock()

			var err error
			acknowledged := bft.Round(0)
			for err == nil {
				var b store.Batch
				b.Block(newBlock(t, 0, acknowledged+1, 0, 50_000))
				if err = s.Persist(&b); err == nil {
					acknowledged++
				}
			}
			if !errors.Is(err, store.ErrFailed) {
				t.Errorf("persist: %v", err)
			}
			if err := <-done; !errors.Is(err, store.ErrFailed) {
				t.Errorf("Run: %v", err)
			}
			var b store.Batch
			b.Meta("k", nil)
			d.mu.Lock()
			d.failure, d.full, d.indexFailure = nil, 0, nil
			d.mu.Unlock()
			if err := s.Persist(&b); !errors.Is(err, store.ErrFailed) {
				t.Errorf("persist after the failure: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Logf("close after the failure: %v", err)
			}
			d.mu.Lock()
			opts.FS = d.crash()
			d.mu.Unlock()
			s = running(t, open(t, opts))
			if n := len(refs(s, 0, 0)); n < int(acknowledged) {
				t.Errorf("%d blocks after the restart, %d were acknowledged", n, acknowledged)
			}
		})
	}
}

func TestCommitsKeepTheirOrder(t *testing.T) {
	opts := onDisk(t)
	create(t, opts)
	s := running(t, open(t, opts))
	ref := newBlock(t, 0, 1, 0, 0).Ref()
	persist(t, s, func(b *store.Batch) { b.CommitRecord(newCommit(t, 1, 0, ref)) })
	for _, indexes := range [][]bft.CommitIndex{{1}, {0}, {2, 4}, {3, 2}} {
		var b store.Batch
		for _, i := range indexes {
			b.CommitRecord(newCommit(t, i, 0, ref))
		}
		if err := s.Persist(&b); !errors.Is(err, store.ErrOrder) {
			t.Errorf("commits %v after 1: %v", indexes, err)
		}
	}
	persist(t, s, func(b *store.Batch) { b.CommitRecord(newCommit(t, 2, 0, ref)) })
}

// Readers go on while the log is pruned and its segments are used again: they find a block as it was, or not at all.
func TestReadersNeverSeeAnotherLife(t *testing.T) {
	opts := onDisk(t)
	opts.Spares = 1
	create(t, opts)
	s := running(t, open(t, opts))
	const rounds = 150
	blocks := make([]*bft.Block, rounds)
	for i := range blocks {
		blocks[i] = newBlock(t, 0, bft.Round(i+1), 0, 100_000)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for k := range 3 {
		readers.Go(func() {
			for i := k; ; i = (i + 7) % rounds {
				select {
				case <-stop:
					return
				default:
				}
				p, err := s.Payload(0, blocks[i].Ref())
				if err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && !bytes.Equal(p, blocks[i].Payload) {
					t.Errorf("block %d: %v", i, err)
					return
				}
			}
		})
	}
	for i, block := range blocks {
		persist(t, s, func(b *store.Batch) {
			b.Block(block)
			b.CommitRecord(newCommit(t, bft.CommitIndex(i+1), 0, block.Ref()))
		})
		if i%10 == 9 {
			if err := s.Prune(bft.CommitIndex(i-3), 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	readers.Wait()
	if st := s.Stats(); st.Recycled == 0 || st.Segments > 4 || st.ReadErrors > 0 {
		t.Errorf("after pruning: %+v", st)
	}
	if err := s.Prune(rounds+1, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("pruning the last commit away: %v", err)
	}
}

func TestANewStoreIsSmall(t *testing.T) {
	opts := store.Options{Dir: filepath.Join(t.TempDir(), "state"), Network: network}
	create(t, opts)
	s := running(t, open(t, opts))
	persist(t, s, func(b *store.Batch) { b.Meta("k", []byte("v")) })
	total := int64(0)
	err := filepath.WalkDir(opts.Dir, func(_ string, e fs.DirEntry, err error) error {
		if info, err := e.Info(); err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil || total > 8<<20 {
		t.Errorf("a new store takes %d bytes, %v", total, err)
	}
	if s.Origin() != store.Newborn {
		t.Errorf("origin is %q", s.Origin())
	}
}
