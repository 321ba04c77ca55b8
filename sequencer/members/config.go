package members

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// State is what the service reads of what the sequencer knows. All methods may be
// called from any number of goroutines; *synchronizer.State is one.
type State interface {
	Network() sequencing.NetworkID
	// Time is that up to which everything can be read.
	Time() sequencing.Time
	// Check says what the rules would make of a genuinely signed submission now: its
	// cost, and a [sequencing.Refusal] or nil.
	Check(submission *sequencing.Submission, key sequencing.Key) (cost uint64, err error)
	// Member returns what is known of a member that took part already.
	Member(id sequencing.MemberID) (sequencing.Member, bool)
	// Traffic returns what such a member may spend now, and what time that is.
	Traffic(id sequencing.MemberID) (traffic sequencing.Traffic, now sequencing.Time, ok bool)
	// Topology lets view read who is who now. View is quick and keeps nothing.
	Topology(view func(topology.Snapshot))
	// Settled names the topology as it is now: the time since which it is so. It is 0
	// while a change was accepted that is not in force yet.
	Settled() sequencing.Time
	// CheckTopology says for each transaction why it would be refused now, one after
	// the other. If none will be once all is in force that was accepted, inForce is when
	// that is.
	CheckTopology(list ...topology.SignedTransaction) (rejections []*topology.Rejection, inForce sequencing.Time)
	// AwaitChange returns a channel that receives what becomes of a change when the order
	// comes to it, until stop is called.
	AwaitChange(change []byte) (judged <-chan membership.Judgement, stop func())
	// TopologyChanged is the sequencing time of the last accepted transaction.
	TopologyChanged() sequencing.Time
	// EncodeTopology returns the topology as it is now, its digest, and the time.
	EncodeTopology() (encoded []byte, digest topology.Digest, at sequencing.Time, err error)
	// Read returns a member's events; see [sequencing.History].
	Read(member sequencing.Index, after sequencing.Time, limit sequencing.Limit) ([]sequencing.Delivery, sequencing.Time, error)
	// Recipients returns the encoding of a recipient set of an event of a member; see
	// [sequencing.History].
	Recipients(member sequencing.Index, at sequencing.Time, set sequencing.Digest) ([]byte, error)
	// Watch returns a channel that receives when the member has new events, until stop
	// is called; for [sequencing.Nobody] when somebody takes part for the first time.
	Watch(member sequencing.Index) (c <-chan struct{}, stop func())
}

// Config shapes a [Service]. State, Orderer, Self and Key are needed; zero fields
// otherwise take the default.
type Config struct {
	State   State
	Orderer ordering.Orderer
	// Self is the sequencer whose service this is.
	Self topology.Member
	// Key returns the protocol key with which it signs tokens and events now; it may
	// change over time.
	Key func() keys.PrivateKey
	// Verifier checks signatures. Default one that remembers 4096 keys.
	Verifier *keys.BatchVerifier
	// Revoke is given each revocation made here, to be handed to the other sequencers,
	// which call [Service.Revoked]. It must not block. Default: nobody hears of it.
	Revoke func(Revocation)

	// TokenLife is how long a token is good, at most [MaxTokenLife], the default.
	TokenLife time.Duration
	// Calls bounds the calls and streams open at the same time, MemberCalls those of
	// one member, Subscriptions those of its Subscribe, and MemberTokens the tokens
	// that one has from here. Defaults 16384, 256, 5 and 32.
	Calls, MemberCalls, Subscriptions, MemberTokens int
	// Downloads bounds the topology downloads at the same time, Lookups those of
	// recipients. Defaults 8 and 8. PartPatience is how long one may take for each 256 KiB
	// before its place is given to others. Default 15 s.
	Downloads, Lookups int
	PartPatience       time.Duration
	// OutcomePatience is how long a registration waits for what the order makes of it. Default 5 s.
	OutcomePatience time.Duration
	// Registrations per second from everybody, and from one host; bursts are five
	// times as many. Defaults 10 and 2.
	Registrations, HostRegistrations float64
	// TickEvery is how often a member without events is told the time, and streams ask
	// whether their token still holds. Default 1 s.
	// Clients take one that tells the time more than 250 times a second for a liar.
	TickEvery time.Duration

	// Software is what the handshake says of it.
	Software string
	// Now is the clock of tokens, nonces and limits. Default [time.Now].
	Now func() time.Time
	// Log receives what the operator should know. Default [slog.Default].
	Log *slog.Logger
	// Observer is told what happens. Default nobody.
	Observer Observer
}

func (c Config) withDefaults() Config {
	if c.Verifier == nil {
		c.Verifier = keys.NewBatchVerifier(4096)
	}
	if c.Revoke == nil {
		c.Revoke = func(Revocation) {}
	}
	c.TokenLife = min(cmp.Or(c.TokenLife, MaxTokenLife), MaxTokenLife)
	c.Calls = cmp.Or(c.Calls, 16384)
	c.MemberCalls = cmp.Or(c.MemberCalls, 256)
	c.Subscriptions = cmp.Or(c.Subscriptions, 5)
	c.MemberTokens = cmp.Or(c.MemberTokens, 32)
	c.Downloads = cmp.Or(c.Downloads, 8)
	c.Lookups = cmp.Or(c.Lookups, 8)
	c.PartPatience = cmp.Or(c.PartPatience, 15*time.Second)
	c.OutcomePatience = cmp.Or(c.OutcomePatience, 5*time.Second)
	c.Registrations = cmp.Or(c.Registrations, 10)
	c.HostRegistrations = cmp.Or(c.HostRegistrations, 2)
	c.TickEvery = cmp.Or(c.TickEvery, time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	return c
}

// Observer is told what the service does, to count it. Its methods are called from
// many goroutines, on hot paths: they must be quick and must not block. An empty
// reason says that nothing was wrong; the others are [Reasons].
type Observer interface {
	// Authenticated tells of each attempt to get a token.
	Authenticated(reason Reason)
	// TokenRefused tells of each call without a token that holds.
	TokenRefused()
	// Submitted tells what became of one signed request of so many bytes; reason
	// TrafficExhausted means that its sender could not pay.
	Submitted(reason Reason, bytes int)
	// Cost tells what a submission that was queued would be charged, in bytes.
	Cost(traffic uint64)
	// Registered tells what became of one registration.
	Registered(reason Reason)
	// Delivered tells of one response to a subscriber; one without events is a tick.
	Delivered(events, bytes int)
	// SubscriptionEnded tells why one ended: reason is empty when the client left.
	SubscriptionEnded(reason Reason)
}

type nobody struct{}

func (nobody) Authenticated(Reason)     {}
func (nobody) TokenRefused()            {}
func (nobody) Submitted(Reason, int)    {}
func (nobody) Cost(uint64)              {}
func (nobody) Registered(Reason)        {}
func (nobody) Delivered(int, int)       {}
func (nobody) SubscriptionEnded(Reason) {}
