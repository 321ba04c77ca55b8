package trust

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
)

// Refusals of a ban. ErrQuorumGuard means that the network could lack a quorum without the peer.
var (
	ErrQuorumGuard = errors.New("the peer is a member that ordering may need: at most f members are kept out, and none unless a quorum of the others is connected; remove it from the committee instead")
	ErrProtected   = errors.New("the peer is protected; end its protection first")
	ErrSelf        = errors.New("that is this node's own key")
	ErrBanLength   = errors.New("a ban lasts up to 366 days")
)

// convict bans a peer whose score has reached the bottom, or puts it off.
func (l *Ledger) convict(e *entry, c cause) {
	if why := l.impediment(e); why != 0 {
		if e.due == nil {
			l.counters.PutOff[why.String()]++
			if why == guardImpedes {
				l.counters.QuorumGuard++
				l.emit(Event{Kind: GuardedByQuorum, Peer: e.peer, Reason: c.Action, Detail: c.Detail})
			}
			e.note(l.now, "ban put off: "+why.String(), c.Detail, 0, l.scoreOf(e))
		}
		if why != protectionImpedes {
			e.due = &c
		}
		return
	}
	l.forgive(e)
	e.strikeEnd = l.now + Instant(l.sentence(e))
	e.strikes = min(e.strikes+1, maxStrikes)
	l.impose(e, Ban{From: l.now, Until: e.strikeEnd, Reason: c.Action, Detail: c.Detail, Origin: Automatic})
}

// forgive forgets the strikes of a peer that has stayed without one for the window since its last ban.
func (l *Ledger) forgive(e *entry) {
	if e.strikes > 0 && e.strikeEnd+Instant(l.params.StrikeWindow) <= l.now {
		e.strikes, e.strikeEnd = 0, 0
	}
}

func (l *Ledger) impose(e *entry, b Ban) {
	e.ban, e.due = &b, nil
	l.counters.Bans[BanKind{b.Reason, b.Origin}]++
	e.note(l.now, "banned", b.Detail, 0, l.scoreOf(e))
	l.emit(Event{Kind: PeerBanned, Peer: e.peer, Reason: b.Reason, Detail: b.Detail, Until: b.Until})
}

// sentence is the length of a ban: FirstBan, doubled with each earlier strike. The jitter keeps nodes that banned a
// peer at one moment from all letting it in at one moment, and two that banned each other from doing so in step.
func (l *Ledger) sentence(e *entry) Duration {
	d := l.params.FirstBan
	for range e.strikes {
		if d = 2 * d; d >= l.params.LongestBan {
			d = l.params.LongestBan
			break
		}
	}
	seed := binary.BigEndian.AppendUint64(append(slices.Clone(l.self[:]), e.peer[:]...), uint64(l.now))
	h := sha256.Sum256(seed)
	share := float64(binary.BigEndian.Uint32(h[:]))/float64(1<<31) - 1 // from -1 to 1
	return min(d+Duration(share*l.params.Jitter*float64(d)), l.params.LongestBan)
}

// impediment is what forbids a ban, 0 if nothing does.
type impediment uint8

const (
	protectionImpedes impediment = 1 + iota
	suspicionImpedes
	guardImpedes
)

// String is the name in metrics.
func (i impediment) String() string {
	return [...]string{"none", "protected", "self_suspect", "quorum_guard"}[i]
}

func (l *Ledger) impediment(e *entry) impediment {
	switch {
	case e.protected:
		return protectionImpedes
	case l.suspect != 0:
		return suspicionImpedes
	case l.guards(e.peer):
		return guardImpedes
	}
	return 0
}

// guards reports whether a peer must not be banned for the sake of the network: f others are banned already, or those
// that are left and connected are no quorum together with this node.
func (l *Ledger) guards(p Peer) bool {
	if !l.isMember(p) || l.planted.noGuard {
		return false
	}
	banned := 0
	for _, e := range l.bannedMembers() {
		if e.peer != p {
			banned++
		}
	}
	return banned+1 > l.faults() || l.isMember(l.self) && l.reach(p) < l.quorum()
}

// reach counts the members that can be worked with: this one, and those that are connected and not banned, without one.
func (l *Ledger) reach(without Peer) int {
	n := 0
	for _, m := range l.members {
		e := l.entries[m]
		if m == l.self || m != without && l.linked[m] && (e == nil || e.ban == nil) {
			n++
		}
	}
	return n
}

func (l *Ledger) bannedMembers() []*entry {
	return slices.DeleteFunc(l.sorted(), func(e *entry) bool { return e.ban == nil || !l.isMember(e.peer) })
}

// judgeQuorum puts the bans of members on hold while the others are no quorum, and in force again once they are. Both
// take a while, so that a link that breaks for a moment changes nothing.
func (l *Ledger) judgeQuorum() {
	lacks := l.isMember(l.self) && !l.planted.noHold && l.reach(l.self) < l.quorum()
	if lacks == l.hold {
		l.lackFrom = l.now
		return
	}
	if l.now-l.lackFrom < Instant(l.params.QuorumGrace) {
		return
	}
	l.hold, l.lackFrom = lacks, l.now
	for _, e := range l.bannedMembers() {
		if l.hold {
			l.counters.QuorumGuard++
			e.note(l.now, "ban on hold: a quorum lacks", "", 0, l.scoreOf(e))
			l.emit(Event{Kind: GuardedByQuorum, Peer: e.peer, Reason: e.ban.Reason, Detail: "the ban is on hold while a quorum lacks"})
		} else {
			e.note(l.now, "ban in force again", "", 0, l.scoreOf(e))
			l.emit(Event{Kind: PeerBanned, Peer: e.peer, Reason: e.ban.Reason, Detail: e.ban.Detail, Until: e.ban.Until})
		}
	}
}

// trimBans lifts bans beyond f members: those that end soonest.
func (l *Ledger) trimBans() {
	banned := l.bannedMembers()
	slices.SortStableFunc(banned, func(a, b *entry) int { return int(min(1, max(-1, a.ban.Until-b.ban.Until))) })
	for len(banned) > l.faults() && !l.planted.noGuard {
		l.counters.QuorumGuard++
		l.emit(Event{Kind: GuardedByQuorum, Peer: banned[0].peer, Reason: banned[0].ban.Reason, Detail: "the ban is lifted: the committee bears fewer faults"})
		l.release(banned[0], LiftedForQuorum)
		banned = banned[1:]
	}
}

// catchUpOnBan imposes a ban that was put off, once nothing forbids it. It lapses when the score has recovered.
func (l *Ledger) catchUpOnBan(e *entry) {
	if e.due == nil {
		return
	}
	if e.ban != nil || e.protected || l.scoreOf(e) > l.params.LimitBelow {
		e.due = nil
		return
	}
	if l.impediment(e) == 0 {
		l.convict(e, *e.due)
	}
}

// release ends a ban. The strike stays, and the peer is on probation.
func (l *Ledger) release(e *entry, why UnbanCause) {
	until := e.ban.Until
	e.score, e.at = max(l.params.Probation, l.scoreOf(e)), l.now
	switch why {
	case Expired:
		e.score, e.at = l.params.Probation, until // whenever somebody looks
	case LiftedForQuorum:
		e.score = l.params.Probation
	}
	e.ban, e.due = nil, nil
	l.counters.Unbans[why]++
	e.note(l.now, "ban ended: "+string(why), "", 0, e.score)
	l.emit(Event{Kind: PeerUnbanned, Peer: e.peer, Detail: string(why)})
}

// Ban keeps a peer out by an operator's word, for as long as given, or for as long as its strikes deserve if that is 0.
func (l *Ledger) Ban(now Instant, peer Peer, length Duration, detail string) error {
	l.advance(now)
	if peer == l.self {
		return ErrSelf
	}
	if length < 0 || length > maxBan {
		return ErrBanLength
	}
	e := l.entries[peer]
	switch {
	case e != nil && e.protected:
		return ErrProtected
	case l.guards(peer):
		l.counters.QuorumGuard++
		return ErrQuorumGuard
	}
	if e == nil {
		e = l.entry(peer)
	}
	if length == 0 {
		l.forgive(e)
		length = l.sentence(e)
	}
	l.impose(e, Ban{From: l.now, Until: l.now + Instant(length), Reason: Manual, Detail: clip(detail), Origin: Operator})
	return nil
}

// Unban gives a peer a clean slate: score, ban, strikes, what was put off, and what it cost in the current window, all at
// once; who asks Standing next lets it in. Evidence stays, and so does a protection. It reports whether anything was
// remembered of the peer.
func (l *Ledger) Unban(now Instant, peer Peer) bool {
	l.advance(now)
	e := l.entries[peer]
	if e == nil {
		return false
	}
	if e.ban != nil {
		l.counters.Unbans[LiftedByOperator]++
	}
	e.ban = nil
	if !l.planted.halfUnban {
		e.score, e.at, e.strikes, e.strikeEnd, e.due, e.loss, e.lossFrom = 0, l.now, 0, 0, nil, 0, 0
	}
	e.history = nil
	e.note(l.now, "cleared by an operator", "", 0, 0)
	l.emit(Event{Kind: PeerUnbanned, Peer: peer, Detail: string(LiftedByOperator)})
	return true
}

// Protect makes a peer one that is never limited or banned, or ends that. It lifts a ban.
func (l *Ledger) Protect(now Instant, peer Peer, protected bool) error {
	l.advance(now)
	if peer == l.self {
		return ErrSelf
	}
	e := l.entry(peer)
	if e.protected == protected {
		return nil
	}
	e.protected = protected
	e.note(l.now, map[bool]string{true: "protected by an operator", false: "protection ended by an operator"}[protected], "", 0, l.scoreOf(e))
	if protected && e.ban != nil {
		l.release(e, LiftedByOperator)
	} else {
		l.emit(Event{Kind: StandingChanged, Peer: peer})
	}
	return nil
}
