package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/node/exit"
)

// adminPatience bounds one question to a sequencer.
const adminPatience = 30 * time.Second

// adminCall is a subcommand that asks one sequencer for something, and shows it as JSON or as show does.
func adminCall[M proto.Message](cmd *cobra.Command, ask func(context.Context, *grpc.ClientConn, []string) (M, error), show func(io.Writer, M) error) *cobra.Command {
	var admin adminReach
	admin.flags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print the answer as JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := admin.connect()
		if err != nil {
			return err
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(cmd.Context(), adminPatience)
		defer cancel()
		answer, err := ask(ctx, conn, args)
		if err != nil {
			return admin.explain(err)
		}
		if *asJSON {
			return printMessage(cmd.OutOrStdout(), answer)
		}
		return show(cmd.OutOrStdout(), answer)
	}
	return cmd
}

// printMessage prints an answer with all its fields, by their names in the API.
func printMessage(out io.Writer, m proto.Message) error {
	text, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, string(text))
	return err
}

// table prints rows under a heading, or beside each other without one.
func table(out io.Writer, heading string, rows func(row func(format string, args ...any))) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if heading != "" {
		fmt.Fprintln(t, heading)
	}
	rows(func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) })
	return t.Flush()
}

// clock shows a time in µs, or a dash for none.
func clock(at int64) string {
	if at <= 0 {
		return "-"
	}
	return time.UnixMicro(at).UTC().Format("2006-01-02T15:04:05.000Z")
}

func newStatus() *cobra.Command {
	return adminCall(&cobra.Command{Use: "status", Short: "Show what a sequencer is and how far it is", Args: noArgs},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetStatusResponse, error) {
			return adminv1.NewNodeServiceClient(conn).GetStatus(ctx, &adminv1.GetStatusRequest{})
		},
		func(out io.Writer, s *adminv1.GetStatusResponse) error {
			return table(out, "", func(row func(string, ...any)) {
				row("name\t%s", s.GetName())
				row("network\t%s (%.16s)", s.GetNetworkName(), s.GetNetwork())
				row("version\t%s", s.GetVersion())
				row("up since\t%s", clock(s.GetStartedAt()))
				row("ready\t%s %s", yesNo(s.GetReady()), s.GetNotReadyReason())
				row("epoch, round\t%d, %d", s.GetEpoch(), s.GetRound())
				row("height\t%d of %d seen; kept from %d", s.GetHeight(), s.GetHighestSeen(), s.GetLowestHeight())
				row("last block\t%s", clock(s.GetLastBlockAt()))
				row("peers\t%d of %d connected", s.GetConnectedPeers(), max(0, s.GetMembers()-1))
				row("in committee\t%s, proposing: %s, catching up: %s", yesNo(s.GetMember()), yesNo(s.GetProposing()), yesNo(s.GetCatchingUp()))
				row("subscriptions\t%d, of %d members", s.GetSubscriptions(), s.GetConnectedMembers())
				row("queued\t%d requests", s.GetQueuedRequests())
			})
		})
}

func newHealth() *cobra.Command {
	cmd := &cobra.Command{
		Use: "health", Short: "Show each check of a sequencer's health; exits with 4 if it is not ready", Args: noArgs,
		Long: "Shows each check of liveness and readiness. The exit code is 4 if the sequencer answers and is not ready.",
	}
	healthy := true
	adminCall(cmd,
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetHealthResponse, error) {
			h, err := adminv1.NewNodeServiceClient(conn).GetHealth(ctx, &adminv1.GetHealthRequest{})
			healthy = err != nil || h.GetReady()
			return h, err
		},
		func(out io.Writer, h *adminv1.GetHealthResponse) error {
			return table(out, "CHECK\tOF\tOK\tWHY", func(row func(string, ...any)) {
				for _, c := range h.GetChecks() {
					of := "readiness"
					if c.GetLiveness() {
						of = "liveness"
					}
					row("%s\t%s\t%s\t%s", c.GetName(), of, yesNo(c.GetOk()), c.GetReason())
				}
			})
		})
	show := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := show(cmd, args); err != nil || healthy {
			return err
		}
		return exit.Errorf(exit.Unhealthy, "the sequencer is not ready")
	}
	return cmd
}

func newLogLevel() *cobra.Command {
	cmd := &cobra.Command{
		Use: "log-level [LEVEL]", Short: "Show or set the least that a sequencer logs", Args: atMostOne("LEVEL"),
		Long: "Shows the level, or sets it to debug, info, warn or error until the next restart or reload.",
	}
	return adminCall(cmd,
		func(ctx context.Context, conn *grpc.ClientConn, args []string) (*adminv1.GetLogLevelResponse, error) {
			service := adminv1.NewNodeServiceClient(conn)
			if len(args) == 1 {
				if _, err := service.SetLogLevel(ctx, &adminv1.SetLogLevelRequest{Level: args[0]}); err != nil {
					return nil, err
				}
			}
			return service.GetLogLevel(ctx, &adminv1.GetLogLevelRequest{})
		},
		func(out io.Writer, l *adminv1.GetLogLevelResponse) error {
			_, err := fmt.Fprintln(out, l.GetLevel())
			return err
		})
}
