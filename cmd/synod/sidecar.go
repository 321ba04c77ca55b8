package main

import "github.com/spf13/cobra"

func newSidecar() *cobra.Command {
	return group("sidecar", "Read the events of Casper nodes, store them and serve them to any number of subscribers", newSidecarCheck(), newSidecarMockNode())
}
