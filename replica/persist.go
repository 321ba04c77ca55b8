package replica

import (
	"context"
	"fmt"
	"sync"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// persistBytes is how much may wait for the disk before the loop takes nothing
// more from peers.
const persistBytes = 64 << 20

// persister makes records durable in group commits and lets go of what waited
// for them. The loop hands over, one goroutine writes.
type persister struct {
	store *store.Store
	send  func(bft.Send)
	// durable is called after each group with the newest sequence number and
	// commit in it.
	durable func(seq uint64, commit bft.CommitIndex)

	mu      sync.Mutex
	pending []work
	bytes   int
	wake    chan struct{}
}

// work is one record group or one message, in the order of the effects.
type work struct {
	persist  *bft.Persist
	snapshot *snapshot
	send     *bft.Send
}

func newPersister(s *store.Store, send func(bft.Send), durable func(uint64, bft.CommitIndex)) *persister {
	return &persister{store: s, send: send, durable: durable, wake: make(chan struct{}, 1)}
}

// add hands work over; it never blocks.
func (p *persister) add(w work) {
	p.mu.Lock()
	p.pending = append(p.pending, w)
	p.bytes += w.size()
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (w work) size() (n int) {
	if w.persist != nil {
		for _, b := range w.persist.Blocks {
			n += len(b.Payload)
		}
	}
	return n
}

// congested reports whether the disk is behind.
func (p *persister) congested() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes > persistBytes
}

// run writes until ctx ends and everything handed over is durable, or until
// the disk fails.
func (p *persister) run(ctx context.Context) error {
	batch := &store.Batch{}
	for {
		p.mu.Lock()
		pending := p.pending
		p.pending = nil
		p.mu.Unlock()
		if len(pending) == 0 {
			select {
			case <-p.wake:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if err := p.write(batch, pending); err != nil {
			return err
		}
	}
}

func (p *persister) write(batch *store.Batch, pending []work) error {
	batch.Reset()
	seq, commit, bytes := uint64(0), bft.CommitIndex(0), 0
	for _, w := range pending {
		bytes += w.size()
		if w.snapshot != nil {
			batch.Meta(snapshotKey, w.snapshot.encode())
		}
		if f := w.persist; f != nil {
			fill(batch, f)
			seq = f.Seq
			if n := len(f.Commits); n > 0 {
				commit = f.Commits[n-1].Index
			}
		}
	}
	if batch.Len() > 0 {
		if err := p.store.Persist(batch); err != nil {
			return fmt.Errorf("make blocks durable: %w", err)
		}
	}
	for _, w := range pending {
		if w.send != nil {
			p.send(*w.send)
		}
	}
	p.mu.Lock()
	p.bytes -= bytes
	p.mu.Unlock()
	p.durable(seq, commit)
	return nil
}

func fill(batch *store.Batch, f *bft.Persist) {
	for _, b := range f.Blocks {
		batch.Block(b)
	}
	for _, c := range f.Commits {
		batch.CommitRecord(c)
	}
	for _, h := range f.Handovers {
		batch.Handover(h)
	}
	for _, e := range f.Evidence {
		batch.Evidence(e)
	}
	if f.ProposeFrom != nil {
		batch.Meta(proposeFromKey, encodeEpoch(*f.ProposeFrom))
	}
}
