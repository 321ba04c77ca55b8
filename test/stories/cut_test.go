package stories

import (
	"fmt"
	"os"
	"testing"

	"github.com/synod-network/synod/node/config"
)

// TestCutOff: one node loses its network and finds it again. The others order on; it says that it is not ready, and catches up
// without a restart.
func TestCutOff(t *testing.T) {
	c := found(t, 4)
	lonely := c.nodes[3]
	cables := c.isolate(lonely)
	c.start()
	traffic := drive(t, c.others(lonely))
	c.orders(c.nodes...)
	for _, cable := range cables {
		cable.cut()
	}
	within(t, patience, "the lonely node misses the others", func() error {
		if err := lonely.health(); err == nil {
			return fmt.Errorf("it says that it is ready")
		}
		return nil
	})
	c.orders(c.others(lonely)...)
	c.handOver(c.others(lonely)...)
	for _, cable := range cables {
		cable.mend()
	}
	c.ready(lonely)
	c.level()
	traffic.finish()
	c.agree()
}

// isolate lets a node and the others reach each other only over cables that can be cut.
func (c *cluster) isolate(lonely *sequencer) (cables []*cable) {
	c.t.Helper()
	through := func(from, to *sequencer) {
		cable := lay(c.t, to.config.Peer.Listen)
		cables = append(cables, cable)
		for i := range from.config.Peers {
			if from.config.Peers[i].Name == to.name {
				from.config.Peers[i].Address = cable.address()
			}
		}
	}
	for _, other := range c.others(lonely) {
		through(lonely, other)
		through(other, lonely)
	}
	for _, s := range c.nodes {
		if err := os.WriteFile(s.at.ConfigFile, config.Render(s.config, "Rewritten by a story."), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	return cables
}
