package stories

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
)

// patience bounds each wait. Nothing takes so long unless it is broken.
const patience = time.Minute

// cluster is a network of sequencers, each a process of its own.
type cluster struct {
	t     *testing.T
	net   *network.Network
	nodes []*sequencer
}

// found lays out a network with short epochs whose nodes keep everything. Changes apply to the plan before.
func found(t *testing.T, sequencers int, changes ...func(*network.Plan)) *cluster {
	t.Helper()
	t.Parallel()
	return foundBeside(t, sequencers, changes...)
}

// foundBeside is found for a further network of the same story.
func foundBeside(t *testing.T, sequencers int, changes ...func(*network.Plan)) *cluster {
	t.Helper()
	plan := network.DefaultPlan(filepath.Join(t.TempDir(), "net"))
	plan.Sequencers = sequencers
	plan.BasePort = freeBase(t, sequencers)
	plan.Parameters.EpochDuration = config.Duration(2 * time.Second)
	plan.Parameters.IdleInterval = config.Duration(100 * time.Millisecond)
	plan.Ordering = true
	plan.Storage = config.Storage{RetainCommits: 10_000_000, RetainBytes: 0, SegmentSize: 4 * config.MiB}
	for _, change := range changes {
		change(&plan)
	}
	n, err := network.Create(plan)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, net: n}
	for _, at := range n.Nodes {
		c.nodes = append(c.nodes, newSequencer(t, at))
	}
	return c
}

// ports is how many ports each network gets to itself.
const ports = 100

// freeBase finds a base port from which all ports that a network takes are free. They lie below those that systems give out by
// themselves, so that nobody gets one in between.
func freeBase(t *testing.T, sequencers int) int {
	t.Helper()
	const lowest, highest = 12_000, 32_000
	for range (highest - lowest) / ports {
		base := lowest + ((os.Getpid()+int(turn.Add(1)))*ports)%(highest-lowest)
		taken, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+ports-1))) // keeps other processes that look for ports away
		if err != nil {
			continue
		}
		if allFree(base, sequencers) {
			t.Cleanup(func() { taken.Close() })
			return base
		}
		taken.Close()
	}
	t.Fatal("no free ports")
	return 0
}

func allFree(base, sequencers int) bool {
	for i := range sequencers {
		for listener := range 6 {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(base+10*(i+1)+listener)))
			if err != nil {
				return false
			}
			l.Close()
		}
	}
	return true
}

// start starts all nodes and waits until each can order.
func (c *cluster) start(flags ...string) {
	c.t.Helper()
	for _, n := range c.nodes {
		n.start(flags...)
	}
	c.ready(c.nodes...)
}

// ready waits until the nodes can order.
func (c *cluster) ready(nodes ...*sequencer) {
	c.t.Helper()
	for _, n := range nodes {
		within(c.t, patience, n.name+" becomes ready", n.health)
	}
}

// others are the nodes without that one.
func (c *cluster) others(without *sequencer) (rest []*sequencer) {
	for _, n := range c.nodes {
		if n != without {
			rest = append(rest, n)
		}
	}
	return rest
}

// level waits until the nodes have reached the height that is the highest of them now.
func (c *cluster) level() {
	c.t.Helper()
	highest := 0.0
	for _, n := range c.nodes {
		highest = max(highest, n.metric("synod_ordering_height"))
	}
	for _, n := range c.nodes {
		within(c.t, patience, n.name+" catches up", func() error {
			if height := n.metric("synod_ordering_height"); height < highest {
				return fmt.Errorf("height %.0f of %.0f", height, highest)
			}
			return nil
		})
	}
}

// orders waits until the nodes have ordered further requests.
func (c *cluster) orders(nodes ...*sequencer) {
	c.t.Helper()
	for _, n := range nodes {
		before := n.metric("synod_ordering_requests_total")
		within(c.t, patience, n.name+" orders requests", func() error {
			if n.metric("synod_ordering_requests_total") <= before {
				return fmt.Errorf("none beyond %.0f", before)
			}
			return nil
		})
	}
}

// handOver waits until the nodes have entered a further epoch.
func (c *cluster) handOver(nodes ...*sequencer) {
	c.t.Helper()
	for _, n := range nodes {
		before := n.metric("synod_engine_epoch")
		within(c.t, patience, n.name+" enters the next epoch", func() error {
			if epoch := n.metric("synod_engine_epoch"); epoch <= before {
				return fmt.Errorf("still in epoch %.0f", epoch)
			}
			return nil
		})
	}
}
