package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/synod-network/synod/ordering"
)

// settleEvery is how often a run that drains is looked at.
const settleEvery = 20 * time.Millisecond

// headPatience bounds how long a target may take to say where it stands.
const headPatience = 5 * time.Second

// Run puts the targets under load and returns the verdict. It fails only if the
// workload makes no sense or no target can be reached; trouble during the run is
// in the result. When ctx ends early, the result covers what was done.
func Run(ctx context.Context, config Config, targets ...Target) (Result, error) {
	config = config.withDefaults()
	if err := config.validate(len(targets)); err != nil {
		return Result{}, err
	}
	from, err := highestHead(ctx, targets)
	if err != nil {
		return Result{}, err
	}
	readers := targets
	if config.Subscribe > 0 {
		readers = targets[:config.Subscribe]
	}
	ledger := newLedger(newWriter(rand.Uint64(), config.Size), len(readers), from+1, config.InFlight)
	running, cancel := context.WithCancel(ctx)
	start := time.Now()

	var group sync.WaitGroup
	for number, target := range readers {
		group.Go(func() { follow(running, target, number, ledger, start) })
	}
	if config.Progress != nil {
		group.Go(func() { report(running, ledger, start, config.Progress) })
	}
	submitting, stop := context.WithTimeout(running, config.Duration)
	var work chan span
	if config.Rate > 0 {
		work = make(chan span)
		group.Go(func() { pace(submitting, start, config.Duration, config.Rate, config.batchSize(), work) })
	}
	for range config.Connections {
		for _, target := range targets {
			lane := &lane{target: target, ledger: ledger, start: start, batch: config.batchSize(), work: work}
			group.Go(func() { lane.run(running, submitting) })
		}
	}
	select {
	case <-submitting.Done():
	case <-config.Stop:
	}
	stop()
	ledger.endSubmitting(time.Since(start))
	settle(running, ledger, config.Drain)
	result := ledger.result()
	cancel()
	group.Wait()
	return result, nil
}

// highestHead is the newest block that any target knows. Nothing of the run is
// ordered before it, so every subscriber starts behind it.
func highestHead(ctx context.Context, targets []Target) (ordering.Height, error) {
	ctx, cancel := context.WithTimeout(ctx, headPatience)
	defer cancel()
	var highest ordering.Height
	var failures []error
	for _, target := range targets {
		head, err := target.Head(ctx)
		if err != nil {
			failures = append(failures, err) // names the address
			continue
		}
		highest = max(highest, head)
	}
	if len(failures) == len(targets) {
		return 0, fmt.Errorf("load: no sequencer can be reached: %w", errors.Join(failures...))
	}
	return highest, nil
}

// follow reads one target's order, from where it left off whenever that fails.
func follow(ctx context.Context, target Target, number int, ledger *ledger, start time.Time) {
	for ctx.Err() == nil {
		err := target.Read(ctx, ledger.next(number), func(block ordering.Block) error {
			ledger.deliver(number, block, time.Since(start))
			return nil
		})
		if err != nil && ctx.Err() == nil {
			ledger.down(number)
			sleep(ctx, reconnectAfter)
		}
	}
}

// report calls the progress callback each second.
func report(ctx context.Context, ledger *ledger, start time.Time, tell func(Progress)) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var before Progress
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := ledger.progress()
		now.Elapsed = time.Since(start)
		now.OrderedPerSecond = float64(now.Ordered-before.Ordered) / (now.Elapsed - before.Elapsed).Seconds()
		tell(now)
		before = now
	}
}

// settle waits until everything promised has come out, or the time is up.
func settle(ctx context.Context, ledger *ledger, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for ctx.Err() == nil && !ledger.settled() {
		sleep(ctx, settleEvery)
	}
}
