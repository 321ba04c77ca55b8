package cometbft

import (
	"context"

	abci "github.com/cometbft/cometbft/abci/types"
)

// application accepts everything and keeps nothing.
type application struct {
	abci.BaseApplication
	node    int
	ordered func(node int, requests [][]byte)
}

// FinalizeBlock is called with each block once it is decided and stored.
func (a *application) FinalizeBlock(_ context.Context, block *abci.FinalizeBlockRequest) (*abci.FinalizeBlockResponse, error) {
	if len(block.Txs) > 0 {
		a.ordered(a.node, block.Txs)
	}
	results := make([]*abci.ExecTxResult, len(block.Txs))
	accepted := &abci.ExecTxResult{}
	for i := range results {
		results[i] = accepted
	}
	return &abci.FinalizeBlockResponse{TxResults: results}, nil
}
