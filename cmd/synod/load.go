package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
)

func newLoad() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Drive signed submissions of many members through a network and judge what comes out",
		Long: "Makes members with keys of their own, registers them, and has each send signed submissions to others through one sequencer\n" +
			"and listen at others. Everything accepted must come back to its sender as a receipt and reach its recipients, once, at\n" +
			"every sequencer that is up; streams must have no gap, be signed, and be the same everywhere. Latency runs from when a\n" +
			"submission was due to its receipt.\n\n" +
			"Accepted means queued at one sequencer. If that one stops, or the connection to it breaks, before the sender has the receipt, the\n" +
			"submission may be gone with it: if it then comes out nowhere it is unknown, which is no loss; if it comes out anywhere it must\n" +
			"come out everywhere. Nothing is expected of a sequencer that is down in the end.\n\n" +
			"With --ordering, opaque requests go to the ordering service instead, and the order is read back and compared. INT or TERM ends\n" +
			"submitting early, a second one ends waiting for what was accepted.\n\n" +
			"Exits with 1 if anything was lost, duplicated or reordered, or nothing came out; 75 if no sequencer can be reached.",
		Example: "  synod load --ready-file ./net/ready.json --rate 1000 --size 1KiB --duration 10s\n" +
			"  synod load --endpoint 127.0.0.1:7111 --endpoint 127.0.0.1:7121 --rate 0",
		Args: noArgs,
	}
	flags, workload, size := cmd.Flags(), load.Config{}, config.KiB
	var reach reach
	flags.StringVar(&reach.readyFile, "ready-file", "", "`file` that a running network wrote: its sequencers are the endpoints")
	flags.StringArrayVar(&reach.endpoints, "endpoint", nil, "`host:port` of a sequencer's public listener; repeatable")
	flags.BoolVar(&reach.tls, "tls", false, "connect with TLS, trusting the system's authorities (default false)")
	flags.StringVar(&reach.authorities, "tls-ca", "", "`file` of certificates (PEM) to trust instead; implies --tls")
	flags.StringVar(&reach.tokenFile, "token-file", "", "`file` with the bearer token to present to the ordering service (default none)")
	flags.Float64Var(&workload.Rate, "rate", 1000, "submissions per second over all endpoints; 0 for as fast as it goes")
	flags.TextVar(&size, "size", size, "`size` of each payload, as 256B or 4KiB")
	flags.DurationVar(&workload.Duration, "duration", 10*time.Second, "how long to submit, as 30s or 5m")
	var many members.Config
	flags.IntVar(&many.Members, "members", 16, "members that send and receive")
	flags.IntVar(&many.Recipients, "recipients", 1, "members to whom each submission goes")
	flags.IntVar(&many.InFlight, "in-flight", 200, "submissions that one member may have under way")
	flags.BoolVar(&many.Unary, "unary", false, "send each submission in a call of its own, not in streams (default false)")
	raw := flags.Bool("ordering", false, "send opaque requests to the ordering service (default false)")
	flags.IntVar(&workload.Connections, "connections", 1, "connections to each endpoint, with --ordering")
	flags.DurationVar(&workload.Drain, "drain", 30*time.Second, "how long to wait at the end for what was accepted")
	asJSON := flags.Bool("json", false, "print the result as JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case many.Members < 1 || many.Recipients < 1 || many.InFlight < 1 || workload.Connections < 1:
			return exit.Errorf(exit.Usage, "--members, --recipients, --in-flight and --connections must be 1 or more")
		case !(workload.Rate >= 0) || math.IsInf(workload.Rate, 0):
			return exit.Errorf(exit.Usage, "--rate %g is no rate; write a number of 0 or more", workload.Rate)
		case workload.Duration <= 0 || workload.Drain <= 0:
			return exit.Errorf(exit.Usage, "--duration and --drain must be above 0s")
		case !*raw && size < members.MinSize:
			return exit.Errorf(exit.Usage, "--size %s is too small to tell submissions apart; write %dB or more", size, members.MinSize)
		}
		lazyTimers(cmd.ErrOrStderr())
		stop, ctx, release := twoSignals(cmd.Context())
		defer release()
		workload.Size, workload.Stop = int(size), stop
		if !*raw {
			many.Rate, many.Size, many.Duration, many.Drain, many.Stop = workload.Rate, workload.Size, workload.Duration, workload.Drain, stop
			return loadAsMembers(ctx, cmd, reach, many, *asJSON)
		}
		targets, err := reach.targets()
		if err != nil {
			return err
		}
		result, err := driving(ctx, cmd.ErrOrStderr(), workload, targets)
		if err != nil {
			return err
		}
		if err := printResult(cmd.OutOrStdout(), result, *asJSON); err != nil {
			return err
		}
		return judge(ctx, result)
	}
	return cmd
}

// loadAsMembers runs the workload of members.
func loadAsMembers(ctx context.Context, cmd *cobra.Command, reach reach, workload members.Config, asJSON bool) error {
	addresses, err := reach.addresses()
	if err != nil {
		return err
	}
	reach.tokenFile = "" // members authenticate by their keys
	options, err := reach.options()
	if err != nil {
		return err
	}
	var targets []members.Target
	for _, address := range addresses {
		targets = append(targets, members.Target{Address: address, Options: options})
	}
	line := newLiveLine(cmd.ErrOrStderr())
	defer line.end()
	line.show(fmt.Sprintf("registering %d members", workload.Members), true)
	workload.Progress = func(p members.Progress) {
		text := fmt.Sprintf("%3.0f s  receipts %d  %.0f/s", p.Elapsed.Seconds(), p.Receipts, p.ReceiptsPerSecond)
		if p.Refused > 0 {
			text += fmt.Sprintf("  refused %d", p.Refused)
		}
		line.show(text, false)
	}
	result, err := members.Run(ctx, workload, targets...)
	if err != nil {
		return classified(err)
	}
	line.end()
	if err := printMembersResult(cmd.OutOrStdout(), result, asJSON); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: what was still under way counts as lost")
	case result.Receipts == 0:
		return fmt.Errorf("nothing was sequenced")
	case !result.Clean:
		return fmt.Errorf("not clean: lost %d, duplicated %d, reordered %d, forged %d", result.Lost, result.Duplicated, result.Reordered, result.Forged)
	}
	return nil
}

func printMembersResult(out io.Writer, r members.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "members\t%d\n", r.Members)
	fmt.Fprintf(table, "submissions\tsent %d\taccepted %d\treceipts %d\trefused %d\tunknown %d\n", r.Submitted, r.Accepted, r.Receipts, r.Rejected+r.Refused, r.Unknown)
	fmt.Fprintf(table, "deliveries\t%d\t%.0f receipts/s\tin %.1f s\n", r.Deliveries, r.ReceiptsPerSecond, r.Duration)
	fmt.Fprintf(table, "receipt\tp50 %.1f ms\tp90 %.1f ms\tp99 %.1f ms\tp99.9 %.1f ms\n", r.P50, r.P90, r.P99, r.P999)
	fmt.Fprintf(table, "delivery\tp50 %.1f ms\tp99 %.1f ms\n", r.DeliveryP50, r.DeliveryP99)
	fmt.Fprintf(table, "longest pause\t%.0f ms\n", r.LongestPause)
	if r.Reasons != "" {
		fmt.Fprintf(table, "refused, mostly\t%s\n", r.Reasons)
	}
	if r.Trouble != "" {
		fmt.Fprintf(table, "broken connections\t%d, mostly\t%s\n", r.Reconnects, r.Trouble)
	}
	for _, s := range r.Suspects {
		fmt.Fprintf(table, "suspect %s\tforged %d\tgaps %d\tdifferences %d\t%s\n", s.Address, s.Forged, s.Gaps, s.Differences, s.Sequencer)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	verdict := "clean"
	if !r.Clean {
		verdict = "NOT CLEAN"
	}
	_, err := fmt.Fprintf(out, "lost %d, duplicated %d, reordered %d, forged %d: %s\n", r.Lost, r.Duplicated, r.Reordered, r.Forged, verdict)
	return err
}

// twoSignals closes stop at the first INT or TERM and ends the context at the
// second.
func twoSignals(parent context.Context) (stop <-chan struct{}, ctx context.Context, release func()) {
	signals, stopping := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(parent)
	var obeying sync.WaitGroup
	obeying.Go(func() {
		for received := 0; received < 2; received++ {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			if received == 0 {
				close(stopping)
			}
		}
		cancel()
	})
	return stopping, ctx, func() { signal.Stop(signals); cancel(); obeying.Wait() }
}

// driving runs the workload and shows its progress.
func driving(ctx context.Context, talk io.Writer, workload load.Config, targets []load.Target) (load.Result, error) {
	line := newLiveLine(talk)
	defer line.end()
	workload.Progress = func(p load.Progress) {
		text := fmt.Sprintf("%3.0f s  ordered %d  %.0f requests/s", p.Elapsed.Seconds(), p.Ordered, p.OrderedPerSecond)
		if p.Rejected > 0 {
			text += fmt.Sprintf("  rejected %d", p.Rejected)
		}
		line.show(text, false)
	}
	result, err := load.Run(ctx, workload, targets...)
	return result, classified(err)
}

func judge(ctx context.Context, r load.Result) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: what was still under way counts as lost")
	case r.Ordered == 0:
		return fmt.Errorf("nothing was ordered")
	case !r.Clean:
		return fmt.Errorf("not clean: lost %d, duplicated %d, reordered %d", r.Lost, r.Duplicated, r.Reordered)
	}
	return nil
}

func printResult(out io.Writer, r load.Result, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "requests\tsubmitted %d\taccepted %d\tordered %d\trejected %d\tunknown %d\n", r.Submitted, r.Accepted, r.Ordered, r.Rejected, r.Unknown)
	fmt.Fprintf(table, "ordered\t%.0f/s\t%.2f MiB/s\tin %.1f s\n", r.OrderedPerSecond, r.BytesPerSecond/float64(config.MiB), r.Duration)
	fmt.Fprintf(table, "latency\tp50 %.1f ms\tp90 %.1f ms\tp99 %.1f ms\tp99.9 %.1f ms\n", r.P50, r.P90, r.P99, r.P999)
	fmt.Fprintf(table, "longest pause\t%.0f ms\n", r.LongestPause)
	if err := table.Flush(); err != nil {
		return err
	}
	verdict := "clean"
	if !r.Clean {
		verdict = "NOT CLEAN"
	}
	_, err := fmt.Fprintf(out, "lost %d, duplicated %d, reordered %d: %s\n", r.Lost, r.Duplicated, r.Reordered, verdict)
	return err
}

// publicListeners are the addresses of a ready file that take requests.
func publicListeners(path string) (addresses []string, err error) {
	ready, err := node.ReadReady(path)
	if err != nil {
		return nil, err
	}
	for _, n := range ready.Nodes {
		if address, ok := n.Listeners["public"]; ok {
			addresses = append(addresses, address)
		}
	}
	return addresses, nil
}
