package bft

// decision is what is known of a slot.
type decision uint8

const (
	undecided decision = iota
	skipped
	committed
)

// slot is the decision on one leader's round. Decisions are final under the
// schedule they were made with; a change of schedule discards those not yet
// emitted.
type slot struct {
	decision decision
	block    *vertex // the committed block
}

// decide evaluates the undecided slots, newest to oldest, and emits the
// longest decided prefix, oldest to newest. A commit may change the leaders of
// the rounds above it, in which case these are decided afresh. Nothing is decided
// while the application's state is being replaced by a later one.
func (e *Engine) decide() {
	for !e.ended && e.catchUp.installing == nil && e.evaluate() && e.emitPrefix() {
	}
}

// evaluate decides what can be decided and reports whether the oldest
// undecided slot now is.
func (e *Engine) evaluate() bool {
	base, top := e.schedule.Round+1, e.dag.top()
	if top < base+1 {
		return false
	}
	for Round(len(e.slots)) < top-base+1 {
		e.slots = append(e.slots, slot{})
	}
	for r := top; r >= base; r-- {
		s := &e.slots[r-base]
		if s.decision != undecided {
			continue
		}
		*s = e.decideDirectly(r)
		if s.decision == undecided {
			*s = e.decideIndirectly(r)
		}
	}
	return e.slots[0].decision != undecided
}

// threshold is the number of authors that certify, decide and skip.
func (e *Engine) threshold() int {
	if e.rules.QuorumOffByOne {
		return e.committee.Quorum() - 1
	}
	return e.committee.Quorum()
}

// decideDirectly commits a leader's block when a quorum of authors have blocks
// two rounds later that are certificates for it, and skips the slot when a
// quorum of authors have blocks one round later that vote for no block of the
// leader. It counts authors, never blocks: an equivocator's variants are one
// vote.
func (e *Engine) decideDirectly(r Round) slot {
	leader := e.schedule.Leader(r)
	blames := e.newTally()
	e.dag.blocks(r+1, func(v *vertex) bool {
		if _, ok := v.vote(leader); !ok {
			blames.add(v.head.Author)
		}
		return true
	})
	if blames.count >= e.threshold() {
		return slot{decision: skipped}
	}
	var found *vertex
	e.leaderBlocks(r, leader, func(l *vertex) bool {
		certifiers := e.newTally()
		e.dag.blocks(r+2, func(c *vertex) bool {
			if e.certifies(c, l) {
				certifiers.add(c.head.Author)
			}
			return true
		})
		if certifiers.count >= e.threshold() {
			found = l
		}
		return found == nil
	})
	if found != nil {
		return slot{decision: committed, block: found}
	}
	return slot{}
}

// decideIndirectly looks at the first later slot, from three rounds up, that
// is not skipped. If that one is committed its history settles this one: the
// leader's block is committed if a certificate for it is in there, and can
// never be committed by anybody if not.
func (e *Engine) decideIndirectly(r Round) slot {
	base := e.schedule.Round + 1
	for above := r + 3; above-base < Round(len(e.slots)); above++ {
		switch s := e.slots[above-base]; s.decision {
		case skipped:
			continue
		case undecided:
			return slot{}
		default:
			if l := e.certifiedIn(s.block, r); l != nil {
				return slot{decision: committed, block: l}
			}
			return slot{decision: skipped}
		}
	}
	return slot{}
}

// certifiedIn returns the block of round r's leader for which a certificate is
// in the history of an anchor, nil if there is none. Two blocks of one leader
// cannot both have one: two quorums of votes share an honest voter.
func (e *Engine) certifiedIn(anchor *vertex, r Round) (found *vertex) {
	if e.rules.SkipIndirect {
		return nil
	}
	leader := e.schedule.Leader(r)
	e.dag.history(anchor,
		func(v *vertex) bool { return v.head.Round >= r+2 },
		func(v *vertex) {
			if v.head.Round != r+2 || found != nil {
				return
			}
			e.leaderBlocks(r, leader, func(l *vertex) bool {
				if e.certifies(v, l) {
					found = l
				}
				return found == nil
			})
		})
	return found
}

// leaderBlocks calls yield for the accepted blocks of a slot: more than one
// only if its leader equivocated.
func (e *Engine) leaderBlocks(r Round, leader Author, yield func(*vertex) bool) {
	e.dag.blocks(r, func(v *vertex) bool { return v.head.Author != leader || yield(v) })
}

// certifies reports whether c, two rounds above leader block l, is a
// certificate for it: a quorum of c's parents vote for l. A block has at most
// one parent by each author, so counting parents counts authors.
func (e *Engine) certifies(c, l *vertex) bool {
	votes := 0
	for _, p := range c.parents {
		if p == nil || p.head.Round != l.head.Round+1 {
			continue
		}
		if ref, ok := p.vote(l.head.Author); ok && ref.Digest == l.head.digest {
			votes++
		}
	}
	return votes >= e.threshold()
}

// tally counts distinct authors.
type tally struct {
	seen     []bool
	count    int
	perBlock bool
}

func (e *Engine) newTally() *tally {
	return &tally{seen: make([]bool, e.dag.n), perBlock: e.rules.CountVotesPerBlock}
}

func (t *tally) add(a Author) {
	if !t.seen[a] || t.perBlock {
		t.seen[a] = true
		t.count++
	}
}

// emitPrefix commits the decided slots from the oldest on. It stops where the
// epoch ends or the leaders change, and reports whether there may be more to
// decide.
func (e *Engine) emitPrefix() bool {
	for i := 0; i < len(e.slots) && e.slots[i].decision != undecided; i++ {
		if e.slots[i].decision == skipped {
			continue
		}
		c := e.linearise(e.slots[i].block)
		if changed := e.commit(c); e.ended || e.halted {
			return false
		} else if changed && !e.rules.EmitPastWindowEnd {
			return true
		}
		i = -1 // commit moved the slots down
	}
	return false
}
