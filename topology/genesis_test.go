package topology

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestGenesisIsLoadedOnce(t *testing.T) {
	g := newGenesis(t)
	var s State
	for range 2 { // the second time does nothing
		if r := s.Load(g); r != nil {
			t.Fatal(r)
		}
	}
	mustApply(t, &s, began+5, signed(Add(1, root("dora")), "dora"))
	later := s.Digest()
	if r := s.Load(g); r != nil || s.Digest() != later {
		t.Errorf("loading again undid what was applied: %v", r)
	}
	other, err := NewGenesis(network, synchronizer, began+1, founding()...)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Load(other); code(r) != CodeOtherGenesis || s.Digest() != later {
		t.Errorf("another genesis: %v", r)
	}
	if digest, founded := s.Founded(); digest != g.Digest() || !founded {
		t.Errorf("founded by %s", digest)
	}
	if got := mustSnapshot(t, &s, began); got.Status(seq1) != Active || got.Parameters().TopologyChangeDelay != 250*ms {
		t.Error("the genesis is not in force from the beginning")
	}
	if _, err := s.Snapshot(began - 1); !errors.Is(err, ErrPruned) {
		t.Errorf("before the beginning: %v", err)
	}
}

// Owners sign copies of the founding transactions at different times, and copies meet in any order.
func TestGenesisIsTheSameInAnyOrderOfSigning(t *testing.T) {
	want := newGenesis(t)
	rapid.Check(t, func(t *rapid.T) {
		var copies []SignedTransaction
		for _, tx := range founding() {
			for _, s := range tx.signatures {
				one := tx
				one.signatures = []KeySignature{s}
				copies = append(copies, one, one)
			}
		}
		g, err := NewGenesis(network, synchronizer, began, rapid.Permutation(copies).Draw(t, "copies")...)
		if err != nil {
			t.Fatal(err)
		}
		if g.Digest() != want.Digest() || !bytes.Equal(g.Encode(), want.Encode()) {
			t.Fatal("another genesis")
		}
		var a, b State
		if r := a.Load(g); r != nil {
			t.Fatal(r)
		}
		if r := b.Load(want); r != nil || a.Digest() != b.Digest() {
			t.Fatalf("another state: %v", r)
		}
	})
}

// The digest is there before anybody signs, since the network id that they sign for is made of it.
func TestCharterHasTheDigestOfItsGenesis(t *testing.T) {
	charter := Charter{Synchronizer: synchronizer, Began: began}
	for _, tx := range slices.Backward(founding()) {
		charter.Transactions = append(charter.Transactions, tx.Content())
	}
	g := newGenesis(t)
	if charter.Digest() != g.Digest() || g.Charter().Digest() != g.Digest() {
		t.Error("the digests differ")
	}
	more, err := founding()[0].Sign(key("bob"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewGenesis(network, synchronizer, began, append(founding(), more)...)
	if err != nil || again.Digest() != g.Digest() {
		t.Errorf("a signature more founds another network: %v", err)
	}
}

func TestGenesisIsTheSameAfterItsWay(t *testing.T) {
	g := newGenesis(t)
	u, err := DecodeGenesis(g.Encode())
	if err != nil || u.Charter().Digest() != g.Digest() {
		t.Fatalf("decoded: %v", err)
	}
	back, err := u.Verify(network)
	if err != nil || !bytes.Equal(back.Encode(), g.Encode()) {
		t.Errorf("verified: %v", err)
	}
	var rejection *Rejection
	if _, err := u.Verify([32]byte{1}); !errors.As(err, &rejection) || rejection.Code != CodeInvalidSignature {
		t.Errorf("verified for another network: %v", err)
	}
}

// A root key stands before its delegates, whose keys may sort before it.
func TestGenesisWithDelegates(t *testing.T) {
	list := founding()
	for _, name := range []string{"u", "v", "w", "x", "y", "z"} {
		list = append(list, signed(Add(1, delegate("alice", name, KindOwnerToKeys)), "alice", name))
	}
	if _, err := NewGenesis(network, synchronizer, began, list...); err != nil {
		t.Error(err)
	}
}

func TestGenesisMustSuffice(t *testing.T) {
	without := func(i int) []SignedTransaction { return slices.Delete(founding(), i, i+1) }
	change := func(i int, tx SignedTransaction) []SignedTransaction {
		list := founding()
		list[i] = tx
		return list
	}
	for _, c := range []struct {
		name string
		list []SignedTransaction
		want Code // "" where it is no rejection
	}{
		{"nothing", nil, ""},
		{"no parameters", without(0), ""},
		{"no sequencers", without(1), ""},
		{"no owners", without(2), CodeUnknownNamespace},
		{"a sequencer without keys", without(3), CodeUnknownMember},
		{"a missing root", without(4), CodeUnknownNamespace},
		{"too few owners", change(0, signed(Add(1, DefaultParameters(synchronizer)), "alice")), CodeMissingSignature},
		{"owners that did not all found", change(2, signed(Add(1, owners), "alice", "bob")), CodeMissingSignature},
		{"a later serial", change(0, signed(Add(2, DefaultParameters(synchronizer)), "alice", "bob")), CodeWrongSerial},
		{"a removal", append(founding(), signed(Removal(1, delegate("alice", "x", KindOwnerToKeys)), "alice")), CodeNothingToRemove},
		{"two for one key", append(founding(), signed(Add(1, delay(9*ms)), "alice", "bob")), ""},
		{"two for the last key", append(founding(), signed(Add(1, permit("dora", Limits{1, 1, 0})), "alice", "bob"),
			signed(Add(1, permit("dora", Limits{2, 1, 0})), "alice", "bob")), ""},
		{"an empty one", append(founding(), SignedTransaction{}), ""},
	} {
		_, err := NewGenesis(network, synchronizer, began, c.list...)
		var rejection *Rejection
		if errors.As(err, &rejection); err == nil || code(rejection) != c.want && !(rejection == nil && c.want == "") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// What could be founded and not be read would be no use.
func TestGenesisHasABound(t *testing.T) {
	list := make([]SignedTransaction, maxFounding+1)
	for i := range list {
		list[i] = signed(Add(1, disabled(Member{Participant, UID{fmt.Sprint("p", i), space("alice")}})))
	}
	if err := new(Genesis).gather(list[1:]); err != nil {
		t.Error(err)
	}
	if err := new(Genesis).gather(list); err == nil {
		t.Error("one transaction too many is accepted")
	}
}

// In a genesis on disk everything has one place.
func TestGenesisOutOfOrderIsRefused(t *testing.T) {
	g := newGenesis(t)
	slices.Reverse(g.transactions)
	if _, err := DecodeGenesis(g.Encode()); err == nil {
		t.Error("accepted")
	}
}
