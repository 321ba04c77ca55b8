package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/internal/version"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sidecar"
	"github.com/synod-network/synod/sidecar/config"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/telemetry"
)

func newSidecar() *cobra.Command {
	cmd := group("sidecar", "Read the events of Casper nodes, store them and serve them to any number of subscribers",
		newSidecarCheck(), newSidecarMockNode(), newSidecarMigrate())
	cmd.Long = "Takes the place of Casper's event sidecar: the same configuration file, routes, answers, database and metrics. Runs until TERM or\n" +
		"INT, or until all nodes were given up, which is a failure."
	cmd.Example = "  synod sidecar --path-to-config /etc/casper-event-sidecar/config.toml"
	file := cmd.Flags().StringP("path-to-config", "p", "", "configuration `file` of a Casper sidecar, 1.x or 2.x (required)")
	readyFile := cmd.Flags().String("ready-file", "", "`file` to write once the sidecar serves, with where it listens (default none)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return exit.Errorf(exit.Usage, "no configuration is named; write --path-to-config FILE, or see %s --help", cmd.CommandPath())
		}
		return runSidecar(cmd, *file, *readyFile)
	}
	return cmd
}

func runSidecar(cmd *cobra.Command, file, readyFile string) error {
	loaded, err := config.Load(file, os.Environ())
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	logger := telemetry.NewLogger(cmd.ErrOrStderr(), telemetry.LogAuto, loaded.LogLevel, "")
	for _, note := range loaded.Notes {
		logger.Warn("a setting has no effect", "key", note.Key, "reason", note.Reason)
	}
	o, err := sidecar.Configured(&loaded.Config, logger)
	if err != nil {
		return exit.With(exit.BadConfig, fmt.Errorf("%s: %w", file, err))
	}
	signals, stop := node.Signals()
	defer stop()
	o.Version, o.ReadyFile, o.Signals = version.Read().Version, readyFile, signals
	err = sidecar.Run(cmd.Context(), o)
	if errors.Is(err, log.ErrOtherLayout) {
		return exit.With(exit.BadConfig, err)
	}
	return unavailable(err)
}
