package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
)

func newLoad() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load",
		Short: "Drive requests through a network and judge what comes out",
		Long: "Submits requests to sequencers, reads the order back from all of them, and compares: everything accepted must come out,\n" +
			"once, and at the same place everywhere. Latency runs from when a request was due to its first delivery. INT or TERM ends\n" +
			"submitting early, a second one ends waiting for what was accepted.\n\n" +
			"Exits with 1 if anything was lost, duplicated or reordered, or nothing was ordered; 75 if no sequencer can be reached.",
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
	flags.StringVar(&reach.tokenFile, "token-file", "", "`file` with the bearer token to present (default none)")
	flags.Float64Var(&workload.Rate, "rate", 1000, "requests per second over all endpoints; 0 for as fast as it goes")
	flags.TextVar(&size, "size", size, "size of each request, as 256B or 4KiB")
	flags.DurationVar(&workload.Duration, "duration", 10*time.Second, "how long to submit, as 30s or 5m")
	flags.IntVar(&workload.Connections, "connections", 1, "connections to each endpoint")
	flags.DurationVar(&workload.Drain, "drain", 30*time.Second, "how long to wait at the end for what was accepted")
	asJSON := flags.Bool("json", false, "print the result as JSON (default false)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		targets, err := reach.targets()
		if err != nil {
			return err
		}
		stop, ctx, release := twoSignals(cmd.Context())
		defer release()
		workload.Size, workload.Stop = int(size), stop
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

// classified gives a run that did not begin its exit code: no answer from
// anywhere may be different soon, a workload without sense will not.
func classified(err error) error {
	answer, ok := status.FromError(err)
	switch {
	case err == nil:
		return nil
	case !ok:
		return exit.With(exit.Usage, err)
	case answer.Code() == codes.Unavailable, answer.Code() == codes.DeadlineExceeded:
		return exit.With(exit.Unavailable, err)
	default:
		return err
	}
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
		return nil, exit.With(exit.Unavailable, err)
	}
	for _, n := range ready.Nodes {
		if address, ok := n.Listeners["public"]; ok {
			addresses = append(addresses, address)
		}
	}
	return addresses, nil
}
