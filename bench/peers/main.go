// Command peers runs the same ordering workloads side by side on the systems
// that synod is compared with, and on synod when told where it is, and prints
// what each reached and the ratios.
//
// The result goes to standard output, progress and complaints to standard
// error. It exits with 0, with 1 when a run failed, and with 2 on wrong usage.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/synod-network/synod/bench/peers/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.As(err, new(usageError)):
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

type usageError struct{ error }

func run(ctx context.Context, arguments []string, in io.Reader, out, talk io.Writer) error {
	if slices.Equal(arguments, []string{runFlag}) {
		return runAssignment(in, out)
	}
	c, err := parse(arguments, talk)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return usageError{err}
	}
	if err := checkDisk(c.dir); err != nil {
		return err
	}
	outcomes := c.run(ctx)
	if err := c.print(out, outcomes); err != nil {
		return fmt.Errorf("printing the results: %w", err)
	}
	return failures(outcomes)
}

// parse reads the command line.
func parse(arguments []string, talk io.Writer) (comparison, error) {
	c := comparison{talk: talk}
	var engines, workloads string
	var warmUp, measure time.Duration
	var limit int64
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(talk)
	flags.StringVar(&engines, "engines", strings.Join(peerNames(), ","), "engines to run, separated by commas")
	flags.StringVar(&workloads, "workloads", "", "workloads to run, separated by commas (default all)")
	flags.DurationVar(&measure, "duration", 8*time.Second, "measured part of each run")
	flags.DurationVar(&warmUp, "warm-up", 3*time.Second, "load before the measured part")
	flags.IntVar(&c.rounds, "rounds", 1, "runs of each pair; the table shows the one in the middle")
	flags.StringVar(&c.dir, "dir", os.TempDir(), "directory on a real disk for the nodes' data")
	flags.Int64Var(&limit, "memory", 6144, "memory in MiB at which a run is ended")
	flags.StringVar(&c.binary, "synod-binary", "", "also run synod, from this program")
	flags.StringVar(&c.template, "synod-args", defaultArguments, "arguments for it")
	flags.BoolVar(&c.json, "json", false, "print JSON instead of a table")
	if err := flags.Parse(arguments); err != nil {
		return c, err
	}
	c.bound = memory{soft: limit << 20 * 3 / 4, hard: limit << 20}
	var err error
	if c.engines, err = pick("engine", engines, peerNames(), func(s string) string { return s }); err != nil {
		return c, err
	}
	name := func(w load.Workload) string { return w.Name }
	if c.workloads, err = pick("workload", workloads, load.Standard(warmUp, measure), name); err != nil {
		return c, err
	}
	return c, c.validate(flags.Args())
}

func (c comparison) validate(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case c.rounds < 1 || c.rounds > 99:
		return fmt.Errorf("--rounds is %d, want 1 to 99", c.rounds)
	case c.bound.hard < 256<<20:
		return fmt.Errorf("--memory is %d, want at least 256", c.bound.hard>>20)
	}
	for _, w := range c.workloads {
		if err := w.Validate(); err != nil {
			return err
		}
	}
	if c.binary != "" {
		_, err := expand(c.template, c.workloads[0], c.dir)
		return err
	}
	return nil
}

// pick selects by name, in the order of all; an empty list means all.
func pick[T any](what, list string, all []T, name func(T) string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	wanted := strings.Split(list, ",")
	var names []string
	var picked []T
	for _, candidate := range all {
		names = append(names, name(candidate))
		if slices.Contains(wanted, name(candidate)) {
			picked = append(picked, candidate)
		}
	}
	for _, w := range wanted {
		if !slices.Contains(names, w) {
			return nil, fmt.Errorf("no %s %q; there are %s", what, w, strings.Join(names, ", "))
		}
	}
	return picked, nil
}
