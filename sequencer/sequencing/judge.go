package sequencing

import (
	"slices"
	"strconv"
)

// judgement is what the rules say of one submission. Reaching it changes
// nothing, so that the check before ordering is the same code.
type judgement struct {
	refusal Refusal // zero Code: accepted
	sender  Index   // may be provisional, see cast
	cost    uint64  // to be charged
	sets    [][]Index
	// contributes is set when the aggregation lacks further senders.
	contributes bool
	// duplicate is set when the message id is taken by another submission.
	duplicate bool
}

// cast gives members their index while a request is judged. Those that are not
// registered get the indices that they will have if it is accepted.
type cast struct {
	machine   *Machine
	now       Time
	rules     Parameters // in force now
	newcomers []MemberID
	joining   map[MemberID]Index // newcomers by name, only ever looked up
	resolved  int
	sets      [][]Index
}

// judge applies the rules to a submission that is genuinely signed with key, as
// if it were sequenced now.
func (m *Machine) judge(c *cast, s *Submission, key Key) judgement {
	now := c.now
	standing, sender, refusal := m.authenticate(c, s.Sender, key)
	if refusal.Code != 0 {
		return judgement{refusal: refusal}
	}
	rules := c.rules
	j := judgement{sender: sender}
	if code := m.fresh(s, sender, rules, now); code != 0 {
		j.refusal = Refusal{Code: code}
		if code == TooManyInFlight {
			j.refusal.Detail = string(s.Sender)
		}
		if j.duplicate = code == DuplicateMessage; !j.duplicate {
			return j
		}
	}
	metered := rules.Traffic.metered() && !standing.Free
	var left uint64
	if metered {
		left = m.trafficOf(sender, rules.Traffic, now).Left()
		if j.cost = rules.Traffic.Event; left < j.cost {
			return judgement{refusal: Refusal{CannotPay, string(s.Sender)}}
		}
	}
	if j.refusal.Code == 0 {
		j.refusal = m.admissible(c, s, rules)
	}
	if j.refusal.Code == 0 {
		j.sets = c.sets
		j.contributes, j.refusal = m.gather(s, sender)
	}
	if j.refusal.Code == 0 && metered {
		m.price(&j, s, rules.Traffic, left)
	}
	return j
}

// authenticate finds the member that signed a request with key.
func (m *Machine) authenticate(c *cast, id MemberID, key Key) (Standing, Index, Refusal) {
	standing, active := m.topology.Member(id, c.now)
	if !active {
		return standing, Nobody, Refusal{UnknownMember, string(id)}
	}
	if !slices.Contains(standing.Keys, key) && !m.broken(faultAnyKey) {
		return standing, Nobody, Refusal{UnknownKey, string(id)}
	}
	index := c.index(id)
	if m.shutOut(index) {
		return standing, Nobody, Refusal{Disabled, string(id)}
	}
	return standing, index, Refusal{}
}

func (m *Machine) shutOut(i Index) bool {
	return int(i) < m.members.count && m.members.at(i).disabled && !m.broken(faultDisabledTakePart)
}

// fresh checks the times, and that the submission is not a repetition.
func (m *Machine) fresh(s *Submission, sender Index, rules Parameters, now Time) Code {
	switch {
	case s.MaxTime < now && !m.broken(faultExpiredPass):
		return Expired
	case s.MaxTime > now+rules.MaxAhead:
		return TooFarAhead
	}
	earlier, taken := m.inflight.lookup(s.sealed.key, now)
	if m.broken(faultNoDeduplication) {
		taken = false
	}
	if taken && earlier.print == s.print() {
		return Replayed
	}
	// One that was refused as a duplicate is remembered under its own print.
	if _, refused := m.inflight.lookup(s.print(), now); refused && !m.broken(faultRefusedPasses) {
		return Replayed
	}
	if m.inflight.of(sender) >= rules.MaxInFlight {
		return TooManyInFlight
	}
	if taken {
		return DuplicateMessage
	}
	return 0
}

// print tells one signed submission from another.
func (s *Submission) print() (k inflightKey) {
	copy(k[:], s.sealed.digest[:])
	return k
}

// admissible checks size and topology time, and resolves the recipients.
func (m *Machine) admissible(c *cast, s *Submission, rules Parameters) Refusal {
	size := 0
	for _, e := range s.Envelopes {
		size += len(e.Payload)
	}
	switch {
	case size > rules.MaxBytes:
		return Refusal{Code: TooLarge}
	case s.TopologyTime > c.now:
		return Refusal{Code: TopologyTimeAhead}
	case s.TopologyTime != 0 && s.TopologyTime < c.now-rules.TopologyTolerance:
		return Refusal{Code: TopologyTimeTooOld}
	}
	for _, set := range s.Sets {
		if refusal := c.resolve(set, s.TopologyTime, rules.MaxRecipients); refusal.Code != 0 {
			return refusal
		}
	}
	return Refusal{}
}

// gather checks the aggregation rule. It reports whether the submission only
// contributes, because the threshold is not reached with it.
func (m *Machine) gather(s *Submission, sender Index) (contributes bool, r Refusal) {
	rule := s.Aggregation
	if rule == nil {
		return false, Refusal{}
	}
	if _, eligible := slices.BinarySearch(rule.Eligible, s.Sender); !eligible {
		return false, Refusal{NotEligible, string(s.Sender)}
	}
	a := m.inflight.aggregations[s.sealed.content]
	switch {
	case a.delivered() && !m.broken(faultAggregateAgain):
		return false, Refusal{Code: AlreadySent}
	case a.has(sender) && !m.broken(faultContributeTwice):
		return false, Refusal{Code: AlreadyContributed}
	}
	have := 1
	if a != nil {
		have += len(a.signers)
	}
	if m.broken(faultAggregateEarly) {
		have++
	}
	return have < rule.Threshold, Refusal{}
}

// price finds what is to be charged, and refuses what is not paid for. A refusal
// costs the event alone.
func (m *Machine) price(j *judgement, s *Submission, rules TrafficRules, left uint64) {
	cost := rules.costOf(s, func(set int) int { return len(j.sets[set]) })
	switch {
	case s.Cost < cost:
		j.refusal = Refusal{CostTooLow, strconv.FormatUint(cost, 10)}
	case left < cost && !m.broken(faultOverdraw):
		j.refusal = Refusal{TrafficExhausted, strconv.FormatUint(cost, 10)}
	default:
		j.cost = cost
	}
}

// trafficOf returns what a member, perhaps a newcomer, may spend now.
func (m *Machine) trafficOf(i Index, rules TrafficRules, now Time) Traffic {
	if int(i) >= m.members.count {
		return Traffic{Base: rules.Base, Updated: now}
	}
	t := m.members.at(i).traffic
	t.refill(rules, now)
	return t
}

// index returns the index of an active member.
func (c *cast) index(id MemberID) Index {
	if i, ok := c.machine.members.find(id); ok {
		return i
	}
	i, ok := c.joining[id]
	if !ok {
		if c.joining == nil {
			c.joining = map[MemberID]Index{}
		}
		i = Index(c.machine.members.count + len(c.newcomers))
		c.newcomers = append(c.newcomers, id)
		c.joining[id] = i
	}
	return i
}

// clear forgets the newcomers.
func (c *cast) clear() {
	if len(c.joining) > 0 {
		clear(c.joining)
	}
	c.newcomers = c.newcomers[:0]
}

// keepOnly lets nobody join but the sender, if it is a newcomer: authenticate
// then gave it the first index.
func (c *cast) keepOnly(sender Index) {
	c.newcomers = c.newcomers[:max(0, int(sender)-c.machine.members.count+1)]
}

// resolve appends the members of a recipient set, ascending, each once.
func (c *cast) resolve(set RecipientSet, topologyTime Time, limit int) Refusal {
	var resolved []Index
	for _, recipient := range set {
		before := len(resolved)
		if recipient.Kind == ToMember {
			resolved = c.append(resolved, recipient.Member)
		} else {
			at := topologyTime
			if at == 0 || c.machine.broken(faultGroupsNow) {
				at = c.now
			}
			for _, id := range c.machine.topology.Group(recipient, at) {
				if at == c.now {
					resolved = c.appendActive(resolved, id)
				} else {
					resolved = c.append(resolved, id)
				}
			}
		}
		if len(resolved) == before {
			return Refusal{UnknownRecipient, recipient.String()}
		}
	}
	if len(resolved) > 1 {
		slices.Sort(resolved)
		resolved = slices.Compact(resolved)
	}
	if c.resolved += len(resolved); c.resolved > limit {
		return Refusal{Code: TooManyRecipients}
	}
	c.sets = append(c.sets, resolved)
	return Refusal{}
}

// append adds a member that may receive now.
func (c *cast) append(to []Index, id MemberID) []Index {
	if _, active := c.machine.topology.Member(id, c.now); !active {
		return to
	}
	return c.appendActive(to, id)
}

// appendActive is append for one that is active now, as those of a group are: a
// topology of thousands is not asked about each of them again.
func (c *cast) appendActive(to []Index, id MemberID) []Index {
	i := c.index(id)
	if c.machine.shutOut(i) {
		return to
	}
	return append(to, i)
}

// String names the recipient as refusals do.
func (r Recipient) String() string {
	switch r.Kind {
	case ToMember:
		return string(r.Member)
	case ToMediatorGroup:
		return "mediator group " + strconv.FormatUint(uint64(r.Group), 10)
	case ToSequencers:
		return "all sequencers"
	case ToAll:
		return "all members"
	}
	return "recipient of kind " + strconv.Itoa(int(r.Kind))
}
