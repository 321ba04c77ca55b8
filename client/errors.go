package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// What ends a client, for errors.Is. [Client.Run] returns it, and Next and Send after it.
var (
	// ErrForked: sequencers tell different histories, and no threshold of them can agree any more.
	ErrForked = errors.New("the sequencers do not agree")
	// ErrUnreachable: fewer sequencers than the trust threshold are left, because the others lied or are not what is
	// configured.
	ErrUnreachable = errors.New("the trust threshold cannot be reached")
	// ErrTwoNetworks: each of two networks is named by a threshold of sequencers.
	ErrTwoNetworks = errors.New("the sequencers belong to two networks")
	// ErrPruned: no threshold of sequencers keeps the events after the position any more.
	ErrPruned = errors.New("events are no longer kept")
	// ErrUnreadable: an event on which the sequencers agree does not decode: this client is too old.
	ErrUnreadable = errors.New("an event cannot be read")
	// ErrStopped: Run is not running.
	ErrStopped = errors.New("the client is not running")
)

// What becomes of a send besides its delivery, for errors.Is.
var (
	// ErrExpired: max-sequencing-time passed without the submission being sequenced. It never will be.
	ErrExpired = errors.New("max-sequencing-time passed before the submission was sequenced")
	// ErrUnknown: the wait ended early. The submission may still be sequenced until its max-sequencing-time; the events
	// will tell, and sending the same [Signed] again does no harm.
	ErrUnknown = errors.New("the outcome is not known yet")
)

// DeliverError is the definite, agreed answer that a submission was sequenced and not delivered.
type DeliverError struct {
	// Time is the sequencing time, Cost what was charged, in bytes of traffic.
	Time    sequencing.Time
	Cost    uint64
	Refusal sequencing.Refusal
}

func (e *DeliverError) Error() string {
	return fmt.Sprintf("not delivered (%s, sequenced at %d): %v", e.Refusal.Code, e.Time, e.Refusal)
}

func (e *DeliverError) Unwrap() error { return e.Refusal }

// Failure is what a sequencer answered to a call. A send fails with it when threshold sequencers refuse.
type Failure struct {
	Sequencer string // its alias
	// Reason is stable, and listed in sequencer.proto; empty if the transport failed.
	Reason string
	// Rule is the sequencing code by name, for the reason REFUSED.
	Rule       string
	Message    string
	RetryAfter time.Duration // as it asked, which may be any time; 0: none was named
	// Status is the code of a call that failed. It is Unknown for a submission that was refused in a stream: the reason tells.
	Status codes.Code
	// Last is set for PRUNED: events up to that time are not kept.
	Last sequencing.Time
}

func (f *Failure) Error() string {
	name := f.Reason
	if name == "" {
		name = f.Status.String()
	}
	if f.Rule != "" {
		name += ", " + f.Rule
	}
	return fmt.Sprintf("sequencer %s: %s (%s)", f.Sequencer, f.Message, name)
}

func (f *Failure) sameRule(other *Failure) bool {
	return f.Reason == other.Reason && f.Rule == other.Rule
}

// errorDomain is the domain of the reasons.
const errorDomain = "sequencer.synod.network"

// failureOf reads what a sequencer answered.
func failureOf(sequencer string, err error) *Failure {
	var already *Failure
	if errors.As(err, &already) {
		return already
	}
	s := status.Convert(err)
	if errors.Is(err, context.DeadlineExceeded) {
		s = status.FromContextError(err)
	}
	f := &Failure{Sequencer: sequencer, Message: s.Message(), Status: s.Code()}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == errorDomain {
				f.Reason, f.Rule = d.GetReason(), d.GetMetadata()["code"]
				f.Last = lastOf(d.GetMetadata()["last"])
			}
		case *errdetails.RetryInfo:
			f.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return f
}

// lastOf reads the time in a failure for PRUNED; what is no time stands for all of it.
func lastOf(text string) sequencing.Time {
	if text == "" {
		return 0
	}
	at, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return sequencing.Time(at)
}

// answer says what a send does after an attempt.
type answer int

const (
	accepted  answer = iota // queued, or sequenced before
	elsewhere               // this sequencer cannot: try the next at once
	login                   // the token is not good any more
	final                   // the rules refuse it
)

// answerTo classifies a failed attempt.
func (f *Failure) answer() answer {
	switch f.Reason {
	case "OVERLOADED", "TOO_MANY_CALLS", "TOO_MANY_TOKENS", "NOT_READY", "SHUTTING_DOWN", "INTERNAL", "WRONG_NETWORK":
		return elsewhere
	case "UNAUTHENTICATED":
		return login
	case "REFUSED":
		switch f.Rule {
		case sequencing.Replayed.String():
			return accepted // a copy of it was sequenced
		case sequencing.TooFarAhead.String():
			return elsewhere // its clock is behind
		}
		return final
	case "":
		if f.Status == codes.Unauthenticated {
			return login
		}
		return elsewhere // the transport, or something between: sequencers give a reason
	}
	return final
}

// stranger reports whether what answered a handshake cannot have been a sequencer, which gives a reason for what it refuses.
func (f *Failure) stranger() bool {
	switch f.Status {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return false // nothing answered
	}
	return f.Reason == ""
}

// brief is one short line of what something said that may say anything.
func brief(text string) string {
	const most = 200
	line, _, _ := strings.Cut(text, "\n")
	if len(line) > most {
		line = line[:most] + "…"
	}
	return strings.ToValidUTF8(line, "?")
}
