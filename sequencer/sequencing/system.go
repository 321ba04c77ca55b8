package sequencing

import "slices"

// acknowledge carries out an acknowledgement: it only ever moves up, and not
// beyond the present.
func (m *Machine) acknowledge(out *Output, a *Acknowledgement, key Key) Refusal {
	_, index, refusal := m.authenticate(m.newCast(), a.Member, key)
	if refusal.Code != 0 {
		return refusal
	}
	last := m.time - 1 // of one that joins now
	if int(index) < m.members.count {
		last = m.members.at(index).acknowledged
	}
	if (a.UpTo <= last && !m.broken(faultAcknowledgeBack)) || a.UpTo > m.time {
		return Refusal{StaleAcknowledgment, string(a.Member)}
	}
	m.join(out)
	m.members.change(index).acknowledged = a.UpTo
	return Refusal{}
}

// changeTopology hands transactions to the topology, and tells every member of
// those that it accepts.
func (m *Machine) changeTopology(out *Output, t *TopologyChange) Refusal {
	if !m.topology.Change(m.time, t.Transactions) {
		return Refusal{Code: TopologyRefused}
	}
	c := m.newCast()
	var all []Index
	for _, id := range m.topology.Group(Recipient{Kind: ToAll}, m.time) {
		all = c.appendActive(all, id)
	}
	slices.Sort(all)
	m.join(out)
	m.publish(out, Record{Time: m.time, Kind: TopologyChanged, Sender: Nobody, Topology: t.Transactions, Sets: [][]Index{all}})
	return Refusal{}
}

// purchase sets what a member has bought in all.
func (m *Machine) purchase(out *Output, p *TrafficPurchase, keys []Key) Refusal {
	index, refusal := m.decided(p.Member, keys)
	if refusal.Code != 0 {
		return refusal
	}
	if int(index) < m.members.count && p.Serial <= m.members.at(index).traffic.Serial && !m.broken(faultOldSerial) || p.Serial == 0 {
		return Refusal{StaleSerial, string(p.Member)}
	}
	m.join(out)
	traffic := &m.members.change(index).traffic
	traffic.Serial, traffic.Purchased = p.Serial, p.Total
	return Refusal{}
}

// disable shuts a member out.
func (m *Machine) disable(out *Output, d *Disable, keys []Key) Refusal {
	index, refusal := m.decided(d.Member, keys)
	if refusal.Code != 0 {
		return refusal
	}
	m.join(out)
	m.members.change(index).disabled = true
	return Refusal{}
}

// decided checks that a threshold of those who decide signed a request about a
// member, and finds the member: a registered one, or an active one, which joins
// if the request is carried out.
func (m *Machine) decided(about MemberID, keys []Key) (Index, Refusal) {
	authority, have := m.topology.Authority(m.time), 0
	for i, id := range authority.Members {
		standing, active := m.topology.Member(id, m.time)
		signed := func(key Key) bool { return slices.Contains(keys, key) }
		if active && !slices.Contains(authority.Members[:i], id) && slices.ContainsFunc(standing.Keys, signed) {
			have++
		}
	}
	if needed := max(1, authority.Threshold); have < needed && !(have == 1 && m.broken(faultLonePurchase)) {
		return Nobody, Refusal{Code: NotAuthorised}
	}
	c := m.newCast()
	if index, ok := m.members.find(about); ok {
		return index, Refusal{}
	}
	if _, active := m.topology.Member(about, m.time); !active {
		return Nobody, Refusal{UnknownMember, string(about)}
	}
	return c.index(about), Refusal{}
}
