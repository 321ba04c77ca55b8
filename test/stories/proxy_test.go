package stories

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// cable is the way from some nodes to one address, which can be cut: what is sent then stays on the way, as in a network that lost
// a route, and comes through once it is mended. It can be long.
type cable struct {
	listener net.Listener
	to       string
	latency  atomic.Int64 // time.Duration that what is sent is on its way

	mu    sync.Mutex
	whole chan struct{} // closed while the cable is whole
	conns map[net.Conn]struct{}
}

// lay lays a cable that ends at an address.
func lay(t *testing.T, to string) *cable {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: listener, to: to, whole: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	close(c.whole)
	var carrying sync.WaitGroup
	carrying.Go(func() { c.accept(&carrying) })
	t.Cleanup(func() {
		listener.Close()
		c.mend()
		c.hangUp()
		carrying.Wait()
	})
	return c
}

func (c *cable) address() string { return c.listener.Addr().String() }

func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = make(chan struct{})
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.whole:
	default:
		close(c.whole)
	}
}

// passable waits until the cable is whole.
func (c *cable) passable() {
	c.mu.Lock()
	whole := c.whole
	c.mu.Unlock()
	<-whole
}

func (c *cable) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.conns {
		conn.Close()
	}
}

func (c *cable) accept(carrying *sync.WaitGroup) {
	for {
		near, err := c.listener.Accept()
		if err != nil {
			return
		}
		carrying.Go(func() { c.carry(near) })
	}
}

// carry carries one connection until either end closes it.
func (c *cable) carry(near net.Conn) {
	defer near.Close()
	c.passable()
	far, err := net.Dial("tcp", c.to)
	if err != nil {
		return // as if the address refused
	}
	defer far.Close()
	c.mu.Lock()
	c.conns[near], c.conns[far] = struct{}{}, struct{}{}
	c.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { c.copy(far, near) })
	both.Go(func() { c.copy(near, far) })
	both.Wait()
	c.mu.Lock()
	delete(c.conns, near)
	delete(c.conns, far)
	c.mu.Unlock()
}

// copy carries bytes one way, while the cable is whole.
func (c *cable) copy(to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		<-time.After(time.Duration(c.latency.Load()))
		c.passable()
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
