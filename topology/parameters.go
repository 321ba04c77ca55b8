package topology

import (
	"github.com/synod-network/synod/bft"
)

// SynchronizerParameters are the numbers that all members of a network keep to. The owners sign them. A parameter is looked
// up at the sequencing time of what it judges, so that a change never judges what was sent before it.
type SynchronizerParameters struct {
	Synchronizer UID
	// Ordering is in force from the next epoch of the sequencers on.
	Ordering bft.Params
	// TopologyChangeDelay is the time from the sequencing of a topology transaction to its coming into force, in µs. It
	// bounds how far a member may be behind in processing the order without acting on an old topology.
	TopologyChangeDelay Time
	// ConfirmationResponseTimeout is how long after a request participants may confirm it, in µs.
	ConfirmationResponseTimeout Time
	// MediatorReactionTimeout is how long after that a mediator may give the verdict, in µs.
	MediatorReactionTimeout Time
	// MaxRequestSize bounds a submission in bytes; at most Ordering.RequestLimit.
	MaxRequestSize uint32
	// SequencingTimeTolerance is how far ahead of the agreed time a submission may set the time by which it must be
	// sequenced, in µs. It bounds for how long sequencers remember aggregations and what they have seen.
	SequencingTimeTolerance Time
	Traffic                 Traffic
	// Onboarding bounds what others than the owners add to the topology.
	Onboarding Onboarding
	plain
}

// Traffic is what submissions cost: EventCost, and for each envelope EnvelopeCost + recipients × RecipientCost + size ×
// (WriteCost + recipients × ReadCost) / 10 000, where size is that of its payload. Nothing is free that sequencers keep or
// deliver: an empty envelope costs about what it takes to store and to tell.
type Traffic struct {
	// BaseAllowance is what each member may spend in a Window without paying, in bytes; it accrues evenly.
	BaseAllowance uint64
	Window        Time // µs
	// WriteCost and ReadCost weigh the bytes submitted, and the bytes delivered to each recipient, in parts per 10 000.
	WriteCost, ReadCost uint32
	// EventCost is the price of any submission, in bytes.
	EventCost uint64
	// EnvelopeCost is the price of any envelope, and RecipientCost that of each of its recipients, in bytes.
	EnvelopeCost, RecipientCost uint32
}

// Metered reports whether anything costs something.
func (t Traffic) Metered() bool {
	return t.WriteCost > 0 || t.ReadCost > 0 || t.EventCost > 0 || t.EnvelopeCost > 0 || t.RecipientCost > 0
}

// DefaultParameters returns the parameters of a new network.
func DefaultParameters(synchronizer UID) SynchronizerParameters {
	return SynchronizerParameters{
		Synchronizer:                synchronizer,
		Ordering:                    bft.DefaultParams(),
		TopologyChangeDelay:         250 * bft.Millisecond,
		ConfirmationResponseTimeout: 30 * bft.Second,
		MediatorReactionTimeout:     30 * bft.Second,
		MaxRequestSize:              10 << 20,
		SequencingTimeTolerance:     6 * 60 * bft.Second,
		Traffic: Traffic{
			BaseAllowance: 200 << 10, Window: 10 * 60 * bft.Second, WriteCost: 10_000, ReadCost: 200,
			EventCost: 256, EnvelopeCost: 64, RecipientCost: 32,
		},
		Onboarding: DefaultOnboarding(),
	}
}

// Kind implements [Mapping].
func (SynchronizerParameters) Kind() Kind { return KindSynchronizerParameters }

// Key implements [Mapping].
func (p SynchronizerParameters) Key() Key { return parametersKey(p.Synchronizer) }

func parametersKey(synchronizer UID) Key { return keyOf(KindSynchronizerParameters, synchronizer) }

func (p SynchronizerParameters) check() *Rejection {
	if err := p.Synchronizer.check(); err != nil {
		return malformed("synchronizer %s: %v", p.Synchronizer, err)
	}
	if err := p.Ordering.Validate(); err != nil {
		return rejected(CodeBadParameter, "%v", err)
	}
	const minute = 60 * bft.Second
	for _, limit := range []struct {
		name             string
		got, least, most Time
		unit             Time
		in               string
	}{
		{"the topology change delay", p.TopologyChangeDelay, bft.Millisecond, 60 * minute, bft.Millisecond, "ms"},
		{"the confirmation response timeout", p.ConfirmationResponseTimeout, bft.Second, 5 * minute, bft.Second, "s"},
		{"the mediator reaction timeout", p.MediatorReactionTimeout, bft.Second, 5 * minute, bft.Second, "s"},
		{"the sequencing time tolerance", p.SequencingTimeTolerance, bft.Second, 24 * 60 * minute, bft.Second, "s"},
		{"the traffic window", p.Traffic.Window, bft.Second, 24 * 60 * minute, bft.Second, "s"},
		{"the maximum request size", Time(p.MaxRequestSize), 1 << 10, Time(p.Ordering.RequestLimit), 1, " bytes"},
		{"the write cost", Time(p.Traffic.WriteCost), 0, 1_000_000, 1, " per 10000"},
		{"the read cost", Time(p.Traffic.ReadCost), 0, 1_000_000, 1, " per 10000"},
		{"the cost of an envelope", Time(p.Traffic.EnvelopeCost), 0, maxPrice, 1, " bytes"},
		{"the cost of a recipient", Time(p.Traffic.RecipientCost), 0, maxPrice, 1, " bytes"},
	} {
		if limit.got < limit.least || limit.got > limit.most {
			return rejected(CodeBadParameter, "%s must be between %d and %d%s", limit.name, limit.least/limit.unit, limit.most/limit.unit, limit.in)
		}
	}
	if p.Traffic.BaseAllowance > maxTraffic || p.Traffic.EventCost > maxTraffic {
		return rejected(CodeBadParameter, "the base allowance and the cost of an event must be at most %d bytes", uint64(maxTraffic))
	}
	return p.Onboarding.check()
}

// maxTraffic and maxPrice leave room to add up costs in 64 bits.
const (
	maxTraffic = 1 << 40
	maxPrice   = 1 << 20
)

func (p SynchronizerParameters) encode(w *writer) {
	w.uid(p.Synchronizer)
	encodeOrdering(w, p.Ordering)
	w.time(p.TopologyChangeDelay)
	w.time(p.ConfirmationResponseTimeout)
	w.time(p.MediatorReactionTimeout)
	w.U32(p.MaxRequestSize)
	w.time(p.SequencingTimeTolerance)
	w.U64(p.Traffic.BaseAllowance)
	w.time(p.Traffic.Window)
	w.U32(p.Traffic.WriteCost)
	w.U32(p.Traffic.ReadCost)
	w.U64(p.Traffic.EventCost)
	w.U32(p.Traffic.EnvelopeCost)
	w.U32(p.Traffic.RecipientCost)
	w.U8(uint8(p.Onboarding.Mode))
	w.U32(p.Onboarding.Namespaces)
	w.limits(p.Onboarding.Limits)
}

func encodeOrdering(w *writer, p bft.Params) {
	w.time(p.LeaderTimeout)
	w.time(p.IdleInterval)
	w.U32(p.PayloadLimit)
	w.U32(p.PayloadRequests)
	w.U32(p.RequestLimit)
	w.time(p.EpochDuration)
	w.U64(uint64(p.GCDepth))
	w.U64(uint64(p.DemotionWindow))
}

func decodeSynchronizerParameters(r *reader) SynchronizerParameters {
	return SynchronizerParameters{
		Synchronizer: r.uid(),
		Ordering: bft.Params{
			LeaderTimeout: r.time(), IdleInterval: r.time(), PayloadLimit: r.U32(), PayloadRequests: r.U32(),
			RequestLimit: r.U32(), EpochDuration: r.time(), GCDepth: bft.Round(r.U64()), DemotionWindow: bft.CommitIndex(r.U64()),
		},
		TopologyChangeDelay:         r.time(),
		ConfirmationResponseTimeout: r.time(),
		MediatorReactionTimeout:     r.time(),
		MaxRequestSize:              r.U32(),
		SequencingTimeTolerance:     r.time(),
		Traffic: Traffic{
			BaseAllowance: r.U64(), Window: r.time(), WriteCost: r.U32(), ReadCost: r.U32(), EventCost: r.U64(),
			EnvelopeCost: r.U32(), RecipientCost: r.U32(),
		},
		Onboarding: Onboarding{Mode: Mode(r.U8()), Namespaces: r.U32(), Limits: r.limits()},
	}
}

func (p SynchronizerParameters) needs(change) authority {
	return authority{namespaces: []Namespace{p.Synchronizer.Namespace}}
}

func (p SynchronizerParameters) answers() Namespace { return p.Synchronizer.Namespace }

func (p SynchronizerParameters) admit(s *State, c change) *Rejection {
	return s.requireKept(p.Synchronizer, c)
}
