package client

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// agreement decides what to believe of what several sequencers say about one member's events. It is pure: no clock, no
// goroutine, no input or output.
//
// Every signed response of a sequencer claims that the events in an interval (After, Known] are exactly those listed.
// Claims of one sequencer join without gap from the position that its stream began at, so at any time a sequencer
// stands for one of three things about the moment after the agreed position: a certain next event, nothing up to some
// time, or not having spoken yet. What threshold sequencers stand for is believed and becomes a fact. Whoever claimed
// something else about that interval lied, and its signed response shows it.
//
// That needs one honest sequencer among any threshold of them, and a threshold of honest ones that are up.
type agreement struct {
	threshold int
	position  Position
	voices    map[sequencing.MemberID]*voice
	order     []*voice        // the same, by name; replaced when it changes
	facts     []fact          // the newest, ascending
	remember  int             // how many facts to keep
	forgotten sequencing.Time // facts up to this time are not kept
	fault     fault           // planted by tests
}

// voice is one sequencer as the agreement hears it.
type voice struct {
	id       sequencing.MemberID
	speaking bool // a stream is open
	// Of the open stream: the time of its last event, and up to when it told everything.
	last, known sequencing.Time
	// Of all its streams: up to when it told everything, and its events after the agreed position, ascending. A stream
	// that was opened again must repeat them.
	reach   sequencing.Time
	pending []said
	size    int // of pending, in bytes
	// claims are the statements that reach beyond the agreed position: the evidence, if it turns out that they lie.
	claims []*Statement
}

// said is one event as one sequencer delivered it.
type said struct {
	time, previous sequencing.Time
	encoded        []byte
}

// fact is one event that threshold sequencers delivered.
type fact struct {
	time   sequencing.Time
	digest sequencing.Digest
	by     []sequencing.MemberID
}

// released is an event on its way to the application.
type released struct {
	said
	by []sequencing.MemberID
}

func newAgreement(threshold int, start Position, remember int) *agreement {
	return &agreement{threshold: threshold, position: start, remember: remember, forgotten: start.Known,
		voices: map[sequencing.MemberID]*voice{}}
}

// open begins a stream of a sequencer and returns the position after which it must tell the events.
func (a *agreement) open(id sequencing.MemberID) Position {
	v := a.voices[id]
	if v == nil {
		v = &voice{id: id, reach: a.position.Known}
		a.voices[id] = v
		a.reorder()
	}
	v.speaking, v.last, v.known = true, a.position.Event, a.position.Known
	v.reach = max(v.reach, a.position.Known)
	return a.position
}

// close ends the stream of a sequencer. What it said still counts: it signed it.
func (a *agreement) close(id sequencing.MemberID) {
	if v := a.voices[id]; v != nil {
		v.speaking = false
	}
}

// expel forgets a sequencer and what it said.
func (a *agreement) expel(id sequencing.MemberID) {
	delete(a.voices, id)
	a.reorder()
}

// hear takes the next response on the open stream of a sequencer, whose signature was checked. It returns a lie that the
// response convicts its sequencer of; the sequencer is then to be expelled.
func (a *agreement) hear(s *Statement) *Lie {
	v := a.voices[s.Sequencer]
	events, lie := parse(s)
	if lie == nil {
		lie = v.follows(s, events, a.fault)
	}
	if lie == nil {
		lie = a.compareWithFacts(s, events)
	}
	if lie == nil {
		lie = a.compareWithItself(v, s, events)
	}
	if lie != nil {
		return lie
	}
	v.known = s.Known
	if len(events) > 0 {
		v.last = events[len(events)-1].time
	}
	if s.Known <= max(v.reach, a.position.Known) {
		return nil
	}
	for _, e := range events {
		if e.time > max(v.reach, a.position.Known) {
			v.pending, v.size = append(v.pending, e), v.size+len(e.encoded)
		}
	}
	v.reach, v.claims = s.Known, append(v.claims, s)
	return nil
}

// parse reads times and chain of the events of a statement. The rest of them is read once they are believed.
func parse(s *Statement) ([]said, *Lie) {
	events := make([]said, len(s.Events))
	for i, encoded := range s.Events {
		at, previous, err := sequencing.DeliveryTimes(encoded)
		if err != nil {
			return nil, s.lie(Malformed, s.Known, "event %d of the response: %v", i, err)
		}
		events[i] = said{time: at, previous: previous, encoded: encoded}
	}
	return events, nil
}

// follows checks that a response continues the stream: times rise, and each event names the one before.
func (v *voice) follows(s *Statement, events []said, fault fault) *Lie {
	at, last := s.After, v.last
	for _, e := range events {
		switch {
		case e.time <= at:
			return s.lie(Reordered, e.time, "event at %d comes after %d", e.time, at)
		case e.previous != last && fault != faultIgnoreChain:
			return s.lie(BrokenChain, e.time, "event at %d follows the one at %d, but the one told before it is at %d", e.time, e.previous, last)
		}
		at, last = e.time, e.time
	}
	if len(events) == 0 && s.Known <= s.After {
		return s.lie(Malformed, s.Known, "the response tells nothing after %d, not even the time", s.After)
	}
	if s.Known < at {
		return s.lie(Malformed, at, "everything is said to be known up to %d, but the response reaches %d", s.Known, at)
	}
	return nil
}

// compareWithFacts compares a response with what is believed about its interval.
func (a *agreement) compareWithFacts(s *Statement, events []said) *Lie {
	if a.fault == faultIgnoreLate {
		return nil
	}
	from, to := max(s.After, a.forgotten), min(s.Known, a.position.Known)
	i := slices.IndexFunc(a.facts, func(f fact) bool { return f.time > from })
	if i < 0 {
		i = len(a.facts)
	}
	facts := a.facts[i:]
	for _, e := range events {
		if e.time <= from {
			continue
		}
		if e.time > to {
			break
		}
		if len(facts) == 0 || e.time < facts[0].time {
			return s.lie(Forged, e.time, "there is no event at %d", e.time)
		}
		if e.time > facts[0].time {
			break // the missing one is reported below
		}
		if digest(e.encoded) != facts[0].digest {
			return s.lie(Altered, e.time, "the event at %d is another", e.time).against(facts[0].by)
		}
		facts = facts[1:]
	}
	if len(facts) > 0 && facts[0].time <= to {
		return s.lie(Dropped, facts[0].time, "the event at %d is missing", facts[0].time).against(facts[0].by)
	}
	return nil
}

// compareWithItself compares a response with what the same sequencer said on an earlier stream.
func (a *agreement) compareWithItself(v *voice, s *Statement, events []said) *Lie {
	if s.After >= v.reach || a.fault == faultForgetSaid {
		return nil // nothing is said again
	}
	pending := v.pending
	for len(pending) > 0 && pending[0].time <= s.After {
		pending = pending[1:]
	}
	for _, e := range events {
		if e.time <= a.position.Known {
			continue
		}
		if e.time > v.reach {
			break
		}
		if len(pending) == 0 || pending[0].time != e.time || !bytes.Equal(pending[0].encoded, e.encoded) {
			return s.lie(Contradiction, e.time, "on an earlier stream it told something else about %d", e.time)
		}
		pending = pending[1:]
	}
	if len(pending) > 0 && pending[0].time <= s.Known {
		return s.lie(Contradiction, pending[0].time, "on an earlier stream it told an event at %d, now none", pending[0].time)
	}
	return nil
}

// advance believes what threshold sequencers agree on: at most room events, and then the time up to which there are no
// more. Sequencers that said otherwise are convicted, and expelled.
func (a *agreement) advance(room int) (events []released, lies []*Lie, err error) {
	for len(events) < room {
		next, ok, err := a.nextEvent()
		if err != nil {
			return events, lies, err
		}
		if !ok {
			break
		}
		events = append(events, next)
		lies = append(lies, a.settleEvent(next)...)
	}
	if len(events) < room {
		lies = append(lies, a.settleTime()...)
	}
	return events, lies, nil
}

// nextEvent finds the event that threshold sequencers deliver next.
func (a *agreement) nextEvent() (next released, found bool, err error) {
	for _, v := range a.order {
		if len(v.pending) == 0 || found && bytes.Equal(v.pending[0].encoded, next.encoded) {
			continue
		}
		head := v.pending[0]
		var by []sequencing.MemberID
		for _, other := range a.order {
			if len(other.pending) > 0 && bytes.Equal(other.pending[0].encoded, head.encoded) {
				by = append(by, other.id)
			}
		}
		needed := a.threshold
		if a.fault == faultOneVoteLess {
			needed--
		}
		switch {
		case len(by) < needed || head.previous != a.position.Event:
		case found:
			return next, false, fmt.Errorf("after the event at %d: %w: %v deliver one event, %v another: more of them lie than the trust threshold of %d allows",
				a.position.Event, ErrForked, next.by, by, a.threshold)
		default:
			next, found = released{said: head, by: by}, true
		}
	}
	return next, found, nil
}

// settleEvent makes an event a fact.
func (a *agreement) settleEvent(e released) (lies []*Lie) {
	a.position = Position{Event: e.time, Known: e.time}
	if len(a.facts) >= a.remember {
		a.forgotten = a.facts[0].time
		a.facts = a.facts[1:]
	}
	a.facts = append(a.facts, fact{time: e.time, digest: digest(e.encoded), by: e.by})
	for _, v := range a.order {
		kind, detail := LieKind(""), ""
		switch {
		case len(v.pending) > 0 && v.pending[0].time < e.time:
			kind, detail = Forged, fmt.Sprintf("it told an event at %d, but the next one is at %d", v.pending[0].time, e.time)
		case len(v.pending) > 0 && v.pending[0].time == e.time && !bytes.Equal(v.pending[0].encoded, e.encoded):
			kind, detail = Altered, fmt.Sprintf("the event at %d is another", e.time)
		case len(v.pending) > 0 && v.pending[0].time == e.time:
			v.size -= len(v.pending[0].encoded)
			v.pending[0] = said{}
			v.pending = v.pending[1:]
		case v.reach >= e.time:
			kind, detail = Dropped, fmt.Sprintf("the event at %d is missing", e.time)
		}
		if kind == "" {
			v.dropClaims(e.time)
			continue
		}
		lies = append(lies, v.convict(kind, e.time, detail).against(e.by))
		if a.fault != faultKeepLiars {
			a.expel(v.id)
		} else {
			v.pending = nil
		}
	}
	return lies
}

// settleTime believes that there is no event up to the time that threshold sequencers reached without one.
func (a *agreement) settleTime() (lies []*Lie) {
	voices := a.order
	if len(voices) < a.threshold {
		return nil
	}
	clear := make([]sequencing.Time, len(voices))
	for i, v := range voices {
		clear[i] = v.clear()
	}
	slices.Sort(clear)
	known := clear[len(clear)-a.threshold]
	if a.fault == faultAnyTick {
		known = clear[len(clear)-1]
	}
	if known <= a.position.Known {
		return nil
	}
	a.position.Known = known
	var by []sequencing.MemberID
	for _, v := range voices {
		if v.clear() >= known {
			by = append(by, v.id)
		}
	}
	for _, v := range voices {
		if len(v.pending) > 0 && v.pending[0].time <= known {
			lies = append(lies, v.convict(Forged, v.pending[0].time, fmt.Sprintf("there is no event up to %d", known)).against(by))
			a.expel(v.id)
			continue
		}
		v.dropClaims(known)
	}
	return lies
}

// clear is up to when a sequencer says that there is no event after the agreed ones.
func (v *voice) clear() sequencing.Time {
	if len(v.pending) > 0 {
		return v.pending[0].time - 1
	}
	return v.reach
}

// convict is the lie of which a claim about a time is the evidence.
func (v *voice) convict(kind LieKind, at sequencing.Time, detail string) *Lie {
	l := &Lie{Sequencer: v.id, Kind: kind, Time: at, Detail: detail}
	for _, claim := range v.claims {
		if claim.After < at && at <= claim.Known {
			l.Statement = claim
		}
	}
	return l
}

// dropClaims forgets what is no longer in question.
func (v *voice) dropClaims(known sequencing.Time) {
	n := 0
	for n < len(v.claims) && v.claims[n].Known <= known {
		v.claims[n] = nil
		n++
	}
	v.claims = v.claims[n:]
}

// full reports whether a sequencer is so far ahead that it has to wait.
func (v *voice) full(events, size int) bool {
	return len(v.pending) >= events || len(v.claims) >= events || v.size >= size
}

// reorder lists the voices in an order that does not depend on a map.
func (a *agreement) reorder() {
	a.order = make([]*voice, 0, len(a.voices))
	for _, v := range a.voices {
		a.order = append(a.order, v)
	}
	slices.SortFunc(a.order, func(x, y *voice) int { return cmp.Compare(x.id, y.id) })
}

// disputed reports whether sequencers stand for different things now, and whether no threshold of those that may speak can
// agree any more, whatever those say that have not spoken yet.
func (a *agreement) disputed(speakers []sequencing.MemberID) (disputed, hopeless bool) {
	first := sequencing.Time(0) // of the earliest event that is in question
	for _, v := range a.voices {
		if len(v.pending) > 0 && (first == 0 || v.pending[0].time < first) {
			first = v.pending[0].time
		}
	}
	if first == 0 {
		return false, false
	}
	type stand struct {
		event []byte // none: that there is nothing
		by    int
	}
	var stands []stand
	undecided, most := 0, 0
	for _, id := range speakers {
		var event []byte
		switch v := a.voices[id]; {
		case v == nil, v.clear() < first && len(v.pending) == 0:
			undecided++
			continue
		case len(v.pending) > 0 && v.pending[0].time == first:
			event = v.pending[0].encoded
		}
		i := slices.IndexFunc(stands, func(s stand) bool { return bytes.Equal(s.event, event) })
		if i < 0 {
			i, stands = len(stands), append(stands, stand{event: event})
		}
		stands[i].by++
		most = max(most, stands[i].by)
	}
	return len(stands) > 1, most+undecided < a.threshold
}

// behind says by how many events and by how much time a sequencer is behind the one that told most.
func (a *agreement) behind(id sequencing.MemberID) (events int, by sequencing.Time) {
	v := a.voices[id]
	if v == nil || !v.speaking {
		return 0, 0
	}
	count := func(list []said) (n int) {
		for _, e := range list {
			if e.time > v.known {
				n++
			}
		}
		return n
	}
	furthest, most := a.position.Known, 0
	for _, other := range a.voices {
		furthest = max(furthest, other.reach)
		most = max(most, count(other.pending))
	}
	for i := len(a.facts) - 1; i >= 0 && a.facts[i].time > v.known; i-- {
		events++
	}
	return events + most, furthest - v.known
}
