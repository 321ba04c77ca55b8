package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/network"
)

func newNetwork() *cobra.Command {
	return group("network", "Found a network, and change who orders in it and who may join", newNetworkInit(), newAddSequencer(), newRemoveSequencer(), newPermit(), newNetworkOnboarding())
}

func newNetworkInit() *cobra.Command {
	plan := network.DefaultPlan("./net")
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write keys, genesis and a documented configuration for each node of a new network",
		Long: "Writes a directory with genesis.toml, the owners' keys, and for each sequencer a folder with its keys and node.toml. Nothing is\n" +
			"overwritten. Owners' keys are needed only to change the network: keep them elsewhere. Sequencer i listens at base port + 10·i + 1 for clients, 2 for peers, 3 for health and metrics, 4 for profiles, 5 for operators.",
		Example: "  synod network init --sequencers 4 --dir ./net",
		Args:    noArgs,
	}
	cmd.Flags().StringVar(&plan.Dir, "dir", plan.Dir, "directory to write")
	cmd.Flags().IntVar(&plan.Sequencers, "sequencers", plan.Sequencers, "number of sequencers; 3f+1 bear f faulty ones")
	cmd.Flags().StringVar(&plan.Name, "name", plan.Name, "name of the network")
	cmd.Flags().IntVar(&plan.Owners, "owners", plan.Owners, "number of owners, who change the network together")
	cmd.Flags().IntVar(&plan.OwnerThreshold, "owner-threshold", plan.OwnerThreshold, "how many owners must agree to a change")
	cmd.Flags().StringVar(&plan.Host, "host", plan.Host, "address at which the sequencers reach each other")
	cmd.Flags().IntVar(&plan.BasePort, "base-port", plan.BasePort, "port that the nodes' ports are counted from")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		created, err := network.Create(plan)
		if err != nil {
			return err
		}
		if len(created.Nodes) < 4 {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: a network of %d bears no faulty sequencer: if one stops or lies, so does the network; 4 bear one, 7 bear two\n", len(created.Nodes))
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "network %s with %d sequencers, id %s; start each with\n", created.Genesis.Name, len(created.Nodes), created.Genesis.ID)
		for _, node := range created.Nodes {
			fmt.Fprintf(cmd.OutOrStdout(), "synod sequencer --config %s\n", node.ConfigFile)
		}
		return nil
	}
	return cmd
}
