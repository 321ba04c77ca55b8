package ordertest

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/synod-network/synod/ordering"
)

// MemoryConfig shapes a [Memory]. Zero fields take the default.
type MemoryConfig struct {
	// Nodes of the network. Default 4.
	Nodes int
	// QueueBytes and QueueRequests bound what one node queues.
	// Defaults 64 MiB and 100 000.
	QueueBytes, QueueRequests int
	// RequestBytes is the largest request. Default 10 MiB.
	RequestBytes int
	// Keep is how many blocks every node keeps before it prunes by itself.
	// Default: all.
	Keep int
	// Now is the clock that times are drawn from. Default [time.Now].
	Now func() time.Time
}

func (c MemoryConfig) withDefaults() MemoryConfig {
	c.Nodes = cmp.Or(c.Nodes, 4)
	c.QueueBytes = cmp.Or(c.QueueBytes, 64<<20)
	c.QueueRequests = cmp.Or(c.QueueRequests, 100_000)
	c.RequestBytes = cmp.Or(c.RequestBytes, 10<<20)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// retryAfter is what an overloaded [MemoryNode] asks for. Ordering takes
// microseconds here, so any short wait does.
const retryAfter = 5 * time.Millisecond

// Memory is a network of orderers within one process's memory: the order is one
// shared list. It is durable as long as the process lives, so a stopped node
// loses its queue and nothing else.
type Memory struct {
	config MemoryConfig

	mu      sync.Mutex
	nodes   []*MemoryNode
	stalled bool
	// changed is closed and replaced whenever something below mu changes.
	changed chan struct{}
	// blocks are those from height first on.
	blocks []ordering.Block
	first  ordering.Height
	digest ordering.Digest
	time   int64 // last time given out, µs
}

// NewMemory returns a network of running nodes. Nothing is ordered before
// [Memory.Run].
func NewMemory(config MemoryConfig) *Memory {
	m := &Memory{config: config.withDefaults(), changed: make(chan struct{}), first: 1}
	for range m.config.Nodes {
		m.nodes = append(m.nodes, &MemoryNode{network: m, lowest: 1})
	}
	return m
}

// Run orders what the nodes queue until ctx ends, and then stops them all.
func (m *Memory) Run(ctx context.Context) {
	for {
		m.mu.Lock()
		if ctx.Err() != nil {
			for _, node := range m.nodes {
				node.stop()
			}
			m.announce()
			m.mu.Unlock()
			return
		}
		m.order()
		changed := m.changed
		m.mu.Unlock()

		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// order makes one block of all that is queued anywhere, if anything is.
func (m *Memory) order() {
	if m.stalled {
		return
	}
	var payloads []ordering.Payload
	for _, node := range m.nodes {
		if node.queue.Count > 0 {
			payloads = append(payloads, node.queue)
			node.queue = ordering.Payload{}
		}
	}
	if len(payloads) == 0 {
		return
	}
	block := ordering.Block{
		Height:   m.head() + 1,
		Previous: m.digest,
		Epoch:    1,
		Time:     max(m.config.Now().UnixMicro(), m.time+1),
		Payloads: payloads,
	}
	block.Digest = digestOf(block)
	m.blocks = append(m.blocks, block)
	m.digest, m.time = block.Digest, block.LastTime()
	if keep := m.config.Keep; keep > 0 && len(m.blocks) > keep {
		for _, node := range m.nodes {
			node.lowest = max(node.lowest, m.head()-ordering.Height(keep)+1)
		}
		m.forget()
	}
	m.announce()
}

// digestOf covers everything in a block but the digest itself.
func digestOf(block ordering.Block) ordering.Digest {
	hash := sha256.New()
	hash.Write(block.Previous[:])
	var header []byte
	header = binary.BigEndian.AppendUint64(header, uint64(block.Height))
	header = binary.BigEndian.AppendUint64(header, block.Epoch)
	header = binary.BigEndian.AppendUint64(header, uint64(block.Time))
	hash.Write(header)
	for _, payload := range block.Payloads {
		hash.Write(payload.Data)
	}
	return ordering.Digest(hash.Sum(nil))
}

func (m *Memory) head() ordering.Height {
	return m.first + ordering.Height(len(m.blocks)) - 1
}

func (m *Memory) announce() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// forget drops the blocks that no node keeps.
func (m *Memory) forget() {
	lowest := m.nodes[0].lowest
	for _, node := range m.nodes {
		lowest = min(lowest, node.lowest)
	}
	drop := lowest - m.first
	clear(m.blocks[:drop])
	m.blocks, m.first = m.blocks[drop:], lowest
}

// Size is the number of nodes.
func (m *Memory) Size() int { return m.config.Nodes }

// Node is the node of that number, from 0. A node that was stopped stays so;
// after [Memory.Start] this returns another.
func (m *Memory) Node(number int) *MemoryNode {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nodes[number]
}

// Stall keeps the network from ordering anything, as if too few nodes were up,
// until resume is called.
func (m *Memory) Stall() (resume func()) {
	m.setStalled(true)
	return func() { m.setStalled(false) }
}

func (m *Memory) setStalled(stalled bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stalled = stalled
	m.announce()
}

// Stop ends a node as kill would: its queue is lost.
func (m *Memory) Stop(number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[number].stop()
	m.announce()
}

// Start puts a new node in the place of a stopped one.
func (m *Memory) Start(number int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes[number] = &MemoryNode{network: m, lowest: m.nodes[number].lowest}
	m.announce()
}

// Prune makes one node forget the blocks below lowest, at most all there are.
func (m *Memory) Prune(number int, lowest ordering.Height) {
	m.mu.Lock()
	defer m.mu.Unlock()
	node := m.nodes[number]
	node.lowest = max(node.lowest, min(lowest, m.head()+1))
	m.forget()
	m.announce()
}

// MemoryNode is one node of a [Memory]. Its fields are the network's, below its
// mutex.
type MemoryNode struct {
	network *Memory
	stopped bool
	queue   ordering.Payload
	lowest  ordering.Height
}

var _ ordering.Orderer = (*MemoryNode)(nil)

func (n *MemoryNode) stop() {
	n.stopped, n.queue = true, ordering.Payload{}
}

// Submit implements [ordering.Orderer].
func (n *MemoryNode) Submit(ctx context.Context, requests ...[]byte) error {
	m := n.network
	size := 0
	for _, request := range requests {
		if len(request) > m.config.RequestBytes {
			return &ordering.TooLarge{Size: len(request), Limit: m.config.RequestBytes}
		}
		size += ordering.EncodedSize(len(request))
	}
	if size > m.config.QueueBytes {
		return &ordering.TooLarge{Size: size, Limit: m.config.QueueBytes}
	}
	if len(requests) > m.config.QueueRequests {
		return &ordering.TooLarge{Size: len(requests), Limit: m.config.QueueRequests}
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case n.stopped:
		return ordering.ErrClosed
	case ctx.Err() != nil:
		return ctx.Err()
	case len(n.queue.Data)+size > m.config.QueueBytes, n.queue.Count+len(requests) > m.config.QueueRequests:
		return &ordering.Overloaded{RetryAfter: retryAfter}
	}
	for _, request := range requests {
		n.queue.Data = ordering.AppendRequest(n.queue.Data, request)
	}
	n.queue.Count += len(requests)
	m.announce()
	return nil
}

// Queued is the number of requests that wait to be ordered.
func (n *MemoryNode) Queued() int {
	n.network.mu.Lock()
	defer n.network.mu.Unlock()
	return n.queue.Count
}

// Read implements [ordering.Orderer].
func (n *MemoryNode) Read(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
	for next := max(from, 1); ; next++ {
		block, err := n.await(ctx, next)
		if err != nil {
			return err
		}
		if err := fn(block); err != nil {
			return err
		}
	}
}

// await returns the block of that height once it is ordered.
func (n *MemoryNode) await(ctx context.Context, height ordering.Height) (ordering.Block, error) {
	m := n.network
	for {
		m.mu.Lock()
		stopped, lowest, changed := n.stopped, n.lowest, m.changed
		var block ordering.Block
		if height >= m.first && height <= m.head() {
			block = m.blocks[height-m.first]
		}
		m.mu.Unlock()

		switch {
		case ctx.Err() != nil:
			return ordering.Block{}, ctx.Err()
		case stopped:
			return ordering.Block{}, ordering.ErrClosed
		case height < lowest:
			return ordering.Block{}, &ordering.Pruned{Wanted: height, Lowest: lowest}
		case block.Height == height:
			return block, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// Status implements [ordering.Orderer].
func (n *MemoryNode) Status() ordering.Status {
	m := n.network
	m.mu.Lock()
	defer m.mu.Unlock()
	return ordering.Status{Head: m.head(), Lowest: n.lowest, Epoch: 1, Time: m.time}
}

// Ready implements [ordering.Orderer].
func (n *MemoryNode) Ready() error {
	m := n.network
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case n.stopped:
		return ordering.ErrClosed
	case m.stalled:
		return &ordering.NotReady{Reason: "the network is stalled"}
	}
	return nil
}

// Cluster presents the network to the suite.
func (m *Memory) Cluster() Cluster {
	return Cluster{
		Size:         m.Size(),
		Node:         func(number int) ordering.Orderer { return m.Node(number) },
		RequestLimit: m.config.RequestBytes,
		QueueLimit:   m.config.QueueBytes,
		Stop:         m.Stop,
		Start:        m.Start,
		Stall:        m.Stall,
		Prune:        m.Prune,
	}
}

// StartMemory returns a network that runs until the test ends.
func StartMemory(t T, config MemoryConfig) *Memory {
	memory := NewMemory(config)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		memory.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return memory
}
