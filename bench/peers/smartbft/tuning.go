package smartbft

import (
	"time"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
)

// Tuning is what was varied to find the library's best.
type Tuning struct {
	BatchCount    int           // requests in a proposal, at most
	BatchBytes    int           // bytes in a proposal, at most
	BatchInterval time.Duration // wait for a batch that is not full
	Heartbeat     time.Duration // silence of the leader that starts a view change
	Tick          time.Duration // how often timeouts are looked at
}

// Best is one tuning for all workloads, as an operator would have to choose
// one. Of the two batch bounds, the bytes bind requests of 1 KiB and the count
// smaller ones; larger batches are ordered no faster and wait longer. The interval is the shortest that the runtime's timers honour: a batch
// then holds what arrived while the one before was decided. The heartbeat is
// the shortest that loads beyond capacity did not take for a dead leader.
func Best() Tuning {
	return Tuning{
		BatchCount:    8000,
		BatchBytes:    4 << 20,
		BatchInterval: time.Millisecond,
		Heartbeat:     time.Second,
		Tick:          100 * time.Millisecond,
	}
}

func (t Tuning) configuration(self uint64, requestSize int) types.Configuration {
	c := types.DefaultConfig
	c.SelfID = self
	c.RequestBatchMaxCount = uint64(t.BatchCount)
	c.RequestBatchMaxBytes = uint64(max(t.BatchBytes, 2*requestSize))
	c.RequestBatchMaxInterval = t.BatchInterval
	c.RequestMaxBytes = uint64(requestSize)
	c.RequestPoolSize = 250_000 // above what is ever outstanding
	c.RequestPoolSubmitTimeout = 20 * time.Second
	c.IncomingMessageBufferSize = 2000
	c.RequestForwardTimeout = 5 * time.Second
	c.LeaderHeartbeatTimeout = t.Heartbeat
	c.LeaderHeartbeatCount = 10
	c.ViewChangeResendInterval = time.Second
	c.ViewChangeTimeout = 5 * time.Second
	c.LeaderRotation = false
	c.DecisionsPerLeader = 0
	return c
}
