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
		var asked *pruneRequest
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case asked = <-r.prunes:
		}
		below := r.pruneBelow()
		if asked != nil {
			below = max(below, r.pruneKeeping(asked.keep))
		}
		if below == 0 {
			asked.answer(nil)
			continue
		}
		err := r.cfg.Store.Prune(below, r.currentParams().GCDepth)
		asked.answer(err)
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

// pruneRequest asks the goroutine that prunes to do so now.
type pruneRequest struct {
	keep bft.CommitIndex
	done chan error // has room for the answer
}

func (p *pruneRequest) answer(err error) {
	if p == nil {
		return
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil // pruned already
	}
	p.done <- err
}

// Prune drops the oldest commits now, but keeps as many as asked for, at least,
// and all that a restart or a member that is behind needs. It returns the oldest
// commit kept.
func (r *Replica) Prune(ctx context.Context, keep bft.CommitIndex) (lowest bft.CommitIndex, err error) {
	request := &pruneRequest{keep: keep, done: make(chan error, 1)}
	select {
	case r.prunes <- request:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case err = <-request.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	return r.cfg.Store.Stats().Lowest, err
}

// pruneKeeping returns the commit below which history can go if so many commits
// are kept, 0 for none.
func (r *Replica) pruneKeeping(keep bft.CommitIndex) bft.CommitIndex {
	stats := r.cfg.Store.Stats()
	keep = max(keep, bft.CommitIndex(r.currentParams().GCDepth))
	if stats.Highest <= keep {
		return 0
	}
	below := min(stats.Highest-keep, r.server.snapshotIndex()+1)
	if c := r.committee.Load(); c != nil {
		below = min(below, c.Base+1)
	}
	if below <= stats.Lowest {
		return 0
	}
	return below
}
