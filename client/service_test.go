package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
)

// service is the real service of one sequencer, over an order in memory, that can be taken down and up again.
type service struct {
	address string
	key     atomic.Pointer[keys.PrivateKey] // with which it signs
	up      func()
	down    func()
}

func startService(t testing.TB, network *membertest.Network, orderer ordering.Orderer, i int) *service {
	self := network.Sequencers[i]
	quiet := slog.New(slog.DiscardHandler)
	state, err := synchronizer.Open(synchronizer.Config{Dir: t.TempDir(), Founding: network.Genesis, Network: network.ID,
		Verify: members.Verifier(keys.NewBatchVerifier(100)), SegmentSize: 1 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := orderer.Read(ctx, 1, state.Apply); ctx.Err() == nil {
			t.Errorf("following the order: %v", err)
		}
	})
	s := &service{address: "127.0.0.1:0"}
	key := membertest.Protocol(self)
	s.key.Store(&key)
	s.up = func() {
		served, err := members.New(members.Config{State: state, Orderer: orderer, Self: self, TickEvery: 5 * time.Millisecond,
			Key: func() keys.PrivateKey { return *s.key.Load() }, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		listener, err := net.Listen("tcp", s.address)
		if err != nil {
			t.Fatal(err)
		}
		s.address = listener.Addr().String()
		server := grpc.NewServer(grpc.WaitForHandlers(true))
		served.Register(server)
		serving, end := context.WithCancel(ctx)
		var group sync.WaitGroup
		group.Go(func() { _ = server.Serve(listener) })
		group.Go(func() { _ = served.Run(serving) })
		s.down = func() { end(); server.Stop(); group.Wait() }
	}
	s.up()
	t.Cleanup(func() {
		s.down()
		cancel()
		running.Wait()
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// startServices founds a network and runs the services of all its sequencers. The list is as clients of it are configured.
func startServices(t testing.TB, sequencers int, participants ...string) (network *membertest.Network, memory *ordertest.Memory, services []*service, list []client.Sequencer) {
	network = membertest.Found(t, membertest.Plan{Participants: participants, Sequencers: sequencers})
	memory = ordertest.StartMemory(t, ordertest.MemoryConfig{Nodes: sequencers})
	for i, self := range network.Sequencers {
		s := startService(t, network, memory.Node(i), i)
		services = append(services, s)
		list = append(list, client.Sequencer{Alias: self.Name, ID: membertest.ID(self), Endpoints: []client.Endpoint{{Address: s.address, Plain: true}}})
	}
	return network, memory, services, list
}

// keepTime orders something again and again until the context ends: an order in memory has no time of its own.
func keepTime(ctx context.Context, orderer ordering.Orderer) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		_ = orderer.Submit(ctx, sequencing.Request{Body: sequencing.Tick{}}.Encode()) // if it fails, the next one may not
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

// Two members talk through four real sequencers, which die and come back one after the other.
func TestThroughTheRealService(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	const sequencers, rounds, each = 4, 8, 25
	network, _, services, list := startServices(t, sequencers, "alice", "bob")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var clients []*client.Client
	var ended sync.WaitGroup
	defer ended.Wait()
	defer cancel()
	for _, name := range []string{"alice", "bob"} {
		m := membertest.Participant(name)
		c, err := client.New(client.Config{Member: membertest.ID(m), Authentication: membertest.Authentication(m), Signing: membertest.Protocol(m),
			Network: sequencing.NetworkID(network.ID), Sequencers: list, TrustThreshold: 2, LivenessMargin: 1, AcknowledgeInterval: 50 * time.Millisecond,
			Amplification: client.Amplification{Factor: 2, Patience: time.Second}})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		ended.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Errorf("client of %s: %v", name, err)
			}
		})
	}
	alice, bob := clients[0], clients[1]
	ended.Go(func() { // alice's own receipts
		for {
			if _, err := alice.Next(ctx); err != nil {
				return
			}
		}
	})
	to := membertest.ID(membertest.Participant("bob"))
	sent, got := map[string]bool{}, map[string]bool{}
	last := sequencing.Time(0)
	for round := range rounds {
		services[round%sequencers].down()
		var sends sync.WaitGroup
		for i := range each {
			text := fmt.Sprintf("%d %d", round, i)
			sent[text] = true
			sends.Go(func() {
				if _, err := alice.Send(ctx, sequencing.Submission{Sets: []sequencing.RecipientSet{client.To(to)}, Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}}); err != nil {
					t.Errorf("send %s: %v", text, err)
				}
			})
		}
		for len(got) < len(sent) {
			e, err := bob.Next(ctx)
			if err != nil {
				t.Fatalf("next: %v; %+v", err, bob.Status())
			}
			if e.Delivery.Previous != last {
				t.Fatalf("event at %d follows %d, seen was %d", e.Delivery.Time, e.Delivery.Previous, last)
			}
			last = e.Delivery.Time
			if err := bob.Confirm(e.Position.Known); err != nil {
				t.Error(err)
			}
			for _, envelope := range e.Delivery.Envelopes {
				if text := string(envelope.Payload); got[text] || !sent[text] {
					t.Errorf("bob got %q, twice or never sent", text)
				} else {
					got[text] = true
				}
			}
		}
		sends.Wait()
		services[round%sequencers].up()
	}
	for _, c := range clients {
		if lies := c.Lies(); len(lies) > 0 {
			t.Errorf("honest sequencers are accused: %v", lies)
		}
	}
	// Rules of the real service reach the caller as they are.
	_, err := alice.Send(ctx, sequencing.Submission{Sets: []sequencing.RecipientSet{client.To("PAR::nobody")}, Envelopes: []sequencing.Envelope{{Payload: []byte("x")}}})
	var failure *client.Failure
	if !errors.As(err, &failure) || failure.Rule != sequencing.UnknownRecipient.String() {
		t.Errorf("sent to nobody: %v", err)
	}
}
