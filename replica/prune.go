package replica

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/telemetry"
)

// Retention says how much history a member keeps. The oldest commits go once
// the store is larger than Bytes, but the newest Commits stay whatever they
// take. Bytes 0 keeps everything.
type Retention struct {
	Commits bft.CommitIndex
	Bytes   int64
}

const pruneInterval = time.Second

// prune keeps the store within its retention.
func (r *Replica) prune(ctx context.Context) error {
	t := time.NewTicker(pruneInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		below := r.pruneBelow()
		if below == 0 {
			continue
		}
		err := r.cfg.Store.Prune(below, r.currentParams().GCDepth)
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			r.metrics.Store.Failed(telemetry.StorePrune)
			return err
		}
		r.log.Debug("pruned", slog.Uint64("below", uint64(below)))
	}
}

// pruneBelow returns the commit below which history should go, 0 for none.
// What a restart and members that are behind need stays: the commits since the
// newest hand-over and since the application's snapshot, and those that can hold
// blocks above the garbage collection round.
func (r *Replica) pruneBelow() bft.CommitIndex {
	stats := r.cfg.Store.Stats()
	floor := r.chain.snapshotFloor()
	if floor > stats.Lowest && floor <= stats.Highest {
		return floor // behind a snapshot, with a gap before it
	}
	excess := stats.LogBytes - r.cfg.Retention.Bytes
	if r.cfg.Retention.Bytes == 0 || excess <= 0 || stats.Highest <= stats.Lowest {
		return 0
	}
	keep := max(r.cfg.Retention.Commits, bft.CommitIndex(r.currentParams().GCDepth))
	if stats.Highest <= keep {
		return 0
	}
	share := float64(excess)/float64(stats.LogBytes) + 0.05
	below := stats.Lowest + bft.CommitIndex(share*float64(stats.Highest-stats.Lowest))
	below = min(below, stats.Highest-keep, r.server.snapshotIndex()+1)
	if c := r.committee.Load(); c != nil {
		below = min(below, c.Base+1)
	}
	if below <= stats.Lowest {
		return 0
	}
	return below
}
