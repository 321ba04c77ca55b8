package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sidecar/mocknode"
)

func newSidecarMockNode() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mock-node",
		Short: "Pretend to be a Casper node with synthetic events",
		Long: "Serves the event streams and the status page of a Casper node, with a chain that the seed decides: two nodes with one seed tell\n" +
			"the same chain. Faults happen by themselves every so many events, or when asked for on the REST port:\n\n" +
			"  curl -X POST 'http://127.0.0.1:14101/mock/FAULT?for=5s'\n\n" +
			"where FAULT is disconnect, stall, mute, down, garbage, lie, upgrade (with to=1.5.4) or emit (with count=10).",
		Example: "  synod sidecar mock-node --sse-port 18101 --rest-port 14101 --rate 10 --seed 7\n" +
			"  synod sidecar mock-node --sse-port 18101 --rest-port 14101 --node-version 2.0.0 --disconnect-every 500",
		Args: noArgs,
	}
	flags, o := cmd.Flags(), mocknode.Defaults()
	ssePort := flags.Uint16("sse-port", 18101, "`port` of the event streams; 0 takes any free one")
	restPort := flags.Uint16("rest-port", 14101, "`port` of the status page; 0 takes any free one")
	host := flags.String("host", "127.0.0.1", "`address` to listen on")
	version := flags.String("node-version", o.Version.String(), "version to run; from 2.0.0 on there is one stream instead of three")
	flags.StringVar(&o.Network, "network-name", o.Network, "chainspec name")
	flags.Float64Var(&o.Rate, "rate", o.Rate, "events per second; 0 for only those that are asked for")
	flags.Uint64Var(&o.Seed, "seed", o.Seed, "decides the chain")
	flags.IntVar(&o.Limit, "limit", 0, "stop after so many events; 0 for never")
	flags.Uint32Var(&o.FirstID, "first-id", 0, "number of the first event")
	flags.DurationVar(&o.Delay, "delay", 0, "wait before the first event, as 2s")
	flags.IntVar(&o.Ring, "ring", o.Ring, "events kept for replay")
	flags.DurationVar(&o.KeepAlive, "keep-alive", o.KeepAlive, "send a comment after so long without an event")
	flags.IntVar(&o.Subscribers, "max-subscribers", o.Subscribers, "streams open at once")
	flags.IntVar(&o.Shape.Deploys, "deploys", o.Shape.Deploys, "deploys in a block")
	flags.IntVar(&o.Shape.Validators, "validators", o.Shape.Validators, "signatures on a block")
	flags.IntVar(&o.Shape.EraBlocks, "era-blocks", o.Shape.EraBlocks, "blocks in an era; 0 for an era without end")
	flags.IntVar(&o.Shape.StepBytes, "step-bytes", o.Shape.StepBytes, "size of the Step at the end of an era, in bytes")
	flags.IntVar(&o.Faults.DisconnectEvery, "disconnect-every", 0, "cut each stream after so many events; 0 for never")
	flags.IntVar(&o.Faults.StallEvery, "stall-every", 0, "say nothing for --stall-for after so many events on a stream; 0 for never")
	flags.DurationVar(&o.Faults.StallFor, "stall-for", 10*time.Second, "how long a stall lasts")
	flags.IntVar(&o.Faults.GarbageEvery, "garbage-every", 0, "send something that is not as it should be after so many events; 0 for never")
	flags.IntVar(&o.Faults.LieEvery, "lie-every", 0, "let the numbers of events jump after so many events; 0 for never")
	flags.IntVar(&o.Faults.DownEvery, "down-every", 0, "refuse connections for --down-for after so many events; 0 for never")
	flags.DurationVar(&o.Faults.DownFor, "down-for", time.Second, "how long the node is down, also for an upgrade")
	flags.IntVar(&o.Faults.UpgradeAfter, "upgrade-after", 0, "restart with another version after so many events; 0 for never")
	upgradeTo := flags.String("upgrade-to", "1.5.4", "version to run after the upgrade")
	fixtures := flags.String("fixtures", "", "`file` of events in JSON, one after the other, to send first (default none)")
	journal := flags.String("journal", "", "`file` to write a line of JSON to for all that is sent (default none)")
	readyFile := flags.String("ready-file", "", "`file` to write the addresses to once the node is ready (default none)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if o.Version, err = mocknode.ParseVersion(*version); err != nil {
			return exit.Errorf(exit.Usage, "--node-version: %w", err)
		}
		if o.Faults.UpgradeTo, err = mocknode.ParseVersion(*upgradeTo); err != nil {
			return exit.Errorf(exit.Usage, "--upgrade-to: %w", err)
		}
		if o.Fixtures, err = readFixtures(*fixtures); err != nil {
			return err
		}
		if *journal != "" {
			file, err := os.Create(*journal)
			if err != nil {
				return fmt.Errorf("create the journal: %w", err)
			}
			defer file.Close()
			o.Sent = mocknode.Journal(file, func(err error) {
				fmt.Fprintf(cmd.ErrOrStderr(), "synod: the journal ends here: write %s: %v\n", *journal, err)
			})
		}
		o.SSEAddress, o.RESTAddress = hostPort(*host, *ssePort), hostPort(*host, *restPort)
		return runMockNode(cmd, o, *readyFile)
	}
	return cmd
}

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func readFixtures(path string) ([]mocknode.Made, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the fixtures: %w", err)
	}
	defer file.Close()
	fixtures, err := mocknode.Fixtures(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return fixtures, nil
}

func runMockNode(cmd *cobra.Command, o mocknode.Options, readyFile string) error {
	pretended, err := mocknode.Listen(cmd.Context(), o)
	if err != nil {
		return err
	}
	talk := cmd.ErrOrStderr()
	fmt.Fprintf(talk, "node %s of %s: events at http://%s/events, status at http://%s/status\n", o.Version, o.Network, pretended.SSEAddress(), pretended.RESTAddress())
	signals, stop := node.Signals()
	defer stop()
	health := node.NewHealth()
	group := node.Group{
		Stages: []node.Stage{{Name: "mock node", Run: func(ctx context.Context, ready func()) error {
			ready()
			return pretended.Run(ctx)
		}}},
		Health: health, Log: slog.New(slog.NewTextHandler(talk, &slog.HandlerOptions{Level: slog.LevelWarn})), Signals: signals,
	}
	if readyFile != "" {
		listeners := map[string]string{"sse": pretended.SSEAddress(), "rest": pretended.RESTAddress()}
		group.Stages = append(group.Stages, node.ReadyFile(readyFile, health, func() node.Ready {
			return node.Ready{PID: os.Getpid(), Network: o.Network, Nodes: []node.ReadyNode{{Name: "mock", Role: "mock-node", Listeners: listeners}}}
		}))
	}
	return group.Run(cmd.Context())
}
