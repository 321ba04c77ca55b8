package sequencing

import "encoding/hex"

// Digest is a SHA-256 digest over a domain-separated canonical encoding.
type Digest [32]byte

// String returns the first eight hexadecimal digits: enough to tell digests
// apart in a log.
func (d Digest) String() string { return hex.EncodeToString(d[:4]) }

// NetworkID names one network for ever: the digest of its genesis. Every signed
// message binds it, so that nothing signed for one network counts in another.
type NetworkID [32]byte

// Key is an Ed25519 public key with which a member signs for the protocol.
type Key [32]byte

// Signature is an Ed25519 signature.
type Signature [64]byte

// Time is a point in agreed time in microseconds since the Unix epoch, UTC, or
// a duration in microseconds, as the context says. 0 means none.
type Time int64

// Units of Time.
const (
	Microsecond Time = 1
	Millisecond      = 1000 * Microsecond
	Second           = 1000 * Millisecond
	Minute           = 60 * Second
)

// MemberID is a node's name in the topology, such as PAR::alice::1220ab…, of at
// most [MaxMemberID] bytes. What it looks like is the topology's business.
type MemberID string

// MessageID is what a sender calls a submission: 1 to [MaxMessageID] bytes of its
// choice, by which it knows the answer again.
type MessageID string

// Index is a member's place in the order of registration, from 0: what is stored
// by the million names members so. It is the same at every sequencer.
type Index uint32

// Nobody is the index of no member.
const Nobody Index = 1<<32 - 1

// Limits that hold in every network, whatever its parameters say. They bound
// what a decoder can be made to do.
const (
	MaxMemberID    = 255     // bytes
	MaxMessageID   = 64      // bytes
	MaxPayload     = 1 << 24 // bytes of one envelope
	MaxEnvelopes   = 4096    // of a submission
	MaxSets        = 4096    // recipient sets of a submission
	MaxNamed       = 1 << 15 // recipients that a submission names, over all sets
	MaxResolved    = 1 << 20 // recipients of a submission with groups resolved, over all sets
	MaxEligible    = 128     // senders of an aggregation
	MaxSignatures  = 128     // on one request
	MaxTopology    = 1 << 20 // bytes of one topology change
	MaxAhead       = 60 * Minute
	maxTrafficRate = 1 << 18 // factor, in 1/10 000

	maxTrafficPrice = 1 << 20 // of an envelope or a recipient, in bytes
)
