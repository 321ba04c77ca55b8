package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

func onboardingState() *cobra.Command {
	return adminCall(&cobra.Command{
		Use: "onboarding", Short: "Show what a sequencer still has to do until it orders, and who else is on the way", Args: noArgs,
		Long: "Asked at a sequencer that joins, or was away: what it does now, how much of that is done, and how long it will take at the present\n" +
			"speed. Asked at one that orders: which others the owners have listed, and how far they are.",
	},
		func(ctx context.Context, conn *grpc.ClientConn, _ []string) (*adminv1.GetOnboardingResponse, error) {
			return adminv1.NewNodeServiceClient(conn).GetOnboarding(ctx, &adminv1.GetOnboardingRequest{})
		},
		showOnboarding)
}

func showOnboarding(out io.Writer, r *adminv1.GetOnboardingResponse) error {
	err := table(out, "", func(row func(string, ...any)) {
		row("phase\t%s", strings.ToLower(strings.TrimPrefix(r.GetPhase().String(), "PHASE_")))
		row("what\t%s", r.GetExplanation())
		row("since\t%s", clock(r.GetSince()))
		if r.GetTotal() > 0 {
			left := "at a speed that is not known yet"
			if r.GetPerSecond() > 0 {
				left = fmt.Sprintf("%.0f/s", r.GetPerSecond())
			}
			if d := r.GetRemaining(); d != nil {
				left += ", about " + d.AsDuration().Round(time.Second).String() + " left"
			}
			row("done\t%d of %d %s (%d %%), %s", r.GetDone(), r.GetTotal(), r.GetUnit(), 100*min(r.GetDone(), r.GetTotal())/r.GetTotal(), left)
		}
	})
	if err != nil || len(r.GetNewcomers()) == 0 {
		return err
	}
	return table(out, "\nON THE WAY\tKEY\tLISTING IN FORCE\tCONNECTED\tGIVEN\tSAYS IT IS READY", func(row func(string, ...any)) {
		for _, n := range r.GetNewcomers() {
			connected := "no"
			if n.GetConnected() {
				connected = "since " + clock(n.GetConnectedAt())
			}
			row("%s\t%.16s\t%s\t%s\t%d bytes\t%s", n.GetName(), n.GetKey(), yesNo(n.GetInForce()), connected, n.GetBytesGiven(), yesNo(n.GetAnnounced()))
		}
	})
}
