package sequencing

import (
	"errors"
	"fmt"

	"github.com/synod-network/synod/ordering"
)

// What a [History] refuses, for errors.Is.
var (
	// ErrPruned says that events of the member are no longer kept; see [Pruned].
	ErrPruned = errors.New("events are no longer kept")
	// ErrNeeded says that members have not acknowledged what is to be pruned.
	ErrNeeded = errors.New("members still need these events")
)

// Pruned is the [ErrPruned] that tells what is left.
type Pruned struct {
	// After is where reading was to begin, Last the newest event that the member
	// can not read here any more. Reading after Last is possible.
	After, Last Time
}

func (e *Pruned) Error() string {
	return fmt.Sprintf("%v: wanted after %d, kept after %d; read them at another sequencer", ErrPruned, e.After, e.Last)
}

func (e *Pruned) Unwrap() error { return ErrPruned }

// Position is how far the order was applied.
type Position struct {
	Height ordering.Height // of the last block, 0 before the first
	// Time is the last time that block gave out: every event up to it is known.
	Time Time
	// Chain is the digest of all records ever published, as in [Manifest.Records].
	Chain Digest
}

// Position is that of the state.
func (m *Machine) Position() Position {
	return Position{Height: m.height, Time: m.time, Chain: m.chain}
}

// Limits of one [History.Read], whatever it is asked for.
const (
	MaxPage       = 4 << 20 // bytes of events, as [Delivery.Size] counts, after which a page ends
	MaxPageEvents = 4096
)

// Limit is how much a reader wants at most. A page ends after the event with which it
// reaches Bytes, as [Delivery.Size] counts, so it has at least one, whatever its size.
type Limit struct {
	Events int
	Bytes  int // 0 for MaxPage
}

// Bounded is the limit within those of all pages.
func (l Limit) Bounded() Limit {
	if l.Bytes <= 0 {
		l.Bytes = MaxPage
	}
	return Limit{Events: max(0, min(l.Events, MaxPageEvents)), Bytes: min(l.Bytes, MaxPage)}
}

// History keeps records and tells each member its events: a record once, and for
// each member the times of its events. It is not part of the agreed state: each
// sequencer prunes by itself. One goroutine calls Begin, Append and Prune; who may
// read meanwhile is for the implementation to say. Package historytest has the
// suite that implementations must pass.
type History interface {
	// Begin forgets everything and begins after the state of a machine: its
	// members' events up to there count as pruned.
	Begin(m *Machine) error
	// Position is that of the last block appended, or that of Begin.
	Position() Position
	// Append adds what the next block yielded, all of it or nothing. A block that is
	// here already, as after a restart, changes nothing. The error matches
	// [ErrBrokenOrder] if the block is neither, or if it yielded something else
	// than when it was appended first; whoever sees that must stop.
	Append(out *Output) error
	// Read returns a member's events after a time, up to a limit, and the time up to
	// which the member then knows everything. That is more than the time of the last
	// event if there are no more: the tick that an idle member is told. A member of
	// which nothing is known has no events. The error matches [ErrPruned]. The caller
	// does not modify the payloads.
	Read(member Index, after Time, limit Limit) ([]Delivery, Time, error)
	// Recipients returns the encoding of a recipient set of a digest that the member
	// was told of with its event at a time: the sender of each of its submission, a
	// recipient of those that it is in. The error matches [ErrPruned], or [ErrNotShown]
	// for everybody else. The caller does not modify the encoding.
	Recipients(member Index, at Time, set Digest) ([]byte, error)
	// MemberID returns the name of a member by its index, and false before it joined.
	MemberID(member Index) (MemberID, bool, error)
	// Prune drops events and records up to a time, which must not be above point,
	// the [Machine.PruningPoint] of any state up to now. The error matches
	// [ErrNeeded].
	Prune(upTo, point Time) error
}

// Follows reports whether a block is the next one. False without an error means
// that it is here already. The error matches [ErrBrokenOrder].
func (p Position) Follows(out *Output) (bool, error) {
	switch {
	case out.Height == p.Height && out.Chain != p.Chain:
		return false, fmt.Errorf("append block %d to the history: it yields records %v, but %v are kept: %w", out.Height, out.Chain, p.Chain, ErrBrokenOrder)
	case out.Height <= p.Height:
		return false, nil
	case out.Height != p.Height+1:
		return false, fmt.Errorf("append block %d to the history after block %d: %w", out.Height, p.Height, ErrBrokenOrder)
	case out.Time <= p.Time:
		return false, fmt.Errorf("append block %d of time %d to the history after time %d: %w", out.Height, out.Time, p.Time, ErrBrokenOrder)
	}
	return true, nil
}

// CheckPrune refuses, with [ErrNeeded], to prune above a pruning point.
func CheckPrune(upTo, point Time) error {
	if upTo > point {
		return fmt.Errorf("prune up to %d, acknowledged by all up to %d: %w: wait for their acknowledgements or shut members out", upTo, point, ErrNeeded)
	}
	return nil
}

// Delivery is one event as its member sees it.
type Delivery struct {
	Time Time
	// Previous is the time of the member's event before, 0 for none. A member
	// that has not seen that one has missed some.
	Previous Time
	Kind     RecordKind
	// Receipt is set for the sender, and Message is then its message id and Cost
	// what it was charged.
	Receipt bool
	Message MessageID
	Cost    uint64
	// Refusal is set for Refused.
	Refusal Refusal
	// Topology is set for TopologyChanged.
	Topology []byte
	// Envelopes are the member's own, by number. Proof and Signers come with them
	// and let it check who signed: each [Signer.Digest] over [Proof.Content].
	Envelopes []Received
	Proof     Proof
	Signers   []Signer
}
