package membership

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// townspeople is a network in which everything changes that decides who is active.
type townspeople struct {
	t          *rapid.T
	tb         testing.TB
	n          *membertest.Network
	m          *Topology
	sequencers []topology.Member
	mediators  []topology.Member
	everybody  []topology.Member
	keys       map[topology.Member]topology.SignedTransaction
}

func newTownspeople(tb testing.TB) (w townspeople, registration []byte) {
	w = townspeople{tb: tb, n: membertest.Found(tb, membertest.Plan{Sequencers: 2}), keys: map[topology.Member]topology.SignedTransaction{}}
	var list [][]byte
	for i := range 3 {
		p, mediator := membertest.Participant(fmt.Sprint("p", i)), membertest.Participant(fmt.Sprint("m", i))
		mediator.Role = topology.Mediator
		w.sequencers, w.mediators = append(w.sequencers, membertest.Sequencer(i+1)), append(w.mediators, mediator)
		for _, m := range []topology.Member{p, mediator, w.sequencers[i]} {
			steps := w.n.Registration(tb, m)
			w.everybody, w.keys[m] = append(w.everybody, m), steps[1]
			list = append(list, steps[0].Encode(), steps[1].Encode())
		}
	}
	return w, Encode(list...)
}

func (w *townspeople) begin(t *rapid.T) {
	state := &topology.State{}
	if r := state.Load(w.n.Genesis); r != nil {
		t.Fatal(r)
	}
	w.t, w.m = t, New(state)
}

// change makes a change that may be refused.
func (w *townspeople) change(of topology.Mapping, signers ...string) []byte {
	serial := w.m.State().Serial(of.Key()) + 1
	tx := topology.Add(serial, of)
	if rapid.IntRange(0, 2).Draw(w.t, "removes") == 0 {
		tx = topology.Removal(serial, of)
	}
	return w.n.Sign(w.tb, tx, signers...).Encode()
}

func (w *townspeople) anything() []byte {
	m := rapid.SampledFrom(w.everybody).Draw(w.t, "member")
	root := m.Name + " root"
	switch rapid.SampledFrom([]string{"keys", "certificate", "disabled", "mediators", "sequencers", "delay"}).Draw(w.t, "kind") {
	case "keys":
		return w.change(w.keys[m].Content().Mapping, root, m.Name+" protocol", m.Name+" authentication")
	case "certificate":
		return w.change(topology.MemberTrustCertificate{Synchronizer: w.n.Synchronizer, Member: m}, root)
	case "disabled":
		return w.change(topology.MemberDisabled{Synchronizer: w.n.Synchronizer, Member: m}, "owner")
	case "mediators":
		group := topology.Group(rapid.IntRange(0, 1).Draw(w.t, "group"))
		of := subset(w.t, w.mediators)
		half := rapid.IntRange(1, len(of)).Draw(w.t, "active")
		return w.change(topology.NewMediatorSet(w.n.Synchronizer, group, 1, of[:half], of[half:]), "owner")
	case "sequencers":
		set, signers := w.n.Listing(), []string{"owner"}
		for _, s := range subset(w.t, w.sequencers) {
			set.Sequencers, signers = append(set.Sequencers, membertest.Orders(s, membertest.Node(s))), append(signers, s.Name+" node")
		}
		return w.change(set, signers...)
	}
	p := topology.DefaultParameters(w.n.Synchronizer)
	p.MaxRequestSize -= uint32(rapid.IntRange(0, 9).Draw(w.t, "size")) // seen in the rules
	p.TopologyChangeDelay = topology.Time(rapid.SampledFrom([]sequencing.Time{1, 5, 50}).Draw(w.t, "delay") * sequencing.Millisecond)
	return w.change(p, "owner")
}

func subset(t *rapid.T, of []topology.Member) []topology.Member {
	return rapid.Permutation(of).Draw(t, "order")[:rapid.IntRange(1, len(of)).Draw(t, "number")]
}

// check asks about a time that was not pruned, and compares with asking about everybody.
func (w *townspeople) check(at sequencing.Time) {
	view, err := w.m.State().Snapshot(topology.Time(at))
	if err != nil {
		return
	}
	active := func(of []topology.Member) (ids []sequencing.MemberID) {
		for _, m := range of {
			if view.Status(m) == topology.Active {
				ids = append(ids, membertest.ID(m))
			}
		}
		return ids
	}
	var sequencers []topology.Member
	for _, s := range view.Sequencers().Sequencers {
		sequencers = append(sequencers, s.Member)
	}
	mediators, _ := view.Mediators(1)
	for range 2 { // the answer may be remembered
		for kind, want := range map[sequencing.RecipientKind][]sequencing.MemberID{
			sequencing.ToAll:           active(view.Members()),
			sequencing.ToSequencers:    active(sequencers),
			sequencing.ToMediatorGroup: active(slices.Concat(mediators.Active, mediators.Observers)),
		} {
			r := sequencing.Recipient{Kind: kind}
			if kind == sequencing.ToMediatorGroup {
				r.Group = 1
			}
			if got := w.m.Group(r, at); !slices.Equal(got, want) {
				w.t.Fatalf("at %d: %s are\n%v, want\n%v", at, r, got, want)
			}
		}
		if got := w.m.Authority(at).Members; !slices.Equal(got, active(sequencers)) {
			w.t.Fatalf("at %d: %v decide", at, got)
		}
		if got := w.m.Parameters(at); got != parameters(view) {
			w.t.Fatalf("at %d: the rules are %+v", at, got)
		}
	}
}

func TestEverybodyIsTheSameHoweverTheyAreFound(t *testing.T) {
	w, registration := newTownspeople(t)
	accepted, walks := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w.begin(t)
		at := sequencing.Time(membertest.Began)
		w.m.Change(at, registration)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			// Less and more than the delays, and as much.
			at += rapid.SampledFrom([]sequencing.Time{1, 4999, 5000, 5001, 20_000, 300_000}).Draw(t, "pause")
			if rapid.IntRange(0, 9).Draw(t, "prunes") == 0 {
				w.m.Prune(at - rapid.SampledFrom([]sequencing.Time{0, 10_000}).Draw(t, "kept"))
			}
			var list [][]byte
			for range rapid.IntRange(1, 3).Draw(t, "transactions") {
				list = append(list, w.anything())
			}
			if w.m.Change(at, Encode(list...)) {
				accepted++
			}
			coming := sequencing.Time(w.m.State().Effective())
			for _, when := range []sequencing.Time{at, at + 1, at + 3000, coming - 1, coming, coming + 1, at, at - 1, at - 20_000} {
				w.check(when)
			}
		}
		walks++
	})
	if accepted < 2*walks {
		t.Errorf("%d changes were accepted in %d walks: they show little", accepted, walks)
	}
}

// Whoever likes may ask for whatever it likes.
func TestAskingForNobodyMakesNothingGrow(t *testing.T) {
	w, _ := newTownspeople(t)
	state := &topology.State{}
	if r := state.Load(w.n.Genesis); r != nil {
		t.Fatal(r)
	}
	m, now := New(state), sequencing.Time(membertest.Began)
	m.Member(membertest.ID(w.sequencers[0]), now)
	for i := range 10 {
		m.Member(membertest.ID(membertest.Participant(fmt.Sprint("nobody", i))), now)
		m.Member(sequencing.MemberID(fmt.Sprint("no name ", i)), now)
		m.Group(sequencing.Recipient{Kind: sequencing.ToMediatorGroup, Group: uint32(i)}, now)
	}
	known, count := m.known.Load(), 0
	for _, remembered := range []*sync.Map{&known.members, &known.groups} {
		remembered.Range(func(_, _ any) bool { count++; return true })
	}
	if count != 1 {
		t.Errorf("%d answers are remembered, want the one about a member", count)
	}
}
