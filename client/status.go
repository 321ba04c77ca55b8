package client

import (
	"time"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// Health is how well a client can do its work.
type Health string

// The healths.
const (
	Healthy  Health = "ok"       // at least threshold sequencers are read from
	Degraded Health = "degraded" // fewer, but some
	Failed   Health = "failed"   // none
)

// Status describes a client for its operator.
type Status struct {
	Health     Health
	Position   Position
	Queued     int // events that wait for Next
	InFlight   int // sends without an outcome
	Confirmed  sequencing.Time
	Sequencers []SequencerStatus
}

// SequencerStatus describes one sequencer as a client sees it.
type SequencerStatus struct {
	Alias string
	// ID is empty until the sequencer said or the configuration named it.
	ID        sequencing.MemberID
	Connected int // endpoints
	// Reading says that a stream is open which told something.
	Reading bool
	// Known is up to when it told everything.
	Known sequencing.Time
	// Kept and Broken count the sends that it took and that were, or were not, sequenced through it. One that breaks its
	// word again and again is passed over until PassedOver, which is zero if it is not.
	Kept, Broken uint64
	PassedOver   time.Time
	// Left is the lie for which it is not used any more.
	Left *Lie
	// Errors are those of its endpoints, in order, and of its last stream; empty for none.
	EndpointErrors []string
	StreamError    string
	// Again is when the next stream may be opened; zero if now.
	Again time.Time
}

// Status says how the client and its sequencers are.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{Position: c.agreement.position, Queued: len(c.queue), InFlight: len(c.tracked), Confirmed: c.confirmed}
	reading := 0
	for _, p := range c.peers {
		one := SequencerStatus{Alias: p.alias, ID: p.id, Left: p.left, Reading: p.stream != nil && p.stream.told, StreamError: text(p.lastErr),
			Kept: p.promises.kept, Broken: p.promises.broken}
		if p.promises.until.After(time.Now()) {
			one.PassedOver = p.promises.until
		}
		if v := c.agreement.voices[p.id]; v != nil {
			one.Known = v.reach
		}
		for _, l := range p.links {
			one.EndpointErrors = append(one.EndpointErrors, text(l.lastErr))
			if c.usable(l) {
				one.Connected++
			}
		}
		if one.Reading {
			reading++
		} else if p.after.After(time.Now()) {
			one.Again = p.after
		}
		s.Sequencers = append(s.Sequencers, one)
	}
	switch {
	case reading >= c.config.TrustThreshold:
		s.Health = Healthy
	case reading > 0:
		s.Health = Degraded
	default:
		s.Health = Failed
	}
	return s
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
