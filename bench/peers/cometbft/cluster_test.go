package cometbft

import (
	"context"
	"testing"
	"time"

	"github.com/synod-network/synod/bench/peers/load"
)

// Ordering with and without mempool gossip, with the verdict of load.Run.
func TestClusterOrders(t *testing.T) {
	if testing.Short() {
		t.Skip("runs whole clusters for seconds")
	}
	w := load.Workload{
		Name: "short", Nodes: 4, Size: 256, Rate: 500, Outstanding: 20_000,
		WarmUp: 100 * time.Millisecond, Measure: time.Second,
	}
	for name, gossip := range map[string]bool{"gossip": true, "no gossip": false} {
		t.Run(name, func(t *testing.T) {
			if _, err := load.Run(context.Background(), name, Start(Best(gossip)), w, t.TempDir()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
