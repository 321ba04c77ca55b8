package bftorder_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/bftorder"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/telemetry"
)

const (
	members    = 4
	queueBytes = 16 << 20
)

// cluster is four replicas on loopback, with stores on disk, that can be ended
// and started again one by one and cut off from each other.
type cluster struct {
	t       ordertest.T
	dir     string
	genesis *bft.Committee
	keys    []keys.PrivateKey
	links   links
	peers   map[keys.PublicKey]string
	// application makes a member's application from its tally; adjust changes what its replica is started with.
	application func(member int, t *tally) replica.Application
	adjust      func(member int, r *replica.Config)

	mu    sync.Mutex
	nodes []*member
}

// member is one running replica.
type member struct {
	orderer *bftorder.Orderer
	replica *replica.Replica
	warden  *warden.Warden
	store   *store.Store
	stop    context.CancelFunc
	ended   chan error
}

// links is the wire between the replicas; it can be cut.
type links struct {
	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

var errCut = errors.New("the wire is cut")

func (l *links) dial(ctx context.Context, address string) (net.Conn, error) {
	l.mu.Lock()
	cut := l.cut
	l.mu.Unlock()
	if cut {
		return nil, errCut
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, errors.Join(errCut, c.Close())
	}
	l.conns[c] = true
	return c, nil
}

func (l *links) setCut(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
	if cut {
		for c := range l.conns {
			_ = c.Close()
			delete(l.conns, c)
		}
	}
}

func startCluster(t ordertest.T, dir string, changes ...func(*cluster, *bft.Params)) *cluster {
	params := bft.DefaultParams()
	params.EpochDuration = 2 * bft.Second // several hand-overs in each case
	params.GCDepth = 50
	c := &cluster{
		t: t, dir: dir, nodes: make([]*member, members), links: links{conns: map[net.Conn]bool{}},
		application: func(_ int, t *tally) replica.Application { return t }, adjust: func(int, *replica.Config) {},
	}
	for _, change := range changes {
		change(c, &params)
	}
	var public []bft.PublicKey
	for range members {
		k, err := keys.Generate(rand.Reader)
		if err != nil {
			t.Fatalf("%v", err)
		}
		c.keys = append(c.keys, k)
		public = append(public, bft.PublicKey(k.Public()))
	}
	c.genesis = bft.Genesis(bft.NetworkID(public[0]), public, params, bft.Time(time.Now().UnixMicro()))
	listeners := make([]net.Listener, members)
	for i := range listeners {
		if err := store.Create(c.storeOptions(i), store.Newborn); err != nil {
			t.Fatalf("%v", err)
		}
		listeners[i] = c.listen("127.0.0.1:0")
	}
	addresses := c.addresses(listeners)
	for i := range members {
		c.run(i, listeners[i], addresses)
	}
	c.peers = addresses
	return c
}

func (c *cluster) storeOptions(i int) store.Options {
	return store.Options{Dir: filepath.Join(c.dir, fmt.Sprint("member", i)), Network: c.genesis.Network, SegmentSize: 1 << 20}
}

func (c *cluster) listen(address string) net.Listener {
	l, err := net.Listen("tcp", address)
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	return l
}

func (c *cluster) addresses(listeners []net.Listener) map[keys.PublicKey]string {
	a := map[keys.PublicKey]string{}
	for i, l := range listeners {
		a[c.keys[i].Public()] = l.Addr().String()
	}
	return a
}

func (c *cluster) run(i int, l net.Listener, peers map[keys.PublicKey]string) {
	s, err := store.Open(c.storeOptions(i))
	if err != nil {
		c.t.Fatalf("member %d: %v", i, err)
	}
	w, err := warden.Open(warden.Config{Key: c.keys[i], Network: [32]byte(c.genesis.Network), Path: filepath.Join(c.dir, fmt.Sprint("trust", i))})
	if err != nil {
		c.t.Fatalf("member %d: %v", i, err)
	}
	cfg := replica.Config{
		Genesis: c.genesis, Key: c.keys[i], Store: s, Application: c.application(i, newTally(c.genesis, c.storeOptions(i).Dir)),
		Listener: l, Peers: peers, Queue: replica.QueueLimits{Requests: 100_000, Bytes: queueBytes},
		ChainBytes: 64 << 10, // most reads come from disk
		Metrics:    telemetry.New(prometheus.NewRegistry()), Dial: c.links.dial,
		Warden: w,
	}
	c.adjust(i, &cfg)
	r, err := replica.New(cfg)
	if err != nil {
		c.t.Fatalf("member %d: %v", i, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &member{orderer: bftorder.New(r), replica: r, warden: w, store: s, stop: stop, ended: make(chan error, 1)}
	go func() { m.ended <- errors.Join(r.Run(ctx), s.Close()) }()
	c.mu.Lock()
	c.nodes[i] = m
	c.mu.Unlock()
}

func (c *cluster) node(i int) *member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i]
}

func (c *cluster) stop(i int) {
	m := c.node(i)
	m.stop()
	if err := <-m.ended; err != nil {
		c.t.Errorf("member %d ended with %v", i, err)
	}
	m.ended <- nil
}

func (c *cluster) start(i int) {
	c.run(i, c.listen(c.peers[c.keys[i].Public()]), c.peers)
}

// prune waits for the commit to be on disk, where pruning begins.
func (c *cluster) prune(i int, below bft.CommitIndex) {
	s := c.node(i).store
	for deadline := time.Now().Add(time.Minute); s.Highest() < below; runtime.Gosched() {
		if time.Now().After(deadline) {
			c.t.Fatalf("member %d stored commit %d, want %d", i, s.Highest(), below)
		}
	}
	if err := s.Prune(below, c.genesis.Params.GCDepth); err != nil {
		c.t.Errorf("prune member %d: %v", i, err)
	}
}

func TestKeepsThePromise(t *testing.T) {
	dir := t.TempDir()
	made := 0
	ordertest.Run(t, func(t ordertest.T) ordertest.Cluster {
		made++
		c := startCluster(t, filepath.Join(dir, fmt.Sprint("cluster", made)))
		t.Cleanup(func() {
			for i := range members {
				c.stop(i)
			}
		})
		t.Cleanup(func() { c.links.setCut(false) })
		return ordertest.Cluster{
			Size:         members,
			Node:         func(i int) ordering.Orderer { return c.node(i).orderer },
			RequestLimit: int(c.genesis.Params.RequestLimit),
			// What the newest own block carries is no longer in the queue.
			QueueLimit: queueBytes + int(c.genesis.Params.RequestLimit),
			Stop:       c.stop, Start: c.start,
			Stall: func() func() { c.links.setCut(true); return func() { c.links.setCut(false) } },
			Prune: func(i int, lowest ordering.Height) { c.prune(i, bft.CommitIndex(lowest)) },
		}
	})
}

// running is a cluster that is stopped at the end of a test, and how long the test may take.
func running(t *testing.T, changes ...func(*cluster, *bft.Params)) (*cluster, context.Context) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	c := startCluster(t, t.TempDir(), changes...)
	t.Cleanup(func() {
		for i := range members {
			c.stop(i)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	return c, ctx
}

// A member that was away for longer than the others keep their blocks takes
// over their state from a snapshot, and orders with them again.
func TestComesBackAfterOthersPruned(t *testing.T) {
	c, ctx := running(t)
	c.order(ctx, 0, "before")
	c.stop(3)
	away := c.node(0).orderer.Status().Head
	// Three epochs later nothing of the first is kept.
	for c.node(0).orderer.Status().Epoch < 4 {
		c.order(ctx, 0, "meanwhile")
	}
	newest := c.order(ctx, 0, "mark")
	for i := range 3 {
		c.prune(i, bft.CommitIndex(newest))
	}
	c.start(3)
	c.order(ctx, 0, "after")
	if err := c.readUntil(ctx, 3, newest, "after"); err != nil {
		t.Fatalf("the member does not follow: %v", err)
	}
	err := c.node(3).orderer.Read(ctx, away+1, func(ordering.Block) error { return nil })
	var pruned *ordering.Pruned
	if !errors.As(err, &pruned) || pruned.Lowest <= away+1 {
		t.Errorf("reading what the snapshot skipped ends with %v, want what is kept", err)
	}
	c.order(ctx, 3, "from the one that was away")
}

// order submits a request at a member and returns the height at which the
// member reads it back.
func (c *cluster) order(ctx context.Context, i int, text string) (at ordering.Height) {
	o := c.node(i).orderer
	for o.Ready() != nil && ctx.Err() == nil {
		runtime.Gosched()
	}
	from := o.Status().Head + 1
	if err := o.Submit(ctx, []byte(text)); err != nil {
		c.t.Fatalf("submit %q at member %d: %v", text, i, err)
	}
	err := o.Read(ctx, from, func(b ordering.Block) error {
		for r := range b.Requests() {
			if string(r.Data) == text {
				at = b.Height
				return errFound
			}
		}
		return nil
	})
	if !errors.Is(err, errFound) {
		c.t.Fatalf("read %q at member %d: %v", text, i, err)
	}
	return at
}

var errFound = errors.New("found")

// readUntil reads a member's order until a request, waiting out the time in
// which the member does not have the height yet.
func (c *cluster) readUntil(ctx context.Context, i int, from ordering.Height, text string) error {
	for {
		err := c.node(i).orderer.Read(ctx, from, func(b ordering.Block) error {
			for r := range b.Requests() {
				if string(r.Data) == text {
					return errFound
				}
			}
			return nil
		})
		var pruned *ordering.Pruned
		switch {
		case errors.Is(err, errFound):
			return nil
		case errors.As(err, &pruned):
			from = pruned.Lowest
		default:
			return err
		}
	}
}
