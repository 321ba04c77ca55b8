package bft

import (
	"fmt"
	"slices"
)

// handoverState is what a member knows of the end of its epoch.
type handoverState struct {
	// content is the hand-over as this member sees it; nil until the
	// application has answered the last commit. own is its signed form.
	content *HandoverContent
	own     *HandoverVote
	sentAt  Time
	// votes are the other members' and its own, by author; the first counts.
	votes   []*HandoverVote
	alarmed bool
}

// epochEnded takes the application's answer to the last commit of the epoch.
func (e *Engine) epochEnded(in EpochEnded) {
	if !e.ended || in.Index != e.last.Index || e.handover.content != nil {
		return
	}
	c := &HandoverContent{
		Network: e.committee.Network, Epoch: e.committee.Epoch, End: e.last.Index, EndDigest: e.last.Digest,
		State: in.State, Members: slices.Clone(in.Members), Params: in.Params,
	}
	if c.Next().Validate() != nil {
		c.Members, c.Params = e.committee.Members, e.committee.Params
	}
	c.Schedule = e.schedule.carry(e.committee.Members, c.Members)
	e.handover.content = c
	if e.member {
		e.handover.own = &HandoverVote{Content: *c, Author: e.me, Signature: e.sign(c.signedBytes())}
		e.handover.votes[e.me] = e.handover.own
		e.broadcast(e.handover.own, e.persist.Seq)
		e.handover.sentAt = e.now.Mono
	}
}

// handoverVote counts another member's signature. A member that is still in an
// epoch that ended here is given the proof.
func (e *Engine) handoverVote(from PublicKey, v *HandoverVote) {
	c := &v.Content
	if c.Network != e.committee.Network {
		return
	}
	if c.Epoch < e.committee.Epoch {
		e.emit(Serve{To: from, Request: &HandoverRequest{From: c.Epoch}})
		return
	}
	if c.Epoch > e.committee.Epoch {
		e.catchUp.claim(from, c.Epoch, c.End)
		return
	}
	if int(v.Author) >= e.committee.Size() || e.handover.votes[v.Author] != nil ||
		!e.verify(e.committee.Members[v.Author], c.signedBytes(), v.Signature) {
		return
	}
	e.catchUp.claim(from, c.Epoch, c.End)
	e.handover.votes[v.Author] = v
}

// finishEpoch starts the next epoch once this member has applied the last
// commit of the running one and a quorum has signed the same hand-over.
func (e *Engine) finishEpoch() {
	h := &e.handover
	if h.content == nil || e.catchUp.installing != nil {
		return
	}
	digest := h.content.Digest()
	if proven := e.proven(); proven != nil {
		if proven.Digest() != digest {
			e.halt(fmt.Sprintf("a quorum handed epoch %d over with state %s after commit %d, this member has state %s after commit %d: its state diverged; keep its data for analysis and rejoin it with an empty store",
				proven.Epoch, proven.State, proven.End, h.content.State, h.content.End))
			return
		}
		e.requeueOwn()
		e.startEpoch(proven)
		return
	}
	complete := &Handover{HandoverContent: *h.content}
	var others []Digest
	absent := 0
	for a, v := range h.votes {
		if v == nil {
			absent++
			continue
		}
		if d := v.Content.Digest(); d != digest {
			others = append(others, d)
			continue
		}
		if len(complete.Signatures) < e.committee.Quorum() {
			complete.Signatures = append(complete.Signatures, MemberSignature{Author: Author(a), Signature: v.Signature})
		}
	}
	if len(complete.Signatures) == e.committee.Quorum() {
		e.requeueOwn()
		e.startEpoch(complete)
		return
	}
	e.judgeDivergence(others, len(h.votes)-absent-len(others), absent)
}

// judgeDivergence stops a member whose state a quorum contradicts, or whose
// committee can no longer agree, and raises an alarm when an honest member
// must disagree.
func (e *Engine) judgeDivergence(others []Digest, same, absent int) {
	most := 0
	for _, d := range others {
		n := 0
		for _, o := range others {
			if o == d {
				n++
			}
		}
		most = max(most, n)
	}
	q := e.committee.Quorum()
	switch {
	case most >= q:
		e.halt(fmt.Sprintf("%d members report another state after commit %d than this one: its state diverged; keep its data for analysis and rejoin it with an empty store", most, e.last.Index))
	case max(most, same)+absent < q:
		e.halt(fmt.Sprintf("no state after commit %d can get a quorum: members diverged; compare their versions and data before going on", e.last.Index))
	case most >= e.committee.Witness() && !e.handover.alarmed:
		e.handover.alarmed = true
		e.report(Event{Kind: EventDivergence, Count: most, Text: fmt.Sprintf("%d members report another state after commit %d than this one", most, e.last.Index)})
	}
}

// pumpHandover repeats this member's signature until the hand-over is
// complete: whoever has moved on answers with the proof. Who is no member asks
// for the proof.
func (e *Engine) pumpHandover() {
	h := &e.handover
	if h.content == nil || e.rules.NoRetransmission {
		return
	}
	at := h.sentAt + e.committee.Params.LeaderTimeout
	if at <= e.now.Mono {
		if h.own != nil {
			e.broadcast(h.own, 0)
		} else if len(e.links) > 0 {
			e.send(e.links[int(e.now.Mono/Millisecond)%len(e.links)], &HandoverRequest{From: e.committee.Epoch})
		}
		h.sentAt = e.now.Mono
		at = e.now.Mono + e.committee.Params.LeaderTimeout
	}
	e.tickAt(at)
}

// startEpoch makes the hand-over durable and begins the next epoch.
func (e *Engine) startEpoch(h *Handover) {
	old := e.committee.Epoch
	// A block of the new epoch must not be sent before the hand-over that it
	// rests on is durable; both are in this step's group commit.
	e.persist.Handovers = append(e.persist.Handovers, h)
	before, previous := e.propose, e.committee
	e.enter(h.Next(), h.Schedule.clone())
	e.propose.carryOver(&before)
	e.previous = nil
	if previous.Epoch == h.Epoch {
		e.previous = previous
	}
	e.emit(Forget{Epoch: old, Round: ^Round(0)})
	e.emit(EpochStarted{Committee: e.committee})
	e.proofs.epochStarted(e.committee.Epoch)
	e.tellAll(e.links)
}

// requeueOwn returns the requests of own uncommitted blocks, newest first, so
// that the oldest end up in front. It is for a member that has seen the epoch's
// last commit: now these never will be committed.
func (e *Engine) requeueOwn() {
	for _, h := range slices.Backward(e.ownUncommitted()) {
		e.emit(Requeue{Block: h.Ref()})
	}
}

// ownUncommitted returns the own blocks with requests that no commit seen here
// contains, oldest first.
func (e *Engine) ownUncommitted() (own []*Head) {
	if !e.member {
		return nil
	}
	for r := e.dag.gc + 1; r <= e.dag.top(); r++ {
		if v := e.dag.layer(r).first[e.me]; v != nil && v.commit == 0 && v.head.Requests > 0 {
			own = append(own, v.head)
		}
	}
	return own
}

// remembered is what this member knows of the next committee's members: a dead
// one should not cost a timeout, nor an exposed one a payload, in every epoch.
func (e *Engine) remembered(next *Committee) (suspects, shunned []bool) {
	suspects, shunned = make([]bool, next.Size()), make([]bool, next.Size())
	if e.committee == nil {
		return suspects, shunned
	}
	for a, k := range next.Members {
		if old, ok := e.committee.Author(k); ok {
			suspects[a], shunned[a] = e.suspects[old], e.dag.shunned[old]
		}
	}
	return suspects, shunned
}

// enter resets everything that belongs to one epoch.
func (e *Engine) enter(c *Committee, s Schedule) {
	suspects, shunned := e.remembered(c)
	e.committee = c
	e.me, e.member = c.Author(e.self)
	e.dag = newDAG(c)
	e.schedule = s
	e.slots = nil
	e.ended = false
	e.handover = handoverState{votes: make([]*HandoverVote, c.Size())}
	e.waiting = newWaiting()
	e.propose = proposing{builtOn: make([]bool, c.Size()), followed: make([]Time, c.Size())}
	e.suspects, e.dag.shunned = suspects, shunned
	e.drift = make([]Time, c.Size())
	e.votes = make([][]*Head, c.Size())
	e.cut = slices.DeleteFunc(e.cut, func(k PublicKey) bool { return !slices.Contains(c.Members, k) })
	e.catchUp.epochStarted()
	e.catchUp.forgetTrail(c.Epoch)
}
