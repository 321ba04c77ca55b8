package ordertest

import (
	"context"

	"github.com/synod-network/synod/ordering"
)

// Altered is an orderer that does something else than the one it wraps: it
// breaks the promise on purpose, to see whether anybody notices.
type Altered struct {
	ordering.Orderer
	// OnSubmit, if set, takes the place of Submit.
	OnSubmit func(ctx context.Context, requests [][]byte) error
	// OnRead, if set, takes the place of Read.
	OnRead func(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error
	// Deliver, if set, gives what Read delivers in place of each block.
	Deliver func(ordering.Block) []ordering.Block
}

// Submit implements [ordering.Orderer], or not.
func (a *Altered) Submit(ctx context.Context, requests ...[]byte) error {
	if a.OnSubmit != nil {
		return a.OnSubmit(ctx, requests)
	}
	return a.Orderer.Submit(ctx, requests...)
}

// Read implements [ordering.Orderer], or not.
func (a *Altered) Read(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
	read := a.Orderer.Read
	if a.OnRead != nil {
		read = a.OnRead
	}
	if a.Deliver == nil {
		return read(ctx, from, fn)
	}
	return read(ctx, from, func(block ordering.Block) error {
		for _, altered := range a.Deliver(block) {
			if err := fn(altered); err != nil {
				return err
			}
		}
		return nil
	})
}
