// Package membership tells the sequencing state machine who is who: it answers the
// questions of [sequencing.Topology] from the signed statements of package topology.
//
// # A change of several transactions
//
// Each transaction of a change is judged by itself, in their order, so that one may
// rest on those before it. The change counts as accepted if one of them is; those
// that are refused change nothing. All or nothing would be worse: whoever sees the
// change of a newcomer, which is public before it is ordered, could order one of its
// transactions alone and so have the rest refused as a repetition. Who needs two
// statements to hold together finds that in package topology: a statement that rests
// on another is refused without it.
//
// A change with a transaction that says nothing sensible, or with a signature that is not genuine, is refused as a whole:
// who registers in earnest sends none, and to look for what is bad would take each sequencer several times as long.
//
// # Threads
//
// [Topology.Change] and whatever else changes the state must not run beside anything
// here. Questions may run beside each other. Answers about times from which on
// nothing accepted is still to come into force are remembered until the next change,
// because every request asks about its sender and its recipients. Who is active is known
// across changes, because every change is told to all of them.
package membership

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/synod-network/synod/bft/quorum"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Rules that no parameter of the topology sets.
const (
	// maxInFlight bounds the submissions of one member that are remembered.
	maxInFlight = 1 << 20
	// maxRecipients bounds the recipients of one submission.
	maxRecipients = 1 << 17
	// keepFor is how long past topologies are kept at least, in µs: a submission may be
	// built on one that old.
	keepFor = 60 * sequencing.Minute
)

// Topology answers from a state.
type Topology struct {
	state    *topology.State
	verifier *keys.BatchVerifier // which remembers no keys: a change seldom has those of the one before
	known    atomic.Pointer[answers]
	everyone *roster // as of the last change, nil before the first
	judged   func(Judgement)
}

// Judgement is what became of a change.
type Judgement struct {
	Change []byte // as it was ordered
	At     sequencing.Time
	// InForce is from when on everything is in force that was accepted up to this change.
	InForce sequencing.Time
	// Rejections has a rejection or nil for each transaction; it is empty if the change was refused as a whole.
	Rejections []*topology.Rejection
}

var _ sequencing.Topology = (*Topology)(nil)

// answers are those that hold from a time on. Only active members and groups with
// members are remembered, so that asking for others makes nothing grow.
type answers struct {
	from       topology.Time
	parameters sequencing.Parameters
	authority  sequencing.Authority
	members    sync.Map // sequencing.MemberID → sequencing.Standing
	groups     sync.Map // sequencing.Recipient → []sequencing.MemberID
}

// New returns the answers of a state, which it owns from now on.
func New(state *topology.State) *Topology {
	return &Topology{state: state, verifier: keys.NewBatchVerifier(0), judged: func(Judgement) {}}
}

// Judged has fn told of each change that the order comes to, before [Topology.Change] returns.
func (t *Topology) Judged(fn func(Judgement)) { t.judged = fn }

// State is what the answers come from.
func (t *Topology) State() *topology.State { return t.state }

// Prune forgets what was in force before a time; see [topology.State.Prune].
func (t *Topology) Prune(before sequencing.Time) { t.state.Prune(topology.Time(before)) }

// settled returns the remembered answers if they hold at a time, else nil.
func (t *Topology) settled(at sequencing.Time) *answers {
	if known := t.known.Load(); known != nil {
		if topology.Time(at) >= known.from {
			return known
		}
		return nil
	}
	from := t.state.Effective()
	view, err := t.state.Snapshot(topology.Time(at))
	if err != nil || topology.Time(at) < from {
		return nil
	}
	known := &answers{from: from, parameters: parameters(view), authority: authority(view)}
	t.known.CompareAndSwap(nil, known)
	return known
}

// Member implements [sequencing.Topology].
func (t *Topology) Member(id sequencing.MemberID, at sequencing.Time) (sequencing.Standing, bool) {
	known := t.settled(at)
	if known != nil {
		if standing, ok := known.members.Load(id); ok {
			return standing.(sequencing.Standing), true
		}
	}
	standing, ok := t.member(id, at)
	if ok && known != nil {
		known.members.Store(id, standing)
	}
	return standing, ok
}

func (t *Topology) member(id sequencing.MemberID, at sequencing.Time) (standing sequencing.Standing, ok bool) {
	m, err := topology.ParseMember(string(id))
	if err != nil {
		return standing, false
	}
	view, err := t.state.Snapshot(topology.Time(at))
	if err != nil || view.Status(m) != topology.Active {
		return standing, false
	}
	standing.Free, standing.Unread = m.Role == topology.Sequencer, m.Role == topology.Sequencer
	for _, k := range view.SigningKeys(m, keys.Protocol) {
		standing.Keys = append(standing.Keys, sequencing.Key(k))
	}
	return standing, true
}

// Group implements [sequencing.Topology]. A time before what is kept has no groups.
func (t *Topology) Group(r sequencing.Recipient, at sequencing.Time) []sequencing.MemberID {
	known := t.settled(at)
	if known != nil {
		if ids, ok := known.groups.Load(r); ok {
			return ids.([]sequencing.MemberID)
		}
	}
	view, err := t.state.Snapshot(topology.Time(at))
	if err != nil {
		return nil
	}
	var ids []sequencing.MemberID
	if r.Kind == sequencing.ToAll && t.everyone != nil && t.everyone.at <= view.At() {
		ids = t.everyone.follow(view).ids
	} else {
		ids = group(view, r)
	}
	if known != nil && len(ids) > 0 {
		known.groups.Store(r, ids)
	}
	return ids
}

// group names who is in a group. Whoever serves by a set is active: package topology takes neither keys nor standing from it.
func group(view topology.Snapshot, r sequencing.Recipient) (ids []sequencing.MemberID) {
	var members []topology.Member
	switch r.Kind {
	case sequencing.ToSequencers:
		for _, n := range view.Sequencers().Sequencers {
			members = append(members, n.Member)
		}
	case sequencing.ToMediatorGroup:
		g, _ := view.Mediators(topology.Group(r.Group))
		members = append(append(members, g.Active...), g.Observers...)
	case sequencing.ToAll:
		return newRoster(view).ids
	}
	for _, m := range members {
		ids = append(ids, sequencing.MemberID(m.String()))
	}
	return ids
}

// Authority implements [sequencing.Topology]: a quorum of the sequencers decides.
func (t *Topology) Authority(at sequencing.Time) sequencing.Authority {
	if known := t.settled(at); known != nil {
		return known.authority
	}
	view, err := t.state.Snapshot(topology.Time(at))
	if err != nil {
		return sequencing.Authority{Threshold: 1} // of nobody
	}
	return authority(view)
}

func authority(view topology.Snapshot) sequencing.Authority {
	members := group(view, sequencing.Recipient{Kind: sequencing.ToSequencers})
	return sequencing.Authority{Members: members, Threshold: max(1, quorum.Size(len(members)))}
}

// Parameters implements [sequencing.Topology].
func (t *Topology) Parameters(at sequencing.Time) sequencing.Parameters {
	if known := t.settled(at); known != nil {
		return known.parameters
	}
	view, err := t.state.Snapshot(topology.Time(at))
	if err != nil {
		return sequencing.Parameters{}
	}
	return parameters(view)
}

func parameters(view topology.Snapshot) sequencing.Parameters {
	p := view.Parameters()
	rules := sequencing.Parameters{
		MaxAhead: sequencing.Time(p.SequencingTimeTolerance), TopologyTolerance: keepFor,
		MaxBytes: int(p.MaxRequestSize), MaxRecipients: maxRecipients, MaxInFlight: maxInFlight,
	}
	if p.Traffic.Metered() {
		rules.Traffic = sequencing.TrafficRules{
			Refill: sequencing.Time(p.Traffic.Window), Base: p.Traffic.BaseAllowance,
			Event: p.Traffic.EventCost, Write: uint64(p.Traffic.WriteCost), Factor: uint64(p.Traffic.ReadCost),
			Envelope: uint64(p.Traffic.EnvelopeCost), Recipient: uint64(p.Traffic.RecipientCost),
		}
	}
	return rules
}

// Change implements [sequencing.Topology]; see the package comment.
func (t *Topology) Change(at sequencing.Time, encoded []byte) (accepted bool) {
	t.moveOn(topology.Time(at))
	judgement := Judgement{Change: encoded, At: at, Rejections: t.apply(at, encoded)}
	if accepted = slices.Contains(judgement.Rejections, nil); accepted {
		t.known.Store(nil)
	}
	judgement.InForce = sequencing.Time(t.state.Effective())
	t.judged(judgement)
	return accepted
}

// apply applies the transactions of a change, and returns what it made of each, nothing if the change is refused as a whole.
func (t *Topology) apply(at sequencing.Time, encoded []byte) []*topology.Rejection {
	list, err := Decode(encoded)
	if err != nil {
		return nil
	}
	signed, genuine := topology.VerifyAll(t.state.Network(), t.verifier.All, list...)
	if !genuine {
		return nil
	}
	rejections := make([]*topology.Rejection, len(signed))
	for i, tx := range signed {
		var inForce topology.Time
		if inForce, rejections[i] = t.state.Apply(topology.Time(at), tx); rejections[i] == nil {
			t.everyone.expect(inForce, t.state.Concerned(tx.Content().Mapping.Key()))
		}
	}
	return rejections
}

// moveOn has the roster show the time of a change. Of a time without a snapshot nothing is accepted either.
func (t *Topology) moveOn(at topology.Time) {
	view, err := t.state.Snapshot(at)
	switch {
	case err != nil:
	case t.everyone == nil:
		t.everyone = newRoster(view)
	case at > t.everyone.at:
		t.everyone = t.everyone.follow(view)
	}
}
