package sequencing

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/ordering"
)

// copyOf is a machine restored from the snapshot of another.
func copyOf(t testing.TB, m *Machine) *Machine {
	t.Helper()
	s := m.Snapshot()
	back, err := Restore(s.Digest(), s.Manifest, m.topology, func(i int) ([]byte, error) {
		if chunk := s.Chunk(i); len(chunk) <= MaxChunk {
			return chunk, nil
		}
		return nil, errors.New("a chunk is too large")
	})
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// crowd is a state of several pages of members and several chunks.
func crowd(t testing.TB) (*Machine, []ordering.Block, *benchTopology) {
	t.Helper()
	topology := &benchTopology{rules: testRules(), members: map[MemberID]Standing{}}
	topology.rules.Traffic.Base = 1 << 40
	m := New(testNetwork, topology)
	var blocks []ordering.Block
	n := 0
	for h := range 12 {
		var requests [][]byte
		at := t0 + Time(h)*5*Second
		for range 1000 {
			id := MemberID(fmt.Sprintf("PAR::%d", n/2))
			topology.members[id] = Standing{Keys: []Key{testKey(id)}}
			s := send(id, MessageID(fmt.Sprintf("message %d", n)), at+Minute, to(id), fmt.Sprint(n))
			if n%3 != 0 {
				s.Aggregation = &Aggregation{1, []MemberID{id}}
			}
			requests = append(requests, signed(s, id).Encode())
			n++
		}
		blocks = append(blocks, block(ordering.Height(h+1), at, requests...))
	}
	return m, blocks, topology
}

func applyTo(t testing.TB, m *Machine, blocks ...ordering.Block) (records int) {
	t.Helper()
	for _, b := range blocks {
		out, err := m.Apply(Parse(testNetwork, b).Verify(allValid))
		if err != nil {
			t.Fatal(err)
		}
		records += len(out.Records)
	}
	return records
}

// A restored state goes on exactly as the one it was taken from.
func TestALargeStateSurvivesASnapshot(t *testing.T) {
	m, blocks, _ := crowd(t)
	if n := applyTo(t, m, blocks[:8]...); n != 8000 {
		t.Fatalf("%d of 8000 accepted", n)
	}
	back := copyOf(t, m)
	if len(m.members.pages) < 2 || m.Snapshot().Chunks() < len(m.members.pages)+len(m.inflight.buckets)+2 {
		t.Errorf("%d pages, %d chunks: the test is too small", len(m.members.pages), m.Snapshot().Chunks())
	}
	for _, b := range blocks[8:] {
		applyTo(t, m, b)
		applyTo(t, back, b)
		if m.Digest() != back.Digest() {
			t.Fatalf("digests differ at height %d", m.Height())
		}
	}
	if again := copyOf(t, back); again.Digest() != m.Digest() {
		t.Error("the copy of a copy differs")
	}
}

// A snapshot is read on another goroutine while the state goes on, and is still
// what it was. Run with the race detector.
func TestASnapshotStandsStill(t *testing.T) {
	m, blocks, topology := crowd(t)
	applyTo(t, m, blocks[:6]...)
	s, digest := m.Snapshot(), m.Digest()
	restored := make(chan error)
	go func() {
		back, err := Restore(digest, s.Manifest, topology, func(i int) ([]byte, error) { return s.Chunk(i), nil })
		if err == nil && back.Digest() != digest {
			err = errors.New("restored to another digest")
		}
		restored <- err
	}()
	applyTo(t, m, blocks[6:]...)
	if err := <-restored; err != nil {
		t.Error(err)
	}
}

// Whoever sends a snapshot can change nothing in it.
func TestAForgedSnapshotIsRefused(t *testing.T) {
	m, blocks, topology := crowd(t)
	applyTo(t, m, blocks[:2]...)
	s := m.Snapshot()
	for i := range s.Chunks() {
		for _, change := range []func([]byte) []byte{
			func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
			func(b []byte) []byte { return b[:len(b)-1] },
			func(b []byte) []byte { return nil },
			func(b []byte) []byte { return append(b, b[:60]...) },
			func(b []byte) []byte { return make([]byte, MaxChunk+1) },
		} {
			_, err := Restore(s.Digest(), s.Manifest, topology, func(j int) ([]byte, error) {
				if j == i {
					return change(slices.Clone(s.Chunk(j))), nil
				}
				return s.Chunk(j), nil
			})
			if !errors.Is(err, ErrSnapshot) {
				t.Errorf("chunk %d: %v", i, err)
			}
		}
	}
	forged := s.Manifest
	forged.Time++
	if _, err := Restore(s.Digest(), forged, topology, nil); !errors.Is(err, ErrSnapshot) {
		t.Errorf("manifest: %v", err)
	}
	failed := errors.New("disk")
	if _, err := Restore(s.Digest(), s.Manifest, topology, func(int) ([]byte, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Errorf("the reason for a missing chunk is lost: %v", err)
	}
}

// Everything that decides the future is in the digest.
func TestTheDigestCoversTheState(t *testing.T) {
	fresh := func() *Machine {
		w := newWorld(t, everybody())
		w.apply(t0, signed(send(alice, "m", t0+Minute, to(bob), "x"), alice))
		return w.machine
	}
	want := fresh().Digest()
	if fresh().Digest() != want {
		t.Fatal("equal states have different digests")
	}
	for name, change := range map[string]func(m *Machine){
		"height":       func(m *Machine) { m.height++ },
		"time":         func(m *Machine) { m.time++ },
		"records":      func(m *Machine) { m.chain[0]++ },
		"network":      func(m *Machine) { m.network[0]++ },
		"last":         func(m *Machine) { m.members.change(1).last++ },
		"registered":   func(m *Machine) { m.members.change(1).registered++ },
		"acknowledged": func(m *Machine) { m.members.change(1).acknowledged++ },
		"disabled":     func(m *Machine) { m.members.change(0).disabled = true },
		"name":         func(m *Machine) { m.members.change(0).id = "x" },
		"base":         func(m *Machine) { m.members.change(0).traffic.Base++ },
		"carry":        func(m *Machine) { m.members.change(0).traffic.carry++ },
		"updated":      func(m *Machine) { m.members.change(0).traffic.Updated++ },
		"purchased":    func(m *Machine) { m.members.change(0).traffic.Purchased++ },
		"serial":       func(m *Machine) { m.members.change(0).traffic.Serial++ },
		"consumed":     func(m *Machine) { m.members.change(0).traffic.Consumed++ },
		"a member":     func(m *Machine) { m.members.add(memberState{id: "x"}) },
		"in flight":    func(m *Machine) { m.inflight.add(entry{maxTime: t0}) },
	} {
		m := fresh()
		m.Digest()
		if change(m); m.Digest() == want {
			t.Errorf("%s is not in the digest", name)
		}
	}
}

// A tree that was changed here and there has the root of one made at once, and
// no two lists have the same root.
func TestTreeIsThatOfItsLeaves(t *testing.T) {
	leaf := func(i, version int) Digest { return sha256.Sum256([]byte(fmt.Sprint(i, version))) }
	roots := map[Digest]int{{}: 0}
	var growing tree
	for n := 1; n <= 600; n++ {
		growing.set(n-1, leaf(n-1, 0))
		root := growing.root()
		if other, taken := roots[root]; taken {
			t.Fatalf("%d and %d leaves have the same root", n, other)
		}
		roots[root] = n
	}
	var high, low tree
	for i := range 2 * arity {
		high.set(i, leaf(i, 0))
	}
	high.root()
	low.set(0, high.levels[1][0])
	low.set(1, high.levels[1][1])
	if high.root() == low.root() {
		t.Error("inner nodes pass for leaves")
	}
	rapid.Check(t, func(r *rapid.T) {
		var changed, plain tree
		leaves := []Digest{}
		for i := range rapid.IntRange(1, 100).Draw(r, "operations") {
			at := rapid.IntRange(0, len(leaves)).Draw(r, "leaf")
			if at == len(leaves) {
				leaves = append(leaves, Digest{})
			}
			leaves[at] = leaf(at, i)
			changed.set(at, leaves[at])
			if rapid.Bool().Draw(r, "hash now") {
				changed.root()
			}
		}
		for i, l := range leaves {
			plain.set(i, l)
		}
		if changed.root() != plain.root() {
			r.Fatal("roots differ")
		}
	})
}

// To accrue in many steps is to accrue in one, whatever the numbers.
func TestTrafficAccruesExactly(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		rules := TrafficRules{Refill: Time(rapid.Int64Range(1, 1<<45).Draw(r, "refill")), Base: rapid.Uint64Range(0, 1<<62).Draw(r, "base")}
		start := Traffic{Base: rapid.Uint64Range(0, rules.Base).Draw(r, "left")}
		once, steps := start, start
		now := Time(0)
		for range rapid.IntRange(1, 20).Draw(r, "steps") {
			now += Time(rapid.Int64Range(0, int64(rules.Refill)/4+1).Draw(r, "passed"))
			steps.refill(rules, now)
		}
		if once.refill(rules, now); once != steps {
			r.Fatalf("in one step %+v, in many %+v", once, steps)
		}
		if now >= rules.Refill && once.Base != rules.Base || once.Base > rules.Base {
			r.Fatalf("%d of %d after %d of %d", once.Base, rules.Base, now, rules.Refill)
		}
	})
}

// States that are equal in everything else differ if something else was
// delivered on the way, however long ago.
func TestTheDigestRemembersWhatWasDelivered(t *testing.T) {
	digest := func(first *Submission) Digest {
		w := newWorld(t, everybody())
		w.apply(t0, signed(first, alice))
		w.apply(t0+3*Minute, signed(send(alice, "later", t0+4*Minute, to(bob, carol), "x"), alice))
		w.apply(t0+9*Minute, Request{Body: Tick{}})
		if len(w.machine.inflight.buckets) != 0 {
			t.Fatal("something is still in flight")
		}
		return w.machine.Digest()
	}
	refused := func(payload string) *Submission {
		s := send(alice, "m", t0+Minute, to(bob), payload)
		s.Cost = 0 // too low
		return s
	}
	if digest(refused("x")) == digest(refused("y")) {
		t.Error("what was refused leaves no trace")
	}
	want := digest(send(alice, "m", t0+Minute, to(bob, carol), "x"))
	for name, other := range map[string]*Submission{
		"payload":    send(alice, "m", t0+Minute, to(bob, carol), "y"),
		"message id": send(alice, "n", t0+Minute, to(bob, carol), "x"),
	} {
		if digest(other) == want {
			t.Errorf("another %s leaves no trace", name)
		}
	}
}

// The log of a snapshot has one order.
func TestTheLogIsRestoredInOrder(t *testing.T) {
	f := newInflight()
	var late, early, mixed writer
	(&entry{maxTime: 2 * bucketWidth}).encode(&late)
	(&entry{maxTime: bucketWidth}).encode(&early)
	mixed.Bytes(early.Buf)
	mixed.Bytes(late.Buf)
	if f.restore(mixed.Buf, 1) || f.restore(early.Buf, 0) || f.restore(nil, 1) {
		t.Error("a chunk of two buckets, of an unknown member or of nothing is accepted")
	}
	if f = newInflight(); !f.restore(late.Buf, 1) || f.restore(early.Buf, 1) {
		t.Error("buckets out of order are accepted")
	}
}
