package p2p_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test. It is only reached when the test fails.
const patience = time.Minute

var testNetwork = [32]byte{'t', 'e', 's', 't'}

// message is a frame as a handler got it.
type message struct {
	from  keys.PublicKey
	lane  p2p.Lane
	frame []byte
}

// node is a p2p.Network on a loopback port, with its callbacks turned into channels.
type node struct {
	*p2p.Network
	key     keys.PublicKey
	address string
	got     chan message
	up      chan keys.PublicKey
	down    chan keys.PublicKey
	stop    func() // ends Run and waits for it
}

func key(i byte) keys.PrivateKey { return keys.FromSeed([32]byte{i}) }

// lowHigh are two keys of which the first decides about connections.
func lowHigh() (low, high keys.PrivateKey) {
	low, high = key(1), key(2)
	if low.Public().Compare(high.Public()) > 0 {
		low, high = high, low
	}
	return low, high
}

// listen waits for a port that somebody's outgoing connection has for the moment.
func listen(t testing.TB, address string) (l net.Listener) {
	t.Helper()
	eventually(t, address+" to be free", func() (free bool) {
		var err error
		if l, err = net.Listen("tcp", address); err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
		return err == nil
	})
	return l
}

// start runs a node; adjust may change its configuration.
func start(t testing.TB, key keys.PrivateKey, peers map[keys.PublicKey]string, adjust ...func(*p2p.Config)) *node {
	t.Helper()
	n := &node{
		key:  key.Public(),
		got:  make(chan message),
		up:   make(chan keys.PublicKey, 1000),
		down: make(chan keys.PublicKey, 1000),
	}
	cfg := p2p.Config{
		Key:     key,
		Network: testNetwork,
		Peers:   peers,
		Limits: p2p.Limits{
			HandshakeTimeout: patience / 2, // generous, as is the next but one: the machine may be busy
			PingEvery:        100 * time.Millisecond,
			DeadAfter:        10 * time.Second,
			RedialFrom:       5 * time.Millisecond,
			RedialTo:         100 * time.Millisecond,
		},
		Handler: func(ctx context.Context, from keys.PublicKey, lane p2p.Lane, frame []byte) error {
			select {
			case n.got <- message{from, lane, frame}:
			case <-ctx.Done():
			}
			return nil
		},
		Up:   func(peer keys.PublicKey) { n.up <- peer },
		Down: func(peer keys.PublicKey) { n.down <- peer },
	}
	for _, f := range adjust {
		f(&cfg)
	}
	if cfg.Listener == nil {
		cfg.Listener = listen(t, "127.0.0.1:0")
	}
	n.address = cfg.Listener.Addr().String()
	var err error
	if n.Network, err = p2p.New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := receive(t, ended, "Run to return"); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(n.stop)
	return n
}

// pair runs two nodes that are connected on both lanes.
func pair(t testing.TB, adjust ...func(*p2p.Config)) (a, b *node) {
	t.Helper()
	low, high := lowHigh()
	b = start(t, high, map[keys.PublicKey]string{low.Public(): ""}, adjust...)
	a = start(t, low, map[keys.PublicKey]string{high.Public(): b.address}, adjust...)
	connected(t, a, b)
	return a, b
}

func connected(t testing.TB, a, b *node) {
	t.Helper()
	for _, lane := range []p2p.Lane{p2p.Live, p2p.Bulk} {
		eventually(t, fmt.Sprintf("%s lane to connect", lane), func() bool {
			return a.lane(b, lane).Connected && b.lane(a, lane).Connected
		})
	}
}

// lane is what n knows of its link to peer.
func (n *node) lane(peer *node, lane p2p.Lane) p2p.LaneStats {
	for _, s := range n.Stats() {
		if s.Peer == peer.key && lane == p2p.Live {
			return s.Live
		} else if s.Peer == peer.key {
			return s.Bulk
		}
	}
	return p2p.LaneStats{}
}

func (n *node) send(t testing.TB, to *node, lane p2p.Lane, frame string) {
	t.Helper()
	if err := n.Send(to.key, lane, []byte(frame)); err != nil {
		t.Fatalf("send %q: %v", frame, err)
	}
}

func (n *node) expect(t testing.TB, from *node, lane p2p.Lane, frame string) {
	t.Helper()
	m := receive(t, n.got, fmt.Sprintf("frame %q", frame))
	if m.from != from.key || m.lane != lane || string(m.frame) != frame {
		t.Fatalf("got %.40q from %s on %s, want %q from %s on %s", m.frame, m.from, m.lane, frame, from.key, lane)
	}
}

// talk proves that frames pass both ways on both lanes.
func talk(t testing.TB, a, b *node) {
	t.Helper()
	for _, lane := range []p2p.Lane{p2p.Live, p2p.Bulk} {
		a.send(t, b, lane, "there")
		b.expect(t, a, lane, "there")
		b.send(t, a, lane, "back")
		a.expect(t, b, lane, "back")
	}
}

func receive[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// eventually polls what only statistics show.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			buf := make([]byte, 1<<20)
			t.Fatalf("waited in vain for %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

func TestPeersTalk(t *testing.T) {
	a, b := pair(t)
	if receive(t, a.up, "Up") != b.key || receive(t, b.up, "Up") != a.key {
		t.Error("Up names the wrong peer")
	}
	talk(t, a, b)
	eventually(t, "a round-trip time", func() bool { return a.lane(b, p2p.Live).RoundTrip > 0 })
	s := a.lane(b, p2p.Bulk)
	if s.FramesIn != 1 || s.BytesIn != 4 || s.FramesOut != 1 || s.BytesOut != 5 || s.Connects != 1 {
		t.Errorf("statistics %+v", s)
	}
	a.stop()
	if receive(t, b.down, "Down") != a.key {
		t.Error("Down names the wrong peer")
	}
	if receive(t, a.down, "own Down at the end of Run") != b.key {
		t.Error("Down names the wrong peer")
	}
}

// The end that decides and the end that dials need not be the same.
func TestOnlyTheOtherEndKnowsAnAddress(t *testing.T) {
	low, high := lowHigh()
	a := start(t, low, map[keys.PublicKey]string{high.Public(): ""})
	b := start(t, high, map[keys.PublicKey]string{low.Public(): a.address})
	connected(t, a, b)
	talk(t, a, b)
	if a.lane(b, p2p.Live).Outgoing || !b.lane(a, p2p.Live).Outgoing {
		t.Error("the end that was dialed says that it dialed")
	}
}

// Whoever answers a dial and does not say who it is, is reached and not known; it is seen as that until it hangs up or the time is over.
func TestOneThatDoesNotSayWhoItIs(t *testing.T) {
	low, high := lowHigh()
	mute := listen(t, "127.0.0.1:0")
	held := make(chan net.Conn, 2)
	go func() {
		for range 2 {
			conn, err := mute.Accept()
			if err != nil {
				return
			}
			held <- conn
		}
	}()
	a := start(t, low, map[keys.PublicKey]string{high.Public(): mute.Addr().String()}, func(c *p2p.Config) {
		c.Limits.HandshakeTimeout = time.Hour
		c.Limits.RedialFrom, c.Limits.RedialTo = time.Hour, time.Hour
	})
	b := &node{key: high.Public()}
	eventually(t, "both lanes reached", func() bool { return a.lane(b, p2p.Live).Greeting && a.lane(b, p2p.Bulk).Greeting })
	if s := a.lane(b, p2p.Live); s.Connected || s.Outgoing {
		t.Errorf("taken for a link: %+v", s)
	}
	for range 2 {
		receive(t, held, "a connection").Close()
	}
	eventually(t, "both lanes lost", func() bool {
		live, bulk := a.lane(b, p2p.Live), a.lane(b, p2p.Bulk)
		return !live.Greeting && !bulk.Greeting && live.LastError != ""
	})
}

// Both dial at the same time, again and again: they always end up with one connection each and keep it.
func TestBothDial(t *testing.T) {
	low, high := lowHigh()
	eager := func(c *p2p.Config) { c.Limits.RedialFrom = 1 } // no courtesy: collide
	for range 20 {
		la, lb := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
		a := start(t, low, map[keys.PublicKey]string{high.Public(): lb.Addr().String()}, eager, func(c *p2p.Config) { c.Listener = la })
		b := start(t, high, map[keys.PublicKey]string{low.Public(): la.Addr().String()}, eager, func(c *p2p.Config) { c.Listener = lb })
		steady := func() bool {
			return a.lane(b, p2p.Live).Remote != "" && b.lane(a, p2p.Live).Remote != ""
		}
		eventually(t, "connection", steady)
		connected(t, a, b)
		for _, lane := range []p2p.Lane{p2p.Live, p2p.Bulk} { // a collision may lose frames, so repeat
			eventually(t, "a frame to arrive", func() bool {
				a.Send(b.key, lane, []byte("hello"))
				select {
				case <-b.got:
					return true
				case <-time.After(10 * time.Millisecond):
					return false
				}
			})
		}
		// Without courtesy a collision can cost several connections: the end that does not decide may take up an older
		// choice after a newer one, and then both start over.
		if n := a.lane(b, p2p.Live).Connects; n > 10 {
			t.Errorf("%d connections: the ends are flapping", n)
		}
		a.stop()
		b.stop()
	}
}

func TestFourNodes(t *testing.T) {
	var listeners [4]net.Listener
	addresses := make(map[keys.PublicKey]string)
	for i := range listeners {
		listeners[i] = listen(t, "127.0.0.1:0")
		addresses[key(byte(i)).Public()] = listeners[i].Addr().String()
	}
	var nodes [4]*node
	for i := range nodes { // all share one list, which names themselves too
		nodes[i] = start(t, key(byte(i)), addresses, func(c *p2p.Config) { c.Listener = listeners[i] })
	}
	for _, a := range nodes {
		if len(a.Stats()) != 3 {
			t.Fatalf("%d peers, want 3", len(a.Stats()))
		}
		for _, b := range nodes {
			if a != b {
				connected(t, a, b)
			}
		}
	}
}

func TestRestartedPeerReconnects(t *testing.T) {
	low, high := lowHigh()
	for _, c := range []struct {
		name            string
		stays, restarts keys.PrivateKey
	}{{"decider restarts", high, low}, {"other restarts", low, high}} {
		t.Run(c.name, func(t *testing.T) {
			listener := listen(t, "127.0.0.1:0")
			b := start(t, c.restarts, map[keys.PublicKey]string{c.stays.Public(): ""}, func(cfg *p2p.Config) { cfg.Listener = listener })
			a := start(t, c.stays, map[keys.PublicKey]string{b.key: b.address})
			for range 3 {
				connected(t, a, b)
				receive(t, a.up, "Up")
				talk(t, a, b)
				b.stop()
				receive(t, a.down, "Down")
				if err := a.Send(b.key, p2p.Live, []byte("lost")); !errors.Is(err, p2p.ErrNotConnected) {
					t.Errorf("Send to a dead peer: %v", err)
				}
				again := listen(t, b.address)
				b = start(t, c.restarts, map[keys.PublicKey]string{a.key: ""}, func(cfg *p2p.Config) { cfg.Listener = again })
			}
		})
	}
}

func TestPeerMoves(t *testing.T) {
	a, b := pair(t)
	receive(t, a.up, "Up")
	b.stop()
	receive(t, a.down, "Down")
	_, high := lowHigh()
	b = start(t, high, map[keys.PublicKey]string{a.key: ""}) // same key, another port
	a.SetPeers(map[keys.PublicKey]string{b.key: b.address})
	receive(t, a.up, "Up at the new address")
	connected(t, a, b)
	talk(t, a, b)
}

// A new address is tried at once, even in the middle of a dial to the old one that hangs and of a long pause.
func TestMoveDoesNotWaitForOldAddress(t *testing.T) {
	low, high := lowHigh()
	b := start(t, high, map[keys.PublicKey]string{low.Public(): ""})
	hanging := make(chan struct{}, 2)
	a := start(t, low, map[keys.PublicKey]string{b.key: "black hole"}, func(c *p2p.Config) {
		c.Limits.HandshakeTimeout = time.Hour
		c.Limits.RedialFrom, c.Limits.RedialTo = time.Hour, time.Hour
		c.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			if address == "black hole" {
				hanging <- struct{}{}
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return net.Dial("tcp", address)
		}
	})
	receive(t, hanging, "first lane to dial")
	receive(t, hanging, "second lane to dial")
	a.SetPeers(map[keys.PublicKey]string{b.key: b.address})
	connected(t, a, b)
}

func TestWorkingLinkSurvivesMove(t *testing.T) {
	a, b := pair(t)
	a.SetPeers(map[keys.PublicKey]string{b.key: "127.0.0.1:1"})
	talk(t, a, b)
	if n := a.lane(b, p2p.Live).Connects; n != 1 {
		t.Errorf("%d connections, want the first one kept", n)
	}
}

func TestRemovedPeerIsCutOffAndMayReturn(t *testing.T) {
	a, b := pair(t)
	receive(t, a.up, "Up")
	b.SetPeers(nil)
	receive(t, a.down, "Down")
	eventually(t, "a's attempts to be refused", func() bool { return b.Refused()[p2p.UnknownPeer] > 0 })
	eventually(t, "a to learn why", func() bool {
		return strings.Contains(a.lane(b, p2p.Live).LastError, "does not have this node's key among its peers")
	})
	for range 5 {
		b.SetPeers(map[keys.PublicKey]string{a.key: ""})
		b.SetPeers(nil)
	}
	b.SetPeers(map[keys.PublicKey]string{a.key: ""})
	receive(t, a.up, "Up")
	connected(t, a, b)
}
