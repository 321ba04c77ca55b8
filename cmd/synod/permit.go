package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sequencer/owner"
	"github.com/synod-network/synod/topology"
)

// limits are the flags of what a namespace may add to the topology.
type limits struct {
	mappings, changes uint32
	interval          time.Duration
}

// flags adds the flags with their defaults, or says in words what holds without them.
func (l *limits) flags(cmd *cobra.Command, standard topology.Limits, without string) {
	f := cmd.Flags()
	f.Uint32Var(&l.mappings, "mappings", standard.Mappings, "how many delegations, keys of members and certificates it may ever have"+without)
	f.Uint32Var(&l.changes, "changes", standard.Changes, "how many of them it may add or replace at once"+without)
	f.DurationVar(&l.interval, "change-interval", time.Duration(standard.ChangeInterval)*time.Microsecond,
		"time after which it may change another; 0s for as many as it likes"+without)
}

func (l *limits) limits() topology.Limits {
	return topology.Limits{Mappings: l.mappings, Changes: l.changes, ChangeInterval: topology.Time(l.interval / time.Microsecond)}
}

func newPermit() *cobra.Command {
	var o owners
	var l limits
	cmd := &cobra.Command{
		Use:   "permit NAMESPACE",
		Short: "Let a namespace add to the topology, as owner of the network",
		Long: "Signs that a namespace, named by its fingerprint or by a member of it, may add members, keys and delegates whatever the mode of\n" +
			"onboarding and however many others there are, and has that ordered. The namespace need not exist yet. With --revoke the permission\n" +
			"ends: what the namespace has stays. Where more than one owner must agree, each runs the same command with the same --proposal file.",
		Example: "  synod network permit PAR::alice::1220… --owner-keys ./net/owners/owner1 --ready-file ./net/ready.json",
		Args:    exactArgs("NAMESPACE"),
	}
	o.flags(cmd)
	l.flags(cmd, topology.DefaultLimits(), "")
	revoke := cmd.Flags().Bool("revoke", false, "end the permission")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		namespace, err := keys.ParseFingerprint(args[0][strings.LastIndex(args[0], ":")+1:])
		if err != nil {
			return exit.Errorf(exit.Usage, "%q names no namespace: %w", args[0], err)
		}
		n := topology.Namespace(namespace)
		did := "permits " + n.String()
		if *revoke {
			did = "permits " + n.String() + " no longer"
		}
		return o.change(cmd, nil, func(network *owner.Network) (topology.Transaction, error) {
			if *revoke {
				return network.Revoking(n)
			}
			return network.Permitting(n, l.limits()), nil
		}, did)
	}
	return cmd
}

func newNetworkOnboarding() *cobra.Command {
	var o owners
	var l limits
	cmd := &cobra.Command{
		Use:   "onboarding",
		Short: "Say who may add to the topology, as owner of the network",
		Long: "Signs parameters with other rules about those whom the owners did not permit, and has them ordered; flags that are not named stay as\n" +
			"they are. Unrestricted lets anybody in, up to --namespaces; restricted lets nobody add anything who has no permission. What is\n" +
			"there stays. Where more than one owner must agree, each runs the same command with the same --proposal file.",
		Example: "  synod network onboarding --mode restricted --owner-keys ./net/owners/owner1 --ready-file ./net/ready.json",
		Args:    noArgs,
	}
	const asItIs = " (default as it is)"
	o.flags(cmd)
	l.flags(cmd, topology.Limits{}, asItIs)
	mode := cmd.Flags().String("mode", "", "unrestricted or restricted"+asItIs)
	namespaces := cmd.Flags().Uint32("namespaces", 0, "how many namespaces there may ever be without permission"+asItIs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		modes := map[string]topology.Mode{"": 0, topology.Unrestricted.String(): topology.Unrestricted, topology.Restricted.String(): topology.Restricted}
		wanted, ok := modes[*mode]
		if !ok {
			return exit.Errorf(exit.Usage, "--mode %q is neither unrestricted nor restricted", *mode)
		}
		named, given := cmd.Flags().Changed, l.limits()
		return o.change(cmd, nil, func(network *owner.Network) (topology.Transaction, error) {
			return network.Onboarding(func(r *topology.Onboarding) {
				if wanted != 0 {
					r.Mode = wanted
				}
				if named("namespaces") {
					r.Namespaces = *namespaces
				}
				if named("mappings") {
					r.Limits.Mappings = given.Mappings
				}
				if named("changes") {
					r.Limits.Changes = given.Changes
				}
				if named("change-interval") {
					r.Limits.ChangeInterval = given.ChangeInterval
				}
			})
		}, "has other rules of onboarding")
	}
	return cmd
}
