package membership_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

var (
	alice = membertest.Participant("alice")
	bob   = membertest.Participant("bob")
)

// delay is how long a change takes to come into force.
const delay = 250 * sequencing.Millisecond

// now is a time after the founding.
const now = sequencing.Time(membertest.Began) + sequencing.Second

func found(t testing.TB, plan membertest.Plan) (*membertest.Network, *membership.Topology) {
	t.Helper()
	n := membertest.Found(t, plan)
	state := &topology.State{}
	if r := state.Load(n.Genesis); r != nil {
		t.Fatal(r)
	}
	return n, membership.New(state)
}

func encode(list ...topology.SignedTransaction) []byte {
	var encoded [][]byte
	for _, s := range list {
		encoded = append(encoded, s.Encode())
	}
	return membership.Encode(encoded...)
}

func all(m *membership.Topology, at sequencing.Time) []sequencing.MemberID {
	return m.Group(sequencing.Recipient{Kind: sequencing.ToAll}, at)
}

func TestANewcomerIsActiveAfterTheDelayAndNotBefore(t *testing.T) {
	n, m := found(t, membertest.Plan{Participants: []string{"alice"}})
	if got := all(m, now); !slices.Contains(got, membertest.ID(alice)) || slices.Contains(got, membertest.ID(bob)) {
		t.Fatalf("members %v", got)
	}
	if !m.Change(now, encode(n.Registration(t, bob)...)) {
		t.Fatal("a registration was refused")
	}
	for _, c := range []struct {
		at   sequencing.Time
		want bool
	}{{now, false}, {now + delay - 1, false}, {now + delay, true}, {now + 10*delay, true}, {now + 1, false}} {
		standing, active := m.Member(membertest.ID(bob), c.at)
		if active != c.want || slices.Contains(all(m, c.at), membertest.ID(bob)) != c.want {
			t.Errorf("at %d: active %v, want %v", c.at-now, active, c.want)
		}
		if c.want && (len(standing.Keys) != 1 || standing.Keys[0] != sequencing.Key(membertest.Protocol(bob).Public()) || standing.Free) {
			t.Errorf("at %d: standing %+v", c.at-now, standing)
		}
	}
}

// Answers are remembered; a change must not leave an old one behind.
func TestWhatWasRememberedEndsWithTheNextChange(t *testing.T) {
	n, m := found(t, membertest.Plan{Participants: []string{"alice"}})
	id, at := membertest.ID(alice), now
	disabled := topology.MemberDisabled{Synchronizer: n.Synchronizer, Member: alice}
	for serial := topology.Serial(1); serial < 5; serial++ {
		_, before := m.Member(id, at)
		if before != slices.Contains(all(m, at), id) || before != (serial%2 == 1) {
			t.Fatalf("serial %d: active %v", serial, before)
		}
		tx := topology.Add(serial, disabled)
		if serial%2 == 0 {
			tx = topology.Removal(serial, disabled)
		}
		if !m.Change(at, encode(n.Sign(t, tx, "owner"))) {
			t.Fatalf("serial %d refused", serial)
		}
		if _, still := m.Member(id, at+delay-1); still != before {
			t.Errorf("serial %d: in force early", serial)
		}
		at += delay
		if _, after := m.Member(id, at); after == before {
			t.Errorf("serial %d: not in force", serial)
		}
	}
}

func TestEachTransactionIsJudgedByItself(t *testing.T) {
	n, m := found(t, membertest.Plan{})
	newcomer := n.Registration(t, bob)
	if !m.Change(now, encode(newcomer[0])) { // somebody was faster with the first
		t.Fatal("refused")
	}
	if !m.Change(now+1, encode(newcomer...)) {
		t.Error("a change is refused because one of its transactions is known")
	}
	if _, active := m.Member(membertest.ID(bob), now+1+delay); !active {
		t.Error("what was left of the change has no effect")
	}
	digest := m.State().Digest()
	if m.Change(now+2, encode(newcomer...)) {
		t.Error("a repetition is accepted")
	}
	backwards := n.Registration(t, alice)
	slices.Reverse(backwards)
	if m.Change(now+3, encode(backwards[:2]...)) {
		t.Error("a certificate without a namespace is accepted")
	}
	if m.State().Digest() != digest {
		t.Error("what was refused changed the state")
	}
}

func TestAForgedTransactionHasNoEffect(t *testing.T) {
	n, m := found(t, membertest.Plan{})
	other := membertest.Found(t, membertest.Plan{Network: 7})
	for name, list := range map[string][]topology.SignedTransaction{
		"signed for another network": other.Registration(t, bob),
		"signed by another":          {n.Sign(t, topology.Add(2, topology.DefaultParameters(n.Synchronizer)), "mallory")},
	} {
		if digest := m.State().Digest(); m.Change(now, encode(list...)) || m.State().Digest() != digest {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestGroupsAndAuthority(t *testing.T) {
	n, m := found(t, membertest.Plan{Sequencers: 4, Participants: []string{"alice"}})
	sequencers := m.Group(sequencing.Recipient{Kind: sequencing.ToSequencers}, now)
	if len(sequencers) != 4 || len(all(m, now)) != 5 {
		t.Errorf("sequencers %v, all %v", sequencers, all(m, now))
	}
	if a := m.Authority(now); len(a.Members) != 4 || a.Threshold != 3 {
		t.Errorf("authority %+v: want 3 of the 4 sequencers", a)
	}
	if got := m.Group(sequencing.Recipient{Kind: sequencing.ToMediatorGroup, Group: 3}, now); got != nil {
		t.Errorf("a group that is not there has %v", got)
	}
	if s, _ := m.Member(membertest.ID(n.Sequencers[0]), now); !s.Free || !s.Unread {
		t.Error("a sequencer pays, or is waited for until it has read")
	}
	if a := m.Authority(0); a.Threshold < 1 || len(a.Members) > 0 {
		t.Errorf("before the beginning %+v decides", a)
	}
}

func TestParametersCarryWhatTheOwnersSet(t *testing.T) {
	_, m := found(t, membertest.Plan{Parameters: func(p *topology.SynchronizerParameters) {
		p.MaxRequestSize, p.SequencingTimeTolerance = 4096, 90_000_000
		p.Traffic = topology.Traffic{BaseAllowance: 5000, Window: 7_000_000, WriteCost: 20_000, ReadCost: 300, EventCost: 11, EnvelopeCost: 12, RecipientCost: 13}
	}})
	want := sequencing.TrafficRules{Refill: 7 * sequencing.Second, Base: 5000, Event: 11, Write: 20_000, Factor: 300, Envelope: 12, Recipient: 13}
	if got := m.Parameters(now); got.MaxBytes != 4096 || got.MaxAhead != 90*sequencing.Second || got.Traffic != want {
		t.Errorf("%+v", got)
	}
	_, free := found(t, membertest.Plan{})
	if got := free.Parameters(now).Traffic; got != (sequencing.TrafficRules{}) {
		t.Errorf("traffic without a price is metered: %+v", got)
	}
}

func TestPruningKeepsThePresent(t *testing.T) {
	n, m := found(t, membertest.Plan{Participants: []string{"alice"}})
	if !m.Change(now, encode(n.Registration(t, bob)...)) {
		t.Fatal("refused")
	}
	m.Prune(now + delay)
	if _, active := m.Member(membertest.ID(bob), now+delay); !active {
		t.Error("the present was pruned")
	}
	if got := all(m, now); got != nil {
		t.Errorf("a pruned time answers %v", got)
	}
	if _, active := m.Member(membertest.ID(alice), now); active {
		t.Error("a pruned time has an active member")
	}
	if got := m.Parameters(now); got != (sequencing.Parameters{}) {
		t.Errorf("a pruned time has rules: %+v", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	n, _ := found(t, membertest.Plan{})
	good := encode(n.Registration(t, bob)...)
	for i := range good {
		if _, err := membership.Decode(good[:i]); !errors.Is(err, membership.ErrMalformed) {
			t.Fatalf("the first %d bytes: %v", i, err)
		}
	}
	tooMany := slices.Repeat(n.Registration(t, bob)[:1], membership.MaxTransactions+1)
	for name, data := range map[string][]byte{
		"none": membership.Encode(), "bytes behind": append(slices.Clone(good), 0),
		"too many": encode(tooMany...), "one that is none": membership.Encode([]byte{0}),
	} {
		if _, err := membership.Decode(data); !errors.Is(err, membership.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for data, want := range map[string]int{string(good): 3, string(encode(tooMany[1:]...)): membership.MaxTransactions} {
		if list, err := membership.Decode([]byte(data)); err != nil || len(list) != want {
			t.Errorf("%d transactions, want %d: %v", len(list), want, err)
		}
	}
}

func TestWhoListensIsToldOfEachChange(t *testing.T) {
	n, m := found(t, membertest.Plan{})
	var told []membership.Judgement
	m.Judged(func(j membership.Judgement) { told = append(told, j) })
	newcomer := n.Registration(t, bob)
	changes := [][]byte{encode(newcomer[1], newcomer[0]), encode(newcomer[1]), encode(newcomer[1]), {0}}
	for i, change := range changes {
		m.Change(now+sequencing.Time(i), change)
	}
	if len(told) != len(changes) {
		t.Fatalf("told of %d changes, want %d", len(told), len(changes))
	}
	for i, want := range []struct {
		codes   []topology.Code
		inForce sequencing.Time
	}{
		{[]topology.Code{topology.CodeUnknownNamespace, ""}, now + delay},
		{[]topology.Code{""}, now + 1 + delay},
		{[]topology.Code{topology.CodeAlreadyApplied}, now + 1 + delay},
		{nil, now + 1 + delay},
	} {
		var codes []topology.Code
		for _, r := range told[i].Rejections {
			if r == nil {
				codes = append(codes, "")
			} else {
				codes = append(codes, r.Code)
			}
		}
		if j := told[i]; j.At != now+sequencing.Time(i) || string(j.Change) != string(changes[i]) || j.InForce != want.inForce || !slices.Equal(codes, want.codes) {
			t.Errorf("change %d: told %v in force at %d, codes %q; want %+v", i, j.At, j.InForce, codes, want)
		}
	}
}

func TestOneForgedSignatureSpoilsItsChange(t *testing.T) {
	n, m := found(t, membertest.Plan{})
	good := n.Registration(t, bob)
	forged := n.Registration(t, alice)[0].Encode()
	forged[len(forged)-1] ^= 1
	digest := m.State().Digest()
	if m.Change(now, membership.Encode(good[0].Encode(), forged)) || m.State().Digest() != digest {
		t.Error("a change with a forged signature had an effect")
	}
	if !m.Change(now, encode(good...)) {
		t.Error("what stood beside it is refused by itself")
	}
}

// A change of a few hundred KiB must not keep every sequencer busy: signatures are all that costs time in it, and
// whoever orders may order any number of them.
func TestSignaturesOfAChangeAreBounded(t *testing.T) {
	n, m := found(t, membertest.Plan{})
	var signers []string
	for i := range topology.MaxSignatures - 1 {
		signers = append(signers, fmt.Sprintf("surplus %d", i))
	}
	var list []topology.SignedTransaction
	signatures := 0
	for i := 0; signatures <= membership.MaxSignatures; i++ {
		name := fmt.Sprintf("newcomer%d", i)
		founding := n.Registration(t, membertest.Participant(name))[0]
		padded := n.Sign(t, founding.Content(), append(signers, name+" root")...)
		list, signatures = append(list, padded), signatures+topology.MaxSignatures
	}
	if _, err := membership.Decode(encode(list...)); !errors.Is(err, membership.ErrMalformed) {
		t.Errorf("%d signatures in one change: %v", signatures, err)
	}
	if digest := m.State().Digest(); m.Change(now, encode(list...)) || m.State().Digest() != digest {
		t.Errorf("a change with %d signatures was carried out", signatures)
	}
	if !m.Change(now, encode(list[:len(list)-1]...)) {
		t.Errorf("a change with %d signatures was refused", signatures-topology.MaxSignatures)
	}
}

func BenchmarkChange(b *testing.B) {
	n, m := found(b, membertest.Plan{})
	var signers []string
	for i := range topology.MaxSignatures {
		signers = append(signers, fmt.Sprintf("surplus %d", i))
	}
	one := n.Sign(b, topology.Add(2, topology.DefaultParameters(n.Synchronizer)), signers...) // refused for its authority
	full := encode(one, one, one)
	for b.Loop() {
		if m.Change(now, full) {
			b.Fatal("accepted")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(3*len(signers)), "µs/signature")
}

func FuzzDecode(f *testing.F) {
	n, m := found(f, membertest.Plan{})
	f.Add(encode(n.Registration(f, bob)...))
	f.Add(membership.Encode(nil, nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := membership.Decode(data); err != nil && m.Change(now, data) {
			t.Error("what does not decode is accepted")
		}
	})
}

func BenchmarkMember(b *testing.B) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("p%d", i))
	}
	_, m := found(b, membertest.Plan{Participants: names})
	id := membertest.ID(membertest.Participant("p500"))
	b.Run("member", func(b *testing.B) {
		for b.Loop() {
			m.Member(id, now)
		}
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			all(m, now)
		}
	})
}
