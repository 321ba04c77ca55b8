package members_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/topology"
)

// occupy opens streams, and keeps them open.
func (n *node) occupy(ctx context.Context, count int) {
	n.station.t.Helper()
	for range count {
		stream, err := n.client.SendStream(ctx)
		if err == nil {
			err = stream.Send(&sequencerv1.SendStreamRequest{Sequence: 1, Requests: [][]byte{nil}})
		}
		if err == nil { // an answer shows that the call is open
			_, err = stream.Recv()
		}
		if err != nil {
			n.station.t.Fatal(err)
		}
	}
}

// A sequencer can make tokens of any member. What it uses up with them is its own.
func TestALiarsTokensUseUpNothingOfOthers(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 4, Participants: []string{"alice", "bob"}},
		config: func(c *members.Config) { c.Calls, c.MemberCalls, c.Subscriptions = 24, 3, 1 }})
	n, liar := s.nodes[0], s.nodes[1]
	calls := func(ctx context.Context) error {
		_, err := n.client.GetTrafficState(ctx, &sequencerv1.GetTrafficStateRequest{})
		return err
	}
	forged := with(patience(t), liar.token(alice))
	n.occupy(forged, 2)
	if _, err := n.subscribe(forged, alice, 0).stream.Header(); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, calls(forged), codes.ResourceExhausted, members.TooManyCalls)
	own := n.as(alice)
	if err := calls(own); err != nil {
		t.Errorf("alice's own calls are used up by a liar: %v", err)
	}
	if _, err := n.subscribe(own, alice, 0).stream.Header(); err != nil {
		t.Errorf("alice's own subscription is: %v", err)
	}
	if err := calls(with(patience(t), s.nodes[2].token(alice))); err != nil {
		t.Errorf("those that another sequencer gave her are: %v", err)
	}
	// Half of 24 calls are for the tokens of three others.
	n.occupy(with(patience(t), liar.token(bob)), 1)
	wantFailure(t, calls(with(patience(t), liar.token(bob))), codes.ResourceExhausted, members.TooManyCalls)
	if err := calls(n.as(bob)); err != nil {
		t.Errorf("a liar with tokens of many keeps bob out: %v", err)
	}
}

// from is a call from an address.
func from(ctx context.Context, address string) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.ParseIP(address), Port: 4000}})
}

// registers reports whether a registration from an address is looked at: it is nonsense, and told so.
func (n *node) registers(address string) bool {
	_, err := n.service.RegisterTopology(from(patience(n.station.t), address), &sequencerv1.RegisterTopologyRequest{})
	return status.Code(err) != codes.ResourceExhausted
}

func TestRegistrationsAreFair(t *testing.T) {
	clock := time.Unix(2_000_000_000, 0)
	s := start(t, options{config: func(c *members.Config) { c.Now = func() time.Time { return clock } }})
	n := s.nodes[0]
	// One host has ten at once, and of IPv6 a whole network of 64 bits is one host.
	for name, address := range map[string]func(int) string{
		"an address":          func(int) string { return "192.0.2.1" },
		"a network":           func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) },
		"an address, as IPv6": func(int) string { return "::ffff:192.0.2.2" },
	} {
		clock = clock.Add(time.Minute)
		taken := 0
		for i := range 30 {
			if n.registers(address(i)) {
				taken++
			}
		}
		if taken != 10 {
			t.Errorf("%s: %d registrations at once, want 10", name, taken)
		}
	}
	// Hosts that come again and again leave room for one that comes for the first time.
	clock = clock.Add(time.Minute)
	for second := range 60 {
		clock = clock.Add(time.Second)
		for host := range 20 {
			n.registers(fmt.Sprintf("198.51.100.%d", host))
		}
		if !n.registers(fmt.Sprintf("203.0.113.%d", second)) {
			t.Fatalf("second %d: a newcomer is kept out", second)
		}
	}
}

// What the owners bound is refused before it is ordered, with a code and what to do.
func TestStrangersAreToldThatThereIsNoRoom(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Participants: []string{"alice"}, Parameters: func(p *topology.SynchronizerParameters) {
		p.Onboarding.Mode = topology.Restricted
	}}})
	n := s.nodes[0]
	s.pass(0)
	err := n.register(s.network.Registration(t, carol)...)
	info, _ := wantFailure(t, err, codes.FailedPrecondition, members.Refused)
	if info.GetMetadata()["code"] != string(topology.CodeOnboardingRestricted) {
		t.Errorf("metadata %v", info.GetMetadata())
	}
	permission := topology.NamespacePermission{Synchronizer: s.network.Synchronizer, Namespace: carol.Namespace, Limits: topology.DefaultLimits()}
	list := append([]topology.SignedTransaction{s.network.Sign(t, topology.Add(1, permission), "owner")}, s.network.Registration(t, carol)...)
	if err := n.register(list...); err != nil {
		t.Errorf("with the owners' permission: %v", err)
	}
}
