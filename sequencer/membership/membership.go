// Package membership tells the sequencing state machine who is who: it answers the
// questions of [sequencing.Topology] from the signed statements of package topology.
//
// Answers about times from the last change on are remembered until the next change,
// because every request asks about its sender and its recipients.
package membership

import (
	"encoding/binary"
	"errors"
	"fmt"
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
	// that old when it is sequenced.
	keepFor = 60 * sequencing.Minute
)

// Topology answers from a state. What changes the state must not run beside anything
// else; questions may run beside each other.
type Topology struct {
	state *topology.State
	// newest remembers answers for times from the last change on.
	newest atomic.Pointer[sync.Map] // sequencing.MemberID → sequencing.Standing
}

var _ sequencing.Topology = (*Topology)(nil)

// New returns the answers of a state, which it owns from now on.
func New(state *topology.State) *Topology {
	t := &Topology{state: state}
	t.newest.Store(&sync.Map{})
	return t
}

// State is what the answers come from.
func (t *Topology) State() *topology.State { return t.state }

func (t *Topology) at(at sequencing.Time) (topology.Snapshot, bool) {
	view, err := t.state.Snapshot(topology.Time(at))
	return view, err == nil
}

// Member implements [sequencing.Topology].
func (t *Topology) Member(id sequencing.MemberID, at sequencing.Time) (sequencing.Standing, bool) {
	settled := topology.Time(at) >= t.state.Effective()
	if settled {
		if known, ok := t.newest.Load().Load(id); ok {
			return known.(sequencing.Standing), true
		}
	}
	m, err := topology.ParseMember(string(id))
	view, ok := t.at(at)
	if err != nil || !ok || view.Status(m) != topology.Active {
		return sequencing.Standing{}, false
	}
	standing := sequencing.Standing{Free: m.Role == topology.Sequencer}
	for _, k := range view.SigningKeys(m, keys.Protocol) {
		standing.Keys = append(standing.Keys, sequencing.Key(k))
	}
	if settled {
		t.newest.Load().Store(id, standing)
	}
	return standing, true
}

// Group implements [sequencing.Topology].
func (t *Topology) Group(r sequencing.Recipient, at sequencing.Time) (ids []sequencing.MemberID) {
	view, ok := t.at(at)
	if !ok {
		return nil
	}
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
		members = view.Members()
	}
	for _, m := range members {
		if view.Status(m) == topology.Active {
			ids = append(ids, sequencing.MemberID(m.String()))
		}
	}
	return ids
}

// Authority implements [sequencing.Topology]: a quorum of the sequencers decides.
func (t *Topology) Authority(at sequencing.Time) sequencing.Authority {
	members := t.Group(sequencing.Recipient{Kind: sequencing.ToSequencers}, at)
	return sequencing.Authority{Members: members, Threshold: quorum.Size(len(members))}
}

// Parameters implements [sequencing.Topology].
func (t *Topology) Parameters(at sequencing.Time) sequencing.Parameters {
	view, ok := t.at(at)
	if !ok {
		return sequencing.Parameters{}
	}
	p := view.Parameters()
	rules := sequencing.Parameters{
		MaxAhead: sequencing.Time(p.SequencingTimeTolerance), TopologyTolerance: keepFor,
		MaxBytes: int(p.MaxRequestSize), MaxRecipients: maxRecipients, MaxInFlight: maxInFlight,
	}
	if p.Traffic.WriteCost > 0 || p.Traffic.ReadCost > 0 || p.Traffic.EventCost > 0 {
		rules.Traffic = sequencing.TrafficRules{
			Refill: sequencing.Time(p.Traffic.Window), Base: p.Traffic.BaseAllowance, Event: p.Traffic.EventCost, Factor: uint64(p.Traffic.ReadCost),
		}
	}
	return rules
}

// Change implements [sequencing.Topology]. Each transaction is judged by itself, in their
// order, so that one may rest on those before it; the change is accepted if one of them is.
func (t *Topology) Change(at sequencing.Time, encoded []byte) (accepted bool) {
	list, err := Decode(encoded)
	if err != nil {
		return false
	}
	for _, u := range list {
		signed, err := u.Verify(t.state.Network())
		if err != nil {
			continue
		}
		if _, rejection := t.state.Apply(topology.Time(at), signed); rejection == nil {
			accepted = true
		}
	}
	if accepted {
		t.newest.Store(&sync.Map{})
	}
	return accepted
}

// MaxTransactions bounds the transactions of one change.
const MaxTransactions = 64

// ErrMalformed says that bytes are no list of topology transactions.
var ErrMalformed = errors.New("no list of topology transactions")

// Encode returns the form in which topology transactions are ordered: their number, and
// each behind its length.
func Encode(transactions ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(transactions)))
	for _, t := range transactions {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(t))), t...)
	}
	return b
}

// Decode reads what [Encode] writes. The error matches [ErrMalformed].
func Decode(data []byte) ([]topology.UnverifiedTransaction, error) {
	if len(data) < 4 || binary.BigEndian.Uint32(data) == 0 || binary.BigEndian.Uint32(data) > MaxTransactions {
		return nil, fmt.Errorf("%w: want 1 to %d", ErrMalformed, MaxTransactions)
	}
	list := make([]topology.UnverifiedTransaction, binary.BigEndian.Uint32(data))
	rest := data[4:]
	for i := range list {
		if len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
			return nil, fmt.Errorf("%w: it ends early", ErrMalformed)
		}
		size := int(binary.BigEndian.Uint32(rest))
		u, err := topology.DecodeTransaction(rest[4 : 4+size])
		if err != nil {
			return nil, fmt.Errorf("%w: transaction %d: %w", ErrMalformed, i+1, err)
		}
		list[i], rest = u, rest[4+size:]
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("%w: bytes follow its end", ErrMalformed)
	}
	return list, nil
}
