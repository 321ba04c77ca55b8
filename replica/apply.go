package replica

import (
	"context"
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/store"
)

// apply feeds the application, commit by commit, from the newest snapshot on:
// first those on disk, then those that are decided.
func (r *Replica) apply(ctx context.Context) error {
	next, err := r.restoreApplication()
	if err != nil {
		return err
	}
	for {
		o, err := r.chain.wait(ctx, next)
		select {
		case s := <-r.restores:
			if err := r.cfg.Application.Restore(s.snapshot.data); err != nil {
				return fmt.Errorf("restore the application after commit %d: %w", s.handover.End, err)
			}
			r.held.Store(s.snapshot)
			next = s.handover.End + 1
			r.signals.restored(s.handover)
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
	app := r.cfg.Application
	err := app.Apply(o.Commit, func() ([][]byte, error) {
		var data [][]byte
		for _, p := range o.Payloads {
			data = append(data, p.Data)
		}
		return data, nil
	})
	if err != nil {
		return fmt.Errorf("apply commit %d: %w", o.Index, err)
	}
	r.metrics.Ordering.Applied(int(o.Requests), o.size())
	var ended *bft.EpochEnded
	if r.endsEpoch(o.Commit) {
		if ended, err = r.endEpoch(o.Commit); err != nil {
			return err
		}
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

// endEpoch asks the application for its answer and takes its snapshot, which a
// restart begins from and members that are behind ask for.
func (r *Replica) endEpoch(c *bft.Commit) (*bft.EpochEnded, error) {
	ended, err := r.cfg.Application.EndEpoch(c)
	if err != nil {
		return nil, fmt.Errorf("end epoch %d: %w", c.Epoch, err)
	}
	data, err := r.cfg.Application.Snapshot()
	if err != nil {
		return nil, fmt.Errorf("snapshot after epoch %d: %w", c.Epoch, err)
	}
	s := &snapshot{epoch: c.Epoch, index: c.Index, data: data}
	if r.committee.Load().Epoch > c.Epoch {
		r.writer.add(work{snapshot: s}) // a replay: the hand-over is on disk
	} else {
		r.held.Store(s)
	}
	return &ended, nil
}

// keepHeld stores the snapshot after an epoch once its hand-over is complete,
// behind the hand-over. A snapshot that was on disk without one would make a
// restart begin after the epoch's last commit, whose answer the engine still
// waits for.
func (r *Replica) keepHeld(running bft.Epoch) {
	if s := r.held.Load(); s != nil && s.epoch < running {
		r.held.Store(nil)
		r.writer.add(work{snapshot: s})
	}
}

// restoreApplication brings the application to the newest snapshot on disk and
// returns the first commit to apply.
func (r *Replica) restoreApplication() (bft.CommitIndex, error) {
	stored, err := r.cfg.Store.Meta(snapshotKey)
	if errors.Is(err, store.ErrNotFound) {
		return 1, r.cfg.Application.Restore(nil)
	}
	if err != nil {
		return 0, fmt.Errorf("read the application's snapshot: %w", err)
	}
	s, err := decodeSnapshot(stored)
	if err != nil {
		return 0, err
	}
	if running := r.committee.Load().Epoch; s.epoch >= running {
		return 0, fmt.Errorf("%w: it holds the application's state after epoch %d and runs in epoch %d", store.ErrCorrupt, s.epoch, running)
	}
	if err := r.cfg.Application.Restore(s.data); err != nil {
		return 0, fmt.Errorf("restore the application after commit %d: %w", s.index, err)
	}
	r.server.setSnapshot(s)
	return s.index + 1, nil
}
