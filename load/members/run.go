package members

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// run is a running workload.
type run struct {
	config  Config
	network *network
	members []*member
	from    sequencing.Time           // events up to then, which tell who joined, are not listened to
	start   atomic.Pointer[time.Time] // set anew when sending begins, while listeners read it

	mu                  sync.Mutex
	result              Result
	receipts, arrivals  *hdrhistogram.Histogram
	last, longest       time.Duration // when the last receipt came; the longest pause before one
	sending             bool
	refusals, breakages map[string]int64
}

// setUp bounds making the members known and connecting them.
const setUp = 2 * time.Minute

// Run puts the network of the targets under load and returns the verdict. It fails only
// if the workload makes no sense, or the members cannot be connected; trouble during the
// run is in the result. When ctx ends early, the result covers what was done.
func Run(ctx context.Context, config Config, targets ...Target) (Result, error) {
	config = config.withDefaults(len(targets))
	if err := config.validate(len(targets)); err != nil {
		return Result{}, err
	}
	ready, cancel := context.WithTimeout(ctx, setUp)
	defer cancel()
	n, err := connect(ready, targets, config.Members)
	defer n.close()
	if err != nil {
		return Result{}, err
	}
	n.gather = config.Gather
	r := &run{config: config, network: n, receipts: newHistogram(), arrivals: newHistogram(), refusals: map[string]int64{}, breakages: map[string]int64{}}
	if err := r.join(ready); err != nil {
		return Result{}, err
	}
	if r.from, err = n.now(ready); err != nil {
		return Result{}, err
	}
	return r.drive(ctx, ready)
}

func (r *run) begin() {
	now := time.Now()
	r.start.Store(&now)
}

// elapsed is the time since the run began.
func (r *run) elapsed() time.Duration { return time.Since(*r.start.Load()) }

// Latencies are recorded in µs, up to ten minutes.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, int64(10*time.Minute/time.Microsecond), 3)
}

// join makes the members known to the network, many by each change, and logs them in.
func (r *run) join(ctx context.Context) error {
	name := newRun()
	for i := range r.config.Members {
		m, err := newMember(r.network, name, i)
		if err != nil {
			return err
		}
		m.flights = flights{open: map[uint64]*flight{}, room: make(chan struct{}, 1)}
		r.members = append(r.members, m)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for list := range slices.Chunk(r.members, together) {
		g.Go(func() error {
			if err := register(ctx, r.network, list); err != nil {
				return fmt.Errorf("load: register %s and %d others: %w", list[0].id, len(list)-1, err)
			}
			for _, m := range list {
				if err := m.authenticate(ctx, r.network); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (r *run) drive(ctx, ready context.Context) (Result, error) {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	r.begin()
	if err := r.listen(ready, running, &group); err != nil {
		return Result{}, err
	}
	r.begin()
	r.mu.Lock()
	r.sending = true
	r.mu.Unlock()
	if r.config.Progress != nil {
		group.Go(func() { r.report(running) })
	}
	sending, stop := context.WithTimeout(running, r.config.Duration)
	defer stop()
	var work chan time.Duration
	if r.config.Rate > 0 {
		work = make(chan time.Duration)
		group.Go(func() { r.pace(sending, work) })
	}
	var unanswered sync.WaitGroup
	for _, m := range r.members {
		l := &lane{run: r, member: m, work: work, via: m.home, random: rand.NewChaCha8([32]byte{byte(m.number), byte(m.number >> 8)})}
		unanswered.Add(1)
		group.Go(func() { l.send(running, sending, unanswered.Done) })
	}
	select {
	case <-sending.Done():
	case <-r.config.Stop:
	}
	stop()
	r.mu.Lock()
	r.sending = false
	r.mu.Unlock()
	answered := make(chan struct{})
	go func() { unanswered.Wait(); close(answered) }() // ends with the lanes at the latest
	return r.verdict(r.settle(running, answered)), nil
}

// listen opens all streams and waits until they are open.
func (r *run) listen(ready, running context.Context, group *sync.WaitGroup) error {
	var waiting sync.WaitGroup
	for _, m := range r.members {
		t := &told{at: make([]int, r.config.Listen)}
		for k := range r.config.Listen {
			l := &listener{run: r, member: m, number: k, told: t, known: r.from, at: r.network.sequencers[r.network.listening(m.home, k)]}
			waiting.Add(1)
			group.Go(func() { l.follow(running, waiting.Done) })
		}
	}
	open := make(chan struct{})
	go func() { waiting.Wait(); close(open) }() // ends with the listeners at the latest
	select {
	case <-open:
		return nil
	case <-ready.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return fmt.Errorf("load: not all members could subscribe: %w", errors.Join(ready.Err(), errors.New(most(r.breakages))))
	}
}

// pace hands out when submissions fall due.
func (r *run) pace(sending context.Context, work chan<- time.Duration) {
	t := time.NewTimer(0)
	defer t.Stop()
	for number := int64(0); ; number++ {
		due := time.Duration(float64(number) / r.config.Rate * float64(time.Second))
		if due >= r.config.Duration {
			return
		}
		if wait := due - r.elapsed(); wait > 0 {
			t.Reset(wait)
			select {
			case <-t.C:
			case <-sending.Done():
				return
			}
		}
		select {
		case work <- due:
		case <-sending.Done():
			return
		}
	}
}

const settleEvery = 20 * time.Millisecond

// settle waits, as long as it may, until all that was sent is answered and all that was accepted has come out, and returns what has not.
// That is what the last look at the flights found: what arrives behind it must not count against anybody, for it is not waited for.
func (r *run) settle(ctx context.Context, answered <-chan struct{}) (lost, unknown int64) {
	ctx, cancel := context.WithTimeout(ctx, r.config.Drain)
	defer cancel()
	select {
	case <-answered:
	case <-ctx.Done():
	}
	for {
		lost, unknown = 0, 0
		for _, m := range r.members {
			l, u := m.remains(r)
			lost, unknown = lost+l, unknown+u
		}
		if lost == 0 || !sleep(ctx, settleEvery) {
			return lost, unknown
		}
	}
}

func (r *run) count(change func(*Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.result)
}

// received notes a receipt or a deliver error.
func (r *run) received(o outcome, now time.Duration, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case o.twice:
		r.result.Duplicated++
	case !o.first:
	case refused:
		r.result.Refused++
	default:
		r.result.Receipts++
		_ = r.receipts.RecordValue(max(1, (now - o.due).Microseconds())) // ten minutes are never reached
		if r.sending {
			r.longest = max(r.longest, now-r.last)
		}
		r.last = now
	}
}

// delivered notes that a recipient got a submission.
func (r *run) delivered(o outcome, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.twice {
		r.result.Duplicated++
		return
	}
	r.result.Deliveries++
	if o.first {
		_ = r.arrivals.RecordValue(max(1, (now - o.due).Microseconds()))
	}
}

func (r *run) refusal(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.refusals) < 64 {
		r.refusals[why]++
	}
}

// broke notes why a connection broke.
func (r *run) broke(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Reconnects++
	if why := err.Error(); len(r.breakages) < 64 {
		r.breakages[why]++
	}
}

func (r *run) report(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var before Progress
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		r.mu.Lock()
		now := Progress{Elapsed: r.elapsed(), Submitted: r.result.Submitted, Accepted: r.result.Accepted,
			Receipts: r.result.Receipts, Refused: r.result.Refused + r.result.Rejected}
		r.mu.Unlock()
		now.ReceiptsPerSecond = float64(now.Receipts-before.Receipts) / (now.Elapsed - before.Elapsed).Seconds()
		r.config.Progress(now)
		before = now
	}
}
