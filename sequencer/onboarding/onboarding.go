// Package onboarding says what a sequencer still has to do until it orders, and how long that will take.
//
// A newcomer, or one that was away, goes through phases: it hears how far the others are, takes over their state where the blocks that it
// lacks are gone, replays what came after, says that it is ready, and waits for the next epoch. Which phase it is in follows from what is
// known at one moment, [Facts]; how fast it gets on from a few of those in a row, which a [Tracker] keeps. Nothing here acts or waits.
package onboarding

import "time"

// Phase is what a sequencer does now.
type Phase int

// The phases, in the order in which a newcomer goes through them; it may skip some, and fall back.
const (
	// Unlisted: as far as it knows, the owners have not listed it.
	Unlisted Phase = iota + 1
	// Connecting: too few others have said how far they are.
	Connecting
	// Trusting: it looks for the hand-over that its operator named.
	Trusting
	// Fetching the state after a hand-over, piece by piece, each of which is verified when it comes.
	Fetching
	// Installing the state, all of which is here.
	Installing
	// Replaying: fetching, verifying and applying ordered blocks.
	Replaying
	// Announcing: it has caught up, and says that it is ready.
	Announcing
	// Waiting for the next epoch, from which on it orders.
	Waiting
	// Ordering: done.
	Ordering
)

// Facts are what is known at one moment.
type Facts struct {
	Listed    bool // by the owners, in the topology as far as it is here
	Announced bool // its word that it is ready is in that topology
	Member    bool // of the committee of the epoch that it has reached
	Orders    bool // what is submitted to it now would be ordered

	Known       bool // enough others have said how far they are
	Distrusting bool
	// Fetching is set while a state is fetched. Pieces is 0 until it is known of how many it consists.
	Fetching     bool
	Have, Pieces int
	Installing   bool
	Applied      uint64 // newest block that is applied
	Behind       uint64 // blocks that others have and it has not even decided
	Decided      uint64 // newest block that is decided
	BehindEpochs uint64
	// CloseEnough is how many blocks behind it may be to count as caught up.
	CloseEnough uint64
}

// Phase is what a sequencer does of which the facts are.
func (f Facts) Phase() Phase {
	switch {
	case f.Orders && f.Member:
		return Ordering
	case f.Fetching: // also what it will trust once it is here
		return Fetching
	case f.Installing:
		return Installing
	case f.Distrusting:
		return Trusting
	case !f.Known && !f.Listed:
		return Unlisted // the others admit it once it is listed
	case !f.Known:
		return Connecting
	case f.BehindEpochs > 0 || f.target() > f.Applied+f.CloseEnough:
		return Replaying
	case !f.Listed:
		return Unlisted
	case f.Member:
		return Connecting // it lacks a quorum, or may not propose yet
	case !f.Announced:
		return Announcing
	}
	return Waiting
}

// target is the newest block that is known to exist.
func (f Facts) target() uint64 { return f.Decided + f.Behind }

// progress is how much of a phase is done. Total is 0 where that is not known.
func (f Facts) progress(p Phase) (done, total uint64, unit string) {
	switch p {
	case Fetching:
		return uint64(f.Have), uint64(f.Pieces), "pieces"
	case Replaying:
		return f.Applied, f.target(), "blocks"
	}
	return 0, 0, ""
}

// State is what a [Tracker] tells.
type State struct {
	Phase Phase
	// Since is when the phase was first seen; zero if it was there from the first look.
	Since       time.Time
	Done, Total uint64
	Unit        string
	// PerSecond is how fast Done grows; Remaining is after what time Total is reached if Done and Total go on as they do, and negative
	// where that is not known.
	PerSecond float64
	Remaining time.Duration
}

// Unknown is a remaining time that is not known.
const Unknown time.Duration = -1

// memory is over how many looks the speed is measured.
const memory = 30

// Tracker keeps the last looks at a sequencer. It belongs to one goroutine.
type Tracker struct {
	phase Phase
	since time.Time
	looks []look // of this phase, oldest first
}

type look struct {
	at          time.Time
	done, total uint64
}

// Observe takes a look and returns what is to be told of it.
func (t *Tracker) Observe(now time.Time, f Facts) State {
	phase := f.Phase()
	if phase != t.phase {
		if t.phase != 0 {
			t.since = now
		}
		t.phase, t.looks = phase, nil
	}
	s := State{Phase: phase, Since: t.since, Remaining: Unknown}
	s.Done, s.Total, s.Unit = f.progress(phase)
	if len(t.looks) == memory {
		t.looks = append(t.looks[:0], t.looks[1:]...)
	}
	t.looks = append(t.looks, look{now, s.Done, s.Total})
	first := t.looks[0]
	if passed := now.Sub(first.at).Seconds(); passed > 0 && s.Total > 0 && s.Done > first.done {
		s.PerSecond = float64(s.Done-first.done) / passed
		s.Remaining = remaining(first, s, passed)
	}
	return s
}

// remaining is by how fast the gap closes: blocks go on being made while a newcomer replays.
func remaining(first look, s State, passed float64) time.Duration {
	gap, before := float64(s.Total)-float64(s.Done), float64(first.total)-float64(first.done)
	if first.total == 0 {
		before = gap + float64(s.Done-first.done)
	}
	closing := (before - gap) / passed
	if closing <= 0 {
		return Unknown
	}
	return min(time.Duration(gap/closing*float64(time.Second)), farthest)
}

// farthest is the longest remaining time that is told.
const farthest = 1000 * time.Hour
