package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/sandbox"
)

func newSandbox() *cobra.Command {
	plan := network.DefaultPlan("./net")
	plan.Onboarding.Namespaces = 1 << 20 // each run of load leaves its members behind
	plan.Storage = sandbox.Storage
	level := config.Level(slog.LevelWarn)
	var readyFile string
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a whole network in this process",
		Long: "Founds a network in a directory, unless it holds one, and runs all its sequencers in this process until INT or TERM.\n" +
			"The directory is as \"synod network init\" writes it: with ports that were given, its nodes can be run as processes of\n" +
			"their own later. The ports hold for a network that is founded now; one that exists keeps those in its files.",
		Example: "  synod sandbox --dir ./net --sequencers 4 --ready-file ./net/ready.json",
		Args:    noArgs,
	}
	cmd.Flags().StringVar(&plan.Dir, "dir", plan.Dir, "directory of the network")
	cmd.Flags().IntVar(&plan.Sequencers, "sequencers", plan.Sequencers, "number of sequencers; 3f+1 bear f faulty ones")
	cmd.Flags().StringVar(&plan.Name, "name", plan.Name, "name of a network that is founded now")
	cmd.Flags().IntVar(&plan.BasePort, "base-port", plan.BasePort, "port that the nodes' ports are counted from; 0 takes any free ones")
	cmd.Flags().StringVar(&readyFile, "ready-file", "", "`file` to write once the network orders, with where everything listens (default none)")
	cmd.Flags().TextVar(&level, "log-level", level, "least that is logged: debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signals, stop := node.Signals()
		defer stop()
		line := newLiveLine(cmd.ErrOrStderr())
		defer line.end()
		s, err := sandbox.New(cmd.Context(), sandbox.Options{
			Plan: plan, LogTo: line, LogLevel: (*slog.Level)(&level), ReadyFile: readyFile, Adjust: line.readable,
		})
		if err != nil {
			return unavailable(err)
		}
		if err := printListeners(cmd.OutOrStdout(), s.Ready()); err != nil {
			return err
		}
		return s.Run(cmd.Context(), signals, s.Watch(time.Second, showing(line)))
	}
	return cmd
}

// printListeners prints where everything listens, a line for each node.
func printListeners(out io.Writer, ready node.Ready) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NODE\tCLIENTS (gRPC)\tPEERS (TLS)\tHEALTH, METRICS (HTTP)\tPROFILES (HTTP)\tOPERATORS (gRPC)")
	for _, n := range ready.Nodes {
		l := n.Listeners
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, l["public"], l["peer"], l["admin"], l["pprof"], l["admin-grpc"])
	}
	return table.Flush()
}

// readable has a node log in text if the log shares a terminal with the line.
func (l *liveLine) readable(c *config.Sequencer) {
	if l.terminal && c.Log.Format == "auto" {
		c.Log.Format = "text"
	}
}

// showing shows progress on a line; a change of who is ready or connected is
// shown even where lines are rare.
func showing(line *liveLine) func(sandbox.Progress) {
	var before sandbox.Progress
	return func(p sandbox.Progress) {
		text := fmt.Sprintf("epoch %d  height %d  %.0f requests/s  %d of %d links  %d of %d ready",
			p.Epoch, p.Height, p.RequestsPerSecond, p.Connected, p.Links, p.Ready, p.Sequencers)
		if p.Reason != "" {
			text += "  (" + p.Reason + ")"
		}
		line.show(text, p.Ready != before.Ready || p.Connected != before.Connected)
		before = p
	}
}

// unavailable gives what kept nodes from starting the exit code for trying
// again, unless it has one: a store that is in use becomes free.
func unavailable(err error) error {
	if exit.Code(err) == exit.Failed && errors.Is(err, store.ErrLocked) {
		return exit.With(exit.Unavailable, err)
	}
	return err
}
