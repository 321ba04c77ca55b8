package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/node/exit"
)

func pruningStatus() *cobra.Command {
	return adminCall(&cobra.Command{Use: "status", Short: "Show what is kept", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetPruningStatusResponse, error) {
			return adminv1.NewPruningServiceClient(conn).GetPruningStatus(ctx, &adminv1.GetPruningStatusRequest{})
		},
		func(out io.Writer, r *adminv1.GetPruningStatusResponse) error {
			return table(out, "", func(row func(string, ...any)) {
				row("blocks kept\t%d to %d", r.GetLowestHeight(), r.GetHeight())
				row("epochs kept\t%d to %d", r.GetLowestEpoch(), r.GetEpoch())
				row("last block\t%s", clock(r.GetLastBlockAt()))
				row("store\t%d bytes", r.GetStoreBytes())
				row("events dropped up to\t%s", clock(r.GetEventsPrunedTo()))
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

func scheduleGet() *cobra.Command {
	return adminCall(&cobra.Command{Use: "get", Short: "Show the schedule", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetPruningScheduleResponse, error) {
			return adminv1.NewPruningServiceClient(conn).GetPruningSchedule(ctx, &adminv1.GetPruningScheduleRequest{})
		},
		func(out io.Writer, r *adminv1.GetPruningScheduleResponse) error {
			if err := showSchedule(out, r.GetSchedule(), r.GetNextAt()); err != nil {
				return err
			}
			return table(out, "", func(row func(string, ...any)) {
				last := r.GetLastResult()
				if r.GetRunning() {
					last = "runs now"
				}
				row("last run\t%s %s", clock(r.GetLastAt()), last)
			})
		})
}

func showSchedule(out io.Writer, s *adminv1.PruningSchedule, next int64) error {
	return table(out, "", func(row func(string, ...any)) {
		if s == nil {
			row("no schedule")
			return
		}
		row("cron (UTC)\t%s", s.GetCron())
		row("longest run\t%s", s.GetMaxDuration().AsDuration())
		row("retention\t%s", s.GetRetention().AsDuration())
		row("blocks to keep\t%s", blocksToKeep(s.GetMinBlocksToKeep()))
		row("next run\t%s", clock(next))
	})
}

func blocksToKeep(n uint64) string {
	if n == 0 {
		return "all that storage.retain_commits and storage.retain_bytes keep"
	}
	return strconv.FormatUint(n, 10)
}

func scheduleSet() *cobra.Command {
	cmd := &cobra.Command{
		Use: "set", Short: "Prune by a schedule from now on", Args: noArgs,
		Long: "Sets when the sequencer prunes by itself, or changes what is named of a schedule that it has. Times are UTC, by the clock of the\n" +
			"sequencer. A time that passes while a run goes on, or while the sequencer is down, is left out.",
		Example: "  synod bft pruning schedule set --cron '30 2 * * *' --max-duration 1h --retention 720h --net ./net\n" +
			"  synod bft pruning schedule set --retention 168h --net ./net",
	}
	flags := cmd.Flags()
	cron := flags.String("cron", "", "`times` at which runs begin: minute, hour, day of month, month, day of week (0 is Sunday), perhaps with seconds before them; or @hourly, @daily, @every 90m")
	longest := flags.Duration("max-duration", 0, "after which a run ends and leaves the rest to the next, 1s to 720h")
	retention := flags.Duration("retention", 0, "age from which members' events may go, once acknowledged")
	keep := flags.Uint64("min-blocks", 0, "ordered blocks to keep, at least 1000; 0 leaves blocks alone")
	return adminCall(cmd, func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.SetPruningScheduleResponse, error) {
		r := &adminv1.SetPruningScheduleRequest{}
		if flags.Changed("cron") {
			r.Cron = cron
		}
		if flags.Changed("max-duration") {
			r.MaxDuration = durationpb.New(*longest)
		}
		if flags.Changed("retention") {
			r.Retention = durationpb.New(*retention)
		}
		if flags.Changed("min-blocks") {
			r.MinBlocksToKeep = keep
		}
		if flags.Changed("cron") || flags.Changed("max-duration") || flags.Changed("retention") || flags.Changed("min-blocks") {
			return adminv1.NewPruningServiceClient(conn).SetPruningSchedule(ctx, r)
		}
		return nil, exit.Errorf(exit.Usage, "nothing is named that should change; see %s --help", cmd.CommandPath())
	}, func(out io.Writer, r *adminv1.SetPruningScheduleResponse) error {
		return showSchedule(out, r.GetSchedule(), r.GetNextAt())
	})
}

func scheduleClear() *cobra.Command {
	return adminCall(&cobra.Command{Use: "clear", Short: "End pruning by a schedule", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.ClearPruningScheduleResponse, error) {
			return adminv1.NewPruningServiceClient(conn).ClearPruningSchedule(ctx, &adminv1.ClearPruningScheduleRequest{})
		}, func(out io.Writer, _ *adminv1.ClearPruningScheduleResponse) error {
			_, err := fmt.Fprintln(out, "no schedule")
			return err
		})
}
