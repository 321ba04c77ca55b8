// Package cometbft runs clusters of CometBFT validators as a peer to compare
// with: full nodes with their own encrypted p2p over loopback TCP and their
// stores on disk, around an application that does nothing.
//
// Requests are put straight into a validator's mempool, as its RPC would do
// after decoding, and count as ordered when the block with them is handed to
// the application for execution.
package cometbft

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/libs/log"
	"github.com/cometbft/cometbft/mempool"
	comet "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/proxy"
	"github.com/cometbft/cometbft/types"

	"github.com/synod-network/synod/bench/peers/load"
)

// Start returns how to bring up a cluster with the given tuning.
func Start(tuning Tuning) load.Start {
	return func(site load.Site) (load.Cluster, error) {
		c := &cluster{}
		if err := c.start(site, tuning); err != nil {
			return nil, errors.Join(err, c.Close())
		}
		return c, nil
	}
}

type cluster struct{ validators []*validator }

type validator struct {
	node     *comet.Node
	crashed  atomic.Bool
	stopping sync.Once
}

func (c *cluster) start(site load.Site, tuning Tuning) error {
	addresses, err := loopbackAddresses(site.Nodes)
	if err != nil {
		return err
	}
	keys := make([]ed25519.PrivKey, site.Nodes)
	links := make([]*p2p.NodeKey, site.Nodes)
	genesis := &types.GenesisDoc{
		ChainID: "peers", GenesisTime: time.Now(), InitialHeight: 1, ConsensusParams: tuning.consensusParams(),
	}
	for i := range keys {
		keys[i] = ed25519.GenPrivKey()
		links[i] = &p2p.NodeKey{PrivKey: ed25519.GenPrivKey()}
		genesis.Validators = append(genesis.Validators, types.GenesisValidator{PubKey: keys[i].PubKey(), Power: 1})
	}
	if err := genesis.ValidateAndComplete(); err != nil {
		return fmt.Errorf("making the genesis document: %w", err)
	}
	for i := range keys {
		cfg := tuning.configuration(filepath.Join(site.Dir, fmt.Sprint("node", i)), addresses[i])
		for peer := range i { // the other half of the links is dialled by the other side
			cfg.P2P.PersistentPeers += fmt.Sprintf("%s@%s,", links[peer].ID(), addresses[peer])
		}
		v, err := newValidator(cfg, keys[i], links[i], genesis, &application{node: i, ordered: site.Ordered})
		if err != nil {
			return fmt.Errorf("creating validator %d: %w", i, err)
		}
		c.validators = append(c.validators, v)
	}
	for i, v := range c.validators {
		if err := v.node.Start(); err != nil {
			return fmt.Errorf("starting validator %d: %w", i, err)
		}
	}
	return nil
}

func newValidator(cfg *config.Config, key ed25519.PrivKey, link *p2p.NodeKey, genesis *types.GenesisDoc, app *application) (*validator, error) {
	for _, file := range []string{cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile(), cfg.P2P.AddrBookFile()} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, err
		}
	}
	signer := privval.NewFilePV(key, cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile())
	signer.Save()
	node, err := comet.NewNode(context.Background(), cfg, signer, link,
		proxy.NewConsensusSyncLocalClientCreator(app),
		func() (comet.ChecksummedGenesisDoc, error) {
			return comet.ChecksummedGenesisDoc{GenesisDoc: genesis, Sha256Checksum: make([]byte, 32)}, nil
		},
		config.DefaultDBProvider, comet.DefaultMetricsProvider(cfg.Instrumentation), log.NewNopLogger())
	if err != nil {
		return nil, err
	}
	return &validator{node: node}, nil
}

// Entry takes the validators that are alive in turn.
func (c *cluster) Entry(id uint64) int {
	at := int(id % uint64(len(c.validators)))
	for c.validators[at].crashed.Load() {
		at = (at + 1) % len(c.validators)
	}
	return at
}

// whenFull is how long to wait before another attempt at a full mempool.
const whenFull = time.Millisecond

// Submit puts a request into the mempool of its home.
func (c *cluster) Submit(home int, request []byte) error {
	v := c.validators[home]
	for !v.crashed.Load() {
		_, err := v.node.Mempool().CheckTx(request, "")
		var full mempool.ErrMempoolIsFull
		if !errors.As(err, &full) {
			return err
		}
		time.Sleep(whenFull)
	}
	return load.ErrCrashed
}

// Crash stops the first validator; proposers take turns, so all weigh the same.
func (c *cluster) Crash() int {
	c.validators[0].crashed.Store(true)
	go c.validators[0].stop()
	return 0
}

// stop cuts the connections first, so that peers are told nothing.
func (v *validator) stop() {
	v.stopping.Do(func() {
		v.crashed.Store(true)
		if !v.node.IsRunning() {
			return
		}
		v.node.Switch().Stop()
		v.node.Stop()
	})
}

func (c *cluster) Close() error {
	var stopping sync.WaitGroup
	for _, v := range c.validators {
		stopping.Go(v.stop)
	}
	stopping.Wait()
	return nil
}
