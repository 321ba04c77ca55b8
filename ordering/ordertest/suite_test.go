package ordertest

import "testing"

// small keeps the in-memory network's limits low, so that reaching them is quick.
var small = MemoryConfig{RequestBytes: 64 << 10, QueueBytes: 1 << 20, QueueRequests: 1000}

func TestMemoryKeepsThePromise(t *testing.T) {
	Run(t, func(t T) Cluster { return StartMemory(t, small).Cluster() })
}

func TestOneNodeAloneKeepsThePromise(t *testing.T) {
	Run(t, func(t T) Cluster {
		config := small
		config.Nodes = 1
		return StartMemory(t, config).Cluster()
	})
}
