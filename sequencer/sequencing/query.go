package sequencing

// Member is what the state holds about a member.
type Member struct {
	Index Index
	ID    MemberID
	// Registered is when the member first took part, Last when its last event
	// was, 0 for none, Acknowledged up to when it needs its events no more.
	Registered, Last, Acknowledged Time
	Disabled                       bool
	// Traffic is what it may spend, as of the last change.
	Traffic Traffic
	// InFlight is how many of its submissions are remembered.
	InFlight int
}

// Member returns what is known of a registered member.
func (m *Machine) Member(id MemberID) (Member, bool) {
	i, ok := m.members.find(id)
	if !ok {
		return Member{}, false
	}
	return m.member(i), true
}

func (m *Machine) member(i Index) Member {
	s := m.members.at(i)
	return Member{Index: i, ID: s.id, Registered: s.registered, Last: s.last, Acknowledged: s.acknowledged,
		Disabled: s.disabled, Traffic: s.traffic, InFlight: m.inflight.of(i)}
}

// Members yields every registered member by index, from 0.
func (m *Machine) Members(yield func(Member) bool) {
	for i := range Index(m.members.count) {
		if !yield(m.member(i)) {
			return
		}
	}
}

// TrafficAt returns what a registered member may spend at a time.
func (m *Machine) TrafficAt(id MemberID, at Time) (Traffic, bool) {
	i, ok := m.members.find(id)
	if !ok {
		return Traffic{}, false
	}
	return m.trafficOf(i, m.topology.Parameters(at).bounded().Traffic, at), true
}

// Check says what the rules would make of a submission that is genuinely signed
// with key, were it sequenced at the given time: what it would be charged, and a
// [Refusal] or nil. It is the check before ordering and the same code as that
// after it. It changes nothing; any number may run beside each other, but not
// beside [Machine.Apply].
func (m *Machine) Check(s *Submission, key Key, at Time) (cost uint64, err error) {
	if s.sealed.digest == (Digest{}) {
		s.digest(m.network, newHasher())
	}
	c := &cast{machine: m, now: at, rules: m.topology.Parameters(at).bounded()}
	j := m.judge(c, s, key)
	if j.refusal.Code != 0 {
		return j.cost, j.refusal
	}
	return j.cost, nil
}

// PruningPoint is the time up to which nobody needs events any more: the lowest
// acknowledgement of the members that are active now and not shut out. One that
// never acknowledged counts from just before its registration. It walks all
// members.
func (m *Machine) PruningPoint() Time {
	lowest := m.time
	for i := range Index(m.members.count) {
		s := m.members.at(i)
		if s.disabled && !m.broken(faultDisabledHoldsBack) || s.acknowledged >= lowest {
			continue
		}
		if standing, active := m.topology.Member(s.id, m.time); active && !standing.Unread {
			lowest = s.acknowledged
		}
	}
	return lowest
}
