package instance_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/instance"
)

// epoch is how long an epoch lasts.
const epoch = time.Second

// TestOneClockIsWrong: one clock of four that is 10 s off, either way, harms nobody: all sequencers order, the agreed time stays
// where the other three are, also across epochs, and the drift is there for operators to see.
func TestOneClockIsWrong(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 10 * time.Second, "behind": -10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			const wrong = 3
			instances := run(t, func(i int) func() time.Time {
				if i != wrong {
					return nil
				}
				return func() time.Time { return time.Now().Add(off) }
			})
			targets := make([]load.Target, 0, len(instances))
			for _, i := range instances {
				targets = append(targets, load.InProcess(i.Orderer()))
			}
			began := time.Now()
			result, err := load.Run(t.Context(), load.Config{Rate: 200, Size: 128, Duration: 3 * time.Second}, targets...)
			if err != nil {
				t.Fatal(err)
			}
			if !result.Clean || result.Unknown != 0 {
				t.Errorf("verdict %+v", result)
			}
			timesBetween(t, instances[0].Orderer(), began.Add(-off.Abs()/2), time.Now().Add(off.Abs()/2))
			for limit := time.Now().Add(time.Minute); instances[0].Orderer().Status().Epoch == 0; runtime.Gosched() {
				if time.Now().After(limit) {
					t.Fatal("still in the first epoch: nothing was handed over")
				}
			}
			seesDrift(t, instances[0], wrong, off)
		})
	}
}

// run runs four sequencers with the given clocks for the length of the test, and returns when all can order.
func run(t *testing.T, clock func(int) func() time.Time) (instances []*instance.Instance) {
	t.Helper()
	plan := network.DefaultPlan(filepath.Join(t.TempDir(), "net"))
	plan.BasePort = 0
	plan.Parameters.EpochDuration = config.Duration(epoch)
	n, err := network.Create(plan)
	if err != nil {
		t.Fatal(err)
	}
	peers := map[keys.PublicKey]string{}
	for k, at := range n.Nodes {
		c, _, err := config.LoadSequencer(config.Sources{File: at.ConfigFile})
		if err != nil {
			t.Fatal(err)
		}
		i, err := instance.New(t.Context(), c, instance.Options{LogTo: io.Discard, Now: clock(k)})
		if err != nil {
			t.Fatal(err)
		}
		instances = append(instances, i)
		peers[n.Genesis.Members[k].Key] = i.Address("peer")
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	for _, i := range instances {
		i.SetPeers(peers)
		group := node.Group{Stages: i.Stages(), Health: i.Health, Log: i.Log, DrainTimeout: 5 * time.Second}
		running.Go(func() {
			if err := group.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for _, i := range instances {
		ready, cancel := context.WithTimeout(t.Context(), time.Minute)
		i.Health.Watch(ready, func(r node.Report) bool { return !r.OK })
		if ready.Err() != nil {
			t.Fatalf("%s: %v", i.Config.Name, i.Orderer().Ready())
		}
		cancel()
	}
	return instances
}

// timesBetween wants every block's time in a span.
func timesBetween(t *testing.T, o ordering.Orderer, from, to time.Time) {
	t.Helper()
	head := o.Status().Head
	enough := errors.New("enough")
	err := o.Read(t.Context(), 1, func(b ordering.Block) error {
		if at := time.UnixMicro(b.Time); b.RequestCount() > 0 && (at.Before(from) || at.After(to)) {
			t.Errorf("block %d has the time %s, outside %s to %s", b.Height, at, from, to)
		}
		if b.Height == head {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatal(err)
	}
}

// seesDrift waits until a sequencer shows another's clock to be off. One that is behind shows as far as the epoch is old: the time of
// blocks never falls below that at which their epoch began.
func seesDrift(t *testing.T, i *instance.Instance, of int, off time.Duration) {
	t.Helper()
	off = max(off, -epoch/2)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	var drift time.Duration
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		drift = time.Duration(i.Replica().Progress().Drift[of]) * time.Microsecond
		if off > 0 && drift > off-time.Second || off < 0 && drift < off {
			return
		}
	}
	t.Errorf("the drift of the wrong clock shows as %s, want about %s", drift, off)
}
