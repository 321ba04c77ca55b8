package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// History is members' events.
type History interface {
	// Time is up to when members can read, PruningPoint up to when no active member needs events any more.
	Time() sequencing.Time
	PruningPoint() sequencing.Time
	// Pruned is up to when events are gone, 0 if none are.
	Pruned() sequencing.Time
	Prune(upTo sequencing.Time) error
}

// Blocks are the ordered blocks.
type Blocks interface {
	Status() ordering.Status
	// Prune drops the oldest blocks but keeps as many as asked for and whatever a restart, or a peer that is behind, needs. It
	// returns the oldest that is kept.
	Prune(ctx context.Context, keep uint64) (lowest uint64, err error)
	// LowestEpoch is the epoch of the oldest block that is kept, the running one if none is.
	LowestEpoch() uint64
	// Bytes is what the store takes on disk.
	Bytes() int64
}

// pruning drops what is not needed, a step at a time, so that it can end between two.
type pruning struct {
	history History
	blocks  Blocks
}

// A run takes at most so many steps for members' events and as many for blocks, none of them smaller than these.
const (
	pruningSteps   = 64
	smallestEvents = sequencing.Minute
	smallestBlocks = 10_000
)

// pruned is what a run did.
type pruned struct {
	upTo    sequencing.Time // members' events; 0 if the run found none to drop
	lowest  uint64          // block that is kept
	message string
}

func (p pruned) String() string { return p.message }

// run drops what is older than retention and not needed. When ctx ends, so does the run, with what it did until then.
func (p pruning) run(ctx context.Context, retention time.Duration, keep uint64) (done pruned, err error) {
	done.lowest = uint64(p.blocks.Status().Lowest)
	needed := p.history.PruningPoint()
	upTo := min(p.history.Time()-sequencing.Time(retention.Microseconds()), needed)
	switch {
	case upTo <= 0:
		done.message = "no event is older than the retention and acknowledged"
	case upTo == needed:
		done.message = "members' events dropped as far as all active members have acknowledged"
	default:
		done.message = "members' events dropped as far as the retention allows"
	}
	if done.upTo, err = p.events(ctx, upTo); err != nil {
		return done, fmt.Errorf("prune members' events: %w", err)
	}
	if keep == 0 {
		return done, nil
	}
	if done.lowest, err = p.olderBlocks(ctx, keep); err != nil {
		return done, fmt.Errorf("prune ordered blocks: %w", err)
	}
	return done, nil
}

// events drops members' events up to a time.
func (p pruning) events(ctx context.Context, upTo sequencing.Time) (sequencing.Time, error) {
	if upTo <= 0 {
		return 0, nil
	}
	at := p.history.Pruned()
	if at == 0 { // the oldest event may be of any time
		at = max(0, upTo-sequencing.Time(firstSpan.Microseconds()))
	}
	step := max(smallestEvents, (upTo-at)/pruningSteps+1)
	for at < upTo {
		if err := ctx.Err(); err != nil {
			return at, err
		}
		next := min(at+step, upTo)
		// A member that becomes active meanwhile may need what nobody needed before.
		if err := p.history.Prune(next); errors.Is(err, sequencing.ErrNeeded) {
			return at, nil
		} else if err != nil {
			return at, err
		}
		at = next
	}
	return upTo, nil
}

// firstSpan is the time that the very first run takes in steps; what is older goes with the first of them.
const firstSpan = 7 * 24 * time.Hour

// olderBlocks drops ordered blocks until so many are left, or no more can go.
func (p pruning) olderBlocks(ctx context.Context, keep uint64) (lowest uint64, err error) {
	s := p.blocks.Status()
	lowest = uint64(s.Lowest)
	have := uint64(s.Head) - min(uint64(s.Head), lowest) + 1
	step := max(smallestBlocks, have/pruningSteps)
	for have > keep {
		if err := ctx.Err(); err != nil {
			return lowest, err
		}
		have = max(keep, have-min(have, step))
		now, err := p.blocks.Prune(ctx, have)
		if err != nil {
			return lowest, err
		}
		lowest = now
	}
	return lowest, nil
}
