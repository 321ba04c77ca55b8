// Package smartbft runs clusters of the SmartBFT library as a peer to compare
// with: real signatures, its own write-ahead log synced to disk, and loopback
// TCP between the nodes.
//
// The library leaves the block format, signing, transport and state transfer
// to its user; they are written here for speed. Where there was a choice it is
// the one that favours the library: votes are signed over a header that holds
// the payload's hash, a broadcast is encoded once, and a delivered block is
// not stored a second time, since the log already holds it.
package smartbft

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/synod-network/synod/bench/peers/load"
)

// Handing says which nodes a request is handed to.
type Handing int

// A request goes straight to the leader, or to all nodes.
const (
	ToLeader Handing = iota
	ToAll
)

// Start returns how to bring up a cluster whose requests are handed over the
// given way.
func Start(handing Handing, tuning Tuning) load.Start {
	return func(site load.Site) (load.Cluster, error) {
		c := &cluster{handing: handing, history: newHistory()}
		if err := c.start(site, tuning); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
}

type cluster struct {
	handing Handing
	nodes   []*node
	history *history
	leader  atomic.Int32 // last one seen, by index
}

func (c *cluster) start(site load.Site, tuning Tuning) error {
	keys := make([]*ecdsa.PrivateKey, site.Nodes)
	public := make(map[uint64]*ecdsa.PublicKey, site.Nodes)
	for i := range keys {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return fmt.Errorf("making the key of node %d: %w", i, err)
		}
		keys[i], public[identity(i)] = key, &key.PublicKey
	}
	links := make([]*links, site.Nodes)
	for i := range links {
		l, err := listen(identity(i))
		if err != nil {
			return err
		}
		links[i] = l
	}
	for i := range links {
		n, err := newNode(i, site, signer{id: identity(i), key: keys[i], public: public}, links[i], c.history,
			filepath.Join(site.Dir, fmt.Sprint("node", i)), tuning)
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	for _, from := range links {
		for _, to := range links {
			if from == to {
				continue
			}
			if err := from.dial(to.id, to.address()); err != nil {
				return err
			}
		}
	}
	for _, n := range c.nodes {
		if err := n.start(); err != nil {
			return err
		}
	}
	return nil
}

// Entry is the leader, or in turn each node that is alive. While a crashed
// leader has no successor yet, it is the node that will succeed it: its pool
// keeps the request.
func (c *cluster) Entry(id uint64) int {
	if c.handing == ToAll {
		return c.nextAlive(int(id % uint64(len(c.nodes))))
	}
	return c.nextAlive(c.currentLeader())
}

// currentLeader is the leader in the view of a node that is alive; of the last
// one that named it, as long as that one still agrees.
func (c *cluster) currentLeader() int {
	at := int(c.leader.Load())
	if c.nodes[at].crashed.Load() {
		at = c.nextAlive(at)
	}
	if id := c.nodes[at].consensus.GetLeaderID(); id > 0 {
		at = int(id) - 1
		c.leader.Store(int32(at))
	}
	return at
}

func (c *cluster) nextAlive(node int) int {
	for c.nodes[node].crashed.Load() {
		node = (node + 1) % len(c.nodes)
	}
	return node
}

// Submit hands a request to its home and, when all get it, to the leader last,
// so that the others know it before it is ordered.
func (c *cluster) Submit(home int, request []byte) error {
	if c.handing == ToLeader {
		return c.nodes[home].submit(request)
	}
	leader := c.nextAlive(c.currentLeader())
	for i, n := range c.nodes {
		if i == leader {
			continue
		}
		if err := n.submit(request); err != nil && !errors.Is(err, load.ErrCrashed) {
			return err
		}
	}
	return c.nodes[leader].submit(request)
}

// Crash stops the leader.
func (c *cluster) Crash() int {
	leader := c.nextAlive(c.currentLeader())
	c.nodes[leader].crash()
	return leader
}

func (c *cluster) Close() error {
	var stopping sync.WaitGroup
	for _, n := range c.nodes {
		stopping.Go(n.stop)
	}
	stopping.Wait()
	return nil
}
