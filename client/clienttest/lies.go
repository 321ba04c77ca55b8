package clienttest

import (
	"slices"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// Distortion makes the history that a liar tells out of the true one. It is a function of the history so far, and so the
// liar does not contradict itself unless that is the lie. It may modify the list, not what its elements point at.
type Distortion func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time)

// page is the part of a distorted history that a response tells.
func page(d Distortion, events []sequencing.Delivery, known, after sequencing.Time, limit int) ([]sequencing.Delivery, sequencing.Time) {
	events, known = d(events, known)
	events = slices.DeleteFunc(events, func(e sequencing.Delivery) bool { return e.Time <= after })
	if len(events) > limit {
		events = events[:limit]
		known = events[limit-1].Time
	}
	return events, known
}

// chain lets each event name the one before it, as in a true history.
func chain(events []sequencing.Delivery) []sequencing.Delivery {
	previous := sequencing.Time(0)
	for i := range events {
		events[i].Previous, previous = previous, events[i].Time
	}
	return events
}

// Drop leaves event i out, and hides it.
func Drop(i int) Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		if i < len(events) {
			events = chain(slices.Delete(events, i, i+1))
		}
		return events, known
	}
}

// Gap leaves event i out without hiding it.
func Gap(i int) Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		if i < len(events) {
			events = slices.Delete(events, i, i+1)
		}
		return events, known
	}
}

// Alter changes the content of event i.
func Alter(i int) Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		if i < len(events) {
			events[i] = altered(events[i])
		}
		return events, known
	}
}

func altered(e sequencing.Delivery) sequencing.Delivery {
	e.Cost++
	e.Envelopes = slices.Clone(e.Envelopes)
	for i := range e.Envelopes {
		e.Envelopes[i].Payload = append(slices.Clone(e.Envelopes[i].Payload), '!')
	}
	return e
}

// Forge tells an event of its own after event i, and keeps the chain.
func Forge(i int) Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		if i < len(events) && events[i].Time < known && (i+1 == len(events) || events[i].Time+1 < events[i+1].Time) {
			e := altered(events[i])
			e.Time++
			events = chain(slices.Insert(events, i+1, e))
		}
		return events, known
	}
}

// Swap exchanges the contents of events i and i+1, but not their times.
func Swap(i int) Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		if i+1 < len(events) {
			events[i], events[i+1] = events[i+1], events[i]
			events[i].Time, events[i+1].Time = events[i+1].Time, events[i].Time
			events = chain(events)
		}
		return events, known
	}
}

// Ahead claims to know everything up to a time that nobody knows yet.
func Ahead(by sequencing.Time) Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		return events, known + by
	}
}
