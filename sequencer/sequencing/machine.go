package sequencing

import (
	"errors"
	"fmt"

	"github.com/synod-network/synod/ordering"
)

// ErrBrokenOrder says that a block does not follow the last one, in height or in
// time. Whoever sees it must stop: the orderer's promise is broken, or the state
// is not that of the order.
var ErrBrokenOrder = errors.New("the block does not follow the state")

// Machine is the state of a network after some block of its order. It belongs to
// one goroutine; methods that change nothing may run beside each other.
type Machine struct {
	network  NetworkID
	topology Topology

	height   ordering.Height
	time     Time
	chain    Digest // of all records
	members  *members
	inflight *inflight

	scratch cast
	keys    []Key
	w       writer
	fault   fault
}

// New returns the state before the first block.
func New(network NetworkID, topology Topology) *Machine {
	m := &Machine{network: network, topology: topology, members: newMembers(), inflight: newInflight()}
	m.scratch.machine = m
	return m
}

// Height is that of the last block applied.
func (m *Machine) Height() ordering.Height { return m.height }

// Time is the last time processed, 0 before the first block: whatever has a
// sequencing time up to it is known.
func (m *Machine) Time() Time { return m.time }

// Digest stands for the whole state: equal digests mean equal states, and equal
// records delivered on the way to them. It hashes at most 1024 members, and a
// digest for each chunk of the state.
func (m *Machine) Digest() Digest { return m.manifest().Digest() }

// Apply carries out the next block. The error matches [ErrBrokenOrder], and the
// state is then as before.
func (m *Machine) Apply(b *Block) (*Output, error) {
	u := b.checked
	if u.height != m.height+1 {
		return nil, fmt.Errorf("apply block %d after block %d: %w", u.height, m.height, ErrBrokenOrder)
	}
	if u.time <= m.time {
		return nil, fmt.Errorf("apply block %d of time %d after time %d: %w", u.height, u.time, m.time, ErrBrokenOrder)
	}
	out := &Output{Height: u.height, Time: u.last, Bytes: u.bytes, FirstJoined: Index(m.members.count), Records: make([]Record, 0, len(u.requests))}
	m.inflight.expire(u.time)
	for i := range u.requests {
		m.time = u.requests[i].time
		m.carryOut(out, b, &u.requests[i])
	}
	m.height, m.time = u.height, u.last
	out.Chain = m.chain
	m.members.settle(false)
	return out, nil
}

// carryOut applies one request at its time.
func (m *Machine) carryOut(out *Output, b *Block, p *placed) {
	if p.Body == nil {
		out.drop(m.time, Refusal{Code: Malformed})
		return
	}
	m.keys = b.genuine(p, m.keys[:0])
	if len(p.Signatures) > 0 && len(m.keys) == 0 {
		out.drop(m.time, Refusal{Code: BadSignature})
		return
	}
	var refusal Refusal
	switch body := p.Body.(type) {
	case *Submission:
		refusal = m.sequence(out, body, p.Signatures[0])
	case *Acknowledgement:
		refusal = m.acknowledge(out, body, m.keys[0])
	case *TopologyChange:
		refusal = m.changeTopology(out, body)
	case *TrafficPurchase:
		refusal = m.purchase(out, body, m.keys)
	case *Disable:
		refusal = m.disable(out, body, m.keys)
	}
	if refusal.Code != 0 {
		out.drop(m.time, refusal)
	}
}

func (o *Output) drop(at Time, r Refusal) { o.Dropped = append(o.Dropped, Drop{Time: at, Refusal: r}) }

// sequence carries out a submission. It returns a refusal of which nobody hears.
func (m *Machine) sequence(out *Output, s *Submission, signed KeySignature) Refusal {
	j := m.judge(m.newCast(), s, signed.Key)
	if j.refusal.Code != 0 && !j.refusal.Code.Delivered() {
		return j.refusal
	}
	if j.refusal.Code != 0 || j.contributes { // recipients do not join for a batch that they do not get
		m.scratch.keepOnly(j.sender)
	}
	m.join(out)
	m.spend(j.sender, j.cost)

	r := Record{Time: m.time, Kind: Delivered, Sender: j.sender, Submission: s, Refusal: j.refusal, Cost: j.cost}
	e := entry{sender: j.sender, maxTime: s.MaxTime, key: s.sealed.key, print: s.print()}
	if m.broken(faultForgetEarly) {
		e.maxTime -= (s.MaxTime - m.time) / 2
	}
	switch {
	case j.duplicate:
		r.Kind, e.key = Refused, e.print
	case j.refusal.Code != 0:
		r.Kind = Refused
	case s.Aggregation != nil:
		e.contribution = &contribution{content: s.sealed.content, threshold: uint16(s.Aggregation.Threshold), message: s.Message, cost: s.Cost, signature: signed}
	}
	m.inflight.add(e)
	switch {
	case j.refusal.Code != 0:
	case j.contributes:
		r.Kind = Contributed
	default:
		r.Sets = j.sets
		r.Signers = m.signersOf(s, signed)
	}
	m.publish(out, r)
	return Refusal{}
}

// signersOf returns who signed a batch that is delivered now.
func (m *Machine) signersOf(s *Submission, signed KeySignature) []Signer {
	if s.Aggregation == nil {
		return []Signer{{Sender: s.Sender, Message: s.Message, Cost: s.Cost, Key: signed.Key, Signature: signed.Signature}}
	}
	var signers []Signer
	for _, c := range m.inflight.aggregations[s.sealed.content].signers {
		signers = append(signers, Signer{Sender: m.members.at(c.sender).id, Message: c.message, Cost: c.cost,
			Key: c.signature.Key, Signature: c.signature.Signature})
	}
	return signers
}

// publish gives everyone concerned an event, and appends the record.
func (m *Machine) publish(out *Output, r Record) {
	most := 1
	for _, set := range r.Sets {
		most += len(set)
	}
	r.Events = make([]Event, 0, most)
	if r.Sender != Nobody {
		r.Events = m.event(r.Events, r.Sender)
	}
	for _, set := range r.Sets {
		for _, member := range set {
			r.Events = m.event(r.Events, member)
		}
	}
	m.chain = r.link(m.chain, &m.w)
	out.Records = append(out.Records, r)
}

// event gives a member an event now, unless it has one.
func (m *Machine) event(events []Event, i Index) []Event {
	if m.members.at(i).last == m.time && !m.broken(faultTwoEvents) {
		return events
	}
	member := m.members.change(i)
	e := Event{Member: i, Previous: member.last}
	if m.broken(faultPreviousSkipped) && len(events) > 1 {
		e.Previous = 0
	}
	member.last = m.time
	return append(events, e)
}

// newCast prepares the judgement of one request.
func (m *Machine) newCast() *cast {
	c := &m.scratch
	c.clear()
	c.now, c.resolved, c.sets = m.time, 0, nil
	c.rules = m.topology.Parameters(m.time).bounded()
	return c
}

// join registers the newcomers of the request that was just accepted.
func (m *Machine) join(out *Output) {
	if len(m.scratch.newcomers) == 0 {
		return
	}
	for _, id := range m.scratch.newcomers {
		m.members.add(memberState{id: id, registered: m.time, acknowledged: m.time - 1,
			traffic: Traffic{Base: m.scratch.rules.Traffic.Base, Updated: m.time}})
		out.Joined = append(out.Joined, id)
	}
	m.scratch.clear()
}

// spend charges a member.
func (m *Machine) spend(i Index, cost uint64) {
	if cost == 0 || m.broken(faultNoCharge) {
		return
	}
	t := &m.members.change(i).traffic
	if m.broken(faultRefillTwice) {
		t.Updated -= (m.time - t.Updated) / 2
	}
	t.refill(m.scratch.rules.Traffic, m.time)
	t.charge(cost)
}

// manifest describes the state.
func (m *Machine) manifest() Manifest {
	m.members.settle(true)
	manifest := Manifest{Network: m.network, Height: m.height, Time: m.time, Records: m.chain}
	for _, p := range m.members.pages {
		manifest.Members = append(manifest.Members, p.tree.root())
	}
	for c := range m.inflight.all {
		manifest.InFlight = append(manifest.InFlight, c.sum())
	}
	return manifest
}
