package main

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

func newBft() *cobra.Command {
	return group("bft", "See and change how a sequencer orders with others",
		group("peer", "Change where other sequencers are dialed", peerAdd(), peerRemove(), peerList()),
		peerStatus(), readiness(), orderingTopology(),
		group("pruning", "Drop what is not needed", pruningStatus(), pruningRun(),
			group("schedule", "Prune by a schedule", scheduleShow(), scheduleSet(), scheduleClear())))
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
			return table(out, "PEER\tHEALTH\tSINCE\tROUND TRIP\tIN\tOUT\tWHY", func(row func(string, ...any)) {
				for _, p := range r.GetPeers() {
					health := strings.ToLower(strings.TrimPrefix(p.GetHealth().String(), "HEALTH_"))
					row("%s\t%s\t%s\t%s\t%d\t%d\t%s", p.GetEndpoint().GetName(), health, clock(p.GetSince()),
						time.Duration(p.GetRoundTripUs())*time.Microsecond, p.GetBytesIn(), p.GetBytesOut(), dash(p.GetDescription()))
				}
			})
		})
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
	return adminCall(&cobra.Command{Use: "topology", Short: "Show who orders, who leads and who is demoted", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetOrderingTopologyResponse, error) {
			return adminv1.NewBftServiceClient(conn).GetOrderingTopology(ctx, &adminv1.GetOrderingTopologyRequest{})
		},
		func(out io.Writer, r *adminv1.GetOrderingTopologyResponse) error {
			if err := table(out, "EPOCH\tROUND\tQUORUM\tFAULTS BORNE", func(row func(string, ...any)) {
				row("%d\t%d\t%d\t%d", r.GetEpoch(), r.GetRound(), r.GetQuorum(), r.GetMaxFaults())
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

func pruningStatus() *cobra.Command {
	return adminCall(&cobra.Command{Use: "status", Short: "Show what is kept", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetPruningStatusResponse, error) {
			return adminv1.NewPruningServiceClient(conn).GetPruningStatus(ctx, &adminv1.GetPruningStatusRequest{})
		},
		func(out io.Writer, r *adminv1.GetPruningStatusResponse) error {
			return table(out, "", func(row func(string, ...any)) {
				row("blocks kept\t%d to %d", r.GetLowestHeight(), r.GetHeight())
				row("last block\t%s", clock(r.GetLastBlockAt()))
				row("store\t%d bytes", r.GetStoreBytes())
				row("acknowledged by all\t%s", clock(r.GetMembersNeedFrom()))
				row("readable up to\t%s", clock(r.GetOrderTime()))
			})
		})
}

func pruningRun() *cobra.Command {
	cmd := &cobra.Command{Use: "run", Short: "Prune now", Args: noArgs}
	retention := cmd.Flags().Duration("retention", 24*time.Hour, "age from which members' events may go, once acknowledged")
	keep := cmd.Flags().Uint64("min-blocks", 0, "ordered blocks to keep, at least 1000; 0 leaves blocks alone")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.PruneResponse, error) {
		return adminv1.NewPruningServiceClient(conn).Prune(ctx, &adminv1.PruneRequest{Retention: durationpb.New(*retention), MinBlocksToKeep: *keep})
	}, func(out io.Writer, r *adminv1.PruneResponse) error {
		return table(out, "", func(row func(string, ...any)) {
			row("events dropped up to\t%s: %s", clock(r.GetPrunedUpTo()), r.GetMessage())
			row("blocks kept from\t%d", r.GetLowestHeight())
		})
	})
}

func scheduleShow() *cobra.Command {
	return adminCall(&cobra.Command{Use: "show", Short: "Show the schedule", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetPruningScheduleResponse, error) {
			return adminv1.NewPruningServiceClient(conn).GetPruningSchedule(ctx, &adminv1.GetPruningScheduleRequest{})
		},
		func(out io.Writer, r *adminv1.GetPruningScheduleResponse) error {
			return table(out, "", func(row func(string, ...any)) {
				if s := r.GetSchedule(); s != nil {
					row("every\t%s", s.GetEvery().AsDuration())
					row("retention\t%s", s.GetRetention().AsDuration())
					row("blocks to keep\t%d", s.GetMinBlocksToKeep())
				} else {
					row("no schedule\t")
				}
				row("last run\t%s %s", clock(r.GetLastAt()), r.GetLastResult())
			})
		})
}

func scheduleSet() *cobra.Command {
	cmd := &cobra.Command{Use: "set", Short: "Prune by a schedule from now on", Args: noArgs}
	every := cmd.Flags().Duration("every", time.Hour, "time between two runs, at least 1s")
	retention := cmd.Flags().Duration("retention", 24*time.Hour, "age from which members' events may go, once acknowledged")
	keep := cmd.Flags().Uint64("min-blocks", 0, "ordered blocks to keep, at least 1000; 0 leaves blocks alone")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.SetPruningScheduleResponse, error) {
		return adminv1.NewPruningServiceClient(conn).SetPruningSchedule(ctx, &adminv1.SetPruningScheduleRequest{Schedule: &adminv1.PruningSchedule{
			Every: durationpb.New(*every), Retention: durationpb.New(*retention), MinBlocksToKeep: *keep,
		}})
	}, func(io.Writer, *adminv1.SetPruningScheduleResponse) error { return nil })
}

func scheduleClear() *cobra.Command {
	return adminCall(&cobra.Command{Use: "clear", Short: "End pruning by a schedule", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.ClearPruningScheduleResponse, error) {
			return adminv1.NewPruningServiceClient(conn).ClearPruningSchedule(ctx, &adminv1.ClearPruningScheduleRequest{})
		}, func(io.Writer, *adminv1.ClearPruningScheduleResponse) error { return nil })
}
