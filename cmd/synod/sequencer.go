package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sequencer/instance"
)

func newSequencer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sequencer",
		Short: "Run one sequencer",
		Long: "Runs one sequencer until TERM or INT, which drain it; a second one ends it at once. HUP reads the log level,\n" +
			"certificate and tokens again.",
		Example: "  synod sequencer --config ./net/sequencer1/node.toml",
		Args:    noArgs,
	}
	cmd.AddCommand(newSequencerJoin(), newSequencerRotate())
	file := cmd.Flags().String("config", "", "configuration `file` of the node (required)")
	readyFile := cmd.Flags().String("ready-file", "", "`file` to write once the node can order, with where it listens (default none)")
	rejoin := cmd.Flags().Bool("rejoin", false, "the store is a copy or from a backup: propose only when nothing signed since can be contradicted (default false)")
	set := setFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return exit.Errorf(exit.Usage, "no configuration is named; write --config FILE, made by synod network init")
		}
		lazyTimers(cmd.ErrOrStderr())
		return runSequencer(cmd.Context(), *file, *set, *readyFile, *rejoin)
	}
	return cmd
}

// runSequencer runs the sequencer of a configuration file.
func runSequencer(ctx context.Context, file string, set []string, readyFile string, rejoin bool) error {
	c, _, err := loadSequencer(file, set)
	if err != nil {
		return err
	}
	reload := func() (slog.Level, error) {
		c, _, err := loadSequencer(file, set)
		if err != nil {
			return 0, err
		}
		return slog.Level(c.Log.Level), nil
	}
	options := instance.Options{LogTo: os.Stderr, Rejoin: rejoin}
	return unavailable(instance.Run(ctx, c, options, readyFile, reload))
}
