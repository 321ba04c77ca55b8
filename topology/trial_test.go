package topology

import (
	"fmt"
	"maps"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestCheckAllLetsOneRestOnAnother(t *testing.T) {
	s := newFounded(t, rules{})
	newcomer := []SignedTransaction{
		signed(Add(1, root("dora")), "dora"),
		signed(Add(1, keysOf(par1, "par1")), append(ownKeys(par1, "par1"), "dora")...),
		signed(Add(1, trust(par1)), "dora"),
		signed(Add(2, delay(ms)), "alice", "carol"),
	}
	before := s.Digest()
	for range 2 { // the first leaves nothing behind
		for i, r := range s.CheckAll(began, newcomer...) {
			if r != nil {
				t.Errorf("transaction %d: %v", i, r)
			}
		}
	}
	if got := s.CheckAll(began, newcomer[1:]...); code(got[0]) != CodeUnknownNamespace || code(got[1]) != CodeUnknownMember || got[2] != nil {
		t.Errorf("without a namespace: %v", got)
	}
	if got := s.CheckAll(began, newcomer[2]); len(got) != 1 || code(got[0]) != CodeUnknownMember {
		t.Errorf("alone: %v", got)
	}
	if s.Digest() != before || s.Serial(parametersKey(synchronizer)) != 1 || s.Serial(ownerKey(par1)) != 0 {
		t.Fatal("checking changed the state")
	}
	for i, tx := range newcomer {
		if _, r := s.Apply(began, tx); r != nil {
			t.Errorf("transaction %d was accepted by the check and then refused: %v", i, r)
		}
	}
	if s.Sequenced() != began {
		t.Errorf("last accepted at %d", s.Sequenced())
	}
	for i, r := range s.CheckAll(began, newcomer...) {
		if code(r) != CodeAlreadyApplied {
			t.Errorf("transaction %d again: %v", i, r)
		}
	}
}

// copied judges as CheckAll does, on a copy of the whole state.
func copied(t interface{ Fatal(...any) }, s *State, at Time, list ...SignedTransaction) []*Rejection {
	encoded, err := s.Encode(s.Floor())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := DecodeState(encoded, s.Digest())
	if err != nil {
		t.Fatal(err)
	}
	rejections := make([]*Rejection, len(list))
	for i, tx := range list {
		_, rejections[i] = whole.Apply(at, tx)
	}
	return rejections
}

// A trial judges as the state would, and leaves no trace in it.
func TestATrialIsACopy(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		choose := func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "") }
		w := newWalk(choose, t, rules{})
		for range rapid.IntRange(1, 4).Draw(rt, "rounds") {
			if err := w.run(rapid.IntRange(0, 12).Draw(rt, "steps")); err != nil {
				rt.Fatal(err)
			}
			var list []SignedTransaction
			for range rapid.IntRange(2, 12).Draw(rt, "transactions") {
				if tx := w.transaction(); tx.check() == nil {
					list = append(list, signedBy(tx, w.signers(tx)))
				}
			}
			digest, used, listed := w.state.Digest(), maps.Clone(w.state.used.rows), maps.Clone(w.state.listed.rows)
			at := max(w.state.Effective(), w.state.Floor())
			got, want := w.state.CheckAll(at, list...), copied(rt, w.state, at, list...)
			if !reflect.DeepEqual(got, want) {
				rt.Fatalf("%v, want %v", got, want)
			}
			if w.state.Digest() != digest || !maps.Equal(w.state.used.rows, used) || !maps.Equal(w.state.listed.rows, listed) {
				rt.Fatal("the trial left something behind")
			}
			for _, h := range w.state.histories.rows { // trials may run beside each other
				for _, v := range h.versions[len(h.versions):cap(h.versions)] {
					if v.mapping != nil {
						rt.Fatalf("the trial wrote behind the history of %s", h.key)
					}
				}
			}
		}
	})
}

func BenchmarkCheckAll(b *testing.B) {
	for _, namespaces := range []int{10, 4000} {
		b.Run(fmt.Sprint(namespaces), func(b *testing.B) {
			s := newFounded(b, rules{})
			for i := range namespaces {
				name := fmt.Sprint("stranger ", i)
				if _, r := s.Apply(began, signed(Add(1, root(name)), name)); r != nil {
					b.Fatal(r)
				}
			}
			newcomer := []SignedTransaction{signed(Add(1, root("new")), "new"), signed(Add(1, delegate("new", "d", KindOwnerToKeys)), "new", "d")}
			for b.Loop() {
				if r := s.CheckAll(began, newcomer...); r[0] != nil || r[1] != nil {
					b.Fatal(r)
				}
			}
		})
	}
}
