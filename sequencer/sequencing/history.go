package sequencing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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

// History keeps records and tells each member its events. It is what a store on
// disk must do, in memory: a record once, and for each member the times of its
// events. It is not part of the agreed state: each sequencer prunes by itself.
// It belongs to one goroutine.
type History struct {
	time    Time       // everything up to it is known
	blocks  [][]Record // not empty, ascending
	streams []stream   // by member
}

// stream is one member's events: eight bytes for each. An event's previous time
// is that of the one before it.
type stream struct {
	previous Time // of the event before times[0], 0 for none
	times    []Time
}

// NewHistory returns the history that begins after the state of a machine.
func NewHistory(m *Machine) *History {
	h := &History{time: m.time, streams: make([]stream, m.members.count)}
	for i := range h.streams {
		h.streams[i].previous = m.members.at(Index(i)).last
	}
	return h
}

// Append adds what a block yielded. A block that is here already, as after a
// restart, is skipped.
func (h *History) Append(out *Output) {
	if out.Time <= h.time {
		return
	}
	h.time = out.Time
	if len(out.Records) == 0 {
		return
	}
	h.blocks = append(h.blocks, out.Records)
	for i := range out.Records {
		for _, e := range out.Records[i].Events {
			for int(e.Member) >= len(h.streams) {
				h.streams = append(h.streams, stream{})
			}
			s := &h.streams[e.Member]
			s.times = append(s.times, out.Records[i].Time)
		}
	}
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

// Read returns a member's events after a time, at most limit, and the time up to
// which the member then knows everything. That is more than the time of the last
// event if there are no more: the tick that an idle member is told. The error
// matches [ErrPruned].
func (h *History) Read(member Index, after Time, limit int) ([]Delivery, Time, error) {
	if int(member) >= len(h.streams) {
		return nil, h.time, nil
	}
	s := &h.streams[member]
	if after < s.previous {
		return nil, 0, &Pruned{After: after, Last: s.previous}
	}
	from, found := slices.BinarySearch(s.times, after)
	if found {
		from++
	}
	to, through := min(len(s.times), from+limit), h.time
	switch {
	case to == len(s.times):
	case to == from:
		through = after
	default:
		through = s.times[to-1]
	}
	var deliveries []Delivery
	for i := from; i < to; i++ {
		d := h.record(s.times[i]).deliver(member)
		if d.Previous = s.previous; i > 0 {
			d.Previous = s.times[i-1]
		}
		deliveries = append(deliveries, d)
	}
	return deliveries, through, nil
}

// record finds the record of a time, which is there.
func (h *History) record(at Time) *Record {
	i, _ := slices.BinarySearchFunc(h.blocks, at, func(block []Record, at Time) int { return cmp.Compare(block[len(block)-1].Time, at) })
	j, _ := slices.BinarySearchFunc(h.blocks[i], at, func(r Record, at Time) int { return cmp.Compare(r.Time, at) })
	return &h.blocks[i][j]
}

// deliver makes the event of one member; Previous is left to the caller.
func (r *Record) deliver(member Index) Delivery {
	d := Delivery{Time: r.Time, Kind: r.Kind, Refusal: r.Refusal, Topology: r.Topology}
	if r.Submission == nil {
		return d
	}
	if d.Receipt = r.Sender == member; d.Receipt {
		d.Message, d.Cost = r.Submission.Message, r.Cost
	}
	for i, e := range r.Submission.Envelopes {
		if r.Kind != Delivered {
			break
		}
		if _, mine := slices.BinarySearch(r.Sets[e.Set], member); mine {
			d.Envelopes = append(d.Envelopes, Received{Number: i, Recipients: r.Submission.Sets[e.Set], Payload: e.Payload})
		}
	}
	if len(d.Envelopes) > 0 {
		s := r.Submission
		d.Proof = Proof{MaxTime: s.MaxTime, TopologyTime: s.TopologyTime, Aggregation: s.Aggregation, Envelopes: s.sealed.envelopes}
		d.Signers = r.Signers
	}
	return d
}

// Prune drops events and records up to a time, which must not be above point,
// the [Machine.PruningPoint] of any state up to now. The error matches
// [ErrNeeded].
func (h *History) Prune(upTo, point Time) error {
	if upTo > point {
		return fmt.Errorf("prune up to %d, acknowledged by all up to %d: %w: wait for their acknowledgements or shut members out", upTo, point, ErrNeeded)
	}
	for i := range h.streams {
		s := &h.streams[i]
		n, found := slices.BinarySearch(s.times, upTo)
		if found {
			n++
		}
		if n > 0 {
			s.previous, s.times = s.times[n-1], slices.Clone(s.times[n:])
		}
	}
	n := 0
	for n < len(h.blocks) && h.blocks[n][len(h.blocks[n])-1].Time <= upTo {
		h.blocks[n] = nil
		n++
	}
	h.blocks = h.blocks[n:]
	return nil
}
