package replica

import (
	"context"
	"fmt"
	"sync"
	"time"

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
	// reached is called with each snapshot behind whatever was to be durable
	// before it is kept.
	reached func(*snapshot)
	// failed is called before run returns a storage error.
	failed func()

	mu      sync.Mutex
	pending []work
	bytes   int
	// urgent: a message waits for the disk, or much does.
	urgent bool
	wake   chan struct{}
}

const (
	// lazyBytes may gather before they are written without anything waiting
	// for them, so that the disk works while blocks still arrive.
	lazyBytes = 256 << 10
	// lazyDelay is how long records may wait that nothing waits for. Blocks of
	// others need not be durable before the next own block is: one sync a
	// round does for both, and the own block never waits behind another sync.
	lazyDelay = 5 * time.Millisecond
)

// work is one record group or one message, in the order of the effects.
type work struct {
	persist  *bft.Persist
	snapshot *snapshot
	send     *bft.Send
	// key and value are a small value for the store; an empty one forgets it.
	key   string
	value []byte
}

func newPersister(s *store.Store, send func(bft.Send), durable func(uint64, bft.CommitIndex), reached func(*snapshot), failed func()) *persister {
	return &persister{store: s, send: send, durable: durable, reached: reached, failed: failed, wake: make(chan struct{}, 1)}
}

// add hands work over; it never blocks.
func (p *persister) add(w work) {
	p.mu.Lock()
	p.pending = append(p.pending, w)
	p.bytes += w.size()
	p.urgent = p.urgent || w.send != nil || w.snapshot != nil || p.bytes > lazyBytes
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (w work) size() (n int) {
	n = len(w.value)
	if w.persist != nil {
		for _, b := range w.persist.Blocks {
			n += len(b.Payload)
		}
	}
	return n
}

// size is what waits; bytes include what is being written.
func (p *persister) size() (records, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pending), p.bytes
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
	lazy := time.NewTimer(time.Hour)
	defer lazy.Stop()
	due, armed := false, false
	for {
		pending, waiting := p.take(due || ctx.Err() != nil)
		due = false
		if len(pending) > 0 {
			if err := p.write(batch, pending); err != nil {
				p.failed()
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if waiting && !armed {
			lazy.Reset(lazyDelay)
			armed = true
		}
		select {
		case <-p.wake:
		case <-lazy.C:
			due, armed = true, false
		case <-ctx.Done():
		}
	}
}

// take returns what is to be written now: everything, if something waits for
// it or it is due. Otherwise it reports whether there is something at all.
func (p *persister) take(due bool) (pending []work, waiting bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.urgent && !due {
		return nil, len(p.pending) > 0
	}
	pending, p.pending, p.urgent = p.pending, nil, false
	return pending, false
}

func (p *persister) write(batch *store.Batch, pending []work) error {
	batch.Reset()
	seq, commit, bytes := uint64(0), bft.CommitIndex(0), 0
	for _, w := range pending {
		bytes += w.size()
		if w.key != "" {
			batch.Meta(w.key, w.value)
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
		if w.snapshot != nil {
			p.reached(w.snapshot)
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
