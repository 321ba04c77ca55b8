package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

func newBft() *cobra.Command {
	return group("bft", "See and change how a sequencer orders with others",
		group("peer", "Change where other sequencers are dialed", peerAdd(), peerRemove(), peerList()),
		peerStatus(), readiness(), onboardingState(), orderingTopology(),
		group("pruning", "Drop what is not needed", pruningStatus(), pruningRun(),
			group("schedule", "Prune by a schedule", scheduleGet(), scheduleSet(), scheduleClear())))
}

func peerAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "add PEER ADDRESS", Short: "Dial a peer at host:port, and admit it", Args: exactArgs("PEER", "ADDRESS"),
		Long: "PEER is a name, a key or the present address. What is said here is stored, and goes before the configuration file from then on.",
	}
	name := cmd.Flags().String("name", "", "`name` of a peer that is new (default none)")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, args []string) (*adminv1.AddPeerEndpointResponse, error) {
		return adminv1.NewBftServiceClient(conn).AddPeerEndpoint(ctx, &adminv1.AddPeerEndpointRequest{Peer: args[0], Address: args[1], Name: *name})
	}, func(out io.Writer, r *adminv1.AddPeerEndpointResponse) error {
		return showEndpoints(out, r.GetEndpoint())
	})
}

func peerRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use: "remove PEER", Short: "Close the links to a peer and neither dial nor admit it", Args: exactArgs("PEER"),
		Long: "A removed peer stays a member of the committee: ordering goes on as if it were cut off. Add it again to undo this.",
	}
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, args []string) (*adminv1.RemovePeerEndpointResponse, error) {
		return adminv1.NewBftServiceClient(conn).RemovePeerEndpoint(ctx, &adminv1.RemovePeerEndpointRequest{Peer: args[0]})
	}, func(out io.Writer, r *adminv1.RemovePeerEndpointResponse) error {
		return showEndpoints(out, r.GetEndpoint())
	})
}

func peerList() *cobra.Command {
	return adminCall(&cobra.Command{Use: "list", Short: "List peers and where they are dialed", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.ListPeerEndpointsResponse, error) {
			return adminv1.NewBftServiceClient(conn).ListPeerEndpoints(ctx, &adminv1.ListPeerEndpointsRequest{})
		},
		func(out io.Writer, r *adminv1.ListPeerEndpointsResponse) error {
			return showEndpoints(out, r.GetEndpoints()...)
		})
}

func showEndpoints(out io.Writer, list ...*adminv1.PeerEndpoint) error {
	return table(out, "PEER\tKEY\tADDRESS\tFROM\tREMOVED\tLISTED", func(row func(string, ...any)) {
		for _, p := range list {
			row("%s\t%.16s\t%s\t%s\t%s\t%s", p.GetName(), p.GetKey(), dash(p.GetAddress()), p.GetOrigin(), yesNo(p.GetRemoved()), yesNo(p.GetListed()))
		}
	})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func peerStatus() *cobra.Command {
	return adminCall(&cobra.Command{Use: "peer-status [PEER…]", Short: "Show the links to peers"},
		func(ctx context.Context, conn *grpc.ClientConn, args []string) (*adminv1.GetPeerNetworkStatusResponse, error) {
			return adminv1.NewBftServiceClient(conn).GetPeerNetworkStatus(ctx, &adminv1.GetPeerNetworkStatusRequest{Peers: args})
		},
		func(out io.Writer, r *adminv1.GetPeerNetworkStatusResponse) error {
			return table(out, "PEER\tHEALTH\tDIALED BY\tSINCE\tROUND TRIP\tIN\tOUT\tWHY", func(row func(string, ...any)) {
				for _, p := range r.GetPeers() {
					health := strings.ToLower(strings.TrimPrefix(p.GetHealth().String(), "HEALTH_"))
					row("%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s", p.GetEndpoint().GetName(), health, dialedBy(p), clock(p.GetSince()),
						time.Duration(p.GetRoundTripUs())*time.Microsecond, p.GetBytesIn(), p.GetBytesOut(), dash(p.GetDescription()))
				}
			})
		})
}

// dialedBy is which end made the connection.
func dialedBy(p *adminv1.PeerConnectionStatus) string {
	switch {
	case p.GetHealth() != adminv1.PeerConnectionStatus_HEALTH_AUTHENTICATED:
		return "-"
	case p.GetOutgoing():
		return "this"
	}
	return "peer"
}

func readiness() *cobra.Command {
	return adminCall(&cobra.Command{Use: "readiness", Short: "Say whether what is submitted now would be ordered", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetWriteReadinessResponse, error) {
			return adminv1.NewBftServiceClient(conn).GetWriteReadiness(ctx, &adminv1.GetWriteReadinessRequest{})
		},
		func(out io.Writer, r *adminv1.GetWriteReadinessResponse) error {
			return table(out, "READY\tMEMBERS CONNECTED\tNEEDED\tWHY", func(row func(string, ...any)) {
				row("%s\t%d\t%d\t%s", yesNo(r.GetReady()), r.GetConnectedMembers(), r.GetRequiredQuorum(), dash(r.GetReason()))
			})
		})
}

func orderingTopology() *cobra.Command {
	return adminCall(&cobra.Command{
		Use: "topology", Short: "Show who orders, who leads and who is demoted, and the hand-over since which it is so", Args: noArgs,
		Long: "The digest of the hand-over is what the operator of a newcomer needs for synod sequencer join --handover, and that of a sequencer which\n" +
			"was away for long for trust.handover. Tell it to them on a way that both of you trust.",
	},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetOrderingTopologyResponse, error) {
			return adminv1.NewBftServiceClient(conn).GetOrderingTopology(ctx, &adminv1.GetOrderingTopologyRequest{})
		},
		func(out io.Writer, r *adminv1.GetOrderingTopologyResponse) error {
			if err := table(out, "EPOCH\tROUND\tQUORUM\tFAULTS BORNE", func(row func(string, ...any)) {
				row("%d\t%d\t%d\t%d", r.GetEpoch(), r.GetRound(), r.GetQuorum(), r.GetMaxFaults())
			}); err != nil {
				return err
			}
			if err := table(out, "BEGAN AFTER BLOCK\tWITH THE HAND-OVER", func(row func(string, ...any)) {
				row("%d\t%s", r.GetAfterHeight(), r.GetHandover())
			}); err != nil {
				return err
			}
			return table(out, "MEMBER\tKEY\tLEADS\tDEMOTED", func(row func(string, ...any)) {
				for _, m := range r.GetMembers() {
					row("%s\t%.16s\t%s\t%s", m.GetName(), m.GetKey(), yesNo(m.GetLeader()), yesNo(m.GetDemoted()))
				}
			})
		})
}
