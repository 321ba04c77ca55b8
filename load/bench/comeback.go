package bench

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sandbox"
	"github.com/synod-network/synod/sequencer/instance"
)

// comeback is a sequencer that was away and catches up.
type comeback struct {
	instance  *instance.Instance
	cancel    context.CancelFunc
	ended     chan error
	level     chan time.Duration // how long it took
	requests  int                // applied meanwhile
	beforeP99 float64
}

// bringBack starts the first sequencer of a sandbox again, which was crashed.
func bringBack(ctx context.Context, s *sandbox.Sandbox, beforeP99 float64) (*comeback, error) {
	config := *s.Sequencers[0].Config
	i, err := instance.New(ctx, &config, instance.Options{LogTo: io.Discard})
	if err != nil {
		return nil, fmt.Errorf("start the sequencer again: %w", err)
	}
	peers := map[keys.PublicKey]string{}
	for k, member := range s.Network.Genesis.Members {
		peers[member.Key] = s.Sequencers[k].Address("peer")
	}
	peers[s.Network.Genesis.Members[0].Key] = i.Address("peer")
	for _, other := range s.Sequencers[1:] {
		other.SetPeers(peers)
	}
	i.SetPeers(peers)
	running, cancel := context.WithCancel(ctx)
	c := &comeback{instance: i, cancel: cancel, ended: make(chan error, 1), level: make(chan time.Duration, 1), beforeP99: beforeP99}
	go func() {
		group := node.Group{Stages: i.Stages(), Health: i.Health, Log: i.Log}
		c.ended <- group.Run(running)
	}()
	go c.watch(running, s.Sequencers[1].Orderer(), i.Orderer())
	return c, nil
}

// watch follows the sequencer's own order until it is level with another's.
func (c *comeback) watch(ctx context.Context, other, own ordering.Orderer) {
	start := time.Now()
	from := own.Status().Head + 1
	_ = own.Read(ctx, from, func(b ordering.Block) error {
		c.requests += b.RequestCount()
		if b.Height+2 >= other.Status().Head {
			c.level <- time.Since(start)
			return context.Canceled
		}
		return nil
	})
}

func (c *comeback) report(r *Result) {
	r.BeforeP99 = c.beforeP99
	select {
	case took := <-c.level:
		r.CatchUpSeconds = took.Seconds()
		r.CatchUpPerSecond = float64(c.requests) / took.Seconds()
	default: // it did not get there: the zero says so
	}
}

func (c *comeback) stop() {
	c.cancel()
	<-c.ended
}
