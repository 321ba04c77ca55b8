package p2p

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/synod-network/synod/keys"
)

var (
	// ErrNotConnected means that the lane of the peer has no link, or that the node is no peer. The frame is dropped.
	ErrNotConnected = errors.New("peer is not connected")
	// ErrQueueFull means that the peer takes less than it is sent. The frame is dropped.
	ErrQueueFull = errors.New("queue to peer is full")
)

// Network is a node's links to its peers. Its methods may be called from any goroutine, also from the callbacks of
// Config; Send and SetPeers may be called before Run.
type Network struct {
	cfg         Config
	self        keys.PublicKey
	certificate tls.Certificate
	refusals    *refusals
	changed     chan struct{} // token: fresh is not empty

	mu    sync.RWMutex
	peers map[keys.PublicKey]*peer
	last  map[keys.PublicKey]*peer // removed, and maybe still ending; successors wait for it
	fresh []*peer                  // not started yet
}

// New checks the configuration. Nothing happens before Run, but for the listener's backlog.
func New(cfg Config) (*Network, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("peer links: %w", err)
	}
	certificate, err := certificateOf(cfg.Key)
	if err != nil {
		return nil, fmt.Errorf("peer links: %w", err)
	}
	n := &Network{
		cfg:         cfg,
		self:        cfg.Key.Public(),
		certificate: certificate,
		refusals:    newRefusals(cfg.Log),
		changed:     make(chan struct{}, 1),
		peers:       make(map[keys.PublicKey]*peer),
		last:        make(map[keys.PublicKey]*peer),
	}
	n.SetPeers(cfg.Peers)
	return n, nil
}

// Run connects to the peers and serves them until ctx ends; then it returns nil, with every goroutine ended, every
// connection and the listener closed, and Down called for each peer that was up. It fails if the listener does. It is
// called once.
func (n *Network) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() { n.cfg.Listener.Close() })
	defer stop()
	group.Go(func() error { return n.accept(ctx) })
	group.Go(func() error { n.tend(ctx); return nil })
	return group.Wait()
}

// tend starts the peers that SetPeers adds.
func (n *Network) tend(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	for {
		for _, p := range n.takeFresh() {
			running.Go(func() { p.run(ctx) })
		}
		select {
		case <-n.changed:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Network) takeFresh() []*peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	fresh := n.fresh
	n.fresh = nil
	return fresh
}

// Send queues a frame, the concatenation of parts, for one lane of a peer, and never blocks. Neither parts nor what they
// point to may change afterwards: they are sent from where they are. A nil error means queued, not delivered; other
// than ErrNotConnected and ErrQueueFull it fails only for a frame above Limits.
func (n *Network) Send(to keys.PublicKey, lane Lane, parts ...[]byte) error {
	p := n.peer(to)
	if p == nil {
		return ErrNotConnected
	}
	return p.lines[lane].send(parts)
}

// SetPeers replaces the set of peers. Links to peers that are gone are closed, new peers are dialed. A peer whose
// address changes keeps its link while that works.
func (n *Network) SetPeers(peers map[keys.PublicKey]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, p := range n.peers {
		if _, stays := peers[key]; !stays {
			close(p.stop)
			delete(n.peers, key)
			n.last[key] = p
		}
	}
	maps.DeleteFunc(n.last, func(_ keys.PublicKey, p *peer) bool { return p.hasEnded() })
	for key, address := range peers {
		if key == n.self {
			continue
		}
		if p := n.peers[key]; p != nil {
			p.move(address)
			continue
		}
		p := newPeer(n, key, address, n.last[key])
		delete(n.last, key)
		n.peers[key] = p
		n.fresh = append(n.fresh, p)
	}
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

func (n *Network) peer(key keys.PublicKey) *peer {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.peers[key]
}

// peer is a node that this node knows, for as long as SetPeers names it.
type peer struct {
	net    *Network
	key    keys.PublicKey
	lines  [laneCount]*line
	before <-chan struct{} // closed when an earlier membership of the same key has ended; nil if none
	stop   chan struct{}   // closed when the peer is no longer named
	done   chan struct{}   // closed when run has returned
}

func newPeer(n *Network, key keys.PublicKey, address string, before *peer) *peer {
	p := &peer{net: n, key: key, stop: make(chan struct{}), done: make(chan struct{})}
	if before != nil {
		p.before = before.done
	}
	for lane := range p.lines {
		p.lines[lane] = newLine(p, Lane(lane), address)
	}
	return p
}

func (p *peer) hasEnded() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *peer) move(address string) {
	for _, l := range p.lines {
		l.move(address)
	}
}

// run keeps both lanes connected until the peer is removed or ctx ends.
func (p *peer) run(ctx context.Context) {
	defer close(p.done)
	if p.before != nil {
		<-p.before
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var lines sync.WaitGroup
	for _, l := range p.lines {
		lines.Go(func() { l.run(ctx) })
	}
	select {
	case <-p.stop:
	case <-ctx.Done():
	}
	cancel()
	lines.Wait()
}
