package stories

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestKillEachUnderLoad: each node in turn dies without warning while requests flow; the others go on, also into the next epoch,
// and it takes part again once it is back.
func TestKillEachUnderLoad(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := drive(t, c.nodes)
	c.orders(c.nodes...)
	for _, victim := range c.nodes {
		victim.kill()
		c.orders(c.others(victim)...)
		c.handOver(c.others(victim)...)
		victim.start()
		c.ready(victim)
		c.level()
	}
	traffic.finish()
	c.agree()
}

// TestKillAtRandom: nodes die again and again, at moments that nobody chose: while starting, catching up, handing over. No node
// ever makes two blocks for one round, and none misses a block.
func TestKillAtRandom(t *testing.T) {
	const kills = 12
	c := found(t, 4)
	c.start()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 0))
	traffic := drive(t, c.nodes)
	c.orders(c.nodes...)
	for range kills {
		victim := c.nodes[chance.IntN(len(c.nodes))]
		victim.kill()
		victim.start()
		// The moment of the next kill: some time into the start, or some way into the order.
		rest := time.NewTimer(time.Duration(chance.IntN(800)) * time.Millisecond)
		<-rest.C
	}
	c.ready(c.nodes...)
	c.orders(c.nodes...)
	traffic.finish()
	c.agree()
}
