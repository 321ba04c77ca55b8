// Package sandbox runs a whole network in one process, on embedded stores in
// one directory. Every node in it is the same code with the same configuration
// file as one that runs alone: a sandbox can be stopped and taken apart into
// processes, and nothing exists in it only.
package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/instance"
)

// Storage keeps a sandbox small, where a network of its own would keep all that
// its disks hold.
var Storage = config.Storage{RetainCommits: 10_000, RetainBytes: 1 * config.GiB, SegmentSize: 16 * config.MiB}

// Options say what network to run.
type Options struct {
	Plan network.Plan
	// LogTo receives the nodes' logs.
	LogTo io.Writer
	// LogLevel is the least that is logged; nil takes each node's own.
	LogLevel *slog.Level
	// ReadyFile is written once the network orders; empty for none.
	ReadyFile string
	// Adjust changes each node's configuration before it is used; nil for
	// nothing.
	Adjust func(*config.Sequencer)
}

// Sandbox is a network in this process.
type Sandbox struct {
	Network    *network.Network
	Sequencers []*instance.Instance
	options    Options
	health     *node.Health
	log        *slog.Logger
}

// New opens the network in the plan's directory, or founds it there.
func New(ctx context.Context, o Options) (_ *Sandbox, err error) {
	n, err := network.Ensure(o.Plan)
	if err != nil {
		return nil, err
	}
	s := &Sandbox{Network: n, options: o, health: node.NewHealth()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	for _, at := range n.Nodes {
		c, _, err := config.LoadSequencer(config.Sources{File: at.ConfigFile})
		if err != nil {
			return nil, err
		}
		c.Trust.Period = 0 // all nodes are here: nobody else could tell another history
		if o.LogLevel != nil {
			c.Log.Level = config.Level(*o.LogLevel)
		}
		if o.Adjust != nil {
			o.Adjust(c)
		}
		i, err := instance.New(ctx, c, instance.Options{LogTo: o.LogTo, PlainAdmin: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at.Name, err)
		}
		s.Sequencers = append(s.Sequencers, i)
		s.health.Ready(at.Name, func() error { return i.Orderer().Ready() })
	}
	s.introduce()
	s.log = s.Sequencers[0].Log
	return s, nil
}

// introduce tells all nodes where the others listen: their ports are known
// only now if the system chose them.
func (s *Sandbox) introduce() {
	peers := map[keys.PublicKey]string{}
	for k, member := range s.Network.Genesis.Members {
		peers[member.Key] = s.Sequencers[k].Address("peer")
	}
	for _, i := range s.Sequencers {
		i.SetPeers(peers)
	}
}

func (s *Sandbox) close() error {
	var errs []error
	for _, i := range s.Sequencers {
		errs = append(errs, i.Close())
	}
	return errors.Join(errs...)
}

// Ready says where everything listens.
func (s *Sandbox) Ready() node.Ready {
	r := node.Ready{PID: os.Getpid(), Network: s.Network.Genesis.ID.String()}
	for _, i := range s.Sequencers {
		r.Nodes = append(r.Nodes, i.Ready())
	}
	return r
}

// Orderers are the sequencers as what runs in this process sees them.
func (s *Sandbox) Orderers() (list []ordering.Orderer) {
	for _, i := range s.Sequencers {
		list = append(list, i.Orderer())
	}
	return list
}

// Run runs the network until ctx ends or a signal comes, with further stages
// after its own.
func (s *Sandbox) Run(ctx context.Context, signals <-chan os.Signal, further ...node.Stage) error {
	var stages []node.Stage
	for _, i := range s.Sequencers {
		stages = append(stages, i.Stages()...)
	}
	if s.options.ReadyFile != "" {
		stages = append(stages, node.ReadyFile(s.options.ReadyFile, s.health, s.Ready))
	}
	drain := time.Duration(s.Sequencers[0].Config.Shutdown.DrainTimeout)
	group := node.Group{Stages: append(stages, further...), Health: s.health, Log: s.log, Signals: signals, DrainTimeout: drain}
	return group.Run(ctx)
}

// WaitReady waits until every sequencer can order.
func (s *Sandbox) WaitReady(ctx context.Context) error {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for {
		report := s.health.IsReady()
		if report.OK {
			return nil
		}
		select {
		case <-ctx.Done():
			for _, c := range report.Checks {
				if !c.OK {
					return fmt.Errorf("%s is not ready: %s", c.Name, c.Reason)
				}
			}
			return ctx.Err()
		case <-t.C:
		}
	}
}
