package trust

// EventKind names what was decided.
type EventKind string

// The kinds of events.
const (
	PeerBanned      EventKind = "banned"
	PeerUnbanned    EventKind = "unbanned"
	GuardedByQuorum EventKind = "quorum_guard"
	SuspicionBegan  EventKind = "self_suspect"
	SuspicionEnded  EventKind = "self_suspect_ended"
	Proven          EventKind = "evidence"
	StandingChanged EventKind = "standing"
)

// Event is a decision that whoever enforces, tells and stores needs to know.
type Event struct {
	Kind   EventKind
	Peer   Peer // zero if it is about this node
	Reason Action
	Detail string
	Until  Instant
}

// maxEvents bounds what waits to be taken; standings can always be asked for.
const maxEvents = 1024

func (l *Ledger) emit(e Event) {
	if len(l.events) < maxEvents {
		l.events = append(l.events, e)
	}
}

// Take returns what was decided since it was last called, and whose standing has changed.
func (l *Ledger) Take() []Event {
	for _, e := range l.sorted() {
		if s := l.standing(e); s != e.shown {
			e.shown = s
			l.emit(Event{Kind: StandingChanged, Peer: e.peer})
		}
	}
	taken := l.events
	l.events = nil
	return taken
}

// UnbanCause is why a ban ended.
type UnbanCause string

// The causes.
const (
	Expired           UnbanCause = "expired"
	LiftedByOperator  UnbanCause = "operator"
	LiftedForQuorum   UnbanCause = "quorum_guard"
	LiftedBySuspicion UnbanCause = "self_suspect"
	Forgotten         UnbanCause = "forgotten" // to make room
)

// UnbanCauses lists all causes.
func UnbanCauses() []UnbanCause {
	return []UnbanCause{Expired, LiftedByOperator, LiftedForQuorum, LiftedBySuspicion, Forgotten}
}

// BanKind sorts bans.
type BanKind struct {
	Reason Action
	Origin Origin
}

// Counters count since the start of the process.
type Counters struct {
	Actions     map[Action]uint64
	Bans        map[BanKind]uint64
	Unbans      map[UnbanCause]uint64
	Evidence    map[Action]uint64
	PutOff      map[string]uint64 // bans put off, by why
	QuorumGuard uint64            // bans refused, put off, on hold or lifted for the sake of a quorum
	Suspicions  uint64            // times that this node began to suspect itself
}

// newCounters has every count present, at 0.
func newCounters() Counters {
	c := Counters{
		Actions: map[Action]uint64{}, Bans: map[BanKind]uint64{{Manual, Operator}: 0}, Unbans: map[UnbanCause]uint64{},
		Evidence: map[Action]uint64{}, PutOff: map[string]uint64{},
	}
	for _, a := range Actions() {
		c.Actions[a] = 0
		switch effect, _ := EffectOf(a); effect.Class {
		case Provable:
			c.Evidence[a] = 0
			c.Bans[BanKind{a, Automatic}] = 0
		case Blame:
			c.Bans[BanKind{a, Automatic}] = 0
		}
	}
	for _, why := range []impediment{protectionImpedes, suspicionImpedes, guardImpedes} {
		c.PutOff[why.String()] = 0
	}
	for _, u := range UnbanCauses() {
		c.Unbans[u] = 0
	}
	return c
}
