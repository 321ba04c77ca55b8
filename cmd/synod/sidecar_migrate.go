package main

import (
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func newSidecarMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate OLD NEW",
		Short: "Convert an SQLite database of a sidecar 1.x for 2.x, into a new file",
		Long: "Reads the database of a sidecar 1.x and writes one for the configuration of 2.x: deploys become transactions of the variant Deploy,\n" +
			"blocks and signatures the older of their variants. Numbers of events and positions at nodes are taken over. The old file stays\n" +
			"as it is; no sidecar may use it meanwhile.",
		Example: "  synod sidecar migrate --network-name casper old/sqlite_database.db3 new/sqlite_database.db3",
		Args:    exactArgs("OLD", "NEW"),
	}
	network := cmd.Flags().String("network-name", "", "chainspec `name` to note with each event, such as casper (required)")
	api := cmd.Flags().String("api-version", "1.5.2", "API `version` to note with each event")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *network == "" {
			return exit.Errorf(exit.Usage, "no network is named; write --network-name NAME, as in the node's status under chainspec_name")
		}
		if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(*api) {
			return exit.Errorf(exit.Usage, "--api-version: %q is not of the form 1.5.2", *api)
		}
		talk, last := cmd.ErrOrStderr(), int64(0)
		m := sqlite.Migration{From: args[0], To: args[1], APIVersion: *api, Network: *network, Progress: func(done, total int64) {
			if done-last >= 100_000 || done == total {
				last = done
				fmt.Fprintf(talk, "%d of %d events\n", done, total)
			}
		}}
		return unavailable(m.Run(cmd.Context()))
	}
	return cmd
}
