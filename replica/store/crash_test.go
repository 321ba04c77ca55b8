package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// A model is what a store should hold. Names that say "round" order blocks as pruning does.
type model struct {
	blocks    map[bft.Epoch]map[bft.Ref]bft.Digest // payload digests
	commits   map[bft.CommitIndex]bft.Digest
	lowest    bft.CommitIndex
	highest   bft.CommitIndex
	leaders   map[bft.CommitIndex]roundOf
	floor     roundOf
	handovers map[bft.Epoch]bft.Digest
	evidence  []string
	meta      map[string]string
}

type roundOf struct {
	epoch bft.Epoch
	round bft.Round
}

func (r roundOf) less(o roundOf) bool {
	return r.epoch < o.epoch || r.epoch == o.epoch && r.round < o.round
}

func newModel() *model {
	return &model{
		blocks: map[bft.Epoch]map[bft.Ref]bft.Digest{}, commits: map[bft.CommitIndex]bft.Digest{},
		leaders: map[bft.CommitIndex]roundOf{}, handovers: map[bft.Epoch]bft.Digest{}, meta: map[string]string{},
	}
}

func (m *model) clone() *model {
	c := *m
	c.blocks = map[bft.Epoch]map[bft.Ref]bft.Digest{}
	for e, b := range m.blocks {
		c.blocks[e] = maps.Clone(b)
	}
	c.commits, c.leaders = maps.Clone(m.commits), maps.Clone(m.leaders)
	c.handovers, c.meta, c.evidence = maps.Clone(m.handovers), maps.Clone(m.meta), slices.Clone(m.evidence)
	return &c
}

func (m *model) prune(below bft.CommitIndex, depth bft.Round) {
	at := m.leaders[below]
	m.floor = roundOf{at.epoch, at.round - min(at.round, depth)}
	m.lowest = below
	for i := range m.commits {
		if i < below {
			delete(m.commits, i)
		}
	}
	for e, blocks := range m.blocks {
		for ref := range blocks {
			if (roundOf{e, ref.Round}).less(m.floor) {
				delete(blocks, ref)
			}
		}
	}
}

// differs says in which way a store is not what the model says, if in any.
func (m *model) differs(s *store.Store) error {
	if s.Lowest() != m.lowest || s.Highest() != m.highest {
		return fmt.Errorf("commits %d to %d, want %d to %d", s.Lowest(), s.Highest(), m.lowest, m.highest)
	}
	for i, digest := range m.commits {
		if c, err := s.CommitRecord(i); err != nil || c.Digest() != digest {
			return fmt.Errorf("commit %d is not as it was: %w", i, err)
		}
	}
	if _, ok := s.Commit(m.highest + 1); ok {
		return fmt.Errorf("commit %d is there", m.highest+1)
	}
	for e := range bft.Epoch(40) {
		want := slices.SortedFunc(maps.Keys(m.blocks[e]), bft.Ref.Compare)
		if got := refs(s, e, 0); !slices.Equal(got, want) {
			return fmt.Errorf("%d blocks in epoch %d, want %d: %v, want %v", len(got), e, len(want), got, want)
		}
		for _, ref := range want {
			if _, err := s.Payload(e, ref); err != nil {
				return err
			}
			u, ok := s.Block(e, ref)
			if !ok || len(u.Payload) > 0 && bft.PayloadDigest(u.Payload) != m.blocks[e][ref] {
				return fmt.Errorf("block %s of epoch %d is not as it was", ref, e)
			}
		}
		h, ok := s.Handover(e)
		if digest, want := m.handovers[e]; ok != want || ok && h.Digest() != digest {
			return fmt.Errorf("hand-over of epoch %d is not as it was", e)
		}
	}
	var got []string
	if err := s.Evidence(func(b []byte) bool { got = append(got, string(b)); return true }); err != nil {
		return err
	}
	if !slices.Equal(got, m.evidence) {
		return fmt.Errorf("%d pieces of evidence, want %d", len(got), len(m.evidence))
	}
	for _, k := range []string{"a", "b", "c"} {
		v, err := s.Meta(k)
		if want, ok := m.meta[k]; ok != (err == nil) || string(v) != want {
			return fmt.Errorf("value %q is %q, %v, want %q", k, v, err, want)
		}
	}
	return nil
}

// world is one member's life: it persists, prunes, restarts, and loses power.
type world struct {
	t    testing.TB
	rng  *rand.Rand
	disk *disk
	s    *store.Store
	// stop ends the store's background work, if it has any.
	stop func()
	// is holds what was acknowledged; may, if not nil, also what was under way when the power went.
	is, may *model

	epoch bft.Epoch
	round bft.Round
	fresh []bft.Ref
}

func (w *world) options() store.Options {
	return store.Options{Dir: "/state", Network: network, SegmentSize: 1 << 20, Spares: 2, FS: w.disk}
}

// start opens the store; false means that the power went meanwhile.
func (w *world) start() (bool, error) {
	s, err := store.Open(w.options())
	if err != nil {
		if errors.Is(err, errPower) {
			return false, nil
		}
		return false, fmt.Errorf("open: %w", err)
	}
	w.s, w.stop = s, func() {}
	if w.rng.IntN(2) == 0 {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { _ = s.Run(ctx); close(done) }()
		w.stop = func() { cancel(); <-done }
	}
	return true, nil
}

// check compares the store with what was acknowledged, or with that and what was under way.
func (w *world) check() error {
	err := w.is.differs(w.s)
	if err != nil && w.may != nil {
		if also := w.may.differs(w.s); also != nil {
			return fmt.Errorf("neither as acknowledged (%w) nor as under way (%w)", err, also)
		}
		w.is, err = w.may, nil
	}
	w.may = nil
	return err
}

// batch makes a random batch and the model after it.
func (w *world) batch() (*store.Batch, *model) {
	b, m := &store.Batch{}, w.is.clone()
	for range w.rng.IntN(4) {
		size := []int{0, 0, 100, 5000, 70_000, 300_000, 1_200_000}[min(w.rng.IntN(8), 6)]
		if size == 1_200_000 && w.rng.IntN(4) > 0 {
			size = 9000
		}
		w.round++
		block := newBlock(w.t, w.epoch, w.round, bft.Author(w.rng.IntN(4)), size)
		b.Block(block)
		if m.blocks[w.epoch] == nil {
			m.blocks[w.epoch] = map[bft.Ref]bft.Digest{}
		}
		m.blocks[w.epoch][block.Ref()] = block.Header.Payload
		w.fresh = append(w.fresh, block.Ref())
	}
	if len(w.fresh) > 0 && w.rng.IntN(2) == 0 {
		if w.rng.IntN(20) == 0 && m.highest > 0 { // a snapshot
			m.highest += 5
			m.lowest, m.commits = m.highest+1, map[bft.CommitIndex]bft.Digest{}
		}
		m.highest++
		c := newCommit(w.t, m.highest, w.epoch, w.fresh...)
		b.CommitRecord(c)
		m.commits[c.Index], m.leaders[c.Index] = c.Digest(), roundOf{w.epoch, c.Leader.Round}
		m.lowest = max(m.lowest, 1)
		w.fresh = nil
	}
	if w.rng.IntN(12) == 0 {
		h := newHandover(w.epoch)
		b.Handover(h)
		m.handovers[w.epoch] = h.Digest()
		w.epoch, w.round, w.fresh = w.epoch+1, 0, nil
	}
	if w.rng.IntN(15) == 0 {
		e := newEvidence(w.t, w.epoch, w.round+1, 1)
		b.Evidence(e)
		m.evidence = append(m.evidence, string(e.Encode()))
	}
	if w.rng.IntN(4) == 0 {
		k, v := string(rune('a'+w.rng.IntN(3))), fmt.Sprint(w.rng.Uint32())
		b.Meta(k, []byte(v))
		m.meta[k] = v
	}
	return b, m
}

// act does one random thing.
func (w *world) act() error {
	switch n := w.rng.IntN(20); {
	case n == 0 && w.is.highest > 0:
		below := w.is.lowest + bft.CommitIndex(w.rng.IntN(int(w.is.highest-w.is.lowest)+1))
		depth := bft.Round(w.rng.IntN(3))
		w.may = w.is.clone()
		w.may.prune(below, depth)
		return w.done(w.s.Prune(below, depth))
	case n == 1:
		return w.s.DrainIndex()
	case n == 2:
		w.stop()
		w.stop = func() {}
		old := w.s
		w.s = nil
		if err := old.Close(); err != nil {
			return err
		}
		ok, err := w.start()
		if !ok {
			return errors.Join(errPower, err)
		}
		return err
	default:
		var b *store.Batch
		b, w.may = w.batch()
		return w.done(w.s.Persist(b))
	}
}

// done accepts what was under way if it was acknowledged.
func (w *world) done(err error) error {
	if err == nil {
		w.is, w.may = w.may, nil
	}
	return err
}

// live runs a member through several lives, each ended by the power going at a random operation, and returns the first
// thing found wrong.
func live(t testing.TB, seed uint64, plant func(*disk)) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &world{t: t, rng: rng, disk: newDisk(seed), is: newModel()}
	if err := store.Create(w.options(), store.Newborn); err != nil {
		return err
	}
	if plant != nil {
		plant(w.disk)
	}
	for life := range 5 {
		w.disk.mu.Lock()
		w.disk.powerAt = w.disk.ops + 1 + rng.IntN(250)
		w.disk.mu.Unlock()
		if err := w.live(); err != nil {
			return fmt.Errorf("life %d: %w", life, err)
		}
	}
	return nil
}

func (w *world) live() error {
	ok, err := w.start()
	if err != nil {
		return err
	}
	if ok {
		is, may := w.is, w.may
		if err = w.check(); err != nil {
			if !w.dark() {
				return err
			}
			w.is, w.may = is, may // the power went while looking
		}
		for err == nil && !w.dark() {
			err = w.act()
		}
		w.stop()
		if w.s != nil {
			_ = w.s.Close() // a machine without power closes nothing; the test only frees what it holds
		}
		if err != nil && !w.dark() {
			return fmt.Errorf("with the power on: %w", err)
		}
	}
	w.disk = w.disk.image
	return nil
}

func (w *world) dark() bool {
	w.disk.mu.Lock()
	defer w.disk.mu.Unlock()
	return w.disk.image != nil
}

func TestNothingAcknowledgedIsLostWhenThePowerGoes(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	for seed := range uint64(seeds) {
		if err := live(t, seed, nil); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A disk that only pretends to sync loses acknowledged groups; a harness that did not notice would be worth nothing.
func TestHarnessNoticesMissingSyncs(t *testing.T) {
	for name, plant := range map[string]func(*disk){
		"files":       func(d *disk) { d.ignoreSync = true },
		"directories": func(d *disk) { d.ignoreSyncDir = true },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				if err := live(t, seed, plant); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("20 lives on a disk that does not sync, and nothing was found wrong")
		})
	}
}
