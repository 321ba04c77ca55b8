package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sidecar/config"
)

func newSidecarCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Print what a sidecar's configuration amounts to, and what of it has no effect",
		Long: "Reads a configuration of a Casper sidecar, 1.x or 2.x, under this environment, and prints each effective value with where it\n" +
			"came from, then what in the file has no effect and why. Exits with 78 if the sidecar would not start.",
		Example: "  synod sidecar check /etc/casper-event-sidecar/config.toml",
		Args:    exactArgs("FILE"),
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		loaded, err := config.Load(args[0], os.Environ())
		if err != nil {
			return exit.With(exit.BadConfig, err)
		}
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(struct {
				Layout  string         `json:"layout"`
				Values  []config.Value `json:"values"`
				Ignored []config.Note  `json:"ignored"`
			}{loaded.Layout.String(), loaded.Values, append([]config.Note{}, loaded.Notes...)})
		}
		return printSidecarConfig(cmd.OutOrStdout(), loaded)
	}
	return cmd
}

func printSidecarConfig(out io.Writer, loaded *config.Loaded) error {
	fmt.Fprintf(out, "layout of sidecars %s\n", loaded.Layout)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tORIGIN\tVALUE")
	for _, v := range loaded.Values {
		fmt.Fprintf(table, "%s\t%s\t%s\n", v.Key, v.Origin, v.Value)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, n := range loaded.Notes {
		fmt.Fprintf(out, "ignored: %s: %s\n", n.Key, n.Reason)
	}
	return nil
}
