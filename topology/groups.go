package topology

import (
	"slices"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// SequencerNode is a sequencer of the set. Where it is reached is not for the topology to say: addresses change without
// anybody's consent.
type SequencerNode struct {
	Member Member
	// Node is the key by which it orders; see [keys.Ordering].
	Node keys.PublicKey
}

// SequencerSet says who orders. The owners sign it, and each node key that is new in it agrees, see [Consent]. The order of
// the list is the order of the committee, from the next epoch on.
type SequencerSet struct {
	Synchronizer UID
	Sequencers   []SequencerNode
	// Threshold is how many sequencers must tell a client the same before it believes it, 1 to their number. One more than
	// the faults that the committee bears is safe, and no more is needed.
	Threshold uint16
}

// Kind implements [Mapping].
func (SequencerSet) Kind() Kind { return KindSequencerSet }

// Key implements [Mapping].
func (q SequencerSet) Key() Key { return sequencersKey(q.Synchronizer) }

func sequencersKey(synchronizer UID) Key { return keyOf(KindSequencerSet, synchronizer) }

func (q SequencerSet) check() *Rejection {
	if err := q.Synchronizer.check(); err != nil {
		return malformed("synchronizer %s: %v", q.Synchronizer, err)
	}
	if n := len(q.Sequencers); n == 0 || n > bft.MaxMembers {
		return malformed("%d sequencers: list 1 to %d", n, bft.MaxMembers)
	}
	members, nodes := map[Member]bool{}, map[keys.PublicKey]bool{}
	for _, n := range q.Sequencers {
		if r := checkServing(n.Member, Sequencer, members); r != nil {
			return r
		}
		if nodes[n.Node] {
			return rejected(CodeKeyReused, "node key %s is that of two sequencers: each orders by its own", n.Node.Fingerprint())
		}
		nodes[n.Node] = true
	}
	return checkThreshold(q.Threshold, len(q.Sequencers), "sequencers")
}

// checkServing judges one member of a list in which all have a role and stand once.
func checkServing(m Member, role Role, seen map[Member]bool) *Rejection {
	if err := m.check(); err != nil {
		return malformed("member %s: %v", m, err)
	}
	if m.Role != role {
		return malformed("member %s does not have the role %s: list another", m, role)
	}
	if seen[m] {
		return malformed("member %s is listed twice: list it once", m)
	}
	seen[m] = true
	return nil
}

func (q SequencerSet) encode(w *writer) {
	w.uid(q.Synchronizer)
	writeList(w, q.Sequencers, func(n SequencerNode) {
		w.member(n.Member)
		w.Bytes(n.Node[:])
	})
	w.U16(q.Threshold)
}

func decodeSequencerSet(r *reader) SequencerSet {
	return SequencerSet{
		Synchronizer: r.uid(),
		Sequencers: readList(r, bft.MaxMembers, sizeMember+32, func() SequencerNode {
			return SequencerNode{Member: r.member(), Node: r.bytes32()}
		}),
		Threshold: r.U16(),
	}
}

func (q SequencerSet) needs(c change) authority {
	return authority{namespaces: []Namespace{q.Synchronizer.Namespace}, nodes: q.unasked(c)}
}

func (q SequencerSet) answers() Namespace { return q.Synchronizer.Namespace }

func (q SequencerSet) admit(s *State, c change) *Rejection {
	if r := s.requireKept(q.Synchronizer, c); r != nil {
		return r
	}
	return s.requireServing(c, q.lists())
}

func (q SequencerSet) lists() []Member {
	all := make([]Member, len(q.Sequencers))
	for i, n := range q.Sequencers {
		all[i] = n.Member
	}
	return all
}

func (q SequencerSet) uses() []use {
	all := make([]use, len(q.Sequencers))
	for i, n := range q.Sequencers {
		all[i] = use{n.Node.Fingerprint(), keys.Ordering}
	}
	return all
}

// MaxMediators bounds the active mediators of a group, and its observers.
const MaxMediators = 64

// Group numbers the groups of mediators of a synchronizer.
type Group uint32

// MediatorSet says who is in a group of mediators. The owners sign it. A mediator is in one group.
type MediatorSet struct {
	Synchronizer UID
	Group        Group
	// Threshold is how many active mediators must agree on a verdict, 1 to their number.
	Threshold uint16
	Active    []Member // ascending
	// Observers receive what the group receives and have no say.
	Observers []Member // ascending
	plain
}

// NewMediatorSet sorts the members.
func NewMediatorSet(synchronizer UID, group Group, threshold uint16, active, observers []Member) MediatorSet {
	return MediatorSet{
		Synchronizer: synchronizer, Group: group, Threshold: threshold,
		Active:    slices.SortedFunc(slices.Values(active), Member.Compare),
		Observers: slices.SortedFunc(slices.Values(observers), Member.Compare),
	}
}

// Kind implements [Mapping].
func (MediatorSet) Kind() Kind { return KindMediatorSet }

// Key implements [Mapping].
func (m MediatorSet) Key() Key { return mediatorsKey(m.Synchronizer, m.Group) }

func mediatorsKey(synchronizer UID, g Group) Key { return keyOf(KindMediatorSet, synchronizer, g) }

// String returns the number in ten digits, so that groups sort by number in text too.
func (g Group) String() string {
	const width = 10
	digits := [width]byte{}
	for i := width - 1; i >= 0; i-- {
		digits[i] = byte('0' + g%10)
		g /= 10
	}
	return string(digits[:])
}

func (m MediatorSet) check() *Rejection {
	if err := m.Synchronizer.check(); err != nil {
		return malformed("synchronizer %s: %v", m.Synchronizer, err)
	}
	if len(m.Active) > MaxMediators || len(m.Observers) > MaxMediators || !ascending(m.Active, Member.Compare) || !ascending(m.Observers, Member.Compare) {
		return malformed("mediator group %d: list at most %d active mediators and %d observers, sorted, each once", uint32(m.Group), MaxMediators, MaxMediators)
	}
	seen := map[Member]bool{}
	for _, member := range m.lists() {
		if r := checkServing(member, Mediator, seen); r != nil {
			return r
		}
	}
	return checkThreshold(m.Threshold, len(m.Active), "active mediators")
}

func (m MediatorSet) encode(w *writer) {
	w.uid(m.Synchronizer)
	w.U32(uint32(m.Group))
	w.U16(m.Threshold)
	writeList(w, m.Active, w.member)
	writeList(w, m.Observers, w.member)
}

func decodeMediatorSet(r *reader) MediatorSet {
	return MediatorSet{
		Synchronizer: r.uid(),
		Group:        Group(r.U32()),
		Threshold:    r.U16(),
		Active:       readList(r, MaxMediators, sizeMember, r.member),
		Observers:    readList(r, MaxMediators, sizeMember, r.member),
	}
}

func (m MediatorSet) needs(change) authority {
	return authority{namespaces: []Namespace{m.Synchronizer.Namespace}}
}

func (m MediatorSet) answers() Namespace { return m.Synchronizer.Namespace }

func (m MediatorSet) admit(s *State, c change) *Rejection {
	if r := s.requireSynchronizer(m.Synchronizer); r != nil || c.removes() {
		return r
	}
	return s.requireServing(c, m.lists())
}

func (m MediatorSet) lists() []Member { return slices.Concat(m.Active, m.Observers) }
