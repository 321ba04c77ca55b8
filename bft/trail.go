package bft

import "fmt"

// trail is the chain of trust from the running epoch on, as far as a member
// knows it beyond what it reached itself.
type trail struct {
	// handovers are verified, each by the committee that the one before
	// installs; the first ends the running epoch. They are stored only once
	// all of the application's state after them is here: a restart in between
	// must not find an epoch whose state it does not have.
	handovers []*Handover
	// snapshotDue: a peer has pruned what this member needs.
	snapshotDue bool
	// installing is the one whose state is being installed.
	installing *Handover
}

// proven is the hand-over of the running epoch if a quorum's signatures under
// it have come from others; nil if not.
func (e *Engine) proven() *Handover {
	if l := e.catchUp.handovers; len(l) > 0 {
		return l[0]
	}
	return nil
}

// trailEnd is the committee that the newest known hand-over installs.
func (e *Engine) trailEnd() *Committee {
	if l := e.catchUp.handovers; len(l) > 0 {
		return l[len(l)-1].Next()
	}
	return e.committee
}

// newestKnown is the epoch to ask for hand-overs from: an answer then holds at
// least the newest known one, if there is any.
func (e *Engine) newestKnown() Epoch {
	return max(e.committee.Epoch+1, e.trailEnd().Epoch) - 1
}

// handoversArrived follows the chain of trust, page by page. The hand-over that
// ends the running epoch proves where it ends; later ones lead to a snapshot when
// commits are gone.
func (e *Engine) handoversArrived(from PublicKey, list []*Handover) {
	known := e.trailEnd().Anchor
	if err := e.follow(list); err != nil {
		e.report(Event{Kind: EventBadAnswer, Member: from, Text: err.Error()})
		e.catchUp.lost(from)
		return
	}
	l := e.catchUp.handovers
	if len(l) == 0 || e.halted {
		return
	}
	newest := l[len(l)-1]
	e.catchUp.claim(from, newest.Epoch+1, newest.End)
	if len(list) == MaxHandovers && newest.Digest() != known {
		e.send(from, &HandoverRequest{From: newest.Epoch + 1})
		return
	}
	if e.judgeTrust(); e.halted {
		return
	}
	if e.catchUp.snapshotDue && e.catchUp.installing == nil && newest.End > e.last.Index {
		e.catchUp.installing = newest
		e.emit(InstallSnapshot{Handover: newest})
	}
}

// follow verifies hand-overs and appends those that continue the trail. Two
// valid ones of one epoch stop this member: which history is the network's is
// then for people to say.
func (e *Engine) follow(list []*Handover) error {
	if e.checkTrust(); e.halted || e.contradicted(list) {
		return nil
	}
	for _, h := range list {
		if end := e.trailEnd(); h.Epoch >= end.Epoch {
			if err := h.Verify(end, e.verify); err != nil {
				return err
			}
			e.catchUp.handovers = append(e.catchUp.handovers, h)
			continue
		}
		signers, known := e.reached(h.Epoch)
		if signers == nil || h.Digest() == known || h.Verify(signers, e.verify) != nil {
			continue
		}
		if e.distrusting && h.Epoch >= e.committee.Epoch {
			// Somebody has retired keys. The operator said which history is true.
			trusted := e.trustedOnTrail()
			if trusted == nil {
				e.catchUp.handovers = append(e.catchUp.handovers[:h.Epoch-e.committee.Epoch], h)
				continue
			}
			if h.Epoch <= trusted.Epoch {
				return fmt.Errorf("hand-over %s of epoch %d is signed by a quorum, and not on the history through the trusted one", hexOf(h.Digest()), h.Epoch)
			}
		}
		e.halt(fmt.Sprintf("two hand-overs of epoch %d, %s and %s, are both signed by a quorum: a third or more of its members signed falsely, or their keys were stolen; agree with the other operators which history is the network's",
			h.Epoch, hexOf(known), hexOf(h.Digest())))
		return nil
	}
	if h := e.proven(); h != nil {
		e.certifyPending(h)
	}
	return nil
}

// reached returns, for an epoch up to the end of the trail, its committee and
// the digest of its hand-over; nil where they are no longer in memory.
func (e *Engine) reached(epoch Epoch) (*Committee, Digest) {
	if epoch+1 == e.committee.Epoch {
		return e.previous, e.committee.Anchor
	}
	if epoch < e.committee.Epoch {
		return nil, Digest{}
	}
	i := int(epoch - e.committee.Epoch)
	signers := e.committee
	if i > 0 {
		signers = e.catchUp.handovers[i-1].Next()
	}
	return signers, e.catchUp.handovers[i].Digest()
}

// forgetTrail drops the hand-overs of epochs that this member has passed.
func (t *trail) forgetTrail(running Epoch) {
	for len(t.handovers) > 0 && t.handovers[0].Epoch < running {
		t.handovers = t.handovers[1:]
	}
}

// snapshotUnavailable lets the others tell anew what they keep.
func (e *Engine) snapshotUnavailable(h *Handover) {
	if c := &e.catchUp; c.installing != nil && c.installing.Digest() == h.Digest() {
		c.installing = nil
		e.broadcast(&HandoverRequest{From: h.Epoch}, 0)
	}
}

// snapshotInstalled continues behind the hand-over whose state was installed.
func (e *Engine) snapshotInstalled(h *Handover) {
	if e.catchUp.installing == nil || h.Digest() != e.catchUp.installing.Digest() {
		return
	}
	// Own blocks of the skipped epochs may have been committed there: ordering
	// their requests again could order them twice.
	unknown := 0
	for _, own := range e.ownUncommitted() {
		unknown += int(own.Requests)
	}
	if unknown > 0 {
		e.report(Event{Kind: EventOutcomeUnknown, Member: e.self, Count: unknown})
	}
	e.last = Vote{Index: h.End, Digest: h.EndDigest}
	e.durable, e.unsynced = e.last, nil
	e.applied = h.End
	e.lastCommit = e.now.Mono
	for _, passed := range e.catchUp.handovers {
		if passed.Epoch < h.Epoch {
			e.persist.Handovers = append(e.persist.Handovers, passed)
		}
	}
	if e.distrusting {
		e.passTrusted()
	}
	e.startEpoch(h)
}
