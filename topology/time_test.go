package topology

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

func mustApply(t *testing.T, s *State, at Time, tx SignedTransaction) Time {
	t.Helper()
	effective, r := s.Apply(at, tx)
	if r != nil {
		t.Fatal(r)
	}
	return effective
}

func mustSnapshot(t *testing.T, s *State, at Time) Snapshot {
	t.Helper()
	p, err := s.Snapshot(at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestChangeIsInForceAfterTheDelay(t *testing.T) {
	s := newFounded(t, rules{})
	at := began + 1000
	effective := mustApply(t, s, at, signed(Add(2, delay(9*ms)), "alice", "bob"))
	if effective != at+250*ms {
		t.Fatalf("in force %d after it was sequenced", effective-at)
	}
	for _, c := range []struct{ at, want Time }{{began, 250 * ms}, {effective - 1, 250 * ms}, {effective, 9 * ms}, {effective + 1, 9 * ms}} {
		if got := mustSnapshot(t, s, c.at).Parameters().TopologyChangeDelay; got != c.want {
			t.Errorf("at %d: delay %d, want %d", c.at-began, got, c.want)
		}
	}
	// The old delay counts until the new one is in force.
	if got := mustApply(t, s, effective-1, signed(Add(1, root("dora")), "dora")); got != effective-1+250*ms {
		t.Errorf("just before: in force after %d", got-effective+1)
	}
}

// A shorter delay must not let a change overtake one that was accepted before it, by whose authority it may stand.
func TestShorterDelayOvertakesNothing(t *testing.T) {
	s := newFounded(t, rules{})
	shorter := mustApply(t, s, began, signed(Add(2, delay(ms)), "alice", "bob"))
	founding := mustApply(t, s, shorter-1, signed(Add(1, root("dora")), "dora"))
	first := mustApply(t, s, shorter, signed(Add(1, keysOf(par1, "k")), append(ownKeys(par1, "k"), "dora")...))
	if first != founding {
		t.Errorf("in force %d before what it rests on", founding-first)
	}
	if later := mustApply(t, s, founding, signed(Add(1, trust(par1)), "dora")); later != founding+ms {
		t.Errorf("later the shorter delay is in force: %d", later-founding)
	}
	if got := mustSnapshot(t, s, first).Status(par1); got != Known {
		t.Errorf("par1 is %s", got)
	}
}

func TestSnapshotAnswers(t *testing.T) {
	s := newFounded(t, rules{})
	steps := []SignedTransaction{
		signed(Add(1, root("dora")), "dora"),
		signed(Add(1, keysOf(par1, "k")), append(ownKeys(par1, "k"), "dora")...),
		signed(Add(1, trust(par1)), "dora"),
		signed(Add(1, keysOf(seq2, "seq2")), append(ownKeys(seq2, "seq2"), "bob")...),
		signed(Add(2, sequencers(2, seq2, seq1)), "carol", "bob", "node of seq2"),
		signed(Add(1, keysOf(med1, "med1")), append(ownKeys(med1, "med1"), "carol")...),
		signed(Add(1, mediators(12, 1, med1)), "carol", "bob"),
		signed(Add(1, disabled(par1)), "carol", "bob"),
		signed(Removal(2, mediators(12, 1, med1)), "carol", "bob"),
		signed(Add(1, trust(seq1)), "alice"),
		signed(Add(1, trust(seq2)), "bob"),
	}
	for i, tx := range steps {
		mustApply(t, s, began+Time(i)*bft.Second, tx)
	}
	at := func(i int) Snapshot { return mustSnapshot(t, s, began+Time(i)*bft.Second+250*ms) }
	for _, c := range []struct {
		member Member
		step   int
		want   Status
	}{
		{par1, 0, Unknown}, {par1, 1, Known}, {par1, 2, Active}, {par1, 7, Disabled},
		{seq2, 2, Unknown}, {seq2, 3, Known}, {seq2, 4, Active}, {seq1, 0, Active},
		{med1, 5, Known}, {med1, 6, Active}, {med1, 8, Known},
	} {
		if got := at(c.step).Status(c.member); got != c.want {
			t.Errorf("%s after step %d is %s, want %s", c.member, c.step, got, c.want)
		}
	}
	end := at(10)
	if got := at(9).Committee(); !slices.Equal(got, []bft.PublicKey{bft.PublicKey(pub("node of seq1"))}) {
		t.Errorf("committee %v: want the one that is ready", got)
	}
	if got := end.Members(); !slices.Equal(got, []Member{par1, seq1, seq2, med1}) {
		t.Errorf("members %v", got)
	}
	if got := end.Committee(); !slices.Equal(got, []bft.PublicKey{bft.PublicKey(pub("node of seq2")), bft.PublicKey(pub("node of seq1"))}) {
		t.Errorf("committee %v is not in the listed order", got)
	}
	if got := end.SigningKeys(par1, keys.Protocol); !slices.Equal(got, []keys.PublicKey{pub("k-protocol")}) {
		t.Errorf("protocol keys %v", got)
	}
	if got := end.EncryptionKeys(par1); !slices.Equal(got, []keys.EncryptionKey{opener("k")}) {
		t.Errorf("encryption keys %v", got)
	}
	if got := at(7).MediatorGroups(); len(got) != 1 || got[0].Group != 12 || len(end.MediatorGroups()) != 0 {
		t.Errorf("mediator groups %v", got)
	}
	if _, there := at(6).Mediators(12); !there {
		t.Error("mediator group 12 is not there")
	}
}

func TestPruningForgetsThePastOnly(t *testing.T) {
	s := newFounded(t, rules{})
	for i := range 5 {
		mustApply(t, s, began+Time(i)*bft.Second, signed(Add(Serial(i+2), delay(Time(i+1)*ms)), "alice", "bob"))
	}
	digest, floor := s.Digest(), began+2*bft.Second
	s.Prune(floor)
	s.Prune(floor - 1) // no way back
	if s.Digest() != digest {
		t.Error("pruning changed the digest")
	}
	if _, err := s.Snapshot(floor - 1); !errors.Is(err, ErrPruned) {
		t.Errorf("a pruned time: %v", err)
	}
	if got := mustSnapshot(t, s, floor).Parameters().TopologyChangeDelay; got != 2*ms {
		t.Errorf("at the floor: delay %d", got)
	}
	if n := len(s.histories.at(parametersKey(synchronizer)).versions); n != 4 {
		t.Errorf("%d versions are kept, want 4", n)
	}
	next := s.histories.at(parametersKey(synchronizer)).versions[1]
	s.Prune(next.effective - 1)
	if got := mustSnapshot(t, s, next.effective-1).Parameters().TopologyChangeDelay; got != 2*ms {
		t.Errorf("just before the next: delay %d", got)
	}
	s.Prune(next.effective)
	if n := len(s.histories.at(parametersKey(synchronizer)).versions); n != 3 {
		t.Errorf("%d versions are kept once the next is in force, want 3", n)
	}
	if s.Serial(parametersKey(synchronizer)) != 6 {
		t.Error("the serial is forgotten")
	}
}

func TestStateIsTheSameAfterItsWay(t *testing.T) {
	s := newFounded(t, rules{})
	mustApply(t, s, began+bft.Second, signed(Add(1, root("dora")), "dora"))
	mustApply(t, s, began+2*bft.Second, signed(Add(2, delay(9*ms)), "alice", "bob"))
	mustApply(t, s, began+3*bft.Second, signed(Add(3, delay(8*ms)), "alice", "bob"))
	from := began + 3*bft.Second
	full, err := s.Encode(from)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeState(full, s.Digest())
	if err != nil {
		t.Fatal(err)
	}
	if got := mustSnapshot(t, back, from).Parameters().TopologyChangeDelay; got != 9*ms {
		t.Errorf("in force: delay %d", got)
	}
	if got := mustSnapshot(t, back, from+9*ms).Parameters().TopologyChangeDelay; got != 8*ms {
		t.Errorf("under way: delay %d", got)
	}
	if _, err := back.Encode(from - 1); !errors.Is(err, ErrPruned) {
		t.Errorf("encoded what is not there: %v", err)
	}
	s.Prune(from)
	if pruned, err := s.Encode(from); err != nil || string(pruned) != string(full) {
		t.Errorf("what a node kept shows in the bytes: %v", err)
	}
	if _, err := DecodeState(full, Digest{1}); err == nil {
		t.Error("believed without its digest")
	}
}

// The digest does not cover what pruning does. So the rest of an encoded state must betray whoever serves less than it
// claims, or more.
func TestStateThatLiesAboutItsFloorIsRefused(t *testing.T) {
	s := newFounded(t, rules{})
	effective := mustApply(t, s, began, signed(Add(2, delay(9*ms)), "alice", "bob"))
	floorAt := 32 + 32 + 1 + len(synchronizer.Name) + 32 + 8 + 8
	for _, c := range []struct{ real, claimed Time }{{effective, effective - 1}, {effective - 1, effective}} {
		b, err := s.Encode(c.real)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeState(b, s.Digest()); err != nil {
			t.Errorf("the truth is refused: %v", err)
		}
		binary.BigEndian.PutUint64(b[floorAt:], uint64(c.claimed))
		if _, err := DecodeState(b, s.Digest()); err == nil {
			t.Errorf("complete from %d, claims from %d: believed", c.real-effective, c.claimed-effective)
		}
	}
}

// What decodes encodes to the same bytes: a state with one flaw is refused, or is another state.
func TestStateHasOneEncoding(t *testing.T) {
	s := newFounded(t, rules{})
	mustApply(t, s, began, signed(Add(1, delegate("alice", "x", KindOwnerToKeys)), "alice", "x"))
	mustApply(t, s, began+5, signed(Removal(2, delegate("alice", "x", KindOwnerToKeys)), "alice"))
	whole, err := s.Encode(began)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for _, flaw := range []byte{1, 2, 0x80} {
			b := bytes.Clone(whole)
			b[i] ^= flaw
			back, err := decodeState(b)
			if err != nil {
				continue
			}
			if again, err := back.Encode(back.floor); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("byte %d changed by %#x: decoded, and encodes to other bytes: %v", i, flaw, err)
			}
		}
	}
	nameless := bytes.Clone(whole)
	nameless[32+32+1] = ' '
	if _, err := decodeState(nameless); err == nil {
		t.Error("of a synchronizer with a name that is none, and accepted")
	}
	slices.Reverse(s.order)
	if b, err := s.Encode(began); err != nil {
		t.Fatal(err)
	} else if _, err := decodeState(b); err == nil {
		t.Error("out of order, and accepted")
	}
}

func TestDigestTellsStatesApart(t *testing.T) {
	digests := map[Digest]string{}
	add := func(name string, s *State) {
		if other, taken := digests[s.Digest()]; taken {
			t.Errorf("%s has the digest of %s", name, other)
		}
		digests[s.Digest()] = name
	}
	dora, ed := signed(Add(1, root("dora")), "dora"), signed(Add(1, root("ed")), "ed")
	s := newFounded(t, rules{})
	add("founded", s)
	mustApply(t, s, began, dora)
	add("dora", s)
	mustApply(t, s, began, ed)
	add("dora and ed", s)
	s = newFounded(t, rules{})
	mustApply(t, s, began+1, dora)
	add("dora a little later", s)
	s = newFounded(t, rules{})
	mustApply(t, s, began, ed)
	add("ed", s)
	mustApply(t, s, began+1, signed(Add(2, delay(9*ms)), "alice", "bob"))
	add("shorter", s)
	mustApply(t, s, began+2, signed(Add(3, delay(250*ms)), "alice", "bob"))
	add("back to what it was", s)
}

// The tree is the same in whatever order it grew.
func TestTreeHasOneShape(t *testing.T) {
	const n = 200
	var forward, backward, twice tree
	for i := range n {
		forward.set(Key{1, Group(i).String()}, Digest{byte(i)})
		backward.set(Key{1, Group(n - 1 - i).String()}, Digest{byte(n - 1 - i)})
		twice.set(Key{1, Group(i).String()}, Digest{99})
	}
	if forward.root.digest == twice.root.digest {
		t.Error("other values, and the same digest")
	}
	for i := range n {
		twice.set(Key{1, Group(i * 7 % n).String()}, Digest{byte(i * 7 % n)})
	}
	if forward.root.digest != backward.root.digest || forward.root.digest != twice.root.digest {
		t.Error("the same contents, and other digests")
	}
	var one, other tree
	one.set(Key{1, "one"}, Digest{1})
	other.set(Key{1, "other"}, Digest{1})
	if one.root.digest == other.root.digest {
		t.Error("other keys, and the same digest")
	}
	backward.set(Key{1, Group(n).String()}, Digest{})
	if forward.root.digest == backward.root.digest {
		t.Error("a leaf more, and the same digest")
	}
}

func TestMediatorGroupsAreListedByNumber(t *testing.T) {
	s := newFounded(t, rules{})
	numbers := []Group{10, 9, 0, 1 << 31}
	for _, g := range numbers {
		m := Member{Mediator, UID{"med" + g.String(), space("carol")}}
		mustApply(t, s, began, signed(Add(1, keysOf(m, m.Name)), append(ownKeys(m, m.Name), "carol")...))
		mustApply(t, s, began, signed(Add(1, mediators(g, 1, m)), "carol", "bob"))
	}
	var listed []Group
	for _, set := range mustSnapshot(t, s, began+bft.Second).MediatorGroups() {
		listed = append(listed, set.Group)
	}
	if !slices.Equal(listed, []Group{0, 9, 10, 1 << 31}) {
		t.Errorf("listed %d", listed)
	}
}
