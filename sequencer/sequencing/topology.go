package sequencing

// Topology answers who is who at a time. The answers are functions of the order
// up to the time of the request that is being applied, the same at every
// sequencer. The machine asks about that time, or, for [Submission.TopologyTime],
// about one that is at most [Parameters.TopologyTolerance] before it.
type Topology interface {
	// Member returns what is known of a member that is active at a time, and
	// false for any other.
	Member(id MemberID, at Time) (Standing, bool)
	// Group returns the active members that a recipient names at a time, each
	// once, in an order that is the same everywhere; none if there is no such
	// group. It is not called for [ToMember]. The caller does not modify it.
	Group(recipient Recipient, at Time) []MemberID
	// Authority returns who decides on traffic and on shutting members out.
	Authority(at Time) Authority
	// Parameters returns the rules in force at a time.
	Parameters(at Time) Parameters
	// Change takes ordered topology transactions and reports whether they were
	// accepted. What they change is in force strictly after the given time.
	Change(at Time, transactions []byte) bool
}

// Standing is what the topology knows of an active member.
type Standing struct {
	// Keys are those with which the member may sign for the protocol.
	Keys []Key
	// Free says that the member pays for no traffic, as sequencers do not.
	Free bool
	// Unread says that the member reads nothing, as sequencers do not: what it is told need not be kept for it.
	Unread bool
}

// Authority is a threshold of members: usually the sequencers, a quorum of them.
type Authority struct {
	Members   []MemberID
	Threshold int
}

// Parameters are the rules of a network that may change over time. Those above
// the limits of the codec are cut to them.
type Parameters struct {
	// MaxAhead is how far max-sequencing-time may lie in the future, in µs, at
	// most [MaxAhead]. It is also how long a submission is remembered.
	MaxAhead Time
	// TopologyTolerance is how old a topology time may be, in µs.
	TopologyTolerance Time
	// MaxBytes bounds the payloads of a submission, together.
	MaxBytes int
	// MaxRecipients bounds its recipients, over all sets with groups resolved.
	MaxRecipients int
	// MaxInFlight bounds the submissions of one member that are remembered.
	MaxInFlight int
	Traffic     TrafficRules
}

// TrafficRules say what a submission costs and what a member may spend. The
// unit of all is the byte.
type TrafficRules struct {
	// Refill is how long an empty base allowance takes to fill, in µs; 0 or less
	// means that traffic costs nothing.
	Refill Time
	// Base is the allowance of each member: what it can save up at most.
	Base uint64
	// Event is the price of having sent anything, and of being refused.
	Event uint64
	// Write is the price of an envelope, and Factor that of each of its recipients, in
	// 1/10 000 of its size. Both are cut to 26 times the size.
	Write, Factor uint64
	// Envelope is the price of an envelope whatever its size, and Recipient that of each
	// of its recipients.
	Envelope, Recipient uint64
}

func (p Parameters) bounded() Parameters {
	p.MaxAhead = min(p.MaxAhead, MaxAhead)
	p.MaxRecipients = min(p.MaxRecipients, MaxResolved)
	p.Traffic.Write = min(p.Traffic.Write, maxTrafficRate)
	p.Traffic.Factor = min(p.Traffic.Factor, maxTrafficRate)
	p.Traffic.Event = min(p.Traffic.Event, 1<<40)
	p.Traffic.Envelope = min(p.Traffic.Envelope, maxTrafficPrice)
	p.Traffic.Recipient = min(p.Traffic.Recipient, maxTrafficPrice)
	p.Traffic.Base = min(p.Traffic.Base, 1<<62)
	return p
}

// metered reports whether traffic costs anything.
func (r TrafficRules) metered() bool { return r.Refill > 0 }
