package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// configure is how a member of a test network reaches its sequencers. In a real network endpoints have TLS, and the id
// of the network comes from its genesis.
func configure(net *clienttest.Network, member sequencing.MemberID) client.Config {
	config := client.Config{
		Member:         member,
		Authentication: clienttest.AuthenticationKey(member),
		Signing:        clienttest.SigningKey(member),
		Network:        net.ID,
		TrustThreshold: 2,
		LivenessMargin: 1,
		Dial:           net.Dial,
	}
	for _, s := range net.Sequencers() {
		config.Sequencers = append(config.Sequencers, client.Sequencer{Alias: s.Name, ID: s.ID,
			Endpoints: []client.Endpoint{{Address: s.Address(0), Plain: true}}})
	}
	return config
}

// Alice sends to bob, who checks who it is from.
func Example() {
	net := clienttest.New(4, "PAR::alice", "PAR::bob")
	defer net.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go net.OrderEvery(ctx, 10*time.Millisecond)

	alice, err := client.New(configure(net, "PAR::alice"))
	if err != nil {
		log.Fatal(err)
	}
	bob, err := client.New(configure(net, "PAR::bob"))
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- alice.Run(ctx) }()
	go func() { ended <- bob.Run(ctx) }()
	go func() { // receipts are events too, so somebody must read
		for {
			event, err := alice.Next(ctx)
			if err != nil {
				return
			}
			if err := alice.Confirm(event.Position.Known); err != nil && ctx.Err() == nil {
				log.Fatal(err)
			}
		}
	}()

	outcome, err := alice.Send(ctx, sequencing.Submission{
		Sets:      []sequencing.RecipientSet{client.To("PAR::bob")},
		Envelopes: []sequencing.Envelope{{Payload: []byte("a sealed message")}},
	})
	if err != nil {
		log.Fatal(err)
	}
	event, err := bob.Next(ctx)
	if err != nil {
		log.Fatal(err)
	}
	batch, err := client.VerifyBatch(net.ID, event.Delivery, net)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("bob got %q of %v\n", batch.Envelopes[0].Payload, batch.Senders)
	fmt.Println("at the time of alice's receipt:", event.Position.Event == outcome.Time)

	cancel()
	fmt.Println(<-ended, <-ended)
	// Output:
	// bob got "a sealed message" of [PAR::alice]
	// at the time of alice's receipt: true
	// <nil> <nil>
}

// One of three sequencers alters its newest event. The client finds out and goes on without it.
func ExampleClient_Lies() {
	net := clienttest.New(3, "PAR::alice", "PAR::bob")
	defer net.Close()
	net.Sequencer(0).Behave(clienttest.Behaviour{Distort: func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		return clienttest.Alter(max(0, len(events)-1))(events, known)
	}})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	c, err := client.New(configure(net, "PAR::bob"))
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	for c.Status().Position.Known == 0 || len(c.Lies()) == 0 {
		text := fmt.Sprint("message ", time.Now().UnixNano())
		net.Submit(sequencing.Submission{Sender: "PAR::alice", Message: sequencing.MessageID(text), MaxTime: sequencing.Time(time.Now().Add(time.Minute).UnixMicro()),
			Sets: []sequencing.RecipientSet{client.To("PAR::bob")}, Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}})
		net.Order()
		if _, err := c.Next(ctx); err != nil {
			log.Fatal(err)
		}
	}
	for _, lie := range c.Lies() {
		fmt.Println(lie.Kind, lie.Statement.Signed(net.ID), len(lie.Against))
	}
	cancel()
	fmt.Println(<-ended)
	// Output:
	// altered true 2
	// <nil>
}
