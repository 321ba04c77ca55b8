package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/synod-network/synod/node/exit"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "synod",
		Short: "A permissioned ledger network in one binary",
		Long: "synod founds and runs a permissioned ledger network: Byzantine-fault-tolerant sequencers that give all members one total\n" +
			"order of the requests they submit.\n\n" +
			"Exit codes: 0 ok, 1 failed, 2 usage, 4 checked and not healthy, 75 a dependency is unavailable, 78 bad configuration.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exit.Errorf(exit.Usage, "%w; see %s --help", flagTrouble(err), cmd.CommandPath())
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		newSandbox(),
		newSequencer(),
		newSidecar(),
		newLoad(),
		newSim(),
		newNetwork(),
		newTrust(),
		newStatus(),
		newHealth(),
		newLogLevel(),
		newBft(),
		newMembers(),
		newTop(),
		newCert(),
		newConfig(),
		newCompletion(),
		newDaml(),
		newBench(),
		newVersion(),
	)
	return root
}

// flagTrouble words a value that does not suit its flag, for which the flag's library has words of its own language only.
func flagTrouble(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	why := bad.Unwrap().Error()
	switch kind := bad.GetFlag().Value.Type(); {
	case kind == "duration":
		why = "no duration; write it like 500ms, 30s or 2h"
	case strings.HasPrefix(kind, "uint"):
		why = "no whole number of 0 or more, or too large a one"
	case strings.HasPrefix(kind, "int"):
		why = "no whole number, or too large a one"
	case strings.HasPrefix(kind, "float"):
		why = "no number"
	case kind == "bool":
		why = "neither true nor false"
	default:
		return fmt.Errorf("--%s: %s", bad.GetFlag().Name, why)
	}
	return fmt.Errorf("--%s: %q is %s", bad.GetFlag().Name, bad.GetValue(), why)
}

// noArgs refuses arguments, and suggests the subcommand that was perhaps meant.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return exit.Errorf(exit.Usage, "%s takes no argument, but got %q; see %[1]s --help", cmd.CommandPath(), args[0])
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := "see " + cmd.CommandPath() + " --help"
	if closest := cmd.SuggestionsFor(args[0]); len(closest) > 0 {
		hint = "did you mean " + closest[0] + "?"
	}
	return exit.Errorf(exit.Usage, "unknown command %q of %s; %s", args[0], cmd.CommandPath(), hint)
}

// exactArgs wants one argument for each name.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return exit.Errorf(exit.Usage, "%s wants exactly %s; see %[1]s --help", cmd.CommandPath(), strings.Join(names, " "))
		}
		return nil
	}
}

// atMostOne wants an argument, or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return exit.Errorf(exit.Usage, "%s wants one %s or none; see %[1]s --help", cmd.CommandPath(), name)
		}
		return nil
	}
}

// group is a command that only holds others.
func group(use, short string, children ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(children...)
	return cmd
}
