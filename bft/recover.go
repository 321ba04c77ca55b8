package bft

// New returns an engine that continues from what was found on disk, and the
// effects with which it starts.
func New(c Config, found Recovered, now Clock) (*Engine, []Effect) {
	e := &Engine{self: c.Self, sign: c.Sign, verify: c.Verify, limits: c.Limits, trust: c.Trust, rules: c.Rules}
	e.begin(now)
	e.lastCommit = now.Mono
	e.enterRecovered(found)
	e.emit(EpochStarted{Committee: e.committee})
	if found.TrustPassed || e.trust.Handover == e.committee.Anchor {
		e.passTrusted()
	}
	if e.checkTrust(); e.halted {
		return e, e.finish()
	}
	for _, h := range found.Blocks {
		v, earlier := e.dag.insert(h)
		if earlier != nil {
			e.dag.shun(h.Author)
		}
		e.entered(v)
	}
	e.recoverProofs(found)
	e.markCommitted(found.Commits)
	e.propose.from = found.ProposeFrom
	e.rejoin = rejoin{active: found.Rejoin, nonce: found.Nonce}
	if found.Own != nil {
		e.propose.own, e.propose.round = found.Own, found.Own.Round
	}
	if e.ended {
		e.emit(Deliver{Commit: found.Last.Commit, EndsEpoch: true})
	}
	if e.propose.own != nil && e.member {
		e.broadcast(&BlockMessage{Block: e.propose.own}, 0)
		e.propose.sentAt = now.Mono
	}
	e.advance()
	return e, e.finish()
}

// enterRecovered enters the newest epoch on disk at its newest commit.
func (e *Engine) enterRecovered(found Recovered) {
	committee, schedule := found.Committee(), newSchedule(found.Genesis.Size(), found.Genesis.Start)
	if h := found.Handover; h != nil {
		schedule = h.Schedule.clone()
		e.last = Vote{Index: h.End, Digest: h.EndDigest}
	}
	if l := found.Last; l != nil && l.Epoch == committee.Epoch {
		schedule = l.Schedule.clone()
		e.last = Vote{Index: l.Index, Digest: l.Commit.digest}
	}
	e.enter(committee, schedule)
	e.durable, e.applied = e.last, e.last.Index
	if l := found.Last; l != nil && l.Epoch == committee.Epoch {
		e.ended = l.Time >= committee.Start+committee.Params.EpochDuration
		e.dag.gc = e.gcRound(l.Leader.Round)
		e.dag.complete = e.dag.gc
	}
}

// recoverProofs takes up the evidence of the running epoch and the one before,
// to build on nobody whom it accuses and to pass it on.
func (e *Engine) recoverProofs(found Recovered) {
	if p := found.Previous; p != nil && p.Epoch+1 == e.committee.Epoch {
		e.previous = p
	}
	for _, v := range found.Evidence {
		if a, ok := e.committee.Author(v.Member); ok && v.Member != e.self {
			e.dag.shun(a)
		}
		e.keepProof(&proof{evidence: v})
	}
}

func (e *Engine) markCommitted(commits []*Commit) {
	for _, c := range commits {
		for _, ref := range c.Blocks {
			if v := e.dag.byRef[ref]; v != nil && v.commit == 0 {
				v.commit = c.Index
				if v.head.Requests > 0 {
					e.propose.pendingPayloads--
				}
			}
		}
	}
}

// rejoin keeps a member that lost its disk, or got an old copy of it, from
// signing a second block for a round. It asks the others how far they can
// prove the network to be: an epoch in which this member may have signed had
// its hand-over signed by a quorum, so of any quorum of answers one comes from
// a member that knew at least the epoch before. Two epochs above the highest
// answer this member cannot have signed anything.
type rejoin struct {
	active  bool
	nonce   uint64
	askedAt Time
	answers []rejoinClaim
}

type rejoinClaim struct {
	peer  PublicKey
	epoch Epoch
}

func (e *Engine) pumpRejoin() {
	r := &e.rejoin
	if !r.active {
		return
	}
	e.judgeRejoin()
	if !r.active {
		return
	}
	pause := e.committee.Params.LeaderTimeout + e.committee.Params.IdleInterval
	if r.askedAt != 0 && r.askedAt+pause > e.now.Mono {
		e.tickAt(r.askedAt + pause)
		return
	}
	r.askedAt = e.now.Mono
	e.broadcast(&RejoinQuery{Nonce: r.nonce}, 0)
	e.tickAt(e.now.Mono + pause)
}

func (e *Engine) rejoinAnswer(from PublicKey, m *RejoinAnswer) {
	r := &e.rejoin
	if !r.active || m.Nonce != r.nonce {
		return
	}
	if _, ok := e.committee.Author(from); !ok || from == e.self {
		return
	}
	for i := range r.answers {
		if r.answers[i].peer == from {
			return // the first answer counts
		}
	}
	r.answers = append(r.answers, rejoinClaim{peer: from, epoch: m.Epoch})
}

// judgeRejoin counts the answers that this member can check by now, having
// followed the hand-overs itself: a claim beyond the proven epoch waits.
func (e *Engine) judgeRejoin() {
	r := &e.rejoin
	highest, proven := Epoch(0), 0
	for _, a := range r.answers {
		if _, ok := e.committee.Author(a.peer); ok && a.epoch <= e.committee.Epoch {
			proven++
			highest = max(highest, a.epoch)
		}
	}
	if proven < e.committee.Quorum() {
		return
	}
	r.active = false
	e.propose.from = highest + 2
	from := e.propose.from
	e.persist.ProposeFrom = &from
}
