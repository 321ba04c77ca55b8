package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/synod-network/synod/bench/peers/load"
)

// A comparison is what to run.
type comparison struct {
	engines   []string
	workloads []load.Workload
	rounds    int
	dir       string
	bound     memory
	binary    string // synod's; empty: only peers
	template  string // arguments for it
	json      bool
	talk      io.Writer
}

// An outcome is how one engine did on one workload, over all rounds.
type outcome struct {
	Engine   string        `json:"engine"`
	Workload string        `json:"workload"`
	Result   *load.Result  `json:"result,omitempty"` // the one in the middle
	Rounds   []load.Result `json:"rounds,omitempty"`
	Error    string        `json:"error,omitempty"` // any failed round
}

// run does all runs, one at a time. Engines take turns within a round and
// rounds within a workload, so that a disturbance from outside hits
// neighbours rather than one engine.
func (c comparison) run(ctx context.Context) []outcome {
	engines := slices.Clone(c.engines)
	if c.binary != "" {
		engines = append(engines, ownEngine)
	}
	var outcomes []outcome
	for _, w := range c.workloads {
		first := len(outcomes)
		for _, e := range engines {
			outcomes = append(outcomes, outcome{Engine: e, Workload: w.Name})
		}
		for round := range c.rounds {
			for i, e := range engines {
				if ctx.Err() != nil {
					outcomes[first+i].Error = "interrupted"
					continue
				}
				fmt.Fprintf(c.talk, "%s on %s, round %d of %d\n", e, w.Name, round+1, c.rounds)
				outcomes[first+i].add(c.one(ctx, e, w))
			}
		}
		for i := range engines {
			outcomes[first+i].settle(w)
		}
	}
	return outcomes
}

func (c comparison) one(ctx context.Context, engine string, w load.Workload) (load.Result, error) {
	if engine == ownEngine {
		return runExternal(ctx, c.binary, c.template, w, c.dir, c.bound)
	}
	return runPeer(ctx, engine, w, c.dir, c.bound)
}

func (o *outcome) add(r load.Result, err error) {
	if err != nil {
		o.Error = err.Error()
		return
	}
	o.Rounds = append(o.Rounds, r)
}

// settle picks the middle round by the figure that the workload is about. One
// failed round fails them all: a cluster that sometimes diverges has no speed.
func (o *outcome) settle(w load.Workload) {
	if o.Error != "" || len(o.Rounds) == 0 {
		return
	}
	figure := aim(w)
	sorted := slices.Clone(o.Rounds)
	slices.SortFunc(sorted, func(a, b load.Result) int { return cmp.Compare(figure.of(a), figure.of(b)) })
	o.Result = &sorted[len(sorted)/2]
}

func failures(outcomes []outcome) error {
	var errs []error
	for _, o := range outcomes {
		if o.Error != "" {
			errs = append(errs, fmt.Errorf("%s on %s: %s", o.Engine, o.Workload, o.Error))
		}
	}
	return errors.Join(errs...)
}

// A figure is one number of a result, and which way is better.
type figure struct {
	name   string
	of     func(load.Result) float64
	higher bool // is better
}

var (
	throughput = figure{"req/s", func(r load.Result) float64 { return r.OrderedPerSecond }, true}
	median     = figure{"p50", func(r load.Result) float64 { return r.P50MS }, false}
	tailOf     = figure{"p99", func(r load.Result) float64 { return r.P99MS }, false}
	processor  = figure{"CPU", func(r load.Result) float64 { return r.CPUMicros }, false}
	pause      = figure{"pause", func(r load.Result) float64 { return r.LongestPauseMS }, false}
)

// figuresOf lists what a workload is judged by, the most telling first.
func figuresOf(w load.Workload) []figure {
	switch {
	case w.CrashAfter > 0:
		return []figure{pause}
	case w.Rate > 0:
		return []figure{median, tailOf, processor}
	default:
		return []figure{throughput, processor}
	}
}

func aim(w load.Workload) figure { return figuresOf(w)[0] }

// better reports whether a beats b.
func (f figure) better(a, b load.Result) bool {
	if f.higher {
		return f.of(a) > f.of(b)
	}
	return f.of(a) < f.of(b)
}

// A verdict holds synod against the best peer of one figure of one workload.
type verdict struct {
	Workload string  `json:"workload"`
	Figure   string  `json:"figure"`
	Best     string  `json:"best_peer"`
	Peer     float64 `json:"best_peer_value"`
	Own      float64 `json:"synod_value,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // synod to best peer
	Ahead    bool    `json:"ahead"`
}

// judge compares on every figure that some peer has. A paced run that did not
// keep up has no latency to show, and cannot be ahead.
func judge(workloads []load.Workload, outcomes []outcome) []verdict {
	var verdicts []verdict
	for _, w := range workloads {
		var own *load.Result
		var rivals []load.Result
		for _, o := range outcomes {
			switch {
			case o.Workload != w.Name || o.Result == nil || !eligible(*o.Result, w):
			case o.Engine == ownEngine:
				own = o.Result
			default:
				rivals = append(rivals, *o.Result)
			}
		}
		if len(rivals) == 0 {
			continue
		}
		for _, f := range figuresOf(w) {
			verdicts = append(verdicts, f.judge(w, own, rivals))
		}
	}
	return verdicts
}

// eligible reports whether a run counts: it kept its rate, where nothing was
// broken on purpose.
func eligible(r load.Result, w load.Workload) bool { return w.CrashAfter > 0 || r.Sustained() }

func (f figure) judge(w load.Workload, own *load.Result, rivals []load.Result) verdict {
	best := rivals[0]
	for _, r := range rivals[1:] {
		if f.better(r, best) {
			best = r
		}
	}
	v := verdict{Workload: w.Name, Figure: f.name, Best: best.Engine, Peer: f.of(best)}
	if own != nil {
		v.Own, v.Ratio, v.Ahead = f.of(*own), f.of(*own)/f.of(best), f.better(*own, best)
	}
	return v
}
