package synchronizer

import (
	"errors"
	"slices"

	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Network names the network.
func (s *State) Network() sequencing.NetworkID { return s.cfg.Network }

// Time is that up to which everything can be read.
func (s *State) Time() sequencing.Time { return s.history.Position().Time }

// Position is how far the order was applied and can be read.
func (s *State) Position() sequencing.Position { return s.history.Position() }

// now is the time of the order, before the first block that of the founding. The caller holds the state.
func (s *State) now() sequencing.Time {
	return max(s.machine.Time(), sequencing.Time(s.members.State().Floor()))
}

// present is about when what comes now is sequenced. The time of the order stands still while nothing is ordered, and
// changes of the topology come into force meanwhile. The clock, which may be wrong, never counts behind the order. The caller
// holds the state.
func (s *State) present() sequencing.Time {
	return max(s.now(), sequencing.Time(s.cfg.Now().UnixMicro()))
}

// Check says what the rules would make of a submission that is genuinely signed with a key, were it
// sequenced now: its cost, and a [sequencing.Refusal] or nil.
//
// Who may send must hold both by the order's time and by the clock, if a change comes into force between: nobody hears that
// the order dropped a submission whose sender it does not know any more, or not yet. Of everything else the better one counts.
func (s *State) Check(submission *sequencing.Submission, key sequencing.Key) (cost uint64, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	cost, err = s.machine.Check(submission, key, s.now())
	settled := s.members.State().Effective() <= topology.Time(s.now())
	if err == nil && settled || unauthorised(err) {
		return cost, err
	}
	later, refused := s.machine.Check(submission, key, s.present())
	if err == nil && !unauthorised(refused) {
		return cost, nil
	}
	return later, refused
}

func unauthorised(err error) bool {
	var r sequencing.Refusal
	return errors.As(err, &r) && r.Code.Category() == sequencing.Unauthorised
}

// Member returns what is known of a registered member.
func (s *State) Member(id sequencing.MemberID) (sequencing.Member, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.machine.Member(id)
}

// Members calls yield for every registered member, by index, until it returns false. It holds the
// state meanwhile: yield must be quick.
func (s *State) Members(yield func(sequencing.Member) bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	s.machine.Members(yield)
}

// Traffic returns what a registered member may spend now, and what time that is.
func (s *State) Traffic(id sequencing.MemberID) (traffic sequencing.Traffic, now sequencing.Time, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	traffic, ok = s.machine.TrafficAt(id, s.now())
	return traffic, s.now(), ok
}

// Balances calls yield for every registered member, by index, with what it may spend now and whether it pays for nothing, until yield
// returns false. It holds the state meanwhile: yield must be quick. It returns by which rules, and what time it is.
func (s *State) Balances(yield func(m sequencing.Member, now sequencing.Traffic, free bool) bool) (sequencing.TrafficRules, sequencing.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at := s.now()
	s.machine.Members(func(m sequencing.Member) bool {
		traffic, _ := s.machine.TrafficAt(m.ID, at)
		standing, _ := s.members.Member(m.ID, at)
		return yield(m, traffic, standing.Free)
	})
	return s.members.Parameters(at).Traffic, at
}

// Onboarding calls yield for what each namespace but the owners' uses of what it may, until yield returns false. It holds the state
// meanwhile: yield must be quick. It returns how much is used of what the owners allow, and what time it is.
func (s *State) Onboarding(yield func(topology.Holding) bool) (topology.Usage, sequencing.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at := s.now()
	s.members.State().Holdings(topology.Time(at), yield)
	return s.members.State().Usage(topology.Time(at)), at
}

// Active reports whether a member is one now, registered or not yet.
func (s *State) Active(id sequencing.MemberID) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, active := s.members.Member(id, s.now())
	return active
}

// Deciders returns how many of those who decide on members' affairs now hold one of the keys, and how
// many must.
func (s *State) Deciders(by []sequencing.Key) (have, needed int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at := s.now()
	authority := s.members.Authority(at)
	for _, id := range authority.Members {
		standing, active := s.members.Member(id, at)
		if active && slices.ContainsFunc(standing.Keys, func(k sequencing.Key) bool { return slices.Contains(by, k) }) {
			have++
		}
	}
	return have, max(1, authority.Threshold)
}

// Topology lets view read who is who now. It holds the state meanwhile: view must be quick, and keep
// nothing.
func (s *State) Topology(view func(topology.Snapshot)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if p, err := s.members.State().Snapshot(topology.Time(s.now())); err == nil {
		view(p) // the present is never pruned
	}
}

// Settled names the topology as it is now: the time since which it is so. It is 0 while a change was accepted that is not
// in force yet. What [State.Topology] shows is the same as long as Settled is, and not 0.
func (s *State) Settled() sequencing.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if at := sequencing.Time(s.members.State().Effective()); at <= s.now() {
		return at
	}
	return 0
}

// ComingTopology is [State.Topology] as it will be once everything is in force that was accepted.
func (s *State) ComingTopology(view func(topology.Snapshot)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	at := max(s.members.State().Effective(), topology.Time(s.now()))
	if p, err := s.members.State().Snapshot(at); err == nil {
		view(p)
	}
}

// TopologySerial is the serial of the last change of what a key names, 0 if there was none.
func (s *State) TopologySerial(key topology.Key) topology.Serial {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.members.State().Serial(key)
}

// CheckTopology says for each topology transaction why it would be refused now, if they were sequenced
// one after the other. If one would be, but none by rules that were accepted and are not in force yet, inForce is when they
// will be; it is 0 otherwise.
func (s *State) CheckTopology(list ...topology.SignedTransaction) (rejections []*topology.Rejection, inForce sequencing.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	state, at := s.members.State(), topology.Time(s.present())
	rejections = state.CheckAll(at, list...)
	if coming := state.Effective(); coming > at && refused(rejections) && !refused(state.CheckAll(coming, list...)) {
		return rejections, sequencing.Time(coming)
	}
	return rejections, 0
}

// refused reports whether a transaction is refused for another reason than that it is accepted already.
func refused(rejections []*topology.Rejection) bool {
	return slices.ContainsFunc(rejections, func(r *topology.Rejection) bool { return r != nil && r.Code != topology.CodeAlreadyApplied })
}

// TopologyChanged is the sequencing time of the last accepted topology transaction.
func (s *State) TopologyChanged() sequencing.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return sequencing.Time(s.members.State().Sequenced())
}

// EncodeTopology returns the topology as a newcomer needs it, which [topology.DecodeState] reads, its
// digest, and the time that it is of.
func (s *State) EncodeTopology() (encoded []byte, digest topology.Digest, at sequencing.Time, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	encoded, err = s.members.State().Encode(s.horizon())
	return encoded, s.members.State().Digest(), s.now(), err
}

// Read returns a member's events; see [sequencing.History].
func (s *State) Read(member sequencing.Index, after sequencing.Time, limit sequencing.Limit) ([]sequencing.Delivery, sequencing.Time, error) {
	return s.history.Read(member, after, limit)
}

// Recipients tells a member who got what it got; see [sequencing.History].
func (s *State) Recipients(member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error) {
	return s.history.Recipients(member, at, set)
}

// PruningPoint is the time up to which no active member needs events any more.
func (s *State) PruningPoint() sequencing.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.machine.PruningPoint()
}

// Pruned is the time up to which events are gone, 0 if none are.
func (s *State) Pruned() sequencing.Time { return s.history.Pruned() }

// Prune drops events up to a time, which must not be above the pruning point: the error then matches
// [sequencing.ErrNeeded]. One call at a time.
func (s *State) Prune(upTo sequencing.Time) error { return s.history.Prune(upTo, s.PruningPoint()) }
