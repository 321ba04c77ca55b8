package trust

import (
	"fmt"
	"maps"
	"slices"

	"github.com/synod-network/synod/keys"
)

// State is what survives a restart: all of a ledger but its links, its committee and its counters.
type State struct {
	Now     Instant     `json:"now"`
	Hold    bool        `json:"hold,omitempty"`
	Suspect Instant     `json:"self_suspect_until,omitempty"`
	Peers   []PeerState `json:"peers,omitempty"`
}

// PeerState is what survives of one peer.
type PeerState struct {
	Peer      Peer       `json:"peer"`
	Score     float64    `json:"score"` // at the instant At
	At        Instant    `json:"at"`
	Ban       *Ban       `json:"ban,omitempty"`
	Due       *cause     `json:"due,omitempty"`
	Strikes   int        `json:"strikes,omitempty"`
	StrikeEnd Instant    `json:"last_strike_end,omitempty"`
	Protected bool       `json:"protected,omitempty"`
	History   []Line     `json:"history,omitempty"`
	Evidence  []Evidence `json:"evidence,omitempty"`
	LossFrom  Instant    `json:"loss_from,omitempty"`
	Loss      float64    `json:"loss,omitempty"`
	BannedBy  *BannedBy  `json:"banned_by,omitempty"`
}

// State returns what is to be stored. It shares nothing with the ledger.
func (l *Ledger) State() State {
	s := State{Now: l.now, Hold: l.hold, Suspect: l.suspect}
	for _, e := range l.sorted() {
		p := PeerState{
			Peer: e.peer, Score: e.score, At: e.at, Ban: copied(e.ban), Due: copied(e.due), Strikes: e.strikes, StrikeEnd: e.strikeEnd,
			Protected: e.protected, History: slices.Clone(e.history), Evidence: slices.Clone(e.evidence),
			LossFrom: e.lossFrom, Loss: e.loss, BannedBy: copied(e.bannedBy),
		}
		if l.planted.shortState {
			p.Strikes = 0
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// Restore returns a ledger that goes on from a state. now is on the clock of the state: s.Now and whatever has passed
// since. A state that no ledger can have is refused.
func Restore(params Params, self Peer, s State, now Instant) (*Ledger, error) {
	if now < s.Now {
		now = s.Now
	}
	l := New(params, self, now)
	l.hold, l.suspect = s.Hold, s.Suspect
	if s.Now < 0 || s.Suspect < 0 || s.Suspect > s.Now+Instant(params.SuspectFor) {
		return nil, fmt.Errorf("suspects itself until %d, and it is %d", s.Suspect, s.Now)
	}
	if len(s.Peers) > maxPeers {
		return nil, fmt.Errorf("%d peers, at most %d can be", len(s.Peers), maxPeers)
	}
	for _, p := range s.Peers {
		if err := p.validate(s.Now); err != nil {
			return nil, fmt.Errorf("peer %s: %w", p.Peer, err)
		}
		if l.entries[p.Peer] != nil || p.Peer == self {
			return nil, fmt.Errorf("peer %s: twice, or this node itself", p.Peer)
		}
		l.entries[p.Peer] = &entry{
			peer: p.Peer, score: p.Score, at: p.At, ban: copied(p.Ban), due: copied(p.Due), strikes: p.Strikes, strikeEnd: p.StrikeEnd,
			protected: p.Protected, history: slices.Clone(p.History), evidence: slices.Clone(p.Evidence),
			lossFrom: p.LossFrom, loss: p.Loss, bannedBy: copied(p.BannedBy),
		}
	}
	if n := l.proofBytes(); n > maxProofs {
		return nil, fmt.Errorf("proofs of %d bytes, at most %d can be", n, maxProofs)
	}
	for len(l.entries) > params.Peers {
		l.forgetOne()
	}
	return l, nil
}

func (p PeerState) validate(now Instant) error {
	switch {
	case !(p.Score >= lowest && p.Score <= highest):
		return fmt.Errorf("score %g", p.Score)
	case p.At < 0 || p.At > now || p.LossFrom < 0 || p.LossFrom > now || !(p.Loss >= 0):
		return fmt.Errorf("scored in the future, at %d and %d", p.At, p.LossFrom)
	case p.Strikes < 0 || p.Strikes > maxStrikes || p.StrikeEnd < 0 || p.StrikeEnd > now+Instant(maxBan):
		return fmt.Errorf("%d strikes, the last until %d", p.Strikes, p.StrikeEnd)
	case len(p.History) > maxHistory || len(p.Evidence) > maxEvidence:
		return fmt.Errorf("%d lines and %d proofs", len(p.History), len(p.Evidence))
	case p.Ban != nil && !(p.Ban.From >= 0 && p.Ban.From <= now && p.Ban.Until >= p.Ban.From && p.Ban.Until-p.Ban.From <= Instant(maxBan) && len(p.Ban.Detail) <= maxText):
		return fmt.Errorf("banned from %d to %d", p.Ban.From, p.Ban.Until)
	case p.Due != nil && len(p.Due.Detail) > maxText:
		return fmt.Errorf("a reason of %d bytes", len(p.Due.Detail))
	case p.Protected && p.Ban != nil:
		return fmt.Errorf("banned and protected")
	}
	for _, h := range p.History {
		if len(h.Detail) > maxText || len(h.Action) > maxText {
			return fmt.Errorf("a line of %d bytes", len(h.Detail)+len(h.Action))
		}
	}
	for _, v := range p.Evidence {
		if len(v.Proof) > maxProof || len(v.Detail) > maxText {
			return fmt.Errorf("a proof of %d bytes", len(v.Proof))
		}
	}
	if b := p.BannedBy; b != nil {
		if b.At < 0 || b.At > now || b.Until < b.At || b.Until-b.At > Instant(maxBan) || b.Notice.By != p.Peer {
			return fmt.Errorf("banned by it from %d to %d", b.At, b.Until)
		}
		return b.Notice.validate()
	}
	return nil
}

// Opinion is what a node thinks of a peer now.
type Opinion struct {
	Peer      Peer
	Member    bool
	Linked    bool
	Protected bool
	Score     float64
	Standing  Standing
	Ban       *Ban // also when it is on hold
	OnHold    bool
	PutOff    Action // the reason of a ban that was put off; empty if none was
	Strikes   int
	Evidence  []Evidence
	History   []Line
	BannedBy  *BannedBy
	// Actions count what a member did since it is one, at most since the start of the process; nil for others.
	Actions map[Action]uint64
}

// Opinions returns what the node thinks of each member and each peer that it remembers, by key.
func (l *Ledger) Opinions(now Instant) []Opinion {
	l.advance(now)
	known := map[Peer]bool{}
	var peers []Peer
	add := func(p Peer) {
		if p != l.self && !known[p] {
			known[p] = true
			peers = append(peers, p)
		}
	}
	for _, m := range l.members {
		add(m)
	}
	for _, e := range l.sorted() {
		add(e.peer)
	}
	slices.SortFunc(peers, Peer.Compare)
	list := make([]Opinion, 0, len(peers))
	for _, p := range peers {
		list = append(list, l.opinion(p))
	}
	return list
}

// Opinion returns what the node thinks of one peer.
func (l *Ledger) Opinion(now Instant, p Peer) Opinion {
	l.advance(now)
	return l.opinion(p)
}

func (l *Ledger) opinion(p Peer) Opinion {
	o := Opinion{Peer: p, Member: l.isMember(p), Linked: l.linked[p], Actions: maps.Clone(l.done[p])}
	e := l.entries[p]
	if e == nil {
		return o
	}
	o.Protected, o.Score, o.Standing = e.protected, l.scoreOf(e), l.standing(e)
	o.Ban, o.BannedBy = copied(e.ban), copied(e.bannedBy)
	o.OnHold = e.ban != nil && o.Standing != Banned
	if e.due != nil {
		o.PutOff = e.due.Action
	}
	o.Strikes = e.strikes
	o.Evidence, o.History = slices.Clone(e.evidence), slices.Clone(e.history)
	return o
}

// Counters returns a copy of the counters.
func (l *Ledger) Counters() Counters {
	c := newCounters()
	for _, a := range Actions() {
		c.Actions[a] = l.counters.Actions[a]
	}
	for k, n := range l.counters.Bans { //bft:unordered copied
		c.Bans[k] = n
	}
	for k, n := range l.counters.Unbans { //bft:unordered copied
		c.Unbans[k] = n
	}
	for k, n := range l.counters.Evidence { //bft:unordered copied
		c.Evidence[k] = n
	}
	for k, n := range l.counters.PutOff { //bft:unordered copied
		c.PutOff[k] = n
	}
	c.QuorumGuard, c.Suspicions = l.counters.QuorumGuard, l.counters.Suspicions
	return c
}

// Told enters a verified notice by which a peer keeps this node out.
func (l *Ledger) Told(now Instant, n Notice, signature keys.Signature) {
	l.advance(now)
	left := Instant(n.Until - n.Issued)
	if n.By == l.self || n.validate() != nil || left <= 0 {
		return
	}
	e := l.entry(n.By)
	fresh := e.bannedBy == nil || e.bannedBy.Notice.Until != n.Until || e.bannedBy.Notice.Reason != n.Reason
	e.bannedBy = &BannedBy{At: l.now, Until: l.now + left, Notice: n, Signature: signature}
	if fresh {
		e.note(l.now, "it bans this node", n.Reason+": "+n.Detail, 0, l.scoreOf(e))
	}
}
