package replica

import (
	"context"
	"sync/atomic"

	"github.com/synod-network/synod/bft"
	"golang.org/x/sync/semaphore"
)

// inboxBytes bounds what peers have sent and the loop has not taken: several
// of the largest blocks.
const inboxBytes = 48 << 20

// envelope is one verified block or decoded message from a peer.
type envelope struct {
	from  bft.PublicKey
	input bft.Input
	// future is a block of the next epoch, which can not be verified yet.
	future *bft.UnverifiedBlock
	weight int64
}

// inbox carries envelopes from the links' readers to the loop. A reader whose
// envelope does not fit waits, and with it its peer.
type inbox struct {
	room *semaphore.Weighted
	ch   chan envelope
	// held is the weight that the envelopes here have taken of the room.
	held atomic.Int64
}

// inboxMessages bounds them by number.
const inboxMessages = 1024

func newInbox() *inbox {
	return &inbox{room: semaphore.NewWeighted(inboxBytes), ch: make(chan envelope, inboxMessages)}
}

// size is what waits, envelopes with room and no place in the queue included in the bytes.
func (b *inbox) size() (messages int, bytes int64) { return len(b.ch), b.held.Load() }

func (b *inbox) put(ctx context.Context, e envelope, size int) error {
	e.weight = min(int64(size)+512, inboxBytes)
	if err := b.room.Acquire(ctx, e.weight); err != nil {
		return err
	}
	b.held.Add(e.weight)
	select {
	case b.ch <- e:
		return nil
	case <-ctx.Done():
		b.done(e)
		return ctx.Err()
	}
}

// done frees the room of an envelope that the loop has taken in.
func (b *inbox) done(e envelope) {
	b.held.Add(-e.weight)
	b.room.Release(e.weight)
}
