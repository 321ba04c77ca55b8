package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/network"
)

func newSequencerRotate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Exchange a sequencer's keys in place",
		Long: "Makes new keys beside those in use. Nothing else is to be done for the protocol key, with which the sequencer signs events and\n" +
			"tokens: the running sequencer announces it, signs with it once that is in force, and withdraws the old one. For the node key, by\n" +
			"which it orders and proves itself to the others, the owners have the last word: they run synod network add-sequencer with the\n" +
			"identity file that is written here, and the sequencer goes over to the new key with the epoch that begins after that. It may\n" +
			"be stopped at any point in between. A sandbox, which runs several sequencers in one process, announces new keys and uses them\n" +
			"from its next start on.",
		Example: "  synod sequencer rotate --config ./net/sequencer1/node.toml --node-key --protocol-key",
		Args:    noArgs,
	}
	file := cmd.Flags().String("config", "", "configuration `file` of the node (required)")
	node := cmd.Flags().Bool("node-key", false, "exchange the key by which it orders (default false)")
	protocol := cmd.Flags().Bool("protocol-key", false, "exchange the key with which it signs events and tokens (default false)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *file == "" {
			return exit.Errorf(exit.Usage, "no configuration is named; write --config FILE")
		}
		if !*node && !*protocol {
			return exit.Errorf(exit.Usage, "no key is named; write --node-key, --protocol-key or both")
		}
		c, _, err := loadSequencer(*file, nil)
		if err != nil {
			return err
		}
		if *protocol {
			made, err := network.RotateProtocolKey(c)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "new protocol key %s: the running sequencer announces it, and signs with it once that is in force; a sandbox must be started again then\n", made.Short())
		}
		if *node {
			identity, key, err := network.RotateNodeKey(c)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "new node key %s: the sequencer goes over to it with the epoch that lists it; a sandbox must be started again then; the owners run\n", key)
			fmt.Fprintf(cmd.OutOrStdout(), "synod network add-sequencer --identity %s\n", identity)
		}
		return nil
	}
	return cmd
}
