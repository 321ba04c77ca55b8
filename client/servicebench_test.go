package client_test

import (
	"context"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// BenchmarkThroughTheRealService sends 1 KiB from one member to another through two sequencers in this process, by clients that
// believe both, and by the load, which drives the service itself and compares what both tell. Time is that of the processor, of
// all together.
func BenchmarkThroughTheRealService(b *testing.B) {
	for _, c := range []struct {
		name  string
		unary bool
	}{{"client, streams", false}, {"client, calls", true}} {
		b.Run(c.name, func(b *testing.B) { benchClients(b, c.unary) })
	}
	b.Run("load, streams", func(b *testing.B) {
		_, services, _ := benchNetwork(b)
		var targets []members.Target
		for _, s := range services {
			targets = append(targets, members.Target{Address: s.address, Options: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}})
		}
		before := processorTime()
		result, err := members.Run(b.Context(), members.Config{Members: 2, Duration: 2 * time.Second, InFlight: benchInFlight}, targets...)
		if err != nil || !result.Clean {
			b.Fatalf("%+v, %v", result, err)
		}
		b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(result.Receipts), "cpu-µs/send")
		b.ReportMetric(result.ReceiptsPerSecond, "sends/s")
	})
}

const benchInFlight = 200

func benchNetwork(b *testing.B) (*membertest.Network, []*service, []client.Sequencer) {
	network, memory, services, list := startServices(b, 2, "alice", "bob")
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() { keepTime(ctx, memory.Node(0)) })
	b.Cleanup(func() { cancel(); keeping.Wait() })
	return network, services, list
}

// benchClients lets two members send to each other for a while.
func benchClients(b *testing.B, unary bool) {
	network, _, list := benchNetwork(b)
	ctx, cancel := context.WithCancel(b.Context())
	var running, sending sync.WaitGroup
	defer running.Wait()
	defer cancel()
	names := []string{"alice", "bob"}
	var clients []*client.Client
	for _, name := range names {
		m := membertest.Participant(name)
		c, err := client.New(client.Config{Member: membertest.ID(m), Authentication: membertest.Authentication(m), Signing: membertest.Protocol(m),
			Network: sequencing.NetworkID(network.ID), Sequencers: list, TrustThreshold: 2, Unary: unary})
		if err != nil {
			b.Fatal(err)
		}
		clients = append(clients, c)
		running.Go(func() { _ = c.Run(ctx) })
		running.Go(func() {
			for {
				if _, err := c.Next(ctx); err != nil {
					return
				}
			}
		})
	}
	before, began := processorTime(), time.Now()
	var sends atomic.Int64
	for i, c := range clients {
		to := membertest.ID(membertest.Participant(names[1-i]))
		for range benchInFlight {
			sending.Go(func() {
				for time.Since(began) < 2*time.Second {
					_, err := c.Send(ctx, sequencing.Submission{Sets: []sequencing.RecipientSet{client.To(to)}, Envelopes: []sequencing.Envelope{{Payload: make([]byte, 1024)}}})
					if err != nil {
						b.Error(err)
						return
					}
					sends.Add(1)
				}
			})
		}
	}
	sending.Wait()
	b.ReportMetric(float64((processorTime()-before).Microseconds())/float64(sends.Load()), "cpu-µs/send")
	b.ReportMetric(float64(sends.Load())/time.Since(began).Seconds(), "sends/s")
}

// processorTime is that of this process.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
