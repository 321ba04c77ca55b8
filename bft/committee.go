package bft

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft/quorum"
)

// Params are the numbers that the members of an epoch must agree on. They
// change from one epoch to the next only.
type Params struct {
	// LeaderTimeout is how long a member waits for a leader's block, and for
	// votes that could still certify the one before, once it could go on
	// without. It grows while rounds fail and shrinks back.
	LeaderTimeout Time
	// IdleInterval is the pause between empty rounds while nothing is to be
	// ordered; it keeps time moving.
	IdleInterval Time
	// PayloadLimit bounds a block's payload in bytes; a block with exactly one
	// request may reach RequestLimit instead.
	PayloadLimit uint32
	// PayloadRequests bounds the number of requests in a block.
	PayloadRequests uint32
	// RequestLimit bounds one request in bytes.
	RequestLimit uint32
	// EpochDuration is how long an epoch lasts, in the time that commits give
	// out: it ends with the first commit at or after its start plus this.
	EpochDuration Time
	// GCDepth is the number of rounds below a committed leader in which blocks
	// can still be committed.
	GCDepth Round
	// DemotionWindow is the number of commits after which the leader schedule
	// is computed anew.
	DemotionWindow CommitIndex
}

// DefaultParams returns the parameters of a new network.
func DefaultParams() Params {
	return Params{
		LeaderTimeout:   500 * Millisecond,
		IdleInterval:    500 * Millisecond,
		PayloadLimit:    4 << 20,
		PayloadRequests: 10_000,
		RequestLimit:    10 << 20,
		EpochDuration:   30 * Second,
		GCDepth:         2000,
		DemotionWindow:  300,
	}
}

// Validate reports the first parameter that no network can run with.
func (p Params) Validate() error {
	switch {
	case p.LeaderTimeout < Millisecond || p.LeaderTimeout > 3600*Second:
		return errors.New("leader timeout must be between 1ms and 1h")
	case p.IdleInterval < Millisecond || p.IdleInterval > 3600*Second:
		return errors.New("idle interval must be between 1ms and 1h")
	case p.PayloadLimit < 1<<10 || p.PayloadLimit > 32<<20:
		return errors.New("payload limit must be between 1KiB and 32MiB")
	case p.PayloadRequests < 1 || p.PayloadRequests > 1_000_000:
		return errors.New("requests in a payload must be between 1 and 1000000")
	case p.RequestLimit < 1<<10 || p.RequestLimit > 32<<20:
		return errors.New("request limit must be between 1KiB and 32MiB")
	case p.EpochDuration < 10*Millisecond || p.EpochDuration > 30*24*3600*Second:
		return errors.New("epoch duration must be between 10ms and 30 days")
	case p.GCDepth < 10 || p.GCDepth > 1_000_000:
		return errors.New("garbage collection depth must be between 10 and 1000000 rounds")
	case p.DemotionWindow < 1 || p.DemotionWindow > 1_000_000:
		return errors.New("demotion window must be between 1 and 1000000 commits")
	}
	return nil
}

func (p Params) encode(w *writer) {
	w.U64(uint64(p.LeaderTimeout))
	w.U64(uint64(p.IdleInterval))
	w.U32(p.PayloadLimit)
	w.U32(p.PayloadRequests)
	w.U32(p.RequestLimit)
	w.U64(uint64(p.EpochDuration))
	w.U64(uint64(p.GCDepth))
	w.U64(uint64(p.DemotionWindow))
}

func decodeParams(r *reader) Params {
	return Params{
		LeaderTimeout: Time(r.U64()), IdleInterval: Time(r.U64()), PayloadLimit: r.U32(), PayloadRequests: r.U32(),
		RequestLimit: r.U32(), EpochDuration: Time(r.U64()), GCDepth: Round(r.U64()), DemotionWindow: CommitIndex(r.U64()),
	}
}

// MaxMembers bounds a committee: an author fits in a byte-sized bitmap and a
// block's header stays below 32 KiB.
const MaxMembers = 512

// Committee is who orders during one epoch, and from where on. It is immutable
// once made and shared freely.
type Committee struct {
	Network NetworkID
	Epoch   Epoch
	// Members are the keys of the members; a member's index is its Author.
	Members []PublicKey
	Params  Params
	// Start is the last time given out before the epoch: the timestamp of the
	// derived round-0 blocks.
	Start Time
	// Base is the last commit before the epoch, BaseDigest its digest; zero
	// for the first epoch.
	Base       CommitIndex
	BaseDigest Digest
	// Anchor is the digest of the hand-over that opened the epoch (of the
	// genesis for the first). Round-0 blocks bind it, and through them every
	// block of the epoch.
	Anchor Digest
}

// Genesis returns the committee of epoch 0.
func Genesis(network NetworkID, members []PublicKey, params Params, start Time) *Committee {
	return &Committee{Network: network, Members: members, Params: params, Start: start, Anchor: Digest(network)}
}

// Validate reports why a committee could not order anything.
func (c *Committee) Validate() error {
	if len(c.Members) == 0 {
		return errors.New("a committee needs at least one member")
	}
	if len(c.Members) > MaxMembers {
		return fmt.Errorf("a committee has at most %d members, not %d", MaxMembers, len(c.Members))
	}
	seen := make(map[PublicKey]bool, len(c.Members))
	for _, k := range c.Members {
		if seen[k] {
			return fmt.Errorf("key %s is listed twice", k)
		}
		seen[k] = true
	}
	return c.Params.Validate()
}

// Size returns n, the number of members.
func (c *Committee) Size() int { return len(c.Members) }

// Quorum returns q.
func (c *Committee) Quorum() int { return quorum.Size(len(c.Members)) }

// Witness returns f+1.
func (c *Committee) Witness() int { return quorum.Witness(len(c.Members)) }

// Author returns the index of the member with the given key.
func (c *Committee) Author(k PublicKey) (Author, bool) {
	for i, m := range c.Members {
		if m == k {
			return Author(i), true
		}
	}
	return 0, false
}

// Root returns the derived round-0 block of a member. Nobody sends or signs
// it: it follows from what opened the epoch.
func (c *Committee) Root(a Author) Ref {
	var w writer
	w.Bytes([]byte(domainRoot))
	w.Bytes(c.Network[:])
	w.U64(uint64(c.Epoch))
	w.U16(uint16(a))
	w.U64(uint64(c.Start))
	w.Bytes(c.Anchor[:])
	return Ref{Author: a, Digest: sha256.Sum256(w.Buf)}
}
