package replica

import (
	"context"
	"fmt"
	"sync"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/store"
)

// Ordered is one commit with the payloads of its blocks that are not empty.
type Ordered struct {
	*bft.Commit
	Payloads []ordering.Payload
	// live: it was decided here as it came to be, and not read from disk.
	live bool
}

// chain holds the commits decided so far: the newest ones in memory, the others
// on disk. The loop appends, any goroutine reads.
type chain struct {
	store *store.Store
	limit int // bytes of payloads kept in memory

	mu sync.Mutex
	// recent are the newest commits, oldest first; head is the last of them,
	// or the newest on disk.
	recent []*Ordered
	bytes  int
	head   bft.CommitIndex
	// headTime is the last time that the head gives out.
	headTime bft.Time
	// durable is the newest commit on disk; nothing above it leaves memory.
	durable bft.CommitIndex
	// floor is the first commit after an installed snapshot; those before it
	// may be missing.
	floor  bft.CommitIndex
	grown  chan struct{} // closed when head grows
	closed bool
}

func newChain(s *store.Store, limit int) *chain {
	c := &chain{store: s, limit: limit, head: s.Highest(), durable: s.Highest(), grown: make(chan struct{})}
	if k, ok := s.Commit(c.head); ok {
		c.headTime = k.LastTime()
	}
	if h, err := s.LastHandover(); err == nil && h.End > c.head {
		// The newest state is from a snapshot, and nothing was ordered since.
		c.head, c.durable, c.floor, c.headTime = h.End, h.End, h.End+1, h.Schedule.LastTime
	}
	return c
}

// append makes a commit the newest one, unless it is known already.
func (c *chain) append(o *Ordered) (grew bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.Index <= c.head {
		return false
	}
	c.recent = append(c.recent, o)
	c.bytes += o.size()
	c.head, c.headTime = o.Index, o.LastTime()
	c.trim()
	close(c.grown)
	c.grown = make(chan struct{})
	return true
}

// inMemory is how many commits are kept in memory, and their size.
func (c *chain) inMemory() (commits, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.recent), c.bytes
}

// Block is the commit in the words of the promise.
func (o *Ordered) Block() ordering.Block {
	return ordering.Block{
		Height: ordering.Height(o.Index), Digest: o.Digest(), Previous: o.Previous,
		Epoch: uint64(o.Epoch), Time: int64(o.Time), Payloads: o.Payloads,
	}
}

// requestBytes is the size of the requests alone.
func (o *Ordered) requestBytes() (n int) {
	for _, p := range o.Payloads {
		n += len(p.Data) - p.Count*ordering.EncodedSize(0)
	}
	return n
}

// size is what the commit takes in memory, about.
func (o *Ordered) size() (n int) {
	for _, p := range o.Payloads {
		n += len(p.Data)
	}
	return n + 256
}

// jump continues behind a snapshot.
func (c *chain) jump(to bft.CommitIndex) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent, c.bytes, c.head, c.durable, c.floor = nil, 0, to, to, to+1
	close(c.grown)
	c.grown = make(chan struct{})
}

func (c *chain) persisted(to bft.CommitIndex) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.durable = max(c.durable, to)
	c.trim()
}

func (c *chain) trim() {
	for len(c.recent) > 0 && c.bytes > c.limit && c.recent[0].Index <= c.durable {
		c.bytes -= c.recent[0].size()
		c.recent[0] = nil
		c.recent = c.recent[1:]
	}
}

func (c *chain) newest() (bft.CommitIndex, bft.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.head, c.headTime
}

// lowest is the oldest commit that can be read: what the store has pruned is
// gone from memory too.
func (c *chain) lowest() bft.CommitIndex {
	low := c.store.Lowest()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case low > 0:
		return max(low, c.floor)
	case len(c.recent) > 0:
		return max(c.recent[0].Index, c.floor)
	}
	return c.head + 1
}

func (c *chain) snapshotFloor() bft.CommitIndex {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.floor
}

func (c *chain) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed = true
		close(c.grown)
	}
}

// wait returns commit i, waiting for it if it does not exist yet.
func (c *chain) wait(ctx context.Context, i bft.CommitIndex) (*Ordered, error) {
	for {
		c.mu.Lock()
		head, grown, closed := c.head, c.grown, c.closed
		var found *Ordered
		if len(c.recent) > 0 && i >= c.recent[0].Index && i <= c.head {
			found = c.recent[i-c.recent[0].Index]
		}
		c.mu.Unlock()
		switch {
		case closed:
			return nil, ordering.ErrClosed
		case i < c.lowest():
			return nil, &ordering.Pruned{Wanted: ordering.Height(i), Lowest: ordering.Height(c.lowest())}
		case found != nil:
			return found, nil
		case i <= head:
			return c.load(i)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-grown:
		}
	}
}

// load reads a commit from disk.
func (c *chain) load(i bft.CommitIndex) (*Ordered, error) {
	k, ok := c.store.Commit(i)
	if !ok {
		if low := c.lowest(); i < low {
			return nil, &ordering.Pruned{Wanted: ordering.Height(i), Lowest: ordering.Height(low)}
		}
		if err := c.store.Err(); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("commit %d is missing in the store", i)
	}
	o := &Ordered{Commit: k}
	for _, ref := range k.Blocks {
		u, ok := c.store.Block(k.Epoch, ref)
		if !ok {
			if low := c.lowest(); i < low {
				return nil, &ordering.Pruned{Wanted: ordering.Height(i), Lowest: ordering.Height(low)}
			}
			return nil, fmt.Errorf("block %s of commit %d is missing in the store", ref, i)
		}
		if u.Header.Requests > 0 {
			o.Payloads = append(o.Payloads, ordering.Payload{Count: int(u.Header.Requests), Data: u.Payload})
		}
	}
	return o, nil
}
