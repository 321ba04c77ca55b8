package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/telemetry"
)

// apply feeds the application, block by block, from what it has kept on: first
// those on disk, then those that are decided.
func (r *Replica) apply(ctx context.Context) error {
	next, err := r.startApplication()
	if err != nil {
		return err
	}
	for {
		o, err := r.chain.wait(ctx, next)
		select {
		case f := <-r.installs:
			if err := r.install(f.handover, f.record(), f.piece); err != nil {
				return err
			}
			r.installing.Store(false)
			next = f.handover.End + 1
			continue
		default:
		}
		switch {
		case ctx.Err() != nil || errors.Is(err, ordering.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("read commit %d for the application: %w", next, err)
		}
		if err := r.applyOne(o); err != nil {
			return err
		}
		next++
	}
}

func (r *Replica) applyOne(o *Ordered) error {
	if err := r.cfg.Application.Apply(o.Block()); err != nil {
		return fmt.Errorf("apply commit %d: %w", o.Index, err)
	}
	mode := telemetry.CaughtUp
	if o.live {
		mode = telemetry.Live
	}
	r.metrics.Ordering.Applied(int(o.Requests), o.requestBytes(), mode, r.cfg.Now().Sub(time.UnixMicro(int64(o.Time))))
	var ended *bft.EpochEnded
	if r.endsEpoch(o.Commit) {
		answer, err := r.cfg.Application.EndEpoch()
		if err != nil {
			return fmt.Errorf("end epoch %d: %w", o.Epoch, err)
		}
		ended = &bft.EpochEnded{Index: o.Index, State: answer.State, Members: answer.Members, Params: answer.Params}
		r.hold(&snapshot{epoch: o.Epoch, index: o.Index, state: answer.Snapshot})
	}
	r.signals.appliedTo(o.Index, ended)
	return nil
}

// endsEpoch tells whether a commit ends its epoch: in the running one its time
// says so, earlier ones end where their hand-overs say.
func (r *Replica) endsEpoch(c *bft.Commit) bool {
	if k := r.committee.Load(); k.Epoch == c.Epoch {
		return c.Time >= k.Start+k.Params.EpochDuration
	}
	h, ok := r.cfg.Store.Handover(c.Epoch)
	return ok && h.End == c.Index
}

// snapshot is the application's state after the last commit of an epoch.
type snapshot struct {
	epoch bft.Epoch
	index bft.CommitIndex
	state Snapshot
}

// hold has a snapshot kept once the hand-over that ends its epoch is durable:
// after a restart from a state beyond the hand-overs on disk, nobody would answer
// the last commit of the epoch, for which the engine waits.
func (r *Replica) hold(s *snapshot) {
	if r.committee.Load().Epoch > s.epoch {
		r.writer.add(work{snapshot: s}) // a replay: the hand-over is on disk
		return
	}
	r.held.Store(s)
}

// releaseHeld passes on the snapshot that was held until the running epoch
// began, behind the hand-over.
func (r *Replica) releaseHeld(running bft.Epoch) {
	if s := r.held.Load(); s != nil && s.epoch < running {
		r.held.Store(nil)
		r.writer.add(work{snapshot: s})
	}
}

// keeper has the application keep the snapshots whose turn has come, the newest
// if there are several.
type keeper struct {
	mu     sync.Mutex
	newest *snapshot
	wake   chan struct{}
}

func (k *keeper) add(s *snapshot) {
	k.mu.Lock()
	k.newest = s
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

func (k *keeper) take() *snapshot {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.newest
	k.newest = nil
	return s
}

func (r *Replica) keep(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.keeper.wake:
		}
		s := r.keeper.take()
		if s == nil {
			continue
		}
		if err := r.cfg.Application.Keep(s.state); err != nil {
			return fmt.Errorf("keep the application's state after epoch %d: %w", s.epoch, err)
		}
		r.server.setSnapshot(s)
	}
}

// startApplication finishes an installation that a stop interrupted, and
// returns the first commit to apply.
func (r *Replica) startApplication() (bft.CommitIndex, error) {
	index, state, err := r.cfg.Application.Start()
	if err != nil {
		return 0, fmt.Errorf("restore the application: %w", err)
	}
	running := r.committee.Load()
	if index > running.Base {
		return 0, fmt.Errorf("%w: the application has kept the state after commit %d, but epoch %d began after commit %d: put back both or neither from a copy",
			store.ErrCorrupt, index, running.Epoch, running.Base)
	}
	epoch, pending, err := r.pendingInstall()
	if err != nil {
		return 0, err
	}
	if h, ok := r.cfg.Store.Handover(epoch); pending != nil && ok {
		if h.End > index {
			r.log.Info("finishing to install the state after a hand-over, which a stop interrupted", slog.Uint64("epoch", uint64(h.Epoch)), slog.Uint64("commit", uint64(h.End)))
			r.installing.Store(true)
			err := r.install(h, pending, func(id bft.Digest) ([]byte, error) { return r.cfg.Store.Meta(pieceKey(id)) })
			r.installing.Store(false)
			return h.End + 1, err
		}
		if err := r.forgetInstall(h, pending); err != nil {
			return 0, err
		}
	}
	if state != nil {
		for h, ok := r.cfg.Store.Handover(running.Epoch - 1); ok && h.End >= index; h, ok = r.cfg.Store.Handover(h.Epoch - 1) {
			if h.End == index {
				r.server.setSnapshot(&snapshot{epoch: h.Epoch, index: index, state: state})
				break
			}
		}
	}
	return index + 1, nil
}
