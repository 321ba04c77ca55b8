package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

// A generator hands requests to a cluster.
type generator struct {
	cluster Cluster
	meter   *meter
	filler  filler
	next    atomic.Uint64 // number of the next request
	stopped atomic.Bool
}

// stop ends all loops of the generator; they return after the request at hand.
func (g *generator) stop() {
	g.stopped.Store(true)
	g.meter.window.close()
}

// send hands over one request that was due at the given time. A request whose
// home crashes meanwhile goes to another node, as a client would do.
func (g *generator) send(due int64) error {
	id := g.next.Add(1) - 1
	for {
		home := g.cluster.Entry(id)
		g.meter.expect(id, due, home)
		err := g.cluster.Submit(home, g.filler.request(id))
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrCrashed) {
			return fmt.Errorf("handing request %d to node %d: %w", id, home, err)
		}
		if g.stopped.Load() {
			return nil
		}
		nanosleep(time.Millisecond)
	}
}

// closedLoop sends whenever the window has room.
func (g *generator) closedLoop() error {
	for g.meter.window.acquire() {
		if err := g.send(g.meter.now()); err != nil {
			return err
		}
	}
	return nil
}

// longestTick bounds how many requests an open loop sends at once.
const longestTick = 500 * time.Microsecond

// openLoop sends rate requests a second. Each has a time at which it is due,
// and its latency counts from there, also when the loop is late because the
// cluster did not take the one before.
func (g *generator) openLoop(rate int) error {
	begin := g.meter.now()
	due := func(n int64) int64 { return begin + n*int64(time.Second)/int64(rate) }
	for n := int64(0); !g.stopped.Load(); {
		now := g.meter.now()
		for ; due(n) <= now && !g.stopped.Load(); n++ {
			if !g.meter.window.acquire() {
				return nil
			}
			if err := g.send(due(n)); err != nil {
				return err
			}
		}
		nanosleep(max(time.Duration(due(n)-g.meter.now()), longestTick))
	}
	return nil
}

// nanosleep sleeps in the kernel: the runtime's timers wake up to a
// millisecond late in an idle process, which would count as latency.
func nanosleep(d time.Duration) {
	if d <= 0 {
		return
	}
	t := syscall.NsecToTimespec(int64(d))
	syscall.Nanosleep(&t, nil) // waking early only means one more look at the clock
}
