package bft

import (
	"fmt"
	"slices"
)

// proofs is the evidence of the running epoch and the one before, which members
// pass on: each piece once to each peer whose link is up, again when a link
// comes up and when an epoch begins, since a message can be lost. One piece for
// each accused member and epoch is kept, so that a member has at most twice as
// many as the committee has members.
//
// Evidence of another epoch cannot be judged here and is dropped: a member that
// is behind is offered it again when it is there, and what is older is in the
// others' stores.
type proofs struct {
	list []*proof
	// wrong counts, by peer and for the running epoch, what proved nothing.
	wrong map[PublicKey]int
}

type proof struct {
	evidence *Evidence
	has      []PublicKey // peers that showed it, and need not be told
}

// maxWrong is how much false evidence of one peer is looked at in an epoch: a
// bound on signatures that are verified, and on what is said about it.
const maxWrong = 4

func (p *proofs) find(member PublicKey, epoch Epoch) *proof {
	for _, k := range p.list {
		if k.evidence.Member == member && k.evidence.Epoch == epoch {
			return k
		}
	}
	return nil
}

// epochStarted forgets what the epoch before the last one proved.
func (p *proofs) epochStarted(running Epoch) {
	p.list = slices.DeleteFunc(p.list, func(k *proof) bool { return k.evidence.Epoch+1 < running })
	p.wrong = nil
}

// lost forgets what a peer has: it may come back without its disk.
func (p *proofs) lost(peer PublicKey) {
	for _, k := range p.list {
		k.has = slices.DeleteFunc(k.has, func(h PublicKey) bool { return h == peer })
	}
}

// accuse enters evidence, found here or proven by a peer: it is stored, its
// author is built upon no more, and others are told.
func (e *Engine) accuse(v *Evidence, by PublicKey, text string) {
	if a, ok := e.committee.Author(v.Member); ok {
		e.dag.shun(a)
	}
	e.persist.Evidence = append(e.persist.Evidence, v)
	e.report(Event{Kind: EventEvidence, Evidence: v.Kind, Member: v.Member, Round: v.Other.Round, Text: text})
	k := &proof{evidence: v}
	if by != e.self {
		k.has = []PublicKey{by}
	}
	e.keepProof(k)
	e.tell(k, e.links)
}

// keepProof keeps what can be passed on: what proves the fault alone.
func (e *Engine) keepProof(k *proof) {
	v := k.evidence
	u := v.unverified()
	if c := e.committeeOf(v.Epoch); c != nil && u.proves(c) == nil && e.proofs.find(v.Member, v.Epoch) == nil {
		e.proofs.list = append(e.proofs.list, k)
	}
}

// tell passes a piece of evidence on to peers that are not known to have it.
func (e *Engine) tell(k *proof, peers []PublicKey) {
	if e.rules.KeepEvidence || !slices.Contains(e.proofs.list, k) {
		return
	}
	to := slices.DeleteFunc(slices.Clone(peers), func(p PublicKey) bool {
		return p == e.self || p == k.evidence.Member || slices.Contains(k.has, p)
	})
	if len(to) > 0 {
		e.emit(Send{To: to, Message: &EvidenceMessage{Evidence: k.evidence}})
	}
}

// tellAll offers all evidence to some peers.
func (e *Engine) tellAll(peers []PublicKey) {
	for _, k := range e.proofs.list {
		e.tell(k, peers)
	}
}

// evidenceArrived takes in evidence from a peer. What is known already costs
// nothing, and is no fault; what proves nothing is one.
func (e *Engine) evidenceArrived(from PublicKey, u *UnverifiedEvidence) {
	c := e.committeeOf(u.Epoch)
	if c == nil || u.First.Header.Network != c.Network {
		return // the sender is ahead or behind
	}
	author := int(u.Other.Header.Author)
	if author < c.Size() {
		member := c.Members[author]
		if member == e.self {
			return // this member knows what it signed: see foreignOwnBlock
		}
		if k := e.proofs.find(member, u.Epoch); k != nil {
			if !slices.Contains(k.has, from) && slices.Contains(e.links, from) {
				k.has = append(k.has, from)
			}
			return
		}
	}
	if e.proofs.wrong[from] >= maxWrong || len(e.proofs.wrong) >= maxClaims {
		return
	}
	v, err := u.Verify(c, e.verify)
	if err != nil {
		if e.proofs.wrong == nil {
			e.proofs.wrong = map[PublicKey]int{}
		}
		e.proofs.wrong[from]++
		e.report(Event{Kind: EventFalseEvidence, Member: from, Text: err.Error()})
		return
	}
	e.accuse(v, from, fmt.Sprintf("%s, proven by another member: %s and %s", v.Kind, v.First.Ref(), v.Other.Ref()))
}

// committeeOf returns the committee of the running epoch or the one before; nil
// for another, or where it is not in memory.
func (e *Engine) committeeOf(epoch Epoch) *Committee {
	switch {
	case epoch == e.committee.Epoch:
		return e.committee
	case e.previous != nil && epoch == e.previous.Epoch:
		return e.previous
	}
	return nil
}
