package bft

import "slices"

// proposing is the state from which own blocks are made, and when.
type proposing struct {
	// round is the highest round with an own block; own is that block (nil
	// before the first of the epoch) and ownSeq the Persist that holds it.
	round  Round
	own    *Block
	ownSeq uint64
	// stopped: this member proposes no more in this epoch.
	stopped bool
	// from is the first epoch in which this member may propose.
	from Epoch
	// sealing: a payload was asked for and has not come.
	sealing bool
	queued  RequestsQueued

	// at is when the newest own block was made; sentAt when it was last sent.
	at, sentAt Time
	// builtOn are the members seen to have built on the newest own block.
	builtOn []bool
	// pendingPayloads counts accepted, uncommitted blocks with payload.
	pendingPayloads int
	// completeAt is when the newest complete round became so; it was then
	// completeRound.
	completeRound Round
	completeAt    Time
	// roundTime is a running mean of the time from one round to the next
	// while there is work.
	roundTime Time
	// fill is a running mean of the payload bytes of own blocks; busy one of
	// the requests in a round of all members' blocks, in units of 1/busyUnit.
	fill, busy int
	// failures counts leader timeouts since the last commit: the timeout
	// doubles with each, up to 8 times the parameter.
	failures int
	// followed is, by author, when an empty block last made this member
	// propose.
	followed []Time
	follow   bool
	// since is when this member began to propose, orderedAt when a block of
	// its own was last committed.
	since, orderedAt Time
}

// entered notices a block of a round in which this member has not proposed.
func (p *proposing) entered(e *Engine, h *Head) {
	if h.Round <= p.round || e.member && h.Author == e.me {
		return
	}
	if h.Requests > 0 || e.now.Mono-p.followed[h.Author] >= e.committee.Params.IdleInterval/2 || p.followed[h.Author] == 0 {
		p.followed[h.Author] = e.now.Mono
		p.follow = true
	}
}

// carryOver keeps what outlives an epoch.
func (p *proposing) carryOver(before *proposing) {
	p.from, p.queued, p.sealing = before.from, before.queued, before.sealing
	p.roundTime, p.fill, p.busy = before.roundTime, before.fill, before.busy
	p.since, p.orderedAt = before.since, before.orderedAt
}

func (p *proposing) committed() { p.failures = 0 }

// mayPropose reports whether this member may sign blocks now.
func (e *Engine) mayPropose() bool {
	return e.member && !e.distrusting && !e.propose.stopped && !e.rejoin.active && e.committee.Epoch >= e.propose.from && e.catchUp.installing == nil
}

// tryPropose makes the next own block if its round may begin, and asks for a
// tick when time alone could change that.
func (e *Engine) tryPropose() (proposed bool) {
	p := &e.propose
	if !e.mayPropose() || p.sealing || len(e.catchUp.chain) > 0 || !e.dag.grounded() {
		return false
	}
	r := e.dag.complete
	if r != p.completeRound || p.completeAt == 0 {
		e.noteComplete(r)
	}
	if e.buildsOn()+1 <= p.round {
		return false
	}
	if at := e.wantedAt(); at > e.now.Mono {
		e.tickAt(at)
		return false
	}
	if at := p.at + e.floor(); p.at != 0 && at > e.now.Mono && r+1 == p.round+1 {
		e.tickAt(at)
		return false
	}
	if e.buildsOn() == r && !e.mayLeave(r) {
		at := p.completeAt + e.leaderTimeout()
		if at > e.now.Mono {
			e.tickAt(at)
			return false
		}
		e.leaveLate(r)
	}
	p.follow = false
	if limit := e.payloadLimit(); limit > 0 && p.queued.Requests > 0 {
		p.sealing = true
		params := e.committee.Params
		e.emit(RequestPayload{Requests: limit, Bytes: int(params.PayloadLimit), RequestBytes: int(params.RequestLimit)})
		return false
	}
	e.proposeBlock(nil, Digest{}, 0)
	return true
}

// buildsOn is the round on which the next own block builds: the newest complete
// one. A leader that the others have just overtaken builds on the round before
// instead: they may be waiting for its block, and it can still be committed.
func (e *Engine) buildsOn() Round {
	r := e.dag.complete
	if r > e.dag.gc+1 && e.propose.round+1 == r && e.schedule.Leader(r) == e.me {
		return r - 1
	}
	return r
}

func (e *Engine) noteComplete(r Round) {
	p := &e.propose
	if p.completeAt != 0 && e.active() {
		p.roundTime += (e.now.Mono - p.completeAt - p.roundTime) / 8
	}
	p.busy += (busyUnit*e.requestsIn(r) - p.busy) / 16
	p.completeRound, p.completeAt = r, e.now.Mono
}

// busyUnit is the resolution of proposing.busy.
const busyUnit = 256

// requestsIn is the number of requests in the accepted blocks of a round.
func (e *Engine) requestsIn(r Round) (n int) {
	e.dag.blocks(r, func(v *vertex) bool {
		n += int(v.head.Requests)
		return true
	})
	return n
}

// active reports whether there is something to order: a payload not yet
// committed, or an epoch to bring to its end.
func (e *Engine) active() bool {
	return e.propose.pendingPayloads > 0 || e.ended
}

// wantedAt is when the next round is wanted: at once while there is something
// to order or another member has gone ahead, after the idle interval if not.
func (e *Engine) wantedAt() Time {
	p := &e.propose
	if e.active() || p.follow || p.queued.Requests > 0 && e.mayCarry() || p.at == 0 {
		return e.now.Mono
	}
	return p.at + e.committee.Params.IdleInterval
}

// roundsAfterEnd is how many rounds follow the last commit of an epoch at full
// speed, for members that need them to see it. Later ones only fill memory
// until the hand-over is complete.
const roundsAfterEnd = 20

// floor is the shortest time between two own blocks: nothing while requests
// are rare, so that latency is that of the network, and growing with their
// number and size, so that a loaded member makes few large blocks instead of
// many small ones.
func (e *Engine) floor() Time {
	if e.ended && e.dag.complete <= e.schedule.Round+roundsAfterEnd {
		return 5 * Millisecond
	}
	if e.ended {
		return e.committee.Params.IdleInterval
	}
	return max(
		share(e.limits.BusyFloor, e.propose.busy, busyUnit*e.limits.BusyRequests),
		share(e.limits.MaxFloor, e.propose.fill, e.limits.FullPayload))
}

// share is the part of a pause that a load calls for.
func share(pause Time, load, full int) Time {
	return pause * Time(min(load, full)) / Time(max(1, full))
}

func (e *Engine) leaderTimeout() Time {
	return e.committee.Params.LeaderTimeout << min(e.propose.failures, 3)
}

// mayLeave reports whether a complete round r is worth leaving: its leader's
// block is here, and the leader block of the round before has a quorum of
// votes or can no longer get one. Without the second condition f fast members
// that never vote for honest leaders would stop all decisions. Members whose
// link is down or that were late before are not waited for: that costs
// nothing but their slots.
func (e *Engine) mayLeave(r Round) bool {
	if r == 0 {
		return true
	}
	l := e.dag.layer(r)
	if l == nil {
		return true
	}
	leader := e.schedule.Leader(r)
	if l.first[leader] == nil && e.mayCome(leader, r) {
		return false
	}
	if r < 2 || e.rules.NoWaitForVotes {
		return true
	}
	votes, absent := e.votesFor(r)
	return votes >= e.committee.Quorum() || votes+absent < e.committee.Quorum()
}

// mayCome reports whether a member's block for a complete round is worth
// waiting for: not one's own, which would be there, nor that of a member that
// has gone on to a later round without. Suspects are waited for only when
// nothing can be decided without them.
func (e *Engine) mayCome(a Author, r Round) bool {
	newest := e.dag.newest[a]
	return a != e.me && (!e.suspects[a] || e.fruitless()) && !e.dag.shunned[a] && (newest == nil || newest.head.Round < r)
}

// fruitless reports that so many rounds passed since the newest committed
// leader that every member has led, and nothing was decided: liars that withhold
// their votes, together with honest members that are slow and therefore
// suspected, leave no quorum. Waiting for the slow ones brings it back. It also
// keeps a network without a quorum of voters from filling its memory with
// rounds at full speed.
func (e *Engine) fruitless() bool {
	passed := Round(2*e.committee.Size() + 6)
	return !e.ended && !e.rules.NeverWaitForSuspects && e.dag.complete > e.schedule.Round+passed
}

// votesFor returns the most votes of round r that one block of the leader of
// the round before has, and the number of members that may still vote.
func (e *Engine) votesFor(r Round) (votes, absent int) {
	leader := e.schedule.Leader(r - 1)
	e.leaderBlocks(r-1, leader, func(b *vertex) bool {
		n := e.newTally()
		e.dag.blocks(r, func(v *vertex) bool {
			if ref, ok := v.vote(leader); ok && ref.Digest == b.head.digest {
				n.add(v.head.Author)
			}
			return true
		})
		votes = max(votes, n.count)
		return true
	})
	l := e.dag.layer(r)
	for a, v := range l.first {
		if v == nil && e.mayCome(Author(a), r) {
			absent++
		}
	}
	return votes, absent
}

// leaveLate goes on without the leader or the votes: whoever is absent is not
// waited for again until it is in time once.
func (e *Engine) leaveLate(r Round) {
	p := &e.propose
	p.failures++
	for a, v := range e.dag.layer(r).first {
		if v == nil && !(e.member && Author(a) == e.me) {
			e.suspects[a] = true
		}
	}
	leader := e.schedule.Leader(r)
	e.report(Event{Kind: EventLeaderTimeout, Member: e.committee.Members[leader], Round: r})
}

// mayCarry reports whether the next own block may carry requests: not while
// the application is too far behind what was decided, and not after the end of
// an epoch, whose later blocks are never committed.
func (e *Engine) mayCarry() bool {
	return !e.ended && e.last.Index <= e.applied+e.limits.MaxUnapplied
}

// payloadLimit is the number of requests that the next own block may carry.
func (e *Engine) payloadLimit() int {
	if !e.mayCarry() {
		return 0
	}
	parent, _ := e.ownParent()
	own := e.dag.byRef[parent]
	if parent.Round > 0 && (own == nil || own.median == unknownTime) {
		return 0 // known again from the next own block on
	}
	then, _ := e.dag.reachedBefore(e.buildsOn()+1, own)
	now := e.nextMedian(e.chooseParents(parent))
	if then == unknownTime || now == unknownTime {
		return 0
	}
	return min(allowance(then, now, e.committee.Size()), int(e.committee.Params.PayloadRequests))
}

// nextMedian is the median timestamp on which an own block with these parents
// would rest.
func (e *Engine) nextMedian(parents []Ref) Time {
	vertices := make([]*vertex, len(parents))
	for i, p := range parents {
		vertices[i] = e.dag.byRef[p]
	}
	return e.dag.medianOf(&Header{Round: e.buildsOn() + 1, Parents: parents}, vertices)
}

// ownParent returns the own previous block and its timestamp.
func (e *Engine) ownParent() (Ref, Time) {
	if own := e.propose.own; own != nil {
		return own.Ref(), own.Timestamp
	}
	return e.committee.Root(e.me), e.committee.Start
}

func (e *Engine) payloadReady(in PayloadReady) {
	p := &e.propose
	p.queued, p.sealing = in.Left, false
	if !e.mayPropose() || !e.dag.grounded() || e.buildsOn()+1 <= p.round || in.Requests > e.payloadLimit() {
		// Meanwhile the epoch ended, or the clock went back.
		p.queued.Requests += in.Requests
		p.queued.Bytes += len(in.Payload)
		e.emit(ReturnPayload{Payload: in.Payload, Requests: in.Requests})
		return
	}
	e.proposeBlock(in.Payload, in.Digest, in.Requests)
}

// proposeBlock signs and sends the own block that follows the newest complete
// round. It is durable, with all that it builds on, before it is sent.
func (e *Engine) proposeBlock(payload []byte, digest Digest, requests int) {
	p := &e.propose
	parent, previous := e.ownParent()
	parents := e.chooseParents(parent)
	b := build(Header{
		Network: e.committee.Network, Epoch: e.committee.Epoch, Round: e.buildsOn() + 1, Author: e.me,
		Timestamp: e.ownTimestamp(previous),
		Parents:   parents,
		Requests:  uint32(requests), PayloadSize: uint32(len(payload)), Payload: digest, Vote: e.durable,
	}, payload, e.sign)
	p.own, p.round, p.ownSeq = b, b.Round, e.persist.Seq
	p.at, p.sentAt = e.now.Mono, e.now.Mono
	if p.since == 0 {
		p.since = e.now.Mono
	}
	p.builtOn = make([]bool, e.committee.Size())
	p.follow = false
	p.fill += (len(payload) - p.fill) / 4
	e.take(b)
	after := p.ownSeq
	if e.rules.SendBeforeSync {
		after = 0
	}
	e.broadcast(&BlockMessage{Block: b}, after)
}

// chooseParents returns the own previous block and, of every other member that
// is not shunned, the newest block that is older than the next round. Blocks of
// shunned members fill up what is missing to a quorum.
func (e *Engine) chooseParents(own Ref) []Ref {
	r := e.buildsOn()
	if r == 0 {
		return e.rootParents(own)
	}
	parents := append(make([]Ref, 0, e.committee.Size()), own)
	previous := 0
	if own.Round == r {
		previous++
	}
	l := e.dag.layer(r)
	for a, v := range l.first {
		if Author(a) == e.me || e.dag.shunned[a] {
			continue
		}
		// Whoever has a block in round r counts towards the quorum by that
		// block, even if its later ones do not descend from it.
		if v != nil {
			previous++
		} else {
			v = e.dag.newestBefore(Author(a), r)
		}
		if v != nil {
			parents = append(parents, v.head.Ref())
		}
	}
	for a, v := range l.first {
		if v != nil && Author(a) != e.me && e.dag.shunned[a] && previous < e.committee.Quorum() {
			parents = append(parents, v.head.Ref())
			previous++
		}
	}
	return parents
}

func (e *Engine) rootParents(own Ref) []Ref {
	parents := append(make([]Ref, 0, e.committee.Size()), own)
	for a := range Author(e.committee.Size()) {
		if a != e.me {
			parents = append(parents, e.committee.Root(a))
		}
	}
	return parents
}

// retransmit sends the newest own block again to members that have not been
// seen to build on it, until a quorum has.
func (e *Engine) retransmit() {
	p := &e.propose
	if p.own == nil || !e.member || e.rules.NoRetransmission || p.own.Epoch != e.committee.Epoch {
		return
	}
	seen := 1
	var to []PublicKey
	for a, built := range p.builtOn {
		switch {
		case Author(a) == e.me:
		case built:
			seen++
		default:
			to = append(to, e.committee.Members[a])
		}
	}
	if seen >= e.committee.Quorum() || len(to) == 0 {
		return
	}
	// Where rounds are long it is not yet time to wonder.
	pause := e.committee.Params.LeaderTimeout + min(2*p.roundTime, 4*e.committee.Params.LeaderTimeout)
	if !e.active() {
		pause += e.committee.Params.IdleInterval
	}
	if at := p.sentAt + pause; at > e.now.Mono {
		e.tickAt(at)
		return
	}
	p.sentAt = e.now.Mono
	e.emit(Send{To: slices.Clone(to), Message: &BlockMessage{Block: p.own}, After: p.ownSeq})
	e.report(Event{Kind: EventRetransmitted, Round: p.own.Round, Count: len(to)})
	e.tickAt(e.now.Mono + pause)
}
