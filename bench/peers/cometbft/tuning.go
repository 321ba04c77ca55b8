package cometbft

import (
	"time"

	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/types"
)

// Tuning is what was varied to find the engine's best.
type Tuning struct {
	Gossip      bool          // forward requests between mempools
	BlockBytes  int64         // largest block
	GossipSleep time.Duration // pause of a peer's routine when it has nothing to send
	Flush       time.Duration // longest that small messages wait to be sent together
	Propose     time.Duration // wait for a proposal before voting without it
	Vote        time.Duration // wait for more votes after two thirds disagree
	EmptyBlocks bool
}

// Best is one tuning for all workloads, as an operator would have to choose
// one. Shorter waits for proposals and votes shorten the stall after a crash,
// but at full load the blocks do not arrive in time any more, rounds fail, and
// throughput collapses: these are the engine's defaults.
func Best(gossip bool) Tuning {
	return Tuning{
		Gossip:      gossip,
		BlockBytes:  4 << 20,
		GossipSleep: 10 * time.Millisecond,
		Flush:       time.Millisecond,
		Propose:     3 * time.Second,
		Vote:        time.Second,
		EmptyBlocks: !gossip,
	}
}

const linkBytesPerSecond = 1 << 30 // beyond what loopback carries

func (t Tuning) configuration(dir, address string) *config.Config {
	c := config.DefaultConfig()
	c.SetRoot(dir)
	c.TxIndex.Indexer = "null"
	c.Storage.DiscardABCIResponses = true
	c.RPC.ListenAddress = ""
	c.GRPC.ListenAddress = ""

	c.P2P.ListenAddress = "tcp://" + address
	c.P2P.AddrBookStrict = false // accept loopback addresses
	c.P2P.AllowDuplicateIP = true
	c.P2P.PexReactor = false
	c.P2P.SendRate, c.P2P.RecvRate = linkBytesPerSecond, linkBytesPerSecond
	c.P2P.MaxPacketMsgPayloadSize = 64 << 10
	c.P2P.FlushThrottleTimeout = t.Flush

	c.Mempool.Recheck = false
	c.Mempool.Broadcast = t.Gossip
	c.Mempool.Size = 250_000 // above what is ever outstanding
	c.Mempool.CacheSize = 500_000
	c.Mempool.MaxTxsBytes = 1 << 30

	c.Consensus.TimeoutCommit = 0
	c.Consensus.TimeoutPropose = t.Propose
	c.Consensus.TimeoutPrevote, c.Consensus.TimeoutPrecommit = t.Vote, t.Vote
	c.Consensus.PeerGossipSleepDuration = t.GossipSleep
	c.Consensus.CreateEmptyBlocks = t.EmptyBlocks
	return c
}

func (t Tuning) consensusParams() *types.ConsensusParams {
	p := types.DefaultConsensusParams()
	p.Block.MaxBytes = t.BlockBytes
	p.Block.MaxGas = -1
	p.Evidence.MaxBytes = min(p.Evidence.MaxBytes, t.BlockBytes)
	return p
}
