// Package bench measures how fast a network orders: it runs a whole network in
// this process, with links over loopback TLS and stores on the real disk, drives
// its orderers directly, and reports rates, latencies, and the processor time
// and memory of everything together, the load included.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/sandbox"
)

// Workload is one measurement.
type Workload struct {
	Name  string
	Nodes int
	// Size of a request in bytes; Rate in requests per second over all nodes,
	// 0 for as fast as it goes with Outstanding requests in flight.
	Size, Outstanding int
	Rate              float64
	WarmUp, Measure   time.Duration
	// CrashAfter ends one node without a word this long into the measurement;
	// 0 for none.
	CrashAfter time.Duration
	// Away ends one node for this long under load before the measurement, in
	// which it comes back and catches up; 0 for none.
	Away time.Duration
	// Members, if there are any, send signed submissions to each other through
	// sequencers that are processes of their own, each to Recipients others, in
	// streams or, if Unary, in calls of their own. They listen at one of the
	// sequencers each, or all at the same if Gather is set.
	Members, Recipients int
	Unary, Gather       bool
}

// Validate refuses numbers that mean nothing.
func (w Workload) Validate() error {
	switch {
	case w.Size < members.MinSize:
		return fmt.Errorf("a request of %d bytes: use %d or more", w.Size, members.MinSize)
	case !(w.Rate >= 0 || w.Rate == -1) || math.IsInf(w.Rate, 0):
		return fmt.Errorf("a rate of %g: use 0 or more, or -1 for no requests at all", w.Rate)
	case w.Outstanding < 1:
		return fmt.Errorf("%d requests in flight: use 1 or more", w.Outstanding)
	case w.Measure <= 0 || w.WarmUp < 0 || w.CrashAfter < 0 || w.Away < 0:
		return errors.New("the duration must be above 0s, and times before and in it must not be negative")
	case w.Members < 0 || w.Members > 0 && (w.Recipients < 1 || w.Recipients > w.Members):
		return fmt.Errorf("%d recipients among %d members: use 1 recipient or more, and as many members", w.Recipients, w.Members)
	}
	return nil
}

// Named returns the workload of the suite with that name.
func Named(name string) (Workload, bool) {
	for _, w := range Suite() {
		if w.Name == name {
			return w, true
		}
	}
	return Workload{}, false
}

// warm is how long members send before they are measured at saturation: until memory is no longer touched for the first time.
const warm = 10 * time.Second

// Suite is what "make bench" measures.
func Suite() []Workload {
	saturate := Workload{Nodes: 4, Outstanding: 60_000, WarmUp: 2 * time.Second, Measure: 8 * time.Second}
	with := func(name string, change func(*Workload)) Workload {
		w := saturate
		w.Name, w.Size = name, 1024
		change(&w)
		return w
	}
	ofMembers := func(name string, change func(*Workload)) Workload {
		return with(name, func(w *Workload) {
			w.Members, w.Recipients = 32, 1
			change(w)
		})
	}
	return []Workload{
		with("saturate-1k", func(*Workload) {}),
		with("saturate-256", func(w *Workload) { w.Size, w.Outstanding = 256, 160_000 }),
		with("paced-200", func(w *Workload) { w.Rate = 200 }),
		with("paced-15000", func(w *Workload) { w.Rate = 15_000 }),
		with("crash-2000", func(w *Workload) { w.Rate, w.CrashAfter = 2000, 2*time.Second }),
		with("crash-saturate", func(w *Workload) { w.CrashAfter = 4 * time.Second }),
		with("catch-up-5000", func(w *Workload) { w.Rate, w.Away, w.Measure = 5000, time.Minute, 20*time.Second }),
		with("idle", func(w *Workload) { w.Rate = -1 }),
		ofMembers("members-saturate", func(w *Workload) { w.Outstanding, w.WarmUp = 6000, warm }),
		ofMembers("members-saturate-2k", func(w *Workload) { w.Outstanding, w.WarmUp = 2000, warm }),
		ofMembers("members-unary", func(w *Workload) { w.Outstanding, w.Unary = 3000, true }),
		ofMembers("members-10000", func(w *Workload) { w.Rate, w.Outstanding, w.WarmUp = 10_000, 6000, warm }),
		ofMembers("members-200", func(w *Workload) { w.Rate, w.Outstanding = 200, 2000 }),
		ofMembers("members-2000-subscribed", func(w *Workload) { w.Members, w.Rate, w.Gather, w.WarmUp = 2000, 500, true, 0 }),
		ofMembers("members-1000-recipients", func(w *Workload) { w.Members, w.Recipients, w.Rate = 1000, 1000, 2 }),
		with("nodes-7", func(w *Workload) { w.Nodes = 7 }),
		with("nodes-10", func(w *Workload) { w.Nodes = 10 }),
		with("nodes-13", func(w *Workload) { w.Nodes = 13 }),
	}
}

// Result is what was measured. The processor time is that of the process while
// measuring, memory its peak resident size.
type Result struct {
	Engine           string  `json:"engine"`
	Workload         string  `json:"workload"`
	Nodes            int     `json:"nodes"`
	Size             int     `json:"size"`
	Rate             float64 `json:"rate"`
	Ordered          int64   `json:"ordered"`
	OrderedPerSecond float64 `json:"ordered_per_second"`
	P50              float64 `json:"p50_ms"`
	P99              float64 `json:"p99_ms"`
	CPUMicros        float64 `json:"cpu_us_per_request"`
	LongestPause     float64 `json:"longest_pause_ms"`
	PeakMiB          float64 `json:"peak_mib"`
	// ResidentMiB is the largest size of a sequencer that is a process of its own while it was measured: the peak is often that of
	// members that join.
	ResidentMiB    float64 `json:"resident_mib,omitempty"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	Lost           int64   `json:"lost"`
	Duplicated     int64   `json:"duplicated"`
	Reordered      int64   `json:"reordered"`
	Clean          bool    `json:"clean"`
	// FirstHalfMiB and SecondHalfMiB are the mean resident sizes in the halves
	// of a measurement of a minute or more: a leak shows as growth.
	FirstHalfMiB  float64 `json:"first_half_mib,omitempty"`
	SecondHalfMiB float64 `json:"second_half_mib,omitempty"`
	// LinkBytes is what all nodes together sent each other for a request.
	LinkBytes float64 `json:"link_bytes_per_request"`
	// CPUShare is the processor time as a share of one core.
	CPUShare float64 `json:"cpu_share"`
	// Of a catch-up: how long the node took to be level with the others, the
	// commits it was behind, requests per second that it applied meanwhile, and
	// the p99 of live requests before it came back.
	CatchUpSeconds   float64 `json:"catch_up_s,omitempty"`
	CatchUpPerSecond float64 `json:"catch_up_requests_per_second,omitempty"`
	BeforeP99        float64 `json:"p99_before_ms,omitempty"`
}

// run runs one workload on a new network in dir, which must be on a real disk.
func run(ctx context.Context, o Options, dir string, log io.Writer) (Result, error) {
	w := o.Workload
	if w.Members > 0 {
		return runMembers(ctx, o, dir, log)
	}
	plan := network.DefaultPlan(dir)
	plan.Sequencers, plan.BasePort = w.Nodes, 0
	s, err := sandbox.New(ctx, sandbox.Options{Plan: plan, LogTo: log, Adjust: func(c *config.Sequencer) {
		c.Admin.Pprof = ""
		c.Storage.RetainBytes = 1 * config.GiB
		c.Storage.RetainCommits = 1000
	}})
	if err != nil {
		return Result{}, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running, nil) }()
	result, err := measure(ctx, w, s)
	stop()
	if stopped := <-ended; err == nil && stopped != nil && w.CrashAfter == 0 {
		err = stopped
	}
	return result, err
}

func measure(ctx context.Context, w Workload, s *sandbox.Sandbox) (Result, error) {
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.WaitReady(ready); err != nil {
		return Result{}, err
	}
	var targets []load.Target
	for _, o := range s.Orderers() {
		targets = append(targets, load.InProcess(o))
	}
	work := load.Config{Rate: w.Rate, Size: w.Size, InFlight: max(1, w.Outstanding/max(1, w.Nodes)), BatchBytes: 64 << 10}
	if w.Outstanding == 0 {
		work.InFlight = 0
	}
	if w.Rate < 0 {
		return measureIdle(ctx, w)
	}
	if w.WarmUp > 0 {
		work.Duration = w.WarmUp
		if _, err := load.Run(ctx, work, targets...); err != nil {
			return Result{}, err
		}
	}
	var back *comeback
	if w.Away > 0 {
		work.Duration = w.Away
		s.Sequencers[0].Crash()
		r, err := load.Run(ctx, work, targets[1:]...)
		if err != nil {
			return Result{}, err
		}
		if back, err = bringBack(ctx, s, r.P99); err != nil {
			return Result{}, err
		}
		defer back.stop()
		targets = targets[1:]
	}
	work.Duration = w.Measure
	if w.CrashAfter > 0 {
		crash := time.AfterFunc(w.CrashAfter, func() { s.Sequencers[0].Crash() })
		defer crash.Stop()
	}
	runtime.GC()
	watch := watchMemory(ctx)
	before, start, sent := processorTime(), time.Now(), sentBytes(s)
	r, err := load.Run(ctx, work, targets...)
	firstHalf, secondHalf := watch.halves()
	if err != nil {
		return Result{}, err
	}
	used, took := processorTime()-before, time.Since(start)
	if r.Ordered == 0 {
		return Result{}, fmt.Errorf("%s: nothing was ordered", w.Name)
	}
	result := Result{
		Engine: "synod", Workload: w.Name, Nodes: w.Nodes, Size: w.Size, Rate: w.Rate,
		Ordered: r.Ordered, OrderedPerSecond: r.OrderedPerSecond, P50: r.P50, P99: r.P99,
		CPUMicros: float64(used.Microseconds()) / float64(r.Ordered), LongestPause: r.LongestPause, PeakMiB: peakMiB(),
		BytesPerSecond: r.BytesPerSecond, Lost: r.Lost, Duplicated: r.Duplicated, Reordered: r.Reordered, Clean: r.Clean,
		CPUShare: used.Seconds() / took.Seconds(), LinkBytes: float64(sentBytes(s)-sent) / float64(r.Ordered),
	}
	if w.Measure >= time.Minute {
		result.FirstHalfMiB, result.SecondHalfMiB = firstHalf, secondHalf
	}
	if back != nil {
		back.report(&result)
	}
	return result, nil
}

// measureIdle measures what a network costs that has nothing to order.
func measureIdle(ctx context.Context, w Workload) (Result, error) {
	runtime.GC()
	before, start := processorTime(), time.Now()
	select {
	case <-ctx.Done():
		return Result{}, ctx.Err()
	case <-time.After(w.Measure):
	}
	return Result{
		Engine: "synod", Workload: w.Name, Nodes: w.Nodes, PeakMiB: peakMiB(), Clean: true,
		CPUShare: (processorTime() - before).Seconds() / time.Since(start).Seconds(),
	}, nil
}

// sentBytes is what all nodes have sent each other.
func sentBytes(s *sandbox.Sandbox) (sum uint64) {
	for _, i := range s.Sequencers {
		for _, peer := range i.Replica().Links() {
			sum += peer.Live.BytesOut + peer.Bulk.BytesOut
		}
	}
	return sum
}

// processorTime is the user and system time of this process.
func processorTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMiB is the peak resident size of this process.
func peakMiB() float64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}

// OnRealDisk refuses a directory on a file system in memory, where syncs cost
// nothing and figures would mean nothing.
func OnRealDisk(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("look at the file system of %s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return fmt.Errorf("%s is in memory, where syncs are free; name a directory on a disk", dir)
	}
	return nil
}
