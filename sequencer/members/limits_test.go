package members_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

func TestSubscriptionsOfAMemberAreBounded(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	asAlice := n.as(alice)
	var open []*reader
	for range 5 {
		r := n.subscribe(asAlice, alice, 0)
		if _, err := r.stream.Header(); err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	if count, _ := n.service.Subscribers(); count != 5 {
		t.Errorf("%d subscribers", count)
	}
	_, retry := wantFailure(t, n.subscribe(asAlice, alice, 0).end(), codes.ResourceExhausted, members.TooManyCalls)
	if retry == nil {
		t.Error("it is not told when to try again")
	}
	if _, err := n.subscribe(n.as(bob), bob, 0).stream.Header(); err != nil { // others have their own
		t.Error(err)
	}
	if members := n.service.Connected(); members != 2 {
		t.Errorf("%d members are connected", members)
	}
	open[0].cancel()
	s.until("the end of a subscription", func() bool { count, _ := n.service.Subscribers(); return count == 5 })
	again := n.subscribe(asAlice, alice, 0)
	n.send(bob, "one", alice)
	again.next()
	if got := n.counter.get("ended "); got != 1 {
		t.Errorf("counted %d subscriptions whose client left", got)
	}
}

func TestOpenCallsAreBounded(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.MemberCalls, c.Calls = 3, 5 }})
	n := s.nodes[0]
	asAlice, asBob := n.as(alice), n.as(bob)
	open := func(ctx context.Context, count int) {
		for range count {
			stream, err := n.client.SendStream(ctx)
			if err != nil {
				t.Fatal(err)
			}
			// An answer shows that the call is open.
			if err := stream.Send(&sequencerv1.SendStreamRequest{Sequence: 1, Requests: [][]byte{nil}}); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
		}
	}
	open(asAlice, 3)
	_, err := n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{})
	wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls)
	if _, err := n.client.GetTrafficState(asBob, &sequencerv1.GetTrafficStateRequest{}); err != nil {
		t.Errorf("alice's calls keep bob out: %v", err)
	}
	open(asBob, 2)
	_, err = n.client.GetTime(patience(t), &sequencerv1.GetTimeRequest{})
	_, retry := wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls)
	if retry == nil {
		t.Error("it is not told when to try again")
	}
}

// Whoever is refused takes up no room.
func TestRefusedCallsAreOver(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.Calls, c.MemberCalls = 3, 1 }})
	n := s.nodes[0]
	n.send(alice, "one", bob)
	asAlice := n.as(alice)
	for range 10 {
		_, err := n.client.GetTrafficState(with(patience(t), "none"), &sequencerv1.GetTrafficStateRequest{})
		wantFailure(t, err, codes.Unauthenticated, members.Unauthenticated)
		_, err = n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: carol.String(), NetworkId: s.network.ID[:]})
		wantFailure(t, err, codes.PermissionDenied, members.UnknownMember)
	}
	open := n.subscribe(asAlice, alice, 0)
	open.next()
	for range 10 {
		_, err := n.client.GetTrafficState(asAlice, &sequencerv1.GetTrafficStateRequest{})
		wantFailure(t, err, codes.ResourceExhausted, members.TooManyCalls)
	}
	asBob := n.as(bob)
	for range 10 {
		if _, err := n.client.GetTrafficState(asBob, &sequencerv1.GetTrafficStateRequest{}); err != nil {
			t.Fatalf("while one call of three is open: %v", err)
		}
	}
	if refused := n.counter.get("token refused"); refused != 10 {
		t.Errorf("counted %d calls without a token that holds, want 10", refused)
	}
}

func TestTokensOfAMemberAreBounded(t *testing.T) {
	s := start(t, options{config: func(c *members.Config) { c.MemberTokens = 3 }})
	n := s.nodes[0]
	first := n.as(alice)
	n.token(alice)
	n.token(alice)
	request := n.login(alice, membertest.Authentication(alice))
	_, err := n.client.Authenticate(patience(t), request)
	wantFailure(t, err, codes.ResourceExhausted, members.TooManyTokens)
	if _, err := n.client.Logout(first, &sequencerv1.LogoutRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.client.Authenticate(patience(t), request); err != nil {
		t.Errorf("after a logout: %v", err)
	}
	s.ahead.Add(int64(members.MaxTokenLife))
	n.token(alice)
}

// However many strangers and members call, what is kept is bounded by the members.
func TestNothingIsKeptOfStrangers(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	for i := range 50 {
		stranger := membertest.Participant(fmt.Sprintf("stranger%d", i))
		_, _ = n.client.Challenge(patience(t), &sequencerv1.ChallengeRequest{Member: stranger.String(), NetworkId: s.network.ID[:]})
		_, _ = n.client.Authenticate(patience(t), &sequencerv1.AuthenticateRequest{Member: stranger.String(), Nonce: make([]byte, 32), Key: make([]byte, 32), Signature: make([]byte, 64)})
		_, _ = n.client.GetTrafficState(with(patience(t), fmt.Sprintf("token%d", i)), &sequencerv1.GetTrafficStateRequest{})
		n.login(alice, membertest.Authentication(alice))
	}
	if accounts, tokens := n.service.Remembered(); accounts != 1 || tokens != 0 {
		t.Errorf("%d accounts and %d tokens are kept", accounts, tokens)
	}
	n.as(alice)
	s.ahead.Add(int64(2 * time.Hour))
	n.service.Sweep()
	if accounts, _ := n.service.Remembered(); accounts != 0 {
		t.Errorf("%d accounts are kept of members that left", accounts)
	}
}

func TestMessagesOfAStream(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	asAlice := n.as(alice)
	for name, messages := range map[string][]*sequencerv1.SendStreamRequest{
		"sequence 0":        {{Sequence: 0, Requests: make([][]byte, 1)}},
		"the same again":    {{Sequence: 1, Requests: make([][]byte, 1)}, {Sequence: 1, Requests: make([][]byte, 1)}},
		"backwards":         {{Sequence: 5, Requests: make([][]byte, 1)}, {Sequence: 4, Requests: make([][]byte, 1)}},
		"empty":             {{Sequence: 1}},
		"too many requests": {{Sequence: 1, Requests: make([][]byte, 5000)}},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := n.client.SendStream(asAlice)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range messages {
				_ = stream.Send(m)
			}
			for err == nil {
				_, err = stream.Recv()
			}
			wantFailure(t, err, codes.InvalidArgument, members.Invalid)
		})
	}
	r := n.subscribe(asAlice, alice, -1)
	wantFailure(t, r.end(), codes.InvalidArgument, members.Invalid)
}

// A subscriber that does not read delays nobody, and is told everything once it does.
func TestASlowSubscriberIsWaitedForAndNotQueuedFor(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	slow, quick := n.subscribe(n.as(bob), bob, 0), n.subscribe(n.as(bob), bob, 0)
	asAlice := n.as(alice)
	const sent = 150
	submission := s.submission(alice, "", bob)
	submission.Envelopes[0].Payload = make([]byte, 20<<10)
	for i := range sent {
		submission.Message = sequencing.MessageID(fmt.Sprint(i + 1))
		if _, err := n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(submission, alice)}); err != nil {
			t.Fatal(err)
		}
	}
	for range sent {
		quick.next()
	}
	if _, lag := n.service.Subscribers(); lag <= 0 {
		t.Error("nobody seems to lag")
	}
	for range sent {
		slow.next()
	}
}

// What is not kept any more is told, with the time after which it is.
func TestAPrunedTime(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	asBob := n.as(bob)
	n.send(alice, "one", bob)
	n.send(alice, "two", bob)
	reader := n.subscribe(asBob, bob, 0)
	reader.next()
	at := reader.next().Time
	for _, m := range []struct {
		ctx context.Context
		id  sequencing.MemberID
		by  []byte
	}{
		{asBob, membertest.ID(bob), s.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(bob), UpTo: at}, bob)},
		{n.as(alice), membertest.ID(alice), s.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(alice), UpTo: at}, alice)},
	} {
		if _, err := n.client.Acknowledge(m.ctx, &sequencerv1.AcknowledgeRequest{Request: m.by}); err != nil {
			t.Fatal(err)
		}
		s.until("the acknowledgement", func() bool { known, _ := n.state.Member(m.id); return known.Acknowledged == at })
	}
	if err := n.state.Prune(at); err != nil {
		t.Fatal(err)
	}
	info, _ := wantFailure(t, n.subscribe(asBob, bob, 0).end(), codes.OutOfRange, members.Pruned)
	if info.GetMetadata()["last"] != fmt.Sprint(int64(at)) {
		t.Errorf("metadata %v, want last %d", info.GetMetadata(), at)
	}
	after := n.subscribe(asBob, bob, at)
	n.send(alice, "three", bob)
	if d := after.next(); d.Previous != at {
		t.Errorf("the next event names %d as the one before, want %d", d.Previous, at)
	}
}
