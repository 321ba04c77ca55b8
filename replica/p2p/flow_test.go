package p2p_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

// content is the frame with number seq of a sender: numbers, then bytes that follow from them, cut into parts.
func content(sender, seq uint32) (whole []byte, parts [][]byte) {
	r := rand.New(rand.NewPCG(uint64(sender), uint64(seq)))
	size := 8 + r.IntN(300)
	if seq%20 == 0 {
		size += r.IntN(200_000)
	}
	whole = make([]byte, size)
	binary.BigEndian.PutUint32(whole, sender)
	binary.BigEndian.PutUint32(whole[4:], seq)
	for i := 8; i+8 <= size; i += 8 {
		binary.BigEndian.PutUint64(whole[i:], r.Uint64())
	}
	for rest := whole; ; {
		n := min(len(rest), r.IntN(40_000))
		parts = append(parts, rest[:n])
		if rest = rest[n:]; len(rest) == 0 {
			return whole, parts
		}
	}
}

// Many senders share each lane, in both directions. Every frame arrives whole and, seen from its sender, in order.
func TestOrderAndIntegrity(t *testing.T) {
	const senders, frames = 4, 400
	a, b := pair(t, func(c *p2p.Config) { // small queues: they are full all the time
		c.Limits.Live.QueueBytes, c.Limits.Bulk.QueueBytes = 300_000, 300_000
	})
	var traffic sync.WaitGroup
	for _, way := range [][2]*node{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		for _, lane := range []p2p.Lane{p2p.Live, p2p.Bulk} {
			for sender := range uint32(senders) {
				traffic.Go(func() {
					for seq := range uint32(frames) {
						_, parts := content(sender, seq)
						eventually(t, "room in the queue", func() bool {
							err := from.Send(to.key, lane, parts...)
							if err != nil && !errors.Is(err, p2p.ErrQueueFull) {
								t.Error(err)
							}
							return err == nil
						})
					}
				})
			}
		}
		traffic.Go(func() {
			var next [2][senders]uint32
			for range 2 * senders * frames {
				m := receive(t, to.got, "frame")
				sender := binary.BigEndian.Uint32(m.frame)
				want, _ := content(sender, next[m.lane][sender])
				if string(m.frame) != string(want) {
					t.Errorf("%s lane, sender %d: frame %d is damaged or out of order", m.lane, sender, next[m.lane][sender])
					return
				}
				next[m.lane][sender]++
			}
		})
	}
	traffic.Wait()
}

// deadAfter is how long links may be silent that a test wants to stay: longer than a busy machine stands still.
const deadAfter = 3 * time.Second

// A handler that blocks stops the sender at the bound of its queue, loses nothing that was accepted, does not look
// dead, and leaves the other lane alone.
func TestBackpressure(t *testing.T) {
	t.Parallel() // with others that wait
	const queueBytes, frameBytes = 1 << 20, 64 << 10
	gate := make(chan struct{})
	a, b := pair(t, func(c *p2p.Config) {
		c.Limits.Bulk.QueueBytes = queueBytes
		c.Limits.PingEvery, c.Limits.DeadAfter = 20*time.Millisecond, deadAfter
		handle := c.Handler
		c.Handler = func(ctx context.Context, from keys.PublicKey, lane p2p.Lane, frame []byte) error {
			if lane == p2p.Bulk {
				select {
				case <-gate:
				case <-ctx.Done():
				}
			}
			return handle(ctx, from, lane, frame)
		}
	})
	send := func(seq uint32) error {
		return a.Send(b.key, p2p.Bulk, binary.BigEndian.AppendUint32(nil, seq), make([]byte, frameBytes-4))
	}

	// Full for longer than a link may be silent: the sockets are full too, and nobody takes the other for dead.
	accepted := uint32(0)
	full := time.Now()
	eventually(t, "the queue to stay full", func() bool {
		for {
			err := send(accepted)
			if queued := a.lane(b, p2p.Bulk).QueuedBytes; queued > queueBytes {
				t.Fatalf("%d bytes queued, the bound is %d", queued, queueBytes)
			}
			if errors.Is(err, p2p.ErrQueueFull) {
				return time.Since(full) > deadAfter*3/2
			} else if err != nil {
				t.Fatal(err)
			}
			accepted++
			full = time.Now()
		}
	})
	if dropped := a.lane(b, p2p.Bulk).DroppedQueueFull; dropped == 0 {
		t.Error("dropped frames are not counted")
	}
	for i := range 100 {
		text := fmt.Sprint("live frame ", i)
		a.send(t, b, p2p.Live, text)
		b.expect(t, a, p2p.Live, text)
	}

	close(gate)
	for want := range accepted {
		m := receive(t, b.got, "accepted frame")
		if seq := binary.BigEndian.Uint32(m.frame); seq != want || len(m.frame) != frameBytes {
			t.Fatalf("frame %d of %d bytes, want frame %d of %d", seq, len(m.frame), want, frameBytes)
		}
	}
	if n := a.lane(b, p2p.Bulk).Connects; n != 1 {
		t.Errorf("%d connections, want the first one kept", n)
	}
	eventually(t, "the queue to empty", func() bool { return a.lane(b, p2p.Bulk).QueuedBytes == 0 })
}

// A peer that takes nothing for Limits.WriteTimeout is given up.
func TestPeerThatNeverReadsIsGivenUp(t *testing.T) {
	a, b := pair(t, func(c *p2p.Config) { c.Limits.WriteTimeout = 300 * time.Millisecond })
	receive(t, a.up, "Up")
	a.send(t, b, p2p.Live, "nobody receives this one, so the handler blocks")
	frame := make([]byte, 1<<20)
	eventually(t, "the link to be given up", func() bool {
		a.Send(b.key, p2p.Live, frame)
		return a.lane(b, p2p.Live).LastError != ""
	})
	receive(t, a.down, "Down")
}

// A handler that blocks does not hide that the peer is gone.
func TestDownComesAlthoughTheHandlerBlocks(t *testing.T) {
	a, b := pair(t)
	entered := func() bool { return b.lane(a, p2p.Live).FramesIn == 1 }
	a.send(t, b, p2p.Live, "block")
	eventually(t, "the handler to block", entered)
	a.stop()
	receive(t, b.down, "Down")
}

// cables are connections that can be cut in such a way that neither end notices: nothing passes, nothing closes.
type cables struct {
	mu    sync.Mutex
	conns []*cable
}

type cable struct {
	net.Conn
	cut atomic.Bool
}

func (c *cable) Write(p []byte) (int, error) {
	if c.cut.Load() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *cable) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.cut.Load() {
			return n, err
		}
	}
}

func (c *cables) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	wrapped := &cable{Conn: conn}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, wrapped)
	return wrapped, nil
}

func (c *cables) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.cut.Store(true)
	}
}

func TestSilentLinkIsDetectedByBothEnds(t *testing.T) {
	t.Parallel()
	var wires cables
	a, b := pair(t, func(c *p2p.Config) {
		c.Dial = wires.dial
		c.Limits.PingEvery, c.Limits.DeadAfter = 50*time.Millisecond, deadAfter
	})
	receive(t, a.up, "Up")
	receive(t, b.up, "Up")
	wires.cut()
	receive(t, a.down, "Down on one end")
	receive(t, b.down, "Down on the other end")
	receive(t, a.up, "Up again")
	receive(t, b.up, "Up again")
	connected(t, a, b)
	talk(t, a, b)
	// Whoever notices first closes the sockets, which the other may see before its own time is up.
	reasons := a.lane(b, p2p.Live).LastError + "; " + b.lane(a, p2p.Live).LastError
	if !strings.Contains(reasons, "heard nothing for 3s") {
		t.Errorf("the link ended with %s", reasons)
	}
}

// An idle link lives on pings alone.
func TestIdleLinkStays(t *testing.T) {
	t.Parallel()
	a, b := pair(t, func(c *p2p.Config) { c.Limits.PingEvery, c.Limits.DeadAfter = 20*time.Millisecond, deadAfter })
	select {
	case <-a.down:
		t.Error("an idle link went down")
	case <-b.down:
		t.Error("an idle link went down")
	case <-time.After(deadAfter * 3 / 2):
	}
}

func TestSendErrors(t *testing.T) {
	low, high := lowHigh()
	a := start(t, low, map[keys.PublicKey]string{high.Public(): ""}, func(c *p2p.Config) { c.Limits.Live.MaxFrame = 10 })
	if err := a.Send(high.Public(), p2p.Live, nil); !errors.Is(err, p2p.ErrNotConnected) {
		t.Errorf("peer that never connected: %v", err)
	}
	if err := a.Send(key(77).Public(), p2p.Live, nil); !errors.Is(err, p2p.ErrNotConnected) {
		t.Errorf("no peer: %v", err)
	}
	if err := a.Send(high.Public(), p2p.Live, make([]byte, 5), make([]byte, 6)); err == nil || !strings.Contains(err.Error(), "11 bytes") {
		t.Errorf("frame above the limit: %v", err)
	}
	if dropped := a.Stats()[0].Live.DroppedNotConnected; dropped != 1 {
		t.Errorf("%d drops counted, want 1", dropped)
	}
}

func TestBadConfigurations(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	defer listener.Close()
	good := p2p.Config{
		Key:      key(1),
		Listener: listener,
		Handler:  func(context.Context, keys.PublicKey, p2p.Lane, []byte) error { return nil },
	}
	if _, err := p2p.New(good); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*p2p.Config){
		"no key":      func(c *p2p.Config) { c.Key = keys.PrivateKey{} },
		"no listener": func(c *p2p.Config) { c.Listener = nil },
		"no handler":  func(c *p2p.Config) { c.Handler = nil },
		"MaxFrame":    func(c *p2p.Config) { c.Limits.Live.MaxFrame = 1 << 30 },
		"QueueBytes":  func(c *p2p.Config) { c.Limits.Bulk.QueueBytes = -1 },
		"MaxPending":  func(c *p2p.Config) { c.Limits.MaxPending = -1 },
		"negative":    func(c *p2p.Config) { c.Limits.WriteTimeout = -1 },
		"two pings":   func(c *p2p.Config) { c.Limits.PingEvery = time.Minute },
		"RedialTo":    func(c *p2p.Config) { c.Limits.RedialTo = time.Millisecond },
	} {
		bad := good
		spoil(&bad)
		if _, err := p2p.New(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want it to name %q", err, want)
		}
	}
}
