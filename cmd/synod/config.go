package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
)

func newConfig() *cobra.Command {
	return group("config", "Check and explain a node's configuration", newConfigShow(), newConfigCheck())
}

func newConfigShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Print every effective value and where it came from",
		Args:  exactArgs("FILE"),
	}
	set := setFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, loaded, err := loadSequencer(args[0], *set)
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(loaded.Values())
		}
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "KEY\tORIGIN\tVALUE")
		for _, v := range loaded.Values() {
			fmt.Fprintf(table, "%s\t%s\t%s\n", v.Key, v.Origin, v.Value)
		}
		return table.Flush()
	}
	return cmd
}

func newConfigCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Find the first mistake in a configuration; the files that it names are not opened",
		Args:  exactArgs("FILE"),
	}
	set := setFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if _, _, err := loadSequencer(args[0], *set); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "%s: good\n", args[0])
		return nil
	}
	return cmd
}

// setFlag adds --set, by which any key can be overridden for one run.
func setFlag(cmd *cobra.Command) *[]string {
	return cmd.Flags().StringArray("set", nil, "override `key=value` for this run, as log.level=debug; repeatable")
}

// loadSequencer reads a sequencer's configuration under the environment and the --set flags.
func loadSequencer(file string, set []string) (*config.Sequencer, *config.Loaded, error) {
	sources := config.Sources{File: file, Environ: os.Environ()}
	for _, pair := range set {
		key, value, found := strings.Cut(pair, "=")
		if !found || key == "" {
			return nil, nil, exit.Errorf(exit.Usage, "--set %q is not key=value, as log.level=debug", pair)
		}
		sources.Overrides = append(sources.Overrides, config.Override{Key: key, Value: value, Origin: "flag --set"})
	}
	c, loaded, err := config.LoadSequencer(sources)
	return c, loaded, exit.With(exit.BadConfig, err)
}
