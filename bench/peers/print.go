package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/synod-network/synod/bench/peers/load"
)

func (c comparison) print(out io.Writer, outcomes []outcome) error {
	verdicts := judge(c.workloads, outcomes)
	if c.json {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Outcomes []outcome `json:"outcomes"`
			Verdicts []verdict `json:"verdicts"`
		}{outcomes, verdicts})
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	printOutcomes(t, c.workloads, outcomes)
	fmt.Fprintln(t)
	printVerdicts(t, verdicts, c.binary != "")
	return t.Flush()
}

func printOutcomes(out io.Writer, workloads []load.Workload, outcomes []outcome) {
	fmt.Fprintln(out, "workload\tengine\treq/s\tp50 ms\tp99 ms\tCPU µs/req\tpause ms\tpeak MiB\t")
	for _, o := range outcomes {
		if o.Result == nil {
			// Of what a process said, the last line tells most; all of it goes to
			// standard error.
			reason := o.Error[strings.LastIndexByte(o.Error, '\n')+1:]
			fmt.Fprintf(out, "%s\t%s\tfailed: %s\n", o.Workload, o.Engine, reason)
			continue
		}
		r := *o.Result
		note := ""
		at := slices.IndexFunc(workloads, func(w load.Workload) bool { return w.Name == o.Workload })
		if at >= 0 && !eligible(r, workloads[at]) {
			note = "did not keep up"
		}
		fmt.Fprintf(out, "%s\t%s\t%.0f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%s\n",
			r.Workload, r.Engine, r.OrderedPerSecond, r.P50MS, r.P99MS, r.CPUMicros, r.LongestPauseMS, r.PeakMiB, note)
	}
}

func printVerdicts(out io.Writer, verdicts []verdict, own bool) {
	if !own {
		fmt.Fprintln(out, "workload\tfigure\tbest peer\tits value")
		for _, v := range verdicts {
			fmt.Fprintf(out, "%s\t%s\t%s\t%.1f\n", v.Workload, v.Figure, v.Best, v.Peer)
		}
		return
	}
	fmt.Fprintln(out, "workload\tfigure\tbest peer\tits value\tsynod\tsynod/best\tahead")
	for _, v := range verdicts {
		if v.Own == 0 {
			fmt.Fprintf(out, "%s\t%s\t%s\t%.1f\tfailed\t\tno\n", v.Workload, v.Figure, v.Best, v.Peer)
			continue
		}
		ahead := "no"
		if v.Ahead {
			ahead = "yes"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.1f\t%.1f\t%.2f\t%s\n", v.Workload, v.Figure, v.Best, v.Peer, v.Own, v.Ratio, ahead)
	}
}
