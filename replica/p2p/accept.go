package p2p

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// After a refusal the connection is read a little longer before it is closed: closing with unread bytes resets it,
// and the reset would overtake the alert that tells the other end why.
const (
	lingerFor   = 250 * time.Millisecond
	lingerBytes = 64 << 10
)

// acceptPause is how long to wait when the system cannot accept, for want of file descriptors most of the time.
const acceptPause = 50 * time.Millisecond

// accept takes connections until the listener is closed, each on a goroutine of its own that ends with the handshake.
func (n *Network) accept(ctx context.Context) error {
	pending := newPendingPool(n.cfg.Limits.MaxPending)
	var greetings sync.WaitGroup
	defer greetings.Wait()
	for {
		conn, err := n.cfg.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept peers on %s: %w", n.cfg.Listener.Addr(), err)
		case err != nil:
			n.cfg.Log.Error("cannot accept peers", "error", err)
			wait(ctx, acceptPause)
			continue
		}
		release, dropped := pending.add(conn)
		if dropped != nil {
			n.refusals.add(TooManyPending, "from", dropped.RemoteAddr())
		}
		greetings.Go(func() {
			defer release()
			n.greet(ctx, conn)
		})
	}
}

// greet finds out who has connected and hands the connection to its line.
func (n *Network) greet(ctx context.Context, raw net.Conn) {
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	limits := n.cfg.Limits
	g := &greeting{net: n}
	c := &candidate{wire: newWire(raw)}
	c.conn = tls.Server(c.wire, g.serverTLS())
	err := errors.Join(tuneTCP(raw, limits.WriteTimeout), raw.SetDeadline(time.Now().Add(limits.HandshakeTimeout)))
	if err == nil {
		err = c.conn.HandshakeContext(ctx)
	}
	if err != nil {
		n.refuse(ctx, g, raw, err)
		return
	}
	l := n.lineOf(c.conn.ConnectionState())
	if l == nil { // removed since
		c.close()
		return
	}
	if l.turnAway(c) {
		c.close()
		return
	}
	if l.tooSoon() {
		n.refusals.add(LimitedPeer, "peer", n.cfg.Name(l.peer.key), "lane", l.lane.String())
		c.close()
		return
	}
	// A peer that goes away here has changed its mind, or its decider has: nothing to count.
	if err := l.settle(ctx, c); err != nil || !stop() {
		c.close()
		return
	}
	l.offer(ctx, c)
}

// lineOf finds the line that an authenticated connection is for.
func (n *Network) lineOf(state tls.ConnectionState) *line {
	key, err := peerKey(state)
	if err != nil {
		return nil
	}
	p := n.peer(key)
	lane, ok := laneOf(state.NegotiatedProtocol, n.cfg.Network)
	if p == nil || !ok {
		return nil
	}
	return p.lines[lane]
}

func (n *Network) refuse(ctx context.Context, g *greeting, raw net.Conn, err error) {
	defer raw.Close()
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) { // stopping, or pushed out by newer ones, which is counted there
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return // it left before it was known: of two peers that dial each other at once, one gives up
	}
	n.refusals.add(g.reason(err), "from", raw.RemoteAddr(), "error", err)
	if half, ok := raw.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil &&
		raw.SetReadDeadline(time.Now().Add(lingerFor)) == nil {
		io.Copy(io.Discard, io.LimitReader(raw, lingerBytes))
	}
}

// pendingPool bounds the connections that have not proved who they are. When it is full, the oldest goes: a flood of
// silent connections then delays nobody who shakes hands at ordinary speed, while turning newcomers away would lock
// everybody out until the time-outs.
type pendingPool struct {
	limit int

	mu    sync.Mutex
	conns *list.List // of net.Conn, oldest first
}

func newPendingPool(limit int) *pendingPool {
	return &pendingPool{limit: limit, conns: list.New()}
}

// add admits conn until release, and returns the connection that it closed to make room, if any.
func (p *pendingPool) add(conn net.Conn) (release func(), dropped net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conns.Len() >= p.limit {
		dropped = p.conns.Remove(p.conns.Front()).(net.Conn)
		dropped.Close()
	}
	element := p.conns.PushBack(conn)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conns.Remove(element) // does nothing if it is gone
	}, dropped
}

// wait is a pause that ends with ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
