package topology

import (
	"errors"
	"slices"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// ErrPruned is returned for a time before the last pruning, or before the network began. Only a node that kept more can
// answer.
var ErrPruned = errors.New("topology: that time is pruned, or before the network began")

// Snapshot is the topology in force at one time. It reads the state that it is of, and must not be used after the state
// was pruned beyond its time. Applying transactions of later sequencing times does not change what it answers. What it
// returns is shared: do not modify it.
type Snapshot struct {
	state *State
	at    Time
}

// Snapshot returns the topology in force at a time, changes that came into force at this very time included.
func (s *State) Snapshot(at Time) (Snapshot, error) {
	if !s.founded || at < s.floor {
		return Snapshot{}, ErrPruned
	}
	return Snapshot{s, at}, nil
}

// inForce returns the mapping that a key had at a time.
func inForce[M Mapping](s *State, key Key, at Time) (m M, ok bool) {
	h, known := s.histories.get(key)
	if !known {
		return m, false
	}
	v := h.at(at)
	if v == nil || v.removed {
		return m, false
	}
	m, ok = v.mapping.(M)
	return m, ok
}

// At returns the time of the snapshot.
func (p Snapshot) At() Time { return p.at }

// Synchronizer returns the synchronizer.
func (p Snapshot) Synchronizer() UID { return p.state.synchronizer }

// Parameters returns the parameters.
func (p Snapshot) Parameters() SynchronizerParameters {
	m, _ := inForce[SynchronizerParameters](p.state, parametersKey(p.state.synchronizer), p.at)
	return m
}

// Sequencers returns the sequencers in the order of the committee, and the threshold.
func (p Snapshot) Sequencers() SequencerSet {
	m, _ := inForce[SequencerSet](p.state, sequencersKey(p.state.synchronizer), p.at)
	return m
}

// Committee returns the keys by which the sequencers order, in the order of the set. A sequencer counts once it is ready:
// it says so itself, by its trust certificate, when it has caught up. Owners who list one that never comes cost nothing.
func (p Snapshot) Committee() (committee []bft.PublicKey) {
	for _, n := range p.Sequencers().Sequencers {
		if p.Ready(n.Member) {
			committee = append(committee, bft.PublicKey(n.Node))
		}
	}
	return committee
}

// Ready reports whether a member has said that it takes part.
func (p Snapshot) Ready(m Member) bool {
	_, ok := inForce[MemberTrustCertificate](p.state, certificateKey(p.state.synchronizer, m), p.at)
	return ok
}

// Mediators returns a group of mediators.
func (p Snapshot) Mediators(g Group) (MediatorSet, bool) {
	return inForce[MediatorSet](p.state, mediatorsKey(p.state.synchronizer, g), p.at)
}

// MediatorGroups returns all groups of mediators, by number, as their keys sort.
func (p Snapshot) MediatorGroups() []MediatorSet {
	var groups []MediatorSet
	p.each(KindMediatorSet, func(m Mapping) { groups = append(groups, m.(MediatorSet)) })
	return groups
}

// each calls fn for all mappings of a kind, by key.
func (p Snapshot) each(kind Kind, fn func(Mapping)) {
	first, _ := slices.BinarySearchFunc(p.state.order, Key{Kind: kind}, Key.Compare)
	for _, key := range p.state.order[first:] {
		if key.Kind != kind {
			return
		}
		if v := p.state.histories.at(key).at(p.at); v != nil && !v.removed {
			fn(v.mapping)
		}
	}
}

// Members returns all members with keys, disabled ones too, in order.
func (p Snapshot) Members() []Member {
	var members []Member
	p.each(KindOwnerToKeys, func(m Mapping) { members = append(members, m.(OwnerToKeys).Member) })
	slices.SortFunc(members, Member.Compare)
	return members
}

// Permission returns the owners' permission for a namespace.
func (p Snapshot) Permission(n Namespace) (NamespacePermission, bool) {
	return inForce[NamespacePermission](p.state, permissionKey(p.state.synchronizer, n), p.at)
}

// Status is what a member is to the network.
type Status uint8

// The statuses.
const (
	// Unknown members have no keys.
	Unknown Status = iota
	// Known members have keys and do not take part.
	Known
	// Active members take part: participants with a trust certificate, sequencers and mediators in a set.
	Active
	// Disabled members were put out of action by the owners.
	Disabled
)

// String returns the status in lower case.
func (s Status) String() string {
	return [...]string{"unknown", "known", "active", "disabled"}[s%4]
}

// Status returns what the member is.
func (p Snapshot) Status(m Member) Status {
	if _, known := p.keysOf(m); !known {
		return Unknown
	}
	if _, disabled := inForce[MemberDisabled](p.state, disabledKey(p.state.synchronizer, m), p.at); disabled {
		return Disabled
	}
	if p.takesPart(m) {
		return Active
	}
	return Known
}

func (p Snapshot) takesPart(m Member) bool {
	switch m.Role {
	case Sequencer:
		return slices.ContainsFunc(p.Sequencers().Sequencers, func(n SequencerNode) bool { return n.Member == m })
	case Mediator:
		return slices.ContainsFunc(p.MediatorGroups(), func(g MediatorSet) bool { return slices.Contains(g.lists(), m) })
	default:
		return p.Ready(m)
	}
}

// concerned are the members whose status rests on a mapping.
func concerned(m Mapping) []Member {
	switch m := m.(type) {
	case OwnerToKeys:
		return []Member{m.Member}
	case MemberTrustCertificate:
		return []Member{m.Member}
	case MemberDisabled:
		return []Member{m.Member}
	}
	return m.lists()
}

func (p Snapshot) keysOf(m Member) (OwnerToKeys, bool) {
	return inForce[OwnerToKeys](p.state, ownerKey(m), p.at)
}

// SigningKeys returns the keys of a member that sign for a purpose, in order; none of an unknown member. Those of a disabled
// member are returned too: whoever must not believe it asks for its status.
func (p Snapshot) SigningKeys(m Member, purpose keys.Purpose) []keys.PublicKey {
	owned, _ := p.keysOf(m)
	var list []keys.PublicKey
	for _, k := range owned.Signing {
		if k.Purpose == purpose {
			list = append(list, k.Key)
		}
	}
	return list
}

// EncryptionKeys returns the keys with which to encrypt for a member, in order; none of an unknown member.
func (p Snapshot) EncryptionKeys(m Member) []keys.EncryptionKey {
	owned, _ := p.keysOf(m)
	return owned.Encryption
}
