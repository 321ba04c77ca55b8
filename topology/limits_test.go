package topology

import (
	"fmt"
	"testing"

	"github.com/synod-network/synod/bft"
)

// ruled is a network under rules of onboarding, which are in force at the time that is returned.
func ruled(t *testing.T, o Onboarding) (*State, Time) {
	t.Helper()
	s := newFounded(t, rules{})
	p := delay(ms)
	p.Onboarding = o
	return s, mustApply(t, s, began, signed(Add(2, p), "alice", "bob"))
}

// A root key costs nothing. Before there were limits this loop went on as long as anybody liked, and all of it stayed.
func TestStrangersCannotFillTheState(t *testing.T) {
	s := newFounded(t, rules{})
	most := int(DefaultOnboarding().Namespaces)
	refused := 0
	for i := range most + 10 {
		name := fmt.Sprint("stranger", i)
		if r := s.Check(began, signed(Add(1, root(name)), name)); r != nil {
			refused++
			if r.Code != CodeTooManyNamespaces {
				t.Fatal(r)
			}
			continue
		}
		s.accept(began, began, 0, Add(1, root(name)))
	}
	usage := s.Usage(began)
	if usage.Strangers != most || usage.Namespaces != most || refused != 13 { // alice, bob and carol came first
		t.Fatalf("%+v, %d refused", usage, refused)
	}
	for i := range 100 { // within a namespace there is a limit as well
		_, _ = s.Apply(began, signed(Add(1, delegate("stranger1", fmt.Sprint("delegate", i), KindOwnerToKeys)), "stranger1", fmt.Sprint("delegate", i)))
	}
	if got := s.holdings.at(space("stranger1")).mappings; got != int(DefaultLimits().Mappings) {
		t.Errorf("a stranger has %d mappings", got)
	}
	// The owners pass, and let others pass.
	mustApply(t, s, began, signed(Add(1, permit("dora", DefaultLimits())), "alice", "bob"))
	mustApply(t, s, began, signed(Add(1, root("dora")), "dora"))
	if usage := s.Usage(began); usage.Strangers != most || usage.Namespaces != most+1 || usage.Permissions != 1 {
		t.Errorf("%+v", usage)
	}
}

func TestTheEndOfANamespaceMakesNoRoom(t *testing.T) {
	s, at := ruled(t, Onboarding{Unrestricted, 4, DefaultLimits()})
	mustApply(t, s, at, signed(Add(1, root("dora")), "dora"))
	mustApply(t, s, at, signed(Removal(2, root("dora")), "dora"))
	if _, r := s.Apply(at, signed(Add(1, root("emil")), "emil")); code(r) != CodeTooManyNamespaces {
		t.Errorf("another after the end of one: %v", r)
	}
	mustApply(t, s, at, signed(Add(1, permit("dora", DefaultLimits())), "alice", "bob")) // one less without permission
	mustApply(t, s, at, signed(Add(1, root("emil")), "emil"))
	mustApply(t, s, at, signed(Removal(2, permit("dora", DefaultLimits())), "alice", "bob"))
	if got := s.Usage(at).Strangers; got != 5 { // over the limit, and nobody is thrown out
		t.Errorf("%d strangers", got)
	}
}

func TestRestrictedOnboarding(t *testing.T) {
	s, at := ruled(t, Onboarding{Restricted, 4096, DefaultLimits()})
	for name, tx := range map[string]SignedTransaction{
		"a namespace": signed(Add(1, root("dora")), "dora"),
		"a delegate":  signed(Add(1, delegate("alice", "x", KindOwnerToKeys)), "alice", "x"),
		"owners":      signed(Add(1, NewDecentralizedNamespace(1, space("alice"), space("bob"))), "alice", "bob"),
		"a member":    signed(Add(1, keysOf(par2, "k")), append(ownKeys(par2, "k"), "alice")...),
	} {
		if r := s.Check(at, tx); code(r) != CodeOnboardingRestricted {
			t.Errorf("%s: %v", name, r)
		}
	}
	// Whoever is there can exchange keys, and the owners act.
	mustApply(t, s, at, signed(Add(2, keysOf(seq1, "new")), append(ownKeys(seq1, "new"), "alice")...))
	mustApply(t, s, at, signed(Add(3, delay(ms)), "alice", "bob"))
	if r := s.Check(at, signed(Add(1, root("dora")), "dora")); code(r) != CodeOnboardingRestricted {
		t.Errorf("before the mode changes: %v", r)
	}
	list := []SignedTransaction{signed(Add(1, permit("emil", DefaultLimits())), "alice", "bob"), signed(Add(1, root("emil")), "emil")}
	for i, r := range s.CheckAll(at, list...) {
		if r != nil {
			t.Errorf("a permission and what rests on it, transaction %d: %v", i, r)
		}
	}
	if r := s.Check(at, list[1]); code(r) != CodeOnboardingRestricted {
		t.Errorf("a check left something behind: %v", r)
	}
}

func TestChangesComeBackWithTime(t *testing.T) {
	const interval = 10 * bft.Second
	s, at := ruled(t, Onboarding{Unrestricted, 9, Limits{Mappings: 9, Changes: 3, ChangeInterval: interval}})
	serial := Serial(0)
	change := func(at Time) *Rejection {
		kind := KindMediatorSet
		if serial%2 == 0 {
			kind = KindOwnerToKeys
		}
		_, r := s.Apply(at, signed(Add(serial+1, delegate("alice", "x", kind)), "alice", "x"))
		if r == nil {
			serial++
		}
		return r
	}
	for i := range 3 {
		if r := change(at); r != nil {
			t.Fatalf("change %d: %v", i, r)
		}
	}
	r := change(at)
	if code(r) != CodeTooManyChanges || r.NotBefore != at+interval {
		t.Fatalf("one too many: %v, want not before %d", r, at+interval)
	}
	if r := change(at + interval - 1); code(r) != CodeTooManyChanges {
		t.Errorf("too early: %v", r)
	}
	// Who was given the state, or forgot what it could, judges the same.
	s.Prune(at + interval)
	b, err := s.Encode(at + interval)
	if err != nil {
		t.Fatal(err)
	}
	given, err := DecodeState(b, s.Digest())
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]*State{"pruned": s, "given": given} {
		var left int
		state.Holdings(at+interval, func(h Holding) bool {
			if h.Namespace == space("alice") {
				left = h.Changes
			}
			return true
		})
		if left != 1 {
			t.Errorf("%s: %d changes left, want 1", name, left)
		}
	}
	s = given
	if r := change(at + interval); r != nil {
		t.Error(r)
	}
	if r := change(at + interval); code(r) != CodeTooManyChanges {
		t.Errorf("again: %v", r)
	}
	for i := range 3 { // never more than at the beginning
		if r := change(at + 100*interval); r != nil {
			t.Errorf("later, change %d: %v", i, r)
		}
	}
	if r := change(at + 100*interval); code(r) != CodeTooManyChanges {
		t.Errorf("later: %v", r)
	}
}

// Without an interval there is no limit to be used up.
func TestChangesWithoutAnIntervalAreUnbounded(t *testing.T) {
	s, at := ruled(t, Onboarding{Unrestricted, 9, Limits{Mappings: 9, Changes: 2}})
	for serial := range Serial(5) {
		mustApply(t, s, at, signed(Add(serial+1, delegate("alice", "x", Kind(1+serial%2))), "alice", "x"))
	}
	s.Holdings(at, func(h Holding) bool {
		if h.Changes != 2 {
			t.Errorf("%+v", h)
		}
		return true
	})
}
