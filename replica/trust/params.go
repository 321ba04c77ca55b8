package trust

import (
	"errors"
	"fmt"
)

// Instant is a point on the clock of a ledger, in µs. It never goes back, not over restarts either, and means nothing
// to other nodes.
type Instant int64

// Duration is a span of that clock, in µs.
type Duration int64

// Units of Duration.
const (
	Second Duration = 1e6
	Minute          = 60 * Second
	Hour            = 60 * Minute
	Day             = 24 * Hour
)

// Params is how a node judges.
type Params struct {
	HalfLife     Duration // in which a score halves
	LimitBelow   float64  // at or below this score a peer is read slowly
	Probation    float64  // the score after a ban
	FirstBan     Duration // doubles with each strike
	LongestBan   Duration
	StrikeWindow Duration // after which without a strike, counted from the end of the last ban, the next ban is a first one again
	Jitter       float64  // by up to which share of its length a ban is longer or shorter

	SuspectWindow Duration // f+1 members that look bad in it make this node suspect
	LooksBad      float64  // what blame must cost a peer in a window for it to look bad
	SuspectFor    Duration // for which the suspicion lasts after the last of them

	QuorumGrace Duration // for which a quorum may lack before bans of members are put on hold

	Peers int // that a ledger remembers; the least important is forgotten first
}

// DefaultParams is right for sequencers that their operators know by name.
func DefaultParams() Params {
	return Params{
		HalfLife: Hour, LimitBelow: -0.5, Probation: -0.6,
		FirstBan: 5 * Minute, LongestBan: 30 * Day, StrikeWindow: 30 * Day, Jitter: 0.1,
		SuspectWindow: Minute, LooksBad: 0.2, SuspectFor: 5 * Minute,
		QuorumGrace: 10 * Second, Peers: 1024,
	}
}

// Validate says what of the parameters makes no sense.
func (p Params) Validate() error {
	switch {
	case min(p.HalfLife, p.FirstBan, p.StrikeWindow, p.SuspectWindow, p.SuspectFor, p.QuorumGrace) <= 0:
		return errors.New("a duration is not positive")
	case p.LongestBan < p.FirstBan || p.LongestBan > maxBan:
		return fmt.Errorf("the longest ban is %d µs, want from the first one, %d µs, to %d µs", p.LongestBan, p.FirstBan, maxBan)
	case !(p.LimitBelow < ambiguousBound && p.LimitBelow > lowest):
		return fmt.Errorf("a peer is limited below %g, want between %g and %g", p.LimitBelow, lowest, ambiguousBound)
	case !(p.Probation <= 0 && p.Probation > lowest):
		return fmt.Errorf("the score after a ban is %g, want above %g and at most 0", p.Probation, lowest)
	case !(p.Jitter >= 0 && p.Jitter <= 0.5):
		return fmt.Errorf("the jitter is %g, want from 0 to 0.5", p.Jitter)
	case !(p.LooksBad > 0):
		return fmt.Errorf("a peer looks bad at %g, want above 0", p.LooksBad)
	case p.Peers < 1 || p.Peers > maxPeers:
		return fmt.Errorf("%d peers are remembered, want from 1 to %d", p.Peers, maxPeers)
	}
	return nil
}

// Bounds of what a ledger holds, whatever its parameters.
const (
	maxPeers    = 1024
	maxBan      = 366 * Day
	maxHistory  = 32 // lines for each peer
	maxStrikes  = 32 // of a peer that count; by then a ban has long reached its greatest length
	maxEvidence = 4  // proofs for each peer; the store of the node keeps all
	maxProof    = 64 << 10
	maxProofs   = 4 << 20 // of all peers together
	maxText     = 240
)
