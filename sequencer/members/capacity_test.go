package members_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Members are subscribed while a thousand events a second go to them: none is lost, and it stays within 300 MiB,
// the clients' side of it included. There are 100 of them, or SYNOD_SUBSCRIBERS, such as 2000: to register them takes
// longer than all else.
func TestManySubscribers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const (
		connections = 50
		batch       = 20 // each 20 ms
		batches     = 100
		most        = 300 << 20
	)
	count := 100
	if wanted := os.Getenv("SYNOD_SUBSCRIBERS"); wanted != "" {
		var err error
		if count, err = strconv.Atoi(wanted); err != nil {
			t.Fatal(err)
		}
	}
	s := start(t, options{config: func(c *members.Config) { c.TickEvery = time.Second }})
	n := s.nodes[0]
	var subscribers []topology.Member
	var transactions [][]byte
	for i := range count { // more than a genesis takes
		subscribers = append(subscribers, membertest.Participant(fmt.Sprint("p", i)))
		for _, signed := range s.network.Registration(t, subscribers[i]) {
			transactions = append(transactions, signed.Encode())
		}
	}
	for part := range slices.Chunk(transactions, 60) {
		change := &sequencing.TopologyChange{Transactions: membership.Encode(part...)}
		if err := s.memory.Node(0).Submit(patience(t), sequencing.Request{Body: change}.Encode()); err != nil {
			t.Fatal(err)
		}
	}
	s.pass(0)
	s.pass(time.Second)
	from := int64(n.state.Time())
	var clients []sequencerv1.SequencerServiceClient
	for range connections {
		conn, err := grpc.NewClient(n.conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		clients = append(clients, sequencerv1.NewSequencerServiceClient(conn))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var reading, opening sync.WaitGroup
	var received, ticks atomic.Int64
	all := make(chan struct{})
	for i := range count {
		stream, err := clients[i%connections].Subscribe(with(ctx, n.token(subscribers[i])), &sequencerv1.SubscribeRequest{AfterMicros: from})
		if err != nil {
			t.Fatal(err)
		}
		opening.Go(func() {
			if _, err := stream.Header(); err != nil { // it tells that the subscription is open
				t.Errorf("member %d: %v", i, err)
			}
		})
		reading.Go(func() {
			var last sequencing.Time
			for {
				response, err := stream.Recv()
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("member %d: %v", i, err)
					}
					return
				}
				if len(response.GetEvents()) == 0 {
					ticks.Add(1)
				}
				for _, encoded := range response.GetEvents() {
					d, err := sequencing.DecodeDelivery(encoded)
					if err != nil || last != 0 && d.Previous != last {
						t.Errorf("member %d: a gap before %v, %v", i, d, err)
						return
					}
					if last = d.Time; received.Add(1) == batch*batches {
						close(all)
					}
				}
			}
		})
	}
	opening.Wait()
	if open, _ := n.service.Subscribers(); open != count {
		t.Fatalf("%d subscriptions are open, want %d", open, count)
	}
	sending, err := n.client.SendStream(with(ctx, n.token(alice)))
	if err != nil {
		t.Fatal(err)
	}
	began, pace := time.Now(), time.NewTicker(20*time.Millisecond)
	defer pace.Stop()
	var peak uint64
	for b := range batches {
		<-pace.C
		m := &sequencerv1.SendStreamRequest{Sequence: uint64(b + 1)}
		for k := range batch {
			number := b*batch + k
			submission := s.submission(alice, fmt.Sprint(number), subscribers[number*7%count])
			submission.Envelopes[0].Payload = make([]byte, 1024)
			m.Requests = append(m.Requests, s.network.Request(submission, alice))
		}
		if err := sending.Send(m); err != nil {
			t.Fatal(err)
		}
		if answer, err := sending.Recv(); err != nil || len(answer.GetRefusals()) > 0 {
			t.Fatalf("%v, %v", answer, err)
		}
		if b%10 == 9 {
			peak = max(peak, memory())
		}
	}
	select {
	case <-all:
	case <-time.After(time.Minute):
		t.Errorf("%d of %d events arrived", received.Load(), batch*batches)
	}
	took := time.Since(began)
	peak = max(peak, memory())
	t.Logf("%d events to %d subscribers in %v, %d ticks, at most %d MiB in use", received.Load(), count, took.Round(time.Millisecond), ticks.Load(), peak>>20)
	if peak > most {
		t.Errorf("%d MiB in use", peak>>20)
	}
	cancel()
	reading.Wait()
}

// memory is what the process holds of the system.
func memory() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys - m.HeapReleased
}
