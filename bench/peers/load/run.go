package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Bounds of the parts of a run that have no length of their own.
const (
	readyWithin = 30 * time.Second
	drainWithin = 30 * time.Second
	closeWithin = 15 * time.Second
	look        = 5 * time.Millisecond // between two looks at a condition
	quiet       = time.Second          // without progress after a crash: drained
)

// senders is how many goroutines hand over requests in a closed loop.
const senders = 4

// Run brings up a cluster in dir, puts the workload on it, and measures. It
// fails when the nodes delivered different sequences, delivered a request
// twice or damaged, or lost one although no node crashed.
func Run(ctx context.Context, engine string, start Start, w Workload, dir string) (Result, error) {
	if err := w.Validate(); err != nil {
		return Result{}, err
	}
	r := &run{w: w, meter: newMeter(w)}
	r.crashed.Store(-1)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cluster, err := start(Site{Nodes: w.Nodes, Dir: dir, Size: w.Size, Ordered: r.meter.ordered, Failed: func(err error) { cancel(err) }})
	if err != nil {
		return Result{}, fmt.Errorf("starting %s: %w", engine, err)
	}
	r.generator = &generator{cluster: cluster, meter: r.meter, filler: newFiller(w.Size)}
	result, err := r.measure(ctx)
	if closeErr := r.close(cluster); err == nil {
		err = closeErr
	}
	if err != nil {
		return Result{}, fmt.Errorf("%s on %s: %w", engine, w.Name, err)
	}
	result.Engine = engine
	return result, result.Check(w)
}

type run struct {
	w         Workload
	meter     *meter
	generator *generator
	crashed   atomic.Int32 // node, or -1
}

func (r *run) live(node int) bool { return int(r.crashed.Load()) != node }

func (r *run) measure(ctx context.Context) (Result, error) {
	if err := r.firstRequest(ctx); err != nil {
		return Result{}, err
	}
	loops, sending := errgroup.WithContext(ctx)
	if r.w.Rate > 0 {
		loops.Go(func() error { return r.generator.openLoop(r.w.Rate) })
	} else {
		for range senders {
			loops.Go(r.generator.closedLoop)
		}
	}
	cpu, err := r.window(sending)
	r.generator.stop()
	if loopErr := loops.Wait(); loopErr != nil {
		return Result{}, loopErr
	}
	if err != nil {
		return Result{}, err
	}
	drainErr := r.drain(ctx)
	// Different sequences say more than a drain that does not end for them.
	if err := compare(r.meter.nodes, r.live); err != nil {
		return Result{}, errors.Join(err, drainErr)
	}
	if drainErr != nil {
		return Result{}, drainErr
	}
	return r.result(cpu), nil
}

// firstRequest sends one request and waits until every node has delivered it:
// connections are up and all take part.
func (r *run) firstRequest(ctx context.Context) error {
	r.meter.window.acquire()
	if err := r.generator.send(r.meter.now()); err != nil {
		return err
	}
	arrived := func() bool { return slices.Min(r.heights()) > 0 }
	if err := await(ctx, readyWithin, arrived); err != nil {
		return fmt.Errorf("waiting for the first request to be ordered (heights %v): %w", r.heights(), err)
	}
	return nil
}

// window waits through the warm-up and the measured window and returns the
// processor time spent in the latter.
func (r *run) window(ctx context.Context) (cpu time.Duration, err error) {
	from := r.meter.now() + int64(r.w.WarmUp)
	to := from + int64(r.w.Measure)
	r.meter.to.Store(to)
	r.meter.from.Store(from)
	if err := r.until(ctx, from); err != nil {
		return 0, err
	}
	before := processorTime()
	if r.w.CrashAfter > 0 {
		if err := r.until(ctx, from+int64(r.w.CrashAfter)); err != nil {
			return 0, err
		}
		r.crashed.Store(int32(r.generator.cluster.Crash()))
	}
	if err := r.until(ctx, to); err != nil {
		return 0, err
	}
	return processorTime() - before, nil
}

func (r *run) until(ctx context.Context, moment int64) error {
	timer := time.NewTimer(time.Duration(moment - r.meter.now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// drain waits until the nodes have delivered all there is. Requests handed to
// a node that crashed may be gone with it, so there the end is the moment at
// which the others stand at one height and stay there.
func (r *run) drain(ctx context.Context) error {
	var last uint64
	since := time.Now()
	drained := func() bool {
		if r.broken() {
			return true
		}
		low, high := r.spread()
		if high != last {
			last, since = high, time.Now()
		}
		if low != high {
			return false
		}
		if r.crashed.Load() >= 0 {
			return time.Since(since) > quiet
		}
		return low == r.generator.next.Load()
	}
	if err := await(ctx, drainWithin, drained); err != nil {
		return fmt.Errorf("draining %d requests (heights %v): %w", r.generator.next.Load(), r.heights(), err)
	}
	return nil
}

// broken reports whether a node delivered what it should not have, after which
// its height means nothing.
func (r *run) broken() bool {
	return slices.ContainsFunc(r.meter.nodes, func(s *sequence) bool { return s.broken() })
}

// spread returns the lowest and highest height among live nodes.
func (r *run) spread() (low, high uint64) {
	low = ^uint64(0)
	for node, height := range r.heights() {
		if r.live(node) {
			low, high = min(low, height), max(high, height)
		}
	}
	return low, high
}

func (r *run) heights() []uint64 {
	heights := make([]uint64, len(r.meter.nodes))
	for i, s := range r.meter.nodes {
		heights[i] = s.height()
	}
	return heights
}

func (r *run) result(cpu time.Duration) Result {
	ordered, latency := r.meter.totals()
	longest, sum := r.meter.pauses.close(r.meter.from.Load(), r.meter.to.Load())
	return Result{
		Workload: r.w.Name, Nodes: r.w.Nodes, Size: r.w.Size, Rate: r.w.Rate,
		Ordered:          ordered,
		OrderedPerSecond: float64(ordered) / r.w.Measure.Seconds(),
		P50MS:            float64(latency.ValueAtPercentile(50)) / 1e3,
		P99MS:            float64(latency.ValueAtPercentile(99)) / 1e3,
		CPUMicros:        float64(cpu.Microseconds()) / float64(max(ordered, 1)),
		LongestPauseMS:   float64(longest.Microseconds()) / 1e3,
		PausedMS:         float64(sum.Microseconds()) / 1e3,
		PeakMiB:          peakMiB(),
	}
}

// close stops the cluster, but does not wait for one that hangs: the process
// ends right after.
func (r *run) close(cluster Cluster) error {
	done := make(chan error, 1)
	go func() { done <- cluster.Close() }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeWithin):
		return nil
	}
}

var errTooLong = errors.New("took too long")

func await(ctx context.Context, within time.Duration, condition func() bool) error {
	deadline := time.Now().Add(within)
	for !condition() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(look):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%w: over %v", errTooLong, within)
		}
	}
	return nil
}

// processorTime is the user and system time of this process so far.
func processorTime() time.Duration {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func peakMiB() float64 { return float64(usage().Maxrss) / 1024 } // Linux counts KiB

func usage() syscall.Rusage {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("getrusage of this process: %v", err)) // only a wrong argument can fail
	}
	return u
}
