package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/synod-network/synod/bft"
)

// state is the state of the application above the engine after a commit: how
// many requests of each member's clients were ordered, and who orders from the
// next epoch on. It is immutable; applying a commit makes a new one.
type state struct {
	index   bft.CommitIndex
	last    bft.Digest // the commit applied last
	orders  uint64     // orders of the owners carried out
	counts  []uint64   // by the number of the member
	members []bft.PublicKey
}

// apply returns the state after a commit. Payloads are those of its blocks, in
// order.
func (s *state) apply(c *bft.Commit, payloads [][]byte) *state {
	next := &state{index: c.Index, last: c.Digest(), orders: s.orders, counts: slices.Clone(s.counts), members: s.members}
	for _, p := range payloads {
		eachRequest(p, func(b []byte) {
			if r, ok := decodeRequest(b); ok {
				next.count(r.origin)
				next.carryOut(r.order)
			}
		})
	}
	return next
}

func (s *state) count(origin int) {
	if origin >= maxMembers {
		return
	}
	for len(s.counts) <= origin {
		s.counts = append(s.counts, 0)
	}
	s.counts[origin]++
}

func (s *state) carryOut(o *order) {
	if o == nil || o.number != s.orders+1 {
		return
	}
	s.orders++
	members := slices.Clone(s.members)
	if i := slices.Index(members, o.leave); i >= 0 {
		members = slices.Delete(members, i, i+1)
	}
	if o.join != (bft.PublicKey{}) {
		members = append(members, o.join)
	}
	s.members = members
}

// encode writes the state down, as a snapshot and to be hashed. Shift stands
// for the planted bug of hashing in the order of a map: it lists the counts
// from another place on.
func (s *state) encode(shift int) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.index))
	b = append(b, s.last[:]...)
	b = binary.BigEndian.AppendUint64(b, s.orders)
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.counts)))
	for i := range s.counts {
		b = binary.BigEndian.AppendUint64(b, s.counts[(i+shift)%len(s.counts)])
	}
	for _, m := range s.members {
		b = append(b, m[:]...)
	}
	return b
}

func (s *state) digest(shift int) bft.Digest { return sha256.Sum256(s.encode(shift)) }
