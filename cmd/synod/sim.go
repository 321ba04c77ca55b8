package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sim"
)

// simFlags are the flags of synod sim.
type simFlags struct {
	seed     uint64
	seeds    string
	nodes    int
	faults   string
	duration time.Duration
	load     float64
	json     bool
}

func newSim() *cobra.Command {
	var f simFlags
	cmd := &cobra.Command{
		Use:   "sim",
		Short: "Run a whole ordering network under a virtual clock, with faults",
		Long: "sim runs n ordering engines with disks, clocks, clients and links in one goroutine under a virtual clock. Everything\n" +
			"follows from the seed: the same seed gives the same story. A checker that sees all members fails the run when honest\n" +
			"members break a promise, and prints the command that repeats it.\n\n" +
			"Faults: none, all, random (the seed chooses), or a list of\n  " + wrapFaults() + "\n" +
			"At most f members lie; every byzantine: fault is a way of lying that one of them may have.",
		Example: "  synod sim --seed 7 --nodes 7 --faults drop,partition,crash,byzantine:equivocate --duration 30s\n" +
			"  synod sim --seeds 1..1000 --json",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.Uint64Var(&f.seed, "seed", 1, "run the world of this seed and tell its story")
	flags.StringVar(&f.seeds, "seeds", "", "run the worlds of all seeds A..B and print a summary")
	flags.IntVar(&f.nodes, "nodes", 0, "members at the start, 1 to 13 (0: the seed chooses)")
	flags.StringVar(&f.faults, "faults", "random", "what goes wrong")
	flags.DurationVar(&f.duration, "duration", 10*time.Second, "how long things go wrong, in virtual time")
	flags.Float64Var(&f.load, "load", 0, "requests a second at each member (0: the seed chooses)")
	flags.BoolVar(&f.json, "json", false, "print the outcome as JSON, and no story")
	return cmd
}

func wrapFaults() string {
	var lines []string
	line := ""
	for _, fault := range sim.AllFaults() {
		if len(line)+len(fault) > 100 {
			lines = append(lines, strings.TrimSpace(line))
			line = ""
		}
		line += string(fault) + " "
	}
	return strings.Join(append(lines, strings.TrimSpace(line)), "\n  ")
}

func (f *simFlags) run(cmd *cobra.Command) error {
	o := sim.Options{Seed: f.seed, Nodes: f.nodes, Duration: f.duration, Load: f.load}
	if f.faults == "random" {
		o.Random = true
	} else {
		faults, err := sim.ParseFaults(f.faults)
		if err != nil {
			return exit.Errorf(exit.Usage, "--faults: %w", err)
		}
		o.Faults = faults
	}
	if err := o.Validate(); err != nil {
		return exit.Errorf(exit.Usage, "%w", err)
	}
	if f.seeds == "" {
		return f.one(cmd.OutOrStdout(), o)
	}
	first, last, err := parseSeeds(f.seeds)
	if err != nil {
		return exit.Errorf(exit.Usage, "--seeds: %w", err)
	}
	return f.many(cmd, o, first, last)
}

func (f *simFlags) one(out io.Writer, o sim.Options) error {
	if !f.json {
		o.Story = out
	}
	r, err := sim.Run(o)
	if err != nil {
		return err
	}
	if f.json {
		if err := printJSON(out, r); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(out, "\n%d members, %d commits in %d epochs, %d of %d requests ordered, %d crashes, %d messages\n"+
		"latency p50 %s p99 %s; %s of virtual time in %s\n",
		r.Nodes, r.Commits, r.Epochs, r.Ordered, r.Submitted, r.Crashes, r.Messages,
		r.LatencyP50.Round(time.Millisecond), r.LatencyP99.Round(time.Millisecond), r.Virtual.Round(time.Millisecond), r.Real.Round(time.Millisecond)); err != nil {
		return err
	}
	if r.Failure != "" {
		return fmt.Errorf("seed %d broke a promise: %s\nrepeat it with: %s", r.Seed, r.Failure, r.Replay)
	}
	return nil
}

func (f *simFlags) many(cmd *cobra.Command, o sim.Options, first, last uint64) error {
	talk, done := cmd.ErrOrStderr(), 0
	s, err := sim.Swarm(o, first, last, time.Time{}, func(r sim.Report) {
		if done++; done%100 == 0 {
			fmt.Fprintf(talk, "%d of %d runs\n", done, last-first+1)
		}
		if r.Failure != "" {
			fmt.Fprintf(talk, "seed %d: %s\n  %s\n", r.Seed, r.Failure, r.Replay)
		}
	})
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if f.json {
		if err := printJSON(out, s); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%d runs, %d commits, %d epochs, %d requests ordered, %d crashes, %d failures; %.0f virtual seconds for each real one\n",
			s.Runs, s.Commits, s.Epochs, s.Ordered, s.Crashes, len(s.Failures), s.Speed)
	}
	if len(s.Failures) > 0 {
		return fmt.Errorf("%d of %d runs broke a promise; repeat the first with: %s", len(s.Failures), s.Runs, s.Failures[0].Replay)
	}
	return nil
}

func parseSeeds(text string) (first, last uint64, err error) {
	a, b, ok := strings.Cut(text, "..")
	if ok {
		if first, err = strconv.ParseUint(a, 10, 64); err == nil {
			last, err = strconv.ParseUint(b, 10, 64)
		}
	}
	if !ok || err != nil || last < first {
		return 0, 0, fmt.Errorf("%q is not a range like 1..100", text)
	}
	return first, last, nil
}

func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
