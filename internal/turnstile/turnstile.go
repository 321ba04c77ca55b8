// Package turnstile bounds the connections that strangers can make a listener hold.
//
// Each connection costs a file descriptor, some goroutines and tens of KiB, before anybody has said who they are; and a process
// without a free descriptor cannot write its own files any more. So there is a limit to all connections of a listener, and one to
// those of each host. At a limit the newcomer is not turned away, for then whoever came first with idle connections would keep all
// others out: it takes the place of the oldest connection whose user has not proven yet that it may be here. Who proves it soon
// after connecting, as every client does, is hardly ever pushed out, and never afterwards ([Conn.Prove]). Only when all have
// proven it is a newcomer refused.
package turnstile

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limits are the most connections that may be open at the same time, of everybody and of one host; 0 for no limit.
type Limits struct{ Total, Host int }

// Turnstile counts the connections of listeners. Its methods may be called from any number of goroutines.
type Turnstile struct {
	limits Limits

	mu       sync.Mutex
	open     int
	unproven *list.List // of *Conn, oldest first
	hosts    map[string]*host
	counts   Counts
}

// host is what one has open.
type host struct {
	open     int
	unproven *list.List // of *Conn, oldest first
}

// Counts are what happened at a turnstile. All but Open only grow.
type Counts struct {
	Open      int
	PushedOut uint64 // closed, unproven, to make room for a newer one
	Refused   uint64 // closed at once, since all places were taken by those who have proven that they may be here
}

// New returns a turnstile without connections.
func New(limits Limits) *Turnstile {
	return &Turnstile{limits: limits, unproven: list.New(), hosts: map[string]*host{}}
}

// Counts returns what happened until now.
func (t *Turnstile) Counts() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	counts.Open = t.open
	return counts
}

// Listener lets the connections that another listener accepts through the turnstile. They are of type [*Conn].
func (t *Turnstile) Listener(listener net.Listener) net.Listener { return &gated{listener, t} }

type gated struct {
	net.Listener
	turnstile *Turnstile
}

// Accept implements [net.Listener].
func (l *gated) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn, pushed := l.turnstile.enter(raw)
		if pushed != nil {
			_ = pushed.Close() // its user notices
		}
		if conn != nil {
			return conn, nil
		}
		_ = raw.Close()
	}
}

// enter gives a connection a place, and returns the one that has to go for it; conn is nil if there is no place.
func (t *Turnstile) enter(raw net.Conn) (conn, pushed *Conn) {
	conn = &Conn{Conn: raw, turnstile: t, host: Host(raw.RemoteAddr())}
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.hosts[conn.host]
	var from *list.List
	switch {
	case t.limits.Host > 0 && h != nil && h.open >= t.limits.Host:
		from = h.unproven
	case t.limits.Total > 0 && t.open >= t.limits.Total:
		from = t.unproven
	}
	if from != nil {
		oldest := from.Front()
		if oldest == nil {
			t.counts.Refused++
			return nil, nil
		}
		pushed = oldest.Value.(*Conn)
		pushed.leave()
		t.counts.PushedOut++
	}
	if h = t.hosts[conn.host]; h == nil {
		h = &host{unproven: list.New()}
		t.hosts[conn.host] = h
	}
	t.open++
	h.open++
	conn.amongAll, conn.amongHost = t.unproven.PushBack(conn), h.unproven.PushBack(conn)
	return conn, pushed
}

// Conn is a connection that went through a turnstile.
type Conn struct {
	net.Conn
	turnstile *Turnstile
	host      string
	proven    atomic.Bool // what amongAll says, for who holds no mutex

	// The turnstile's mutex protects these.
	amongAll, amongHost *list.Element // nil once it is proven
	left                bool
}

// Host is where the connection comes from; see [Host].
func (c *Conn) Host() string { return c.host }

// Prove says that the user of the connection may be here: it is not pushed out any more. It costs next to nothing again.
func (c *Conn) Prove() {
	if c.proven.Load() {
		return
	}
	c.turnstile.mu.Lock()
	defer c.turnstile.mu.Unlock()
	c.prove()
}

// prove is Prove for who holds the mutex.
func (c *Conn) prove() {
	if c.left || c.amongAll == nil {
		return
	}
	c.turnstile.unproven.Remove(c.amongAll)
	c.turnstile.hosts[c.host].unproven.Remove(c.amongHost)
	c.amongAll, c.amongHost = nil, nil
	c.proven.Store(true)
}

// leave gives the place back. The caller holds the mutex.
func (c *Conn) leave() {
	if c.left {
		return
	}
	c.prove() // takes it from the lists
	c.left = true
	t := c.turnstile
	t.open--
	h := t.hosts[c.host]
	if h.open--; h.open == 0 {
		delete(t.hosts, c.host)
	}
}

// TakeOver gives the place back and returns the connection behind, for who counts and bounds what it keeps by itself.
func (c *Conn) TakeOver() net.Conn {
	c.turnstile.mu.Lock()
	defer c.turnstile.mu.Unlock()
	c.leave()
	return c.Conn
}

// Close implements [net.Conn].
func (c *Conn) Close() error {
	c.turnstile.mu.Lock()
	c.leave()
	c.turnstile.mu.Unlock()
	return c.Conn.Close()
}

// Host is the host of an address, for limits by host. Of IPv6 it is the network of 64 bits: whoever has one address there has all.
func Host(at net.Addr) string {
	if at == nil {
		return ""
	}
	parsed, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return at.Network()
	}
	address := parsed.Addr().WithZone("").Unmap()
	if address.Is4() {
		return address.String()
	}
	return netip.PrefixFrom(address, 64).Masked().String()
}
