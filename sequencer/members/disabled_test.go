package members_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// A member that is shut out is told nothing more and can do nothing more, with what it had open and with tokens from before, at every sequencer.
func TestAMemberThatIsShutOut(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 2, Participants: []string{"alice", "bob", "carol"}}})
	n, other := s.nodes[0], s.nodes[1]
	asAlice, asCarol := n.as(alice), n.as(carol)
	n.send(bob, "before", alice, carol)
	open := other.subscribe(with(patience(t), other.token(alice)), alice, 0)
	if d := open.next(); string(d.Envelopes[0].Payload) != "sealed before" {
		t.Fatalf("%+v", d)
	}
	stream, err := n.client.SendStream(asAlice)
	if err != nil {
		t.Fatal(err)
	}
	nonce := n.login(alice, membertest.Authentication(alice))

	body := &sequencing.Disable{Member: membertest.ID(alice)}
	request := sequencing.Request{Body: body}
	digest := request.Digest(s.network.ID)
	for _, sequencer := range s.network.Sequencers {
		key := membertest.Protocol(sequencer)
		request.Signatures = append(request.Signatures, sequencing.KeySignature{Key: sequencing.Key(key.Public()), Signature: sequencing.Signature(key.Sign(digest[:]))})
	}
	slices.SortFunc(request.Signatures, func(a, b sequencing.KeySignature) int { return bytes.Compare(a.Key[:], b.Key[:]) })
	if err := s.memory.Node(0).Submit(patience(t), request.Encode()); err != nil {
		t.Fatal(err)
	}
	for _, node := range s.nodes {
		s.until("alice to be shut out", func() bool {
			m, _ := node.state.Member(membertest.ID(alice))
			return m.Disabled
		})
	}
	_, err = n.client.SendAsync(n.as(bob), &sequencerv1.SendAsyncRequest{Request: s.request(bob, "to both", alice, carol)})
	if info, _ := wantFailure(t, err, codes.FailedPrecondition, members.Refused); info.GetMetadata()["code"] != sequencing.UnknownRecipient.String() {
		t.Errorf("a message for it is refused with %v", info.GetMetadata())
	}
	n.send(bob, "after", carol)

	wantFailure(t, open.end(), codes.Unauthenticated, members.Unauthenticated)
	if len(open.pending) > 0 {
		t.Errorf("told %+v", open.pending[0])
	}
	for err = nil; err == nil; {
		_, err = stream.Recv()
	}
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
	_, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.request(alice, "mine", bob)})
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
	again := n.subscribe(asAlice, alice, 0)
	wantFailure(t, again.end(), codes.Unauthenticated, members.Unauthenticated)
	_, err = n.client.Authenticate(patience(t), nonce)
	wantFailure(t, err, codes.PermissionDenied, members.UnknownMember)
	_, err = n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: alice.String(), NetworkId: s.network.ID[:]})
	wantFailure(t, err, codes.PermissionDenied, members.UnknownMember)

	// The others go on.
	reader := n.subscribe(asCarol, carol, 0)
	for _, want := range []string{"sealed before", "sealed after"} {
		if d := reader.next(); string(d.Envelopes[0].Payload) != want {
			t.Errorf("carol was told %q, want %q", d.Envelopes[0].Payload, want)
		}
	}
}

// Forgetting what is over forgets nothing that still counts.
func TestSweepingForgetsNothingInUse(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.Subscriptions, c.MemberTokens = 2, 4 }})
	n := s.nodes[0]
	n.send(alice, "one", bob)
	asAlice, loggedOut := n.as(alice), n.as(alice)
	if _, err := n.client.Logout(loggedOut, &sequencerv1.LogoutRequest{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := n.subscribe(asAlice, alice, 0).receive(); err != nil {
			t.Fatal(err)
		}
	}
	n.token(alice)
	nonce := n.login(alice, membertest.Authentication(alice))
	n.service.Sweep()

	wantFailure(t, n.subscribe(asAlice, alice, 0).end(), codes.ResourceExhausted, members.TooManyCalls)
	_, err := n.client.GetTrafficState(loggedOut, &sequencerv1.GetTrafficStateRequest{})
	wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
	if _, err := n.client.Authenticate(patience(t), nonce); err != nil {
		t.Errorf("with a nonce from before: %v", err)
	}
	_, err = n.client.Authenticate(patience(t), n.login(alice, membertest.Authentication(alice)))
	wantFailure(t, err, codes.ResourceExhausted, members.TooManyTokens)

	// Nor how often bob acknowledged.
	asBob := n.as(bob)
	a := &sequencing.Acknowledgement{Member: membertest.ID(bob), UpTo: n.state.Time()} // the subscriptions of alice were told of a block
	defer s.memory.Stall()()
	acknowledge := func() error {
		_, err := n.client.Acknowledge(asBob, &sequencerv1.AcknowledgeRequest{Request: s.network.Request(a, bob)})
		return err
	}
	var began time.Time // of the first one that was refused
	for err = nil; err == nil; err = acknowledge() {
		began = s.now()
	}
	wantFailure(t, err, codes.ResourceExhausted, members.Overloaded)
	taken := 0
	for range 10 {
		n.service.Sweep()
		if acknowledge() == nil {
			taken++
		}
	}
	if most := 1 + int(2*s.now().Sub(began).Seconds()); taken > most { // two a second
		t.Errorf("%d were taken after sweeps, at most %d may be by now", taken, most)
	}
}

// What the order does not take is told for every kind of request, and in a stream for each request at its place.
func TestWhatTheOrderDoesNotTakeIsTold(t *testing.T) {
	s := start(t, options{memory: ordertest.MemoryConfig{QueueBytes: 16 << 10}})
	n := s.nodes[0]
	n.send(alice, "one", bob)
	asBob := n.as(bob)
	at := n.subscribe(asBob, bob, 0).next().Time
	defer s.memory.Stall()()
	asAlice := n.as(alice)
	var err error
	for i := 0; err == nil && i < 100; i++ {
		large := s.submission(alice, fmt.Sprintf("large %d", i), bob)
		large.Envelopes[0].Payload = make([]byte, 8<<10)
		_, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(large, alice)})
	}
	wantFailure(t, err, codes.ResourceExhausted, members.Overloaded)
	for i := 0; ; i++ { // what little is left
		if _, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.request(alice, fmt.Sprintf("small %d", i), bob)}); err != nil {
			break
		}
	}

	_, err = n.client.Acknowledge(asBob, &sequencerv1.AcknowledgeRequest{Request: s.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(bob), UpTo: at}, bob)})
	wantFailure(t, err, codes.ResourceExhausted, members.Overloaded)
	wantFailure(t, n.register(s.network.Registration(t, carol)...), codes.ResourceExhausted, members.Overloaded)

	stream, err := n.client.SendStream(asAlice)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&sequencerv1.SendStreamRequest{Sequence: 7, Requests: [][]byte{
		s.request(alice, "two", bob), {1}, s.request(alice, "three", bob), s.request(bob, "not hers", alice), s.request(alice, "four", bob)}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	want := []members.Reason{members.Overloaded, members.Invalid, members.Overloaded, members.NotYours, members.Overloaded}
	if len(answer.GetRefusals()) != len(want) {
		t.Fatalf("%d refusals: %v", len(answer.GetRefusals()), answer)
	}
	for i, r := range answer.GetRefusals() {
		if r.GetSequence() != 7 || int(r.GetIndex()) != i || r.GetReason() != string(want[i]) || (r.GetRetryAfter().AsDuration() > 0) != (want[i] == members.Overloaded) {
			t.Errorf("refusal %d: %v, want %s", i, r, want[i])
		}
	}
}
