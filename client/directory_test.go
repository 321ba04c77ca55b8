package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/client/directory"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// A client that knows the genesis follows a real network through a change of members and of a sequencer's key, and checks who
// signed what it is told.
func TestTheDirectoryFollowsRealSequencers(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	const sequencers = 3
	network, memory, services, list := startServices(t, sequencers, "alice")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	d, err := directory.New(directory.Config{Genesis: network.Genesis, Network: network.ID, Sequencers: list, Threshold: 2, Every: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	running.Go(func() { d.Run(ctx) })
	running.Go(func() { keepTime(ctx, memory.Node(0)) })
	until := func(what string, condition func() bool) {
		t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !condition() {
			select {
			case <-tick.C:
			case <-ctx.Done():
				t.Fatalf("%s: not within five minutes", what)
			}
		}
	}
	conn, err := grpc.NewClient(services[0].address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	register := func(list ...topology.SignedTransaction) {
		t.Helper()
		request := &sequencerv1.RegisterTopologyRequest{}
		for _, signed := range list {
			request.Transactions = append(request.Transactions, signed.Encode())
		}
		if _, err := sequencerv1.NewSequencerServiceClient(conn).RegisterTopology(ctx, request); err != nil {
			t.Fatal(err)
		}
	}

	// Bob comes, and the directory has what is needed to seal something for him.
	bob := membertest.Participant("bob")
	register(network.Registration(t, bob)...)
	bobKey := sequencing.Key(membertest.Protocol(bob).Public())
	until("bob is a member", func() bool { return d.View().Status(bob) == topology.Active })
	if !d.MaySign(membertest.ID(bob), bobKey, sequencing.Time(time.Now().UnixMicro())) || len(d.EncryptionKeys(membertest.ID(bob))) != 1 {
		t.Error("bob's keys are not known")
	}

	clients := map[string]*client.Client{}
	for _, name := range []string{"alice", "bob"} {
		m := membertest.Participant(name)
		c, err := client.New(client.Config{Member: membertest.ID(m), Authentication: membertest.Authentication(m), Signing: membertest.Protocol(m),
			Network: sequencing.NetworkID(network.ID), Sequencers: list, TrustThreshold: 3, Directory: d, Check: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		clients[name] = c
		running.Go(func() {
			if err := c.Run(ctx); err != nil {
				t.Errorf("client of %s: %v", name, err)
			}
		})
	}
	running.Go(func() { // bob's receipts
		for {
			if _, err := clients["bob"].Next(ctx); err != nil {
				return
			}
		}
	})
	exchange := func(text string) *sequencing.Delivery {
		t.Helper()
		done := make(chan error, 1)
		go func() {
			_, err := clients["bob"].Send(ctx, sequencing.Submission{Sets: []sequencing.RecipientSet{client.To(membertest.ID(membertest.Participant("alice")))},
				Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}})
			done <- err
		}()
		e, err := clients["alice"].Next(ctx)
		for err == nil && len(e.Delivery.Envelopes) == 0 { // that she joined
			e, err = clients["alice"].Next(ctx)
		}
		if err != nil {
			t.Fatalf("%s: %v: %+v", text, err, clients["alice"].Status())
		}
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		batch, err := client.VerifyBatch(network.ID, e.Delivery, d)
		if err != nil || len(batch.Senders) != 1 || batch.Senders[0] != membertest.ID(bob) || string(batch.Envelopes[0].Payload) != text {
			t.Fatalf("%s: %+v, %v", text, batch, err)
		}
		return e.Delivery
	}
	exchange("with the first keys")

	// All three are needed, so alice goes on only if she takes the first one's new key.
	first := network.Sequencers[0]
	fresh := membertest.Key("fresh")
	register(network.KeysOf(t, first, 2, []string{"fresh"}, nil))
	until("the new key is known", func() bool { return slices.Contains(d.SequencerKeys(membertest.ID(first)), fresh.Public()) })
	services[0].key.Store(&fresh)
	delivered := exchange("with a new key")
	for i := range 20 {
		exchange(fmt.Sprint("still ", i))
	}
	for name, c := range clients {
		if lies := c.Lies(); len(lies) > 0 {
			t.Errorf("%s accuses honest sequencers: %v", name, lies)
		}
	}

	// Bob is thrown out: what he signed before still counts, what would come later does not.
	register(network.Sign(t, topology.Add(1, topology.MemberDisabled{Synchronizer: network.Synchronizer, Member: bob}), "owner"))
	later := sequencing.Time(time.Now().Add(time.Minute).UnixMicro())
	until("bob is out", func() bool { return !d.MaySign(membertest.ID(bob), bobKey, later) })
	if _, err := client.VerifyBatch(network.ID, delivered, d); err != nil {
		t.Errorf("what bob signed before: %v", err)
	}
	forged := *delivered
	forged.Time = later
	if _, err := client.VerifyBatch(network.ID, &forged, d); !errors.Is(err, client.ErrNotSigned) {
		t.Errorf("what bob signed after: %v", err)
	}
}
