package main

import (
	"context"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/postgres"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func newSidecarMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate OLD NEW",
		Short: "Convert the database of a sidecar 1.x for 2.x, into a new one",
		Long: "Reads the database of a sidecar 1.x and writes one for the configuration of 2.x: deploys become transactions of the variant Deploy,\n" +
			"blocks and signatures the older of their variants. Numbers of events and positions at nodes are taken over. The old database stays\n" +
			"as it is; no sidecar may use it meanwhile. The new one is complete or not there: after an interruption, run it again.\n\n" +
			"OLD and NEW are SQLite files, or URLs of PostgreSQL databases (the new one made with createdb, and empty). A password is better\n" +
			"kept out of the command: set PGPASSWORD, or use a password file.",
		Example: "  synod sidecar migrate --network-name casper old/sqlite_database.db3 new/sqlite_database.db3\n" +
			"  synod sidecar migrate --network-name casper postgres://user@host/old postgres://user@host/new",
		Args: exactArgs("OLD", "NEW"),
	}
	network := cmd.Flags().String("network-name", "", "chainspec `name` to note with each event, such as casper (required)")
	api := cmd.Flags().String("api-version", "1.5.2", "API `version` to note with each event")
	dryRun := cmd.Flags().Bool("dry-run", false, "read and convert everything, but write nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *network == "" {
			return exit.Errorf(exit.Usage, "no network is named; write --network-name NAME, as in the node's status under chainspec_name")
		}
		if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(*api) {
			return exit.Errorf(exit.Usage, "--api-version: %q is not of the form 1.5.2", *api)
		}
		progress := printed(cmd)
		run, err := migration(args[0], args[1], log.Origins{APIVersion: *api, Network: *network}, *dryRun, progress)
		if err != nil {
			return err
		}
		if err := run(cmd.Context()); err != nil {
			return unavailable(err)
		}
		if *dryRun {
			fmt.Fprintln(cmd.OutOrStdout(), "everything can be converted; nothing was written")
		}
		return nil
	}
	return cmd
}

// printed returns what tells people how far it has come.
func printed(cmd *cobra.Command) func(done, total int64) {
	last := int64(0)
	return func(done, total int64) {
		if done-last >= 100_000 || done == total {
			last = done
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d\n", done, total)
		}
	}
}

func migration(from, to string, origins log.Origins, dryRun bool, progress func(done, total int64)) (func(context.Context) error, error) {
	server := regexp.MustCompile(`^postgres(ql)?://`)
	switch {
	case server.MatchString(from) != server.MatchString(to):
		return nil, exit.Errorf(exit.Usage, "one of OLD and NEW is an SQLite file and the other on PostgreSQL; both must be of one sort")
	case server.MatchString(from):
		return postgres.Migration{From: from, To: to, Origins: origins, DryRun: dryRun, Progress: progress}.Run, nil
	default:
		return sqlite.Migration{From: from, To: to, Origins: origins, DryRun: dryRun, Progress: progress}.Run, nil
	}
}
