package topology

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// TestParametersUpToTheirBounds tries the least and the most that each may be, and one beyond.
func TestParametersUpToTheirBounds(t *testing.T) {
	const minute = 60 * bft.Second
	limit := Time(DefaultParameters(synchronizer).Ordering.RequestLimit)
	for _, c := range []struct {
		name        string
		least, most Time
		set         func(p *SynchronizerParameters, to Time)
	}{
		{"change delay", ms, 60 * minute, func(p *SynchronizerParameters, to Time) { p.TopologyChangeDelay = to }},
		{"confirmation response timeout", bft.Second, 5 * minute, func(p *SynchronizerParameters, to Time) { p.ConfirmationResponseTimeout = to }},
		{"mediator reaction timeout", bft.Second, 5 * minute, func(p *SynchronizerParameters, to Time) { p.MediatorReactionTimeout = to }},
		{"sequencing time tolerance", bft.Second, 24 * 60 * minute, func(p *SynchronizerParameters, to Time) { p.SequencingTimeTolerance = to }},
		{"request size", 1 << 10, limit, func(p *SynchronizerParameters, to Time) { p.MaxRequestSize = uint32(to) }},
		{"traffic window", bft.Second, 24 * 60 * minute, func(p *SynchronizerParameters, to Time) { p.Traffic.Window = to }},
		{"write cost", 0, 1_000_000, func(p *SynchronizerParameters, to Time) { p.Traffic.WriteCost = uint32(to) }},
		{"read cost", 0, 1_000_000, func(p *SynchronizerParameters, to Time) { p.Traffic.ReadCost = uint32(to) }},
		{"envelope cost", 0, 1 << 20, func(p *SynchronizerParameters, to Time) { p.Traffic.EnvelopeCost = uint32(to) }},
		{"recipient cost", 0, 1 << 20, func(p *SynchronizerParameters, to Time) { p.Traffic.RecipientCost = uint32(to) }},
		{"base allowance", 0, 1 << 40, func(p *SynchronizerParameters, to Time) { p.Traffic.BaseAllowance = uint64(to) }},
		{"event cost", 0, 1 << 40, func(p *SynchronizerParameters, to Time) { p.Traffic.EventCost = uint64(to) }},
		{"namespaces", 0, 1 << 20, func(p *SynchronizerParameters, to Time) { p.Onboarding.Namespaces = uint32(to) }},
		{"mappings", 1, 1 << 20, func(p *SynchronizerParameters, to Time) { p.Onboarding.Limits.Mappings = uint32(to) }},
		{"changes", 1, 1 << 20, func(p *SynchronizerParameters, to Time) { p.Onboarding.Limits.Changes = uint32(to) }},
		{"change interval", 0, 24 * 60 * minute, func(p *SynchronizerParameters, to Time) { p.Onboarding.Limits.ChangeInterval = to }},
		{"mode", Time(Unrestricted), Time(Restricted), func(p *SynchronizerParameters, to Time) { p.Onboarding.Mode = Mode(to) }},
	} {
		for to, want := range map[Time]Code{c.least: "ok", c.most: "ok", c.least - 1: CodeBadParameter, c.most + 1: CodeBadParameter} {
			p := DefaultParameters(synchronizer)
			if c.set(&p, to); code(p.check()) != want {
				t.Errorf("%s of %d: %v, want %s", c.name, to, p.check(), want)
			}
		}
	}
}

func TestListsUpToTheirBounds(t *testing.T) {
	spaces := make([]Namespace, MaxOwners+1)
	members, serving := make([]Member, MaxMediators+1), make([]SequencerNode, bft.MaxMembers+1)
	signing, encryption := make([]SigningKey, MaxKeys+1), make([]keys.EncryptionKey, MaxKeys+1)
	for i := range spaces {
		spaces[i] = Namespace{byte(i)}
	}
	for i := range members {
		members[i] = Member{Mediator, UID{fmt.Sprintf("m%03d", i), space("carol")}}
	}
	for i := range serving {
		serving[i] = SequencerNode{Member{Sequencer, UID{fmt.Sprint("s", i), space("bob")}}, keys.PublicKey{byte(i), byte(i >> 8)}}
	}
	for i := range signing {
		signing[i], encryption[i] = SigningKey{keys.Protocol, keys.PublicKey{byte(i)}}, keys.EncryptionKey{byte(i)}
	}
	authenticates := append([]SigningKey{{keys.SequencerAuthentication, keys.PublicKey{255}}}, signing[:MaxKeys-1]...)
	name := func(length int) Member { return Member{Sequencer, UID{strings.Repeat("n", length), space("bob")}} }
	set := func(threshold uint16, list []SequencerNode) SequencerSet {
		return SequencerSet{synchronizer, list, threshold}
	}
	for _, c := range []struct {
		name    string
		mapping Mapping
		want    Code
	}{
		{"most owners", NewDecentralizedNamespace(MaxOwners, spaces[1:]...), "ok"},
		{"an owner more", NewDecentralizedNamespace(1, spaces...), CodeMalformed},
		{"no owners", NewDecentralizedNamespace(1), CodeMalformed},
		{"most mediators", NewMediatorSet(synchronizer, 0, MaxMediators, members[1:], nil), "ok"},
		{"a mediator more", NewMediatorSet(synchronizer, 0, 1, members, nil), CodeMalformed},
		{"most observers", NewMediatorSet(synchronizer, 0, 1, members[:1], members[1:]), "ok"},
		{"an observer more", NewMediatorSet(synchronizer, 0, 1, []Member{med1}, members), CodeMalformed},
		{"mediators out of order", MediatorSet{Synchronizer: synchronizer, Threshold: 1, Active: []Member{members[1], members[0]}}, CodeMalformed},
		{"observers out of order", MediatorSet{Synchronizer: synchronizer, Threshold: 1, Active: []Member{med1}, Observers: []Member{members[1], members[0]}}, CodeMalformed},
		{"threshold above the active", NewMediatorSet(synchronizer, 0, 2, members[:1], members[1:]), CodeBadThreshold},
		{"most sequencers", set(bft.MaxMembers, serving[1:]), "ok"},
		{"a sequencer more", set(1, serving), CodeMalformed},
		{"most keys", OwnerToKeys{Member: par1, Signing: authenticates, Encryption: encryption[1:]}, "ok"},
		{"a key more", OwnerToKeys{Member: seq1, Signing: signing}, CodeMalformed},
		{"a key to encrypt for more", OwnerToKeys{Member: par1, Signing: authenticates, Encryption: encryption}, CodeMalformed},
		{"keys out of order", OwnerToKeys{Member: seq1, Signing: []SigningKey{signing[1], signing[0]}}, CodeMalformed},
		{"a key twice", OwnerToKeys{Member: seq1, Signing: []SigningKey{signing[0], signing[0]}}, CodeMalformed},
		{"keys to encrypt for out of order", OwnerToKeys{Member: par1, Signing: authenticates, Encryption: []keys.EncryptionKey{encryption[1], encryption[0]}}, CodeMalformed},
		{"a participant that cannot authenticate", OwnerToKeys{Member: par1, Signing: signing[:1], Encryption: encryption[:1]}, CodeBadKeys},
		{"a mediator that cannot authenticate", OwnerToKeys{Member: med1, Signing: signing[:1]}, CodeBadKeys},
		{"a mediator", OwnerToKeys{Member: med1, Signing: authenticates}, "ok"},
		{"the longest name", OwnerToKeys{Member: name(185), Signing: signing[:1]}, "ok"},
		{"a longer name", OwnerToKeys{Member: name(186), Signing: signing[:1]}, CodeMalformed},
		{"no name", OwnerToKeys{Member: name(0), Signing: signing[:1]}, CodeMalformed},
		{"no role", OwnerToKeys{Member: Member{0, seq1.UID}, Signing: signing[:1]}, CodeMalformed},
		{"a role that is none", OwnerToKeys{Member: Member{Mediator + 1, seq1.UID}, Signing: signing[:1]}, CodeMalformed},
		{"every kind, also of later versions", NamespaceDelegation{Namespace: space("a"), Target: pub("b"), Kinds: math.MaxUint64}, "ok"},
	} {
		if r := c.mapping.check(); code(r) != c.want {
			t.Errorf("%s: %v, want %s", c.name, r, c.want)
		}
	}
}

// Every statement about a synchronizer is checked for its name.
func TestStatementsNameAGoodSynchronizer(t *testing.T) {
	bad := UID{"no name", owners.Namespace}
	p := DefaultParameters(synchronizer)
	p.Synchronizer = bad
	set := sequencers(1, seq1)
	set.Synchronizer = bad
	for _, m := range []Mapping{
		p, set, NewMediatorSet(bad, 0, 1, []Member{med1}, nil), MemberTrustCertificate{Synchronizer: bad, Member: par1},
		MemberDisabled{Synchronizer: bad, Member: par1}, NamespacePermission{Synchronizer: bad, Limits: DefaultLimits()},
	} {
		if r := m.check(); code(r) != CodeMalformed {
			t.Errorf("%s: %v", m.Kind(), r)
		}
	}
	for _, m := range []Mapping{
		MemberTrustCertificate{Synchronizer: synchronizer}, MemberDisabled{Synchronizer: synchronizer}, sequencers(1, Member{Role: Sequencer}),
		mediators(0, 1, Member{Role: Mediator}),
	} {
		if r := m.check(); code(r) != CodeMalformed {
			t.Errorf("%s of a member without a name: %v", m.Kind(), r)
		}
	}
}

// No owner of one synchronizer decides by a statement about another.
func TestStatementsAreAboutThisSynchronizer(t *testing.T) {
	other := UID{"other", owners.Namespace}
	s := newFounded(t, rules{})
	mustApply(t, s, began, signed(Add(1, keysOf(med1, "med1")), append(ownKeys(med1, "med1"), "carol")...))
	mustApply(t, s, began, signed(Add(1, keysOf(par2, "k")), append(ownKeys(par2, "k"), "alice")...))
	p := DefaultParameters(other)
	set := sequencers(1, seq1)
	set.Synchronizer = other
	for _, m := range []Mapping{
		p, set, NewMediatorSet(other, 0, 1, []Member{med1}, nil), MemberTrustCertificate{Synchronizer: other, Member: par2},
		MemberDisabled{Synchronizer: other, Member: par2}, NamespacePermission{Synchronizer: other, Limits: DefaultLimits()},
	} {
		if r := s.Check(began, signed(Add(1, m), "alice", "bob", "carol", "node of seq1")); code(r) != CodeWrongSynchronizer {
			t.Errorf("%s: %v", m.Kind(), r)
		}
	}
}

func TestAnyPriceMakesTrafficCost(t *testing.T) {
	if (Traffic{BaseAllowance: 1, Window: bft.Second}).Metered() {
		t.Error("without a price something costs")
	}
	for name, traffic := range map[string]Traffic{
		"write": {WriteCost: 1}, "read": {ReadCost: 1}, "event": {EventCost: 1}, "envelope": {EnvelopeCost: 1}, "recipient": {RecipientCost: 1},
	} {
		if !traffic.Metered() {
			t.Errorf("the price of %s costs nothing", name)
		}
	}
}
