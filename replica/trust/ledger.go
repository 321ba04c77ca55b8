package trust

import (
	"slices"
	"strings"

	"github.com/synod-network/synod/bft/quorum"
	"github.com/synod-network/synod/keys"
)

// Peer is who is judged: the key that the peer has proved to hold.
type Peer = keys.PublicKey

// Ledger is one node's opinion of its peers. It is a value for one goroutine. Each method takes the time, and first
// lets happen what was due by then; time that goes back counts as standing still.
type Ledger struct {
	params  Params
	self    Peer
	planted planted

	now      Instant
	entries  map[Peer]*entry
	members  []Peer // sorted
	linked   map[Peer]bool
	lackFrom Instant // since when a quorum lacks or is back; see judgeQuorum
	hold     bool    // bans of members are on hold
	suspect  Instant // until when this node suspects itself

	counters Counters
	// done is what each of the committee's other members did since it was last in it, at most since the start.
	done   map[Peer]map[Action]uint64
	events []Event
}

// entry is what is remembered of one peer.
type entry struct {
	peer      Peer
	score     float64 // at the instant at
	at        Instant
	ban       *Ban
	due       *cause  // a ban that was put off
	strikes   int     // automatic bans
	strikeEnd Instant // when the last of them ends or ended
	protected bool
	history   []Line
	evidence  []Evidence
	lossFrom  Instant // a window of blame, and what it cost
	loss      float64
	bannedBy  *BannedBy
	shown     Standing // as last said by Take
}

// cause is why a peer is to be banned.
type cause struct {
	Action Action
	Detail string
}

// Ban keeps a peer out.
type Ban struct {
	From, Until Instant
	Reason      Action // Manual for one that an operator set
	Detail      string
	Origin      Origin
}

// Manual is the reason of a ban by an operator, who says more in the detail.
const Manual Action = "manual"

// Origin is who decided on a ban.
type Origin string

// The origins of bans.
const (
	Automatic Origin = "automatic"
	Operator  Origin = "operator"
)

// Line is one entry in the history that led to a score. Equal actions in a row share one.
type Line struct {
	From, At Instant // of the first and of the last
	Count    int
	Action   string // an Action, or what was decided
	Detail   string // of the last
	Change   float64
	Score    float64 // after the last
}

// Evidence is a proof that a peer broke the rules.
type Evidence struct {
	At     Instant
	Kind   Action
	Detail string
	Proof  []byte // as bft.Evidence encodes it; empty if it was too large to keep here
}

// BannedBy is what a peer said when it kept this node out.
type BannedBy struct {
	At, Until Instant // on this ledger's clock
	Notice    Notice
	Signature keys.Signature
}

// New returns an empty ledger whose clock stands at now.
func New(params Params, self Peer, now Instant) *Ledger {
	l := &Ledger{
		params: params, self: self, now: now, lackFrom: now,
		entries: map[Peer]*entry{}, linked: map[Peer]bool{}, counters: newCounters(), done: map[Peer]map[Action]uint64{},
	}
	return l
}

// advance lets happen what is due.
func (l *Ledger) advance(now Instant) {
	if now < l.now && !l.planted.clockRuns {
		now = l.now
	}
	l.now = now
	for _, e := range l.sorted() {
		if e.ban != nil && e.ban.Until <= now {
			l.release(e, Expired)
		}
		if e.bannedBy != nil && e.bannedBy.Until <= now {
			e.bannedBy = nil
		}
	}
	if l.suspect != 0 && l.suspect <= now {
		l.suspect = 0
		l.emit(Event{Kind: SuspicionEnded})
	}
	l.judgeQuorum()
	for _, e := range l.sorted() {
		l.catchUpOnBan(e)
	}
}

// Tick lets time pass, and forgets what has faded.
func (l *Ledger) Tick(now Instant) {
	l.advance(now)
	for _, e := range l.sorted() {
		l.forgive(e)
		if l.negligible(e) {
			l.forget(e)
		}
	}
}

func (l *Ledger) forget(e *entry) {
	delete(l.entries, e.peer)
	if e.shown != Welcome {
		l.emit(Event{Kind: StandingChanged, Peer: e.peer})
	}
}

// negligible reports whether nothing would be lost with an entry.
func (l *Ledger) negligible(e *entry) bool {
	score := l.scoreOf(e)
	return score > -0.001 && score < 0.001 && e.ban == nil && e.due == nil && e.strikes == 0 && !e.protected &&
		len(e.evidence) == 0 && e.bannedBy == nil && e.lossFrom+Instant(l.params.SuspectWindow) <= l.now
}

// SetMembers says who is in the committee. Bans beyond f of its members are lifted.
func (l *Ledger) SetMembers(now Instant, members []Peer) {
	l.members = slices.SortedFunc(slices.Values(members), Peer.Compare)
	done := l.done
	l.done = make(map[Peer]map[Action]uint64, len(l.members))
	for _, m := range l.members {
		if l.done[m] = done[m]; l.done[m] == nil {
			l.done[m] = newCounters().Actions
		}
	}
	l.trimBans()
	l.advance(now)
	l.trimBans()
}

// SetLinked says whether there is a link to a peer now.
func (l *Ledger) SetLinked(now Instant, peer Peer, linked bool) {
	if !linked {
		delete(l.linked, peer)
	} else if len(l.linked) < maxPeers || l.linked[peer] {
		l.linked[peer] = true
		if e := l.entries[peer]; e != nil {
			e.bannedBy = nil // it lets this node in
		}
	}
	l.advance(now)
}

// Record enters what a peer did. A provable action without its proof is entered by it too: see Prove.
func (l *Ledger) Record(now Instant, peer Peer, action Action, detail string) {
	l.advance(now)
	effect, ok := EffectOf(action)
	if !ok || peer == l.self {
		return
	}
	e := l.entry(peer)
	l.counters.Actions[action]++
	if done := l.done[peer]; done != nil {
		done[action]++
	}
	before := l.scoreOf(e)
	if effect.Class == Blame {
		l.blame(e, -effect.Step)
		if l.suspect != 0 {
			e.note(l.now, string(action), detail+" (not held against the peer: this node suspects itself)", 0, before)
			return
		}
	}
	after := effect.apply(before)
	if l.planted.unbounded {
		after = before + effect.Step
	}
	e.score, e.at = after, l.now
	e.note(l.now, string(action), detail, after-before, after)
	if after <= lowest && e.ban == nil {
		l.convict(e, cause{action, clip(detail)})
	}
}

// Prove enters a provable fault with its proof, which is kept and shown.
func (l *Ledger) Prove(now Instant, peer Peer, kind Action, detail string, proof []byte) {
	l.advance(now)
	if effect, ok := EffectOf(kind); !ok || effect.Class != Provable || peer == l.self {
		return
	}
	e := l.entry(peer)
	l.counters.Evidence[kind]++
	if len(proof) > maxProof || l.proofBytes()+len(proof) > maxProofs {
		proof = nil
	}
	if len(e.evidence) < maxEvidence {
		e.evidence = append(e.evidence, Evidence{At: l.now, Kind: kind, Detail: clip(detail), Proof: slices.Clone(proof)})
	}
	l.emit(Event{Kind: Proven, Peer: peer, Reason: kind, Detail: clip(detail)})
	l.Record(now, peer, kind, detail)
}

func (l *Ledger) proofBytes() (n int) {
	for _, e := range l.entries { //bft:unordered a sum
		for _, v := range e.evidence {
			n += len(v.Proof)
		}
	}
	return n
}

// Standing is how a peer is treated.
type Standing uint8

// The standings.
const (
	Welcome Standing = iota
	Limited          // read slowly
	Banned           // kept out
)

// String is the name that operators see.
func (s Standing) String() string { return [...]string{"welcome", "limited", "banned"}[s] }

// Standing returns how a peer is to be treated now.
func (l *Ledger) Standing(now Instant, peer Peer) Standing {
	l.advance(now)
	return l.standing(l.entries[peer])
}

func (l *Ledger) standing(e *entry) Standing {
	switch {
	case e == nil:
		return Welcome
	case e.ban != nil && !(l.hold && l.isMember(e.peer)):
		return Banned
	case e.ban != nil, e.due != nil, l.scoreOf(e) <= l.params.LimitBelow && !e.protected:
		return Limited
	}
	return Welcome
}

// Banned returns the ban that keeps a peer out, if one does.
func (l *Ledger) Banned(now Instant, peer Peer) (Ban, bool) {
	if l.Standing(now, peer) != Banned {
		return Ban{}, false
	}
	return *l.entries[peer].ban, true
}

func (l *Ledger) scoreOf(e *entry) float64 {
	return decayed(e.score, Duration(l.now-e.at), l.params.HalfLife)
}

func (l *Ledger) isMember(p Peer) bool {
	_, found := slices.BinarySearchFunc(l.members, p, Peer.Compare)
	return found
}

// faults and quorum of the committee.
func (l *Ledger) faults() int { return quorum.Faults(len(l.members)) }
func (l *Ledger) quorum() int { return quorum.Size(len(l.members)) }

// sorted returns the entries in the order of their keys, so that equal ledgers do equal things.
func (l *Ledger) sorted() []*entry {
	list := make([]*entry, 0, len(l.entries))
	for _, e := range l.entries { //bft:unordered sorted below
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *entry) int { return a.peer.Compare(b.peer) })
	return list
}

// entry returns what is remembered of a peer, from now on if it was nothing.
func (l *Ledger) entry(p Peer) *entry {
	if e := l.entries[p]; e != nil {
		return e
	}
	if len(l.entries) >= l.params.Peers && !l.planted.hoards {
		l.forgetOne()
	}
	e := &entry{peer: p, at: l.now}
	l.entries[p] = e
	return e
}

// forgetOne makes room: whoever has least to be remembered for goes first, and of banned peers the one whose ban ends
// first.
func (l *Ledger) forgetOne() {
	weight := func(e *entry) float64 {
		score := max(l.scoreOf(e), -l.scoreOf(e))
		switch {
		case e.protected:
			return 5
		case len(e.evidence) > 0:
			return 4
		case e.ban != nil:
			return 3 - 1/float64(2+e.ban.Until-l.now)
		case e.strikes > 0:
			return 1 + score
		}
		return score
	}
	least := slices.MinFunc(l.sorted(), func(a, b *entry) int {
		switch wa, wb := weight(a), weight(b); {
		case wa < wb:
			return -1
		case wa > wb:
			return 1
		}
		return 0
	})
	if least.ban != nil {
		l.release(least, Forgotten)
	}
	l.forget(least)
}

// note adds to the history of an entry.
func (e *entry) note(now Instant, action, detail string, change, score float64) {
	if n := len(e.history); n > 0 && e.history[n-1].Action == action {
		last := &e.history[n-1]
		last.At, last.Count, last.Detail = now, last.Count+1, clip(detail)
		last.Change, last.Score = last.Change+change, score
		return
	}
	if len(e.history) == maxHistory {
		e.history = slices.Delete(e.history, 0, 1)
	}
	e.history = append(e.history, Line{From: now, At: now, Count: 1, Action: action, Detail: clip(detail), Change: change, Score: score})
}

// clip makes a text that may come from a peer short, and harmless to a terminal.
func clip(text string) string {
	if len(text) > maxText {
		text = text[:maxText-3] + "..."
	}
	return strings.Map(printable, strings.ToValidUTF8(text, "?"))
}

func printable(r rune) rune {
	if r < ' ' || r >= 0x7f && r < 0xa0 {
		return '?'
	}
	return r
}

// planted names rules that a test leaves out, to see that others notice.
type planted struct {
	clockRuns  bool // time may go back
	unbounded  bool // scores leave [-1, 1]
	hoards     bool // nothing is forgotten to make room
	noGuard    bool // members are banned beyond f, and below a quorum
	noHold     bool // bans stay in force while a quorum lacks
	confident  bool // this node never suspects itself
	halfUnban  bool // lifting a ban leaves the strikes and the score
	shortState bool // strikes are not part of the state
}
