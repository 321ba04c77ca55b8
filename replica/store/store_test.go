package store_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// onDisk returns options for a store in a directory of the test's own, with small segments.
func onDisk(t testing.TB) store.Options {
	return store.Options{Dir: filepath.Join(t.TempDir(), "state"), Network: network, SegmentSize: 1 << 20}
}

// running runs a store's background work until the test ends, and closes it.
func running(t testing.TB, s *store.Store) *store.Store {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestWhatWasPersistedIsThereAfterReopening(t *testing.T) {
	opts := onDisk(t)
	create(t, opts)
	s := open(t, opts)
	a, b := newBlock(t, 0, 1, 0, 3000), newBlock(t, 0, 1, 1, 0)
	h, e := newHandover(0), newEvidence(t, 0, 1, 2)
	persist(t, s, func(batch *store.Batch) {
		batch.Block(a)
		batch.Block(b)
		batch.CommitRecord(newCommit(t, 1, 0, b.Ref(), a.Ref()))
		batch.Handover(h)
		batch.Evidence(e)
		batch.Meta("application", []byte("one"))
	})
	persist(t, s, func(batch *store.Batch) { batch.Meta("application", []byte("two")) })

	check := func(s *store.Store) {
		t.Helper()
		u, ok := s.Block(0, a.Ref())
		if !ok || !bytes.Equal(u.Payload, a.Payload) || u.Digest() != a.Ref().Digest {
			t.Error("the block is not what was persisted")
		}
		if p, err := s.Payload(0, a.Ref()); err != nil || !bytes.Equal(p, a.Payload) || cap(p) != len(p) {
			t.Errorf("the payload is not what was persisted: %v", err)
		}
		if got := refs(s, 0, 0); !slices.Equal(got, []bft.Ref{a.Ref(), b.Ref()}) {
			t.Errorf("refs are %v", got)
		}
		if c, err := s.LastCommit(); err != nil || c.Index != 1 || s.Lowest() != 1 || s.Highest() != 1 {
			t.Errorf("last commit is %v, %v", c, err)
		}
		if got, err := s.LastHandover(); err != nil || got.Digest() != h.Digest() {
			t.Errorf("last hand-over is %v, %v", got, err)
		}
		if got := evidence(t, s); len(got) != 1 || got[0] != string(e.Encode()) {
			t.Errorf("%d pieces of evidence", len(got))
		}
		if v, err := s.Meta("application"); string(v) != "two" {
			t.Errorf("value is %q, %v", v, err)
		}
		if _, err := s.Meta("nothing"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a value that was not set: %v", err)
		}
	}
	check(s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(running(t, open(t, opts)))
}

func refs(s *store.Store, epoch bft.Epoch, above bft.Round) (list []bft.Ref) {
	s.Refs(epoch, above, func(r bft.Ref) bool {
		list = append(list, r)
		return true
	})
	return list
}

func evidence(t testing.TB, s *store.Store) (list []string) {
	t.Helper()
	err := s.Evidence(func(b []byte) bool {
		list = append(list, string(b))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
