package sequencing

import (
	"fmt"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// model is the machine as one would write it who had all the time and memory of
// the world: it keeps everything for ever in plain lists and finds what it needs
// by looking through them.
type model struct {
	topology *testTopology
	now      Time
	start    Time // of the block
	members  map[MemberID]*modelMember
	sent     []modelSent
	parts    []modelPart
	shown    map[modelShown]bool
}

// modelShown is a recipient set of an event, and for each member whether it may ask who that is.
type modelShown struct {
	at     Time
	set    Digest
	member MemberID
}

type modelMember struct {
	since, acknowledged Time
	disabled            bool
	stream              []string
	last                Time
	spent               []modelSpent
	purchased, serial   uint64
}

type modelSent struct {
	sender  MemberID
	message MessageID
	maxTime Time
	digest  Digest
	refused bool // as a duplicate
}

type modelPart struct {
	content Digest
	sender  MemberID
	message MessageID
}

type modelSpent struct {
	at   Time
	cost uint64
}

func newModel(t *testTopology) *model {
	return &model{topology: t, members: map[MemberID]*modelMember{}, shown: map[modelShown]bool{}}
}

// apply carries out one request of a block that begins at start. signers are
// those who truly signed it.
func (m *model) apply(start, now Time, r Request, signers []MemberID) {
	m.start, m.now = start, now
	if len(r.Signatures) > 0 && len(signers) == 0 {
		return
	}
	switch body := r.Body.(type) {
	case *Submission:
		m.send(body, signers[0])
	case *Acknowledgement:
		if m.takesPart(body.Member) && signers[0] == body.Member && body.UpTo <= now {
			if known := m.members[body.Member]; known == nil && body.UpTo > now-1 || known != nil && body.UpTo > known.acknowledged {
				m.member(body.Member).acknowledged = body.UpTo
			}
		}
	case *TopologyChange:
		if m.topology.Change(now, body.Transactions) {
			for _, id := range m.topology.Group(Recipient{Kind: ToAll}, now) {
				if m.takesPart(id) {
					m.tell(id, "topology "+string(body.Transactions))
				}
			}
		}
	case *TrafficPurchase:
		if m.decided(signers) && m.known(body.Member) && body.Serial > 0 && (m.members[body.Member] == nil || body.Serial > m.members[body.Member].serial) {
			m.member(body.Member).serial, m.member(body.Member).purchased = body.Serial, body.Total
		}
	case *Disable:
		if m.decided(signers) && m.known(body.Member) {
			m.member(body.Member).disabled = true
		}
	}
}

func (m *model) active(id MemberID) bool {
	_, active := m.topology.Member(id, m.now)
	return active
}

func (m *model) known(id MemberID) bool { return m.members[id] != nil || m.active(id) }

func (m *model) takesPart(id MemberID) bool {
	return m.active(id) && (m.members[id] == nil || !m.members[id].disabled)
}

func (m *model) decided(signers []MemberID) bool {
	n := 0
	for _, id := range m.topology.Authority(m.now).Members {
		if slices.Contains(signers, id) {
			n++
		}
	}
	return n >= m.topology.Authority(m.now).Threshold
}

// member registers.
func (m *model) member(id MemberID) *modelMember {
	if m.members[id] == nil {
		m.members[id] = &modelMember{since: m.now, acknowledged: m.now - 1}
	}
	return m.members[id]
}

func (m *model) tell(id MemberID, what string) {
	member := m.member(id)
	member.stream = append(member.stream, fmt.Sprintf("%d after %d: %s", m.now, member.last, what))
	member.last = m.now
}

// left is what a member can spend: everything it ever spent, gone through again
// in fractions.
func (m *model) left(id MemberID) uint64 {
	rules := m.topology.Parameters(m.now).Traffic
	allowance := new(big.Rat).SetInt(new(big.Int).SetUint64(rules.Base))
	base, consumed, last := allowance, uint64(0), m.now
	whole := func() uint64 { return new(big.Int).Quo(base.Num(), base.Denom()).Uint64() }
	grow := func(to Time) {
		base = new(big.Rat).Add(base, new(big.Rat).Mul(allowance, big.NewRat(int64(to-last), int64(rules.Refill))))
		if last = to; base.Cmp(allowance) > 0 {
			base = allowance
		}
	}
	var purchased uint64
	if member := m.members[id]; member != nil {
		purchased, last = member.purchased, member.since
		for _, s := range member.spent {
			grow(s.at)
			part := min(s.cost, whole())
			base = new(big.Rat).Sub(base, new(big.Rat).SetInt64(int64(part)))
			consumed += s.cost - part
		}
		grow(m.now)
	}
	if purchased > consumed {
		return whole() + purchased - consumed
	}
	return whole()
}

func (m *model) send(s *Submission, signer MemberID) {
	rules, id := m.topology.Parameters(m.now), s.Sender
	digest := s.digest(testNetwork, newHasher())
	if !m.takesPart(id) || signer != id || s.MaxTime < m.now || s.MaxTime > m.now+rules.MaxAhead {
		return
	}
	remembered, duplicate := 0, false
	for _, e := range m.sent {
		if e.sender == id && e.maxTime/bucketWidth >= m.start/bucketWidth {
			remembered++
		}
		if e.sender != id || e.maxTime < m.now {
			continue
		}
		if e.digest == digest {
			return
		}
		duplicate = duplicate || e.message == s.Message && !e.refused
	}
	if remembered >= rules.MaxInFlight {
		return
	}
	code, sets := Code(0), [][]MemberID(nil)
	if duplicate {
		code = DuplicateMessage
	} else if code, sets = m.check(s); code == 0 {
		code = m.gather(s)
	}
	cost := uint64(0)
	if !strings.HasPrefix(string(id), m.topology.free) {
		left := m.left(id)
		for _, e := range s.Envelopes {
			if code == 0 {
				cost += rules.Traffic.Envelope + uint64(len(sets[e.Set]))*rules.Traffic.Recipient
				cost += uint64(len(e.Payload)) * (rules.Traffic.Write + uint64(len(sets[e.Set]))*rules.Traffic.Factor) / 10_000
			}
		}
		cost += rules.Traffic.Event
		if code == 0 && s.Cost < cost {
			code = CostTooLow
		} else if code == 0 && left < cost {
			code = TrafficExhausted
		}
		if code != 0 {
			if cost = rules.Traffic.Event; left < cost {
				return
			}
		}
	}
	m.member(id)
	if cost > 0 {
		m.members[id].spent = append(m.members[id].spent, modelSpent{m.now, cost})
	}
	m.sent = append(m.sent, modelSent{id, s.Message, s.MaxTime, digest, duplicate})
	for _, set := range s.Sets {
		m.shown[modelShown{m.now, set.Digest(), id}] = true
	}
	if code != 0 {
		m.tell(id, fmt.Sprintf("refused %s for %d: %v", s.Message, cost, code))
		return
	}
	m.deliver(s, sets, cost)
}

// check looks at size, topology time and recipients.
func (m *model) check(s *Submission) (Code, [][]MemberID) {
	rules, size, count := m.topology.Parameters(m.now), 0, 0
	for _, e := range s.Envelopes {
		size += len(e.Payload)
	}
	at := s.TopologyTime
	switch {
	case size > rules.MaxBytes:
		return TooLarge, nil
	case at > m.now:
		return TopologyTimeAhead, nil
	case at != 0 && at < m.now-rules.TopologyTolerance:
		return TopologyTimeTooOld, nil
	case at == 0:
		at = m.now
	}
	var sets [][]MemberID
	for _, set := range s.Sets {
		in := map[MemberID]bool{}
		for _, recipient := range set {
			ids := []MemberID{recipient.Member}
			if recipient.Kind != ToMember {
				ids = m.topology.Group(recipient, at)
			}
			found := false
			for _, id := range ids {
				if m.takesPart(id) {
					found, in[id] = true, true
				}
			}
			if !found {
				return UnknownRecipient, nil
			}
		}
		var ids []MemberID
		for id := range in {
			ids = append(ids, id)
		}
		sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
		sets, count = append(sets, ids), count+len(ids)
		if count > rules.MaxRecipients {
			return TooManyRecipients, nil
		}
	}
	return 0, sets
}

func (m *model) contributors(s *Submission) (ids []string) {
	for _, p := range m.parts {
		if p.content == s.sealed.content {
			ids = append(ids, fmt.Sprintf("%s as %s", p.sender, p.message))
		}
	}
	return ids
}

func (m *model) gather(s *Submission) Code {
	switch {
	case s.Aggregation == nil:
		return 0
	case !slices.Contains(s.Aggregation.Eligible, s.Sender):
		return NotEligible
	case len(m.contributors(s)) >= s.Aggregation.Threshold:
		return AlreadySent
	}
	for _, p := range m.parts {
		if p.content == s.sealed.content && p.sender == s.Sender {
			return AlreadyContributed
		}
	}
	return 0
}

func (m *model) deliver(s *Submission, sets [][]MemberID, cost uint64) {
	receipt := fmt.Sprintf("receipt %s for %d", s.Message, cost)
	signers := []string{fmt.Sprintf("%s as %s", s.Sender, s.Message)}
	if s.Aggregation != nil {
		m.parts = append(m.parts, modelPart{s.sealed.content, s.Sender, s.Message})
		if signers = m.contributors(s); len(signers) < s.Aggregation.Threshold {
			m.tell(s.Sender, "contributed, "+receipt)
			return
		}
	}
	got := map[MemberID][]string{s.Sender: {receipt}}
	for number, e := range s.Envelopes {
		for _, id := range sets[e.Set] {
			m.shown[modelShown{m.now, s.Sets[e.Set].Digest(), id}] = true
			got[id] = append(got[id], fmt.Sprintf("%d=%s", number, e.Payload))
		}
	}
	for id, what := range got {
		text := "delivered " + strings.Join(what, ", ")
		if strings.Contains(text, "=") {
			text += fmt.Sprintf(" by %v", signers)
		}
		m.tell(id, text)
	}
}

// pruningPoint is what nobody needs any more.
func (m *model) pruningPoint(now Time) Time {
	m.now = now
	lowest := now
	for id, member := range m.members {
		if m.takesPart(id) {
			lowest = min(lowest, member.acknowledged)
		}
	}
	return lowest
}
