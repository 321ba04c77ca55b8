package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Stage is one part of a process: a store, a listener, a loop. Stages start in the order given and stop in the reverse order, so
// each may rely on those before it for the whole of its life.
type Stage struct {
	// Name appears in logs and errors.
	Name string

	// Run does the stage's work until ctx ends, calling ready once when later stages may start. Returning before ctx ends, with
	// or without an error, brings the whole process down in order.
	Run func(ctx context.Context, ready func()) error

	// Drain, if set, finishes what is in hand before Run's ctx ends: refuse new work, complete the old, flush. It must return
	// when ctx ends, which is the drain deadline.
	Drain func(ctx context.Context) error
}

// Group runs stages as one process and stops them without losing work.
//
// The order of a stop is the promise to clients and load balancers: health goes down; the lame-duck time passes while balancers
// look elsewhere and everything still works; then, last stage first, each is drained and ended.
type Group struct {
	Stages []Stage

	// Health goes down first when stopping. May be nil.
	Health *Health
	Log    *slog.Logger

	LameDuck     time.Duration // from health down to the first drain
	DrainTimeout time.Duration // for all drains together; then the stages are ended regardless

	// Signals delivers TERM and INT (the first drains, the second ends at once) and HUP (calls Reload). [Signals] connects the
	// process's; tests send their own.
	Signals <-chan os.Signal

	// Reload re-reads what can change while running. May be nil.
	Reload func() error
}

// ErrForced is returned by [Group.Run] when a second signal cut the drain short.
var ErrForced = errors.New("stopped at once by a second signal, before everything was drained")

// Signals subscribes to the signals that a Group obeys. Call stop when the group has ended.
func Signals() (signals <-chan os.Signal, stop func()) {
	received := make(chan os.Signal, 4)
	signal.Notify(received, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return received, func() { signal.Stop(received) }
}

// running is a started stage.
type running struct {
	stage Stage
	end   context.CancelFunc
	done  chan struct{} // closed when Run has returned
	err   error         // Run's; read after done
}

// Run starts the stages, waits for a signal, the end of ctx or the end of a stage, and stops everything. It returns nil after an
// orderly stop, and otherwise the error of the stage that ended first, or [ErrForced].
func (g *Group) Run(ctx context.Context) error {
	stop, stopped := context.WithCancel(ctx) // ends when the process is to stop
	defer stopped()
	force, forced := context.WithCancel(context.WithoutCancel(ctx)) // ends when it is to stop at once
	defer forced()

	var listeners sync.WaitGroup
	listening, deaf := context.WithCancel(context.Background())
	defer listeners.Wait()
	defer deaf()
	listeners.Go(func() { g.obey(listening, stopped, forced) })

	started := g.start(stop, force)
	var cause error
	if len(started) == len(g.Stages) {
		cause = awaitEnd(stop, started)
	} else {
		cause = firstError(started)
	}
	if cause != nil {
		g.Log.Error("stopping because a part of the process failed", "err", cause)
	}
	if err := g.stop(force, started); cause == nil {
		cause = err
	}
	return cause
}

// obey turns signals into the ends of the two contexts until ctx ends.
func (g *Group) obey(ctx context.Context, stop, force func()) {
	stopping := false
	for {
		select {
		case <-ctx.Done():
			return
		case received := <-g.Signals:
			switch {
			case received == syscall.SIGHUP:
				g.reload()
			case stopping:
				g.Log.Warn("second signal: stopping at once", "signal", received.String())
				force()
			default:
				g.Log.Info("draining; signal again to stop at once", "signal", received.String())
				stopping = true
				stop()
			}
		}
	}
}

func (g *Group) reload() {
	if g.Reload == nil {
		return
	}
	if err := g.Reload(); err != nil {
		g.Log.Error("kept the old configuration: reloading failed", "err", err)
		return
	}
	g.Log.Info("configuration reloaded")
}

// start brings the stages up one after the other until all are ready, one has ended, or stop ends.
func (g *Group) start(stop, force context.Context) []*running {
	var started []*running
	for _, stage := range g.Stages {
		if stop.Err() != nil {
			return started
		}
		ctx, end := context.WithCancel(force)
		r := &running{stage: stage, end: end, done: make(chan struct{})}
		started = append(started, r)
		ready := make(chan struct{})
		go func() {
			defer close(r.done)
			r.err = r.stage.Run(ctx, sync.OnceFunc(func() { close(ready) }))
		}()
		select {
		case <-ready:
		case <-r.done:
			return started
		case <-stop.Done():
			return started
		}
		g.Log.Debug("started", "stage", stage.Name)
	}
	return started
}

// awaitEnd blocks until the process is to stop or a stage ends by itself, and returns that stage's error.
func awaitEnd(stop context.Context, started []*running) error {
	ended := make(chan *running, len(started))
	watching, release := context.WithCancel(stop)
	defer release()
	var watchers sync.WaitGroup
	for _, r := range started {
		watchers.Go(func() {
			select {
			case <-r.done:
				ended <- r
			case <-watching.Done():
			}
		})
	}
	select {
	case r := <-ended:
		return r.failure()
	case <-stop.Done():
		return nil
	}
}

// firstError explains why not every stage started: nil if the process was told to stop meanwhile.
func firstError(started []*running) error {
	if len(started) == 0 {
		return nil
	}
	last := started[len(started)-1]
	select {
	case <-last.done:
		return last.failure()
	default:
		return nil
	}
}

func (r *running) failure() error {
	if r.err != nil {
		return fmt.Errorf("%s: %w", r.stage.Name, r.err)
	}
	return fmt.Errorf("%s ended by itself", r.stage.Name)
}

// stop takes health down, waits, and drains and ends the stages, last first. It returns ErrForced or the first error of a drain
// or an end.
func (g *Group) stop(force context.Context, started []*running) error {
	if g.Health != nil {
		g.Health.Shutdown()
	}
	wait(force, g.LameDuck)
	deadline, cancel := context.WithTimeout(force, g.DrainTimeout)
	defer cancel()
	var first error
	for i := len(started) - 1; i >= 0; i-- {
		r := started[i]
		if err := r.drain(deadline); err != nil && first == nil {
			first = fmt.Errorf("drain %s: %w", r.stage.Name, err)
		}
		if err := r.stop(); err != nil && first == nil {
			first = fmt.Errorf("stop %s: %w", r.stage.Name, err)
		}
		g.Log.Debug("stopped", "stage", r.stage.Name)
	}
	if force.Err() != nil {
		return ErrForced
	}
	return first
}

func (r *running) drain(deadline context.Context) error {
	select {
	case <-r.done:
		return nil // nothing is left to drain
	default:
	}
	if r.stage.Drain == nil {
		return nil
	}
	return r.stage.Drain(deadline)
}

// endGrace is how long a stage may take to return once its context has ended. One that takes longer is left behind: the process
// is about to exit, and must.
const endGrace = 3 * time.Second

func (r *running) stop() error {
	r.end()
	grace := time.NewTimer(endGrace)
	defer grace.Stop()
	select {
	case <-r.done:
	case <-grace.C:
		return fmt.Errorf("did not end within %s", endGrace)
	}
	if errors.Is(r.err, context.Canceled) {
		return nil
	}
	return r.err
}

func wait(ctx context.Context, span time.Duration) {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
