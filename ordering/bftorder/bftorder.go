// Package bftorder is the ordering.Orderer in which the sequencers order by
// themselves, tolerating that fewer than a third of them are faulty.
//
// An ordered block is a commit of the engine in package bft: the height is the
// commit's index, the payloads are those of the blocks that it commits. The
// package adds nothing to the order; it is the seam at which the layers above
// stop knowing which backend orders.
package bftorder

import (
	"context"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica"
)

// Orderer orders through one replica. The replica is run by its owner.
type Orderer struct{ replica *replica.Replica }

var _ ordering.Orderer = (*Orderer)(nil)

// New returns the orderer of a replica.
func New(r *replica.Replica) *Orderer { return &Orderer{replica: r} }

// Submit implements ordering.Orderer. It goes on queueing while the replica has
// no quorum, until the queue is full: what is queued is ordered once it has.
func (o *Orderer) Submit(ctx context.Context, requests ...[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(requests) == 0 {
		return nil
	}
	return o.replica.Submit(requests...)
}

// Read implements ordering.Orderer.
func (o *Orderer) Read(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
	for i := bft.CommitIndex(max(1, from)); ; i++ {
		c, err := o.replica.Commit(ctx, i)
		if err != nil {
			return err
		}
		if err := fn(c.Block()); err != nil {
			return err
		}
	}
}

// Status implements ordering.Orderer.
func (o *Orderer) Status() ordering.Status {
	head, last := o.replica.Head()
	s := ordering.Status{Head: ordering.Height(head), Lowest: ordering.Height(o.replica.Lowest()), Time: int64(last)}
	if c := o.replica.Committee(); c != nil {
		s.Epoch = uint64(c.Epoch)
	}
	return s
}

// Ready implements ordering.Orderer.
func (o *Orderer) Ready() error { return o.replica.Ready() }
