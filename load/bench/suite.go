package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
)

// Options are one run of the command.
type Options struct {
	Workload Workload
	Dir      string // where stores are made, and removed afterwards
	// CPUProfile is the file for a profile of this process, "" for none. Sequencers that are processes of
	// their own write theirs beside it, with "-1", "-2" and so on behind the name.
	CPUProfile string
}

// RunOne runs one workload in this process.
func RunOne(ctx context.Context, o Options, log io.Writer) (_ Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "synod-bench-")
	if err != nil {
		return Result{}, fmt.Errorf("make a directory for the stores: %w", err)
	}
	defer os.RemoveAll(dir)
	if o.CPUProfile != "" {
		f, err := os.Create(o.CPUProfile)
		if err != nil {
			return Result{}, err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return Result{}, err
		}
		defer pprof.StopCPUProfile()
	}
	return run(ctx, o, dir, log)
}

// RunSuite runs every workload of the suite in a process of its own, so that
// processor time, memory and garbage of one are not another's.
func RunSuite(ctx context.Context, o Options, out, log io.Writer, asJSON bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, w := range Suite() {
		fmt.Fprintf(log, "%s …\n", w.Name)
		var printed bytes.Buffer
		child := exec.CommandContext(ctx, self, append([]string{"bench", "--json", "--dir", o.Dir}, w.flags()...)...)
		child.Stdout, child.Stderr = &printed, log
		if err := child.Run(); err != nil {
			return fmt.Errorf("workload %s: %w", w.Name, err)
		}
		var r Result
		if err := json.Unmarshal(printed.Bytes(), &r); err != nil {
			return fmt.Errorf("workload %s printed no result: %w", w.Name, err)
		}
		if asJSON {
			_, err = out.Write(printed.Bytes())
		} else {
			err = r.Print(out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w Workload) flags() []string {
	return []string{
		"--workload", w.Name, "--nodes", strconv.Itoa(w.Nodes), "--size", strconv.Itoa(w.Size),
		"--rate", strconv.FormatFloat(w.Rate, 'g', -1, 64), "--outstanding", strconv.Itoa(w.Outstanding),
		"--warm-up", w.WarmUp.String(), "--duration", w.Measure.String(),
		"--crash-after", w.CrashAfter.String(), "--away", w.Away.String(),
		"--members", strconv.Itoa(w.Members), "--recipients", strconv.Itoa(w.Recipients), "--unary=" + strconv.FormatBool(w.Unary), "--gather=" + strconv.FormatBool(w.Gather),
	}
}

// Print writes the result as one line for people.
func (r Result) Print(out io.Writer) error {
	var err error
	switch {
	case r.Ordered == 0:
		_, err = fmt.Fprintf(out, "%-15s n=%-2d  %.1f%% of a core, %.0f MiB together\n", r.Workload, r.Nodes, 100*r.CPUShare, r.PeakMiB)
	case r.BeforeP99 > 0 && r.CatchUpSeconds == 0:
		_, err = fmt.Fprintf(out, "%-15s n=%-2d %6d B  not level with the others when the measurement ended; live p99 %.1f ms before, %.1f ms meanwhile\n",
			r.Workload, r.Nodes, r.Size, r.BeforeP99, r.P99)
	case r.BeforeP99 > 0:
		_, err = fmt.Fprintf(out, "%-15s n=%-2d %6d B  caught up in %.1f s at %.0f requests/s; live p99 %.1f ms before, %.1f ms meanwhile\n",
			r.Workload, r.Nodes, r.Size, r.CatchUpSeconds, r.CatchUpPerSecond, r.BeforeP99, r.P99)
	case r.FirstHalfMiB > 0:
		_, err = fmt.Fprintf(out, "%-15s n=%-2d %6d B %9.0f/s  p50 %7.2f ms  p99 %7.2f ms  memory %.0f MiB in the first half, %.0f in the second, at most %.0f  lost %d duplicated %d reordered %d\n",
			r.Workload, r.Nodes, r.Size, r.OrderedPerSecond, r.P50, r.P99, r.FirstHalfMiB, r.SecondHalfMiB, r.PeakMiB, r.Lost, r.Duplicated, r.Reordered)
	case r.ResidentMiB > 0:
		_, err = fmt.Fprintf(out, "%-15s n=%-2d %6d B %9.0f/s  p50 %7.2f ms  p99 %7.2f ms  %7.1f µs CPU a submission  longest pause %6.1f ms  a sequencer has %.0f MiB, at most %.0f  lost %d duplicated %d reordered %d\n",
			r.Workload, r.Nodes, r.Size, r.OrderedPerSecond, r.P50, r.P99, r.CPUMicros, r.LongestPause, r.ResidentMiB, r.PeakMiB, r.Lost, r.Duplicated, r.Reordered)
	default:
		_, err = fmt.Fprintf(out, "%-15s n=%-2d %6d B %9.0f/s  p50 %7.2f ms  p99 %7.2f ms  %7.1f µs CPU and %6.0f B sent a request  longest pause %6.1f ms  %5.0f MiB  lost %d duplicated %d reordered %d\n",
			r.Workload, r.Nodes, r.Size, r.OrderedPerSecond, r.P50, r.P99, r.CPUMicros, r.LinkBytes, r.LongestPause, r.PeakMiB, r.Lost, r.Duplicated, r.Reordered)
	}
	return err
}
