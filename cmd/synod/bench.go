package main

import (
	"encoding/json"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/load/bench"
	"github.com/synod-network/synod/node/exit"
)

func newBench() *cobra.Command {
	var o bench.Options
	var asJSON, engineJSON bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure how fast a network in this process orders",
		Long: "Runs a network with links over loopback TLS and stores on the disk of --dir, drives its orderers directly, and prints rates,\n" +
			"latencies from submit to ordered, and the processor time and memory of everything together, the load included. Without\n" +
			"--workload it runs its whole suite, each workload in a process of its own. Nothing else should run on the machine.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Workload.Name == "" && o.CPUProfile != "" {
				return exit.Errorf(exit.Usage, "--cpu-profile is of one workload; write --workload NAME too")
			}
			if err := bench.OnRealDisk(o.Dir); err != nil {
				return err
			}
			if o.Workload.Name == "" {
				return bench.RunSuite(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON)
			}
			o.Workload = shaped(o.Workload, cmd.Flags().Changed)
			if err := o.Workload.Validate(); err != nil {
				return exit.With(exit.Usage, err)
			}
			if o.Workload.Members > 0 { // a load beside sequencers in processes of their own
				lazyTimers(cmd.ErrOrStderr())
			}
			result, err := bench.RunOne(cmd.Context(), o, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if asJSON || engineJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(result)
			} else {
				err = result.Print(cmd.OutOrStdout())
			}
			if err == nil && !result.Clean {
				err = exit.Errorf(exit.Failed, "%s: lost %d, duplicated %d, reordered %d", result.Workload, result.Lost, result.Duplicated, result.Reordered)
			}
			return err
		},
	}
	w := &o.Workload
	f := cmd.Flags()
	f.StringVar(&w.Name, "workload", "", "run one workload: of the suite, or another name for its result; flags shape it")
	f.IntVar(&w.Nodes, "nodes", 4, "number of sequencers")
	f.IntVar(&w.Size, "size", 1024, "bytes of a request")
	f.Float64Var(&w.Rate, "rate", 0, "requests per second; 0 for as fast as it goes, -1 for none at all")
	f.IntVar(&w.Outstanding, "outstanding", 60_000, "requests in flight over all sequencers at rate 0")
	f.DurationVar(&w.WarmUp, "warm-up", 2*time.Second, "load before measuring")
	f.DurationVar(&w.Measure, "duration", 8*time.Second, "load while measuring")
	f.DurationVar(&w.CrashAfter, "crash-after", 0, "end one sequencer without a word this long into the measurement; 0s for not")
	f.DurationVar(&w.Away, "away", 0, "keep one sequencer away for this long under load, and measure its return; 0s for not")
	f.IntVar(&w.Members, "members", 0, "members that send to each other through sequencers in processes of their own; 0 to drive the orderers")
	f.IntVar(&w.Recipients, "recipients", 1, "members to whom each submission goes")
	f.BoolVar(&w.Unary, "unary", false, "members send each submission in a call of its own (default false)")
	f.BoolVar(&w.Gather, "gather", false, "members listen all at the same sequencer (default false)")
	f.StringVar(&o.Dir, "dir", os.TempDir(), "directory on a real disk for the stores, which are removed afterwards")
	f.StringVar(&o.CPUProfile, "cpu-profile", "", "file for a CPU profile of one workload; with members, of each sequencer too, in FILE-1 and so on")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a workload")
	f.BoolVar(&engineJSON, "engine-json", false, "print one workload's result as one JSON object in the last line")
	return cmd
}

// shaped is the workload of the suite with the name of w, if there is one, with what flags say of it.
func shaped(w bench.Workload, changed func(flag string) bool) bench.Workload {
	named, ok := bench.Named(w.Name)
	if !ok {
		return w
	}
	for flag, take := range map[string]func(){
		"nodes":       func() { named.Nodes = w.Nodes },
		"size":        func() { named.Size = w.Size },
		"rate":        func() { named.Rate = w.Rate },
		"outstanding": func() { named.Outstanding = w.Outstanding },
		"warm-up":     func() { named.WarmUp = w.WarmUp },
		"duration":    func() { named.Measure = w.Measure },
		"crash-after": func() { named.CrashAfter = w.CrashAfter },
		"away":        func() { named.Away = w.Away },
		"members":     func() { named.Members = w.Members },
		"recipients":  func() { named.Recipients = w.Recipients },
		"unary":       func() { named.Unary = w.Unary },
		"gather":      func() { named.Gather = w.Gather },
	} {
		if changed(flag) {
			take()
		}
	}
	return named
}
