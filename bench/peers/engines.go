package main

import (
	"github.com/synod-network/synod/bench/peers/cometbft"
	"github.com/synod-network/synod/bench/peers/load"
	"github.com/synod-network/synod/bench/peers/smartbft"
)

// A peer is an engine that this program can run itself.
type peer struct {
	name  string
	start load.Start
}

// peers are the engines to compare with, in the order of the table.
func peers() []peer {
	return []peer{
		{"smartbft", smartbft.Start(smartbft.ToLeader, smartbft.Best())},
		{"smartbft-all", smartbft.Start(smartbft.ToAll, smartbft.Best())},
		{"cometbft", cometbft.Start(cometbft.Best(false))},
		{"cometbft-gossip", cometbft.Start(cometbft.Best(true))},
	}
}

func peerNames() []string {
	var names []string
	for _, p := range peers() {
		names = append(names, p.name)
	}
	return names
}
