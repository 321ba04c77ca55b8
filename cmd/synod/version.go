package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/internal/version"
)

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print which build this is", Args: noArgs}
	asJSON := cmd.Flags().Bool("json", false, "print JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		info := version.Read()
		if *asJSON {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(info)
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), info)
		return err
	}
	return cmd
}
