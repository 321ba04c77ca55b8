package members_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// refusing is an orderer that takes nothing, for a reason.
type refusing struct {
	ordering.Orderer
	with atomic.Pointer[error]
}

func (r *refusing) Submit(ctx context.Context, requests ...[]byte) error {
	if with := r.with.Load(); with != nil {
		return *with
	}
	return r.Orderer.Submit(ctx, requests...)
}

func TestEachReasonForWhichASubmissionIsRefused(t *testing.T) {
	var orderer *refusing
	s := start(t, options{
		plan: membertest.Plan{Parameters: func(p *topology.SynchronizerParameters) {
			p.MaxRequestSize = 4096
			p.Traffic = topology.Traffic{BaseAllowance: 10_000, Window: 100_000_000, WriteCost: 10_000, EventCost: 100}
		}},
		orderer: func(o ordering.Orderer) ordering.Orderer { orderer = &refusing{Orderer: o}; return orderer },
	})
	n := s.nodes[0]
	n.send(alice, "sent before", bob)
	reader := n.subscribe(n.as(alice), alice, 0)
	reader.next()
	asAlice := n.as(alice)
	altered := func(change func(*sequencing.Submission)) []byte {
		submission := s.submission(alice, "a message", bob)
		change(submission)
		return s.network.Request(submission, alice)
	}
	from := func(d time.Duration) sequencing.Time { return sequencing.Time(s.now().Add(d).UnixMicro()) }
	forged := s.request(alice, "a message", bob)
	forged[len(forged)-1] ^= 1
	elsewhere := membertest.Found(t, membertest.Plan{Network: 3})
	for _, c := range []struct {
		name    string
		request []byte
		orderer error
		code    codes.Code
		reason  members.Reason
		rule    string
		retry   bool
	}{
		{"noise", []byte("noise"), nil, codes.InvalidArgument, members.Invalid, "", false},
		{"nothing", nil, nil, codes.InvalidArgument, members.Invalid, "", false},
		{"an acknowledgement", s.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(alice), UpTo: 1}, alice), nil, codes.InvalidArgument, members.Invalid, "", false},
		{"a change of the topology", sequencing.Request{Body: &sequencing.TopologyChange{Transactions: []byte("x")}}.Encode(), nil, codes.InvalidArgument, members.Invalid, "", false},
		{"a tick", tick, nil, codes.InvalidArgument, members.Invalid, "", false},
		{"a purchase of one's own", s.network.Request(&sequencing.TrafficPurchase{Member: membertest.ID(alice), Serial: 1, Total: 1 << 40}, alice), nil, codes.InvalidArgument, members.Invalid, "", false},
		{"that of another", s.request(bob, "a message", alice), nil, codes.PermissionDenied, members.NotYours, "", false},
		{"altered", forged, nil, codes.InvalidArgument, members.BadSignature, "", false},
		{"signed for another network", elsewhere.Request(s.submission(alice, "a message", bob), alice), nil, codes.InvalidArgument, members.BadSignature, "", false},
		{"signed with a key of another", s.network.RequestBy(s.submission(alice, "a message", bob), membertest.Protocol(bob)), nil, codes.FailedPrecondition, members.Refused, "unknown_key", false},
		{"signed with a key for another purpose", s.network.RequestBy(s.submission(alice, "a message", bob), membertest.Authentication(alice)), nil, codes.FailedPrecondition, members.Refused, "unknown_key", false},
		{"too late", altered(func(x *sequencing.Submission) { x.MaxTime = from(-time.Minute) }), nil, codes.FailedPrecondition, members.Refused, "expired", false},
		{"for too long", altered(func(x *sequencing.Submission) { x.MaxTime = from(50 * time.Minute) }), nil, codes.FailedPrecondition, members.Refused, "max_sequencing_time_too_far", false},
		{"of a topology to come", altered(func(x *sequencing.Submission) { x.TopologyTime = from(time.Minute) }), nil, codes.FailedPrecondition, members.Refused, "topology_time_ahead", false},
		{"to a stranger", s.request(alice, "a message", carol), nil, codes.FailedPrecondition, members.Refused, "unknown_recipient", false},
		{"with the id of another", altered(func(x *sequencing.Submission) { x.Message = "sent before" }), nil, codes.FailedPrecondition, members.Refused, "duplicate_message_id", false},
		{"too large", altered(func(x *sequencing.Submission) { x.Envelopes[0].Payload = make([]byte, 5000) }), nil, codes.InvalidArgument, members.TooLarge, "", false},
		{"for more than it says", altered(func(x *sequencing.Submission) { x.Cost = 1 }), nil, codes.FailedPrecondition, members.Refused, "cost_too_low", false},
		{"when the queue is full", s.request(alice, "a message", bob), &ordering.Overloaded{RetryAfter: time.Second}, codes.ResourceExhausted, members.Overloaded, "", true},
		{"larger than what can be ordered", s.request(alice, "a message", bob), &ordering.TooLarge{Size: 2, Limit: 1}, codes.InvalidArgument, members.TooLarge, "", false},
		{"without a quorum", s.request(alice, "a message", bob), &ordering.NotReady{Reason: "alone"}, codes.Unavailable, members.NotReady, "", true},
		{"to one that stops", s.request(alice, "a message", bob), ordering.ErrClosed, codes.Unavailable, members.ShuttingDown, "", false},
		{"to one that fails", s.request(alice, "a message", bob), errors.New("secret of the disk"), codes.Internal, members.Internal, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if orderer.with.Store(nil); c.orderer != nil {
				orderer.with.Store(&c.orderer)
			}
			before := n.counter.get("submitted " + string(c.reason))
			_, err := n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: c.request})
			info, retry := wantFailure(t, err, c.code, c.reason)
			if info.GetMetadata()["code"] != c.rule || c.retry != (retry.GetRetryDelay().AsDuration() > 0) {
				t.Errorf("metadata %v, retry %v", info.GetMetadata(), retry)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Error("a client is told what only the operator should know")
			}
			if n.counter.get("submitted "+string(c.reason)) != before+1 {
				t.Error("not counted")
			}
		})
	}
	orderer.with.Store(nil)
	// Whatever was refused left no trace in the order.
	n.send(alice, "sent after", bob)
	if d := reader.next(); string(d.Message) != "sent after" {
		t.Errorf("after the refusals came %q", d.Message)
	}
}

func TestWhoCannotPayIsToldWhen(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Parameters: func(p *topology.SynchronizerParameters) {
		p.Traffic = topology.Traffic{BaseAllowance: 1000, Window: 10_000_000, WriteCost: 10_000}
	}}})
	n := s.nodes[0]
	s.pass(0) // prices are those of the time of the order
	submission := s.submission(alice, "most of it", bob)
	submission.Envelopes[0].Payload = make([]byte, 900)
	request := s.network.Request(submission, alice)
	asAlice := n.as(alice)
	if _, err := n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: request}); err != nil {
		t.Fatal(err)
	}
	n.subscribe(asAlice, alice, 0).next()
	if got := n.counter.get("cost"); got != 900 {
		t.Errorf("counted a cost of %d", got)
	}
	state, err := n.client.GetTrafficState(asAlice, &sequencerv1.GetTrafficStateRequest{})
	if err != nil || state.GetBaseLeft() > 200 || state.GetFree() {
		t.Errorf("%v, %v", state, err)
	}
	if state, err := n.client.GetTrafficState(n.as(bob), &sequencerv1.GetTrafficStateRequest{}); err != nil || state.GetBaseLeft() != 1000 {
		t.Errorf("of one that sent nothing: %v, %v", state, err)
	}
	submission.Message = "more than is left"
	_, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(submission, alice)})
	_, retry := wantFailure(t, err, codes.ResourceExhausted, members.TrafficExhausted)
	// 800 of 1000 bytes accrue in 8 of 10 s; a little accrued meanwhile.
	if wait := retry.GetRetryDelay().AsDuration(); wait < 5*time.Second || wait > 8*time.Second+time.Millisecond {
		t.Errorf("told to wait %v", wait)
	}
	s.pass(retry.GetRetryDelay().AsDuration())
	if _, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(submission, alice)}); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	submission.Message, submission.Envelopes[0].Payload = "more than there ever is", make([]byte, 2000)
	_, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(submission, alice)})
	if _, retry := wantFailure(t, err, codes.ResourceExhausted, members.TrafficExhausted); retry != nil {
		t.Errorf("told to wait %v for what never comes", retry)
	}
}

// An attacker who saw a submission, or a client that sends it through several sequencers,
// has it delivered once.
func TestReplayedAndAmplifiedSends(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 4}})
	request := s.request(alice, "once", bob)
	asAlice := make([]context.Context, 4)
	for i, n := range s.nodes {
		asAlice[i] = n.as(alice)
	}
	amplified := make([][]byte, 4)
	submission := s.submission(alice, "", bob)
	submission.Aggregation = &sequencing.Aggregation{Threshold: 1, Eligible: []sequencing.MemberID{membertest.ID(alice)}}
	for i := range amplified {
		own := *submission
		own.Message = sequencing.MessageID(rune('a' + i))
		amplified[i] = s.network.Request(&own, alice)
	}
	resume := s.memory.Stall()
	for i, n := range s.nodes { // before any of them can know
		for _, r := range [][]byte{request, amplified[i]} {
			if _, err := n.client.SendAsync(asAlice[i], &sequencerv1.SendAsyncRequest{Request: r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	resume()
	s.nodes[3].send(alice, "last", bob)
	reader := s.nodes[2].subscribe(s.nodes[2].as(bob), bob, 0)
	var got []string
	for {
		d := reader.next()
		got = append(got, string(d.Envelopes[0].Payload))
		if got[len(got)-1] == "sealed last" {
			break
		}
	}
	if strings.Join(got, ", ") != "sealed once, sealed , sealed last" {
		t.Errorf("delivered %q", got)
	}
	for i, n := range s.nodes { // now they know
		s.until("the order", func() bool { return n.state.Time() >= reader.known })
		_, err := n.client.SendAsync(asAlice[i], &sequencerv1.SendAsyncRequest{Request: request})
		if info, _ := wantFailure(t, err, codes.FailedPrecondition, members.Refused); info.GetMetadata()["code"] != "replayed" {
			t.Errorf("a replay: %v", info)
		}
		again := *submission
		again.Message = sequencing.MessageID(rune('z' - i))
		_, err = n.client.SendAsync(asAlice[i], &sequencerv1.SendAsyncRequest{Request: s.network.Request(&again, alice)})
		if info, _ := wantFailure(t, err, codes.FailedPrecondition, members.Refused); info.GetMetadata()["code"] != "already_sent" {
			t.Errorf("an amplified send that comes late: %v", info)
		}
	}
	// Who replays it with a token of its own gets nowhere either.
	_, err := s.nodes[0].client.SendAsync(s.nodes[0].as(bob), &sequencerv1.SendAsyncRequest{Request: request})
	wantFailure(t, err, codes.PermissionDenied, members.NotYours)
}

func TestAcknowledge(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	n.send(alice, "one", bob)
	asBob := n.as(bob)
	at := n.subscribe(asBob, bob, 0).next().Time
	acknowledge := func(ctx context.Context, request []byte) error {
		_, err := n.client.Acknowledge(ctx, &sequencerv1.AcknowledgeRequest{Request: request})
		return err
	}
	a := &sequencing.Acknowledgement{Member: membertest.ID(bob), UpTo: at}
	forged := s.network.Request(a, bob)
	forged[len(forged)-1] ^= 1
	for _, c := range []struct {
		name    string
		request []byte
		code    codes.Code
		reason  members.Reason
	}{
		{"noise", []byte{2, 0}, codes.InvalidArgument, members.Invalid},
		{"a submission", s.request(bob, "x", alice), codes.InvalidArgument, members.Invalid},
		{"that of another", s.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(alice), UpTo: at}, alice), codes.PermissionDenied, members.NotYours},
		{"forged", forged, codes.InvalidArgument, members.BadSignature},
		{"signed by another", s.network.Request(a, alice), codes.FailedPrecondition, members.Refused},
		{"of the future", s.network.Request(&sequencing.Acknowledgement{Member: membertest.ID(bob), UpTo: at + sequencing.Minute}, bob), codes.FailedPrecondition, members.Refused},
	} {
		t.Run(c.name, func(t *testing.T) { wantFailure(t, acknowledge(asBob, c.request), c.code, c.reason) })
	}
	if err := acknowledge(asBob, s.network.Request(a, bob)); err != nil {
		t.Fatal(err)
	}
	s.until("the acknowledgement", func() bool { m, _ := n.state.Member(membertest.ID(bob)); return m.Acknowledged == at })
	wantFailure(t, acknowledge(asBob, s.network.Request(a, bob)), codes.FailedPrecondition, members.Refused)

	n.send(alice, "two", bob)
	a.UpTo = n.subscribe(asBob, bob, at).next().Time
	defer s.memory.Stall()() // so that none takes effect
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = acknowledge(asBob, s.network.Request(a, bob))
	}
	wantFailure(t, err, codes.ResourceExhausted, members.Overloaded)
}

func TestAFullQueueIsToldToTheSender(t *testing.T) {
	s := start(t, options{memory: ordertest.MemoryConfig{QueueBytes: 64 << 10}})
	n := s.nodes[0]
	defer s.memory.Stall()()
	asAlice := n.as(alice)
	submission := s.submission(alice, "large", bob)
	submission.Envelopes[0].Payload = make([]byte, 20_000)
	var err error
	sent := 0
	for ; err == nil && sent < 100; sent++ {
		submission.Message = sequencing.MessageID(rune('a' + sent))
		_, err = n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(submission, alice)})
	}
	if _, retry := wantFailure(t, err, codes.ResourceExhausted, members.Overloaded); retry.GetRetryDelay().AsDuration() <= 0 {
		t.Error("it is not told when to try again")
	}
	if sent != 4 {
		t.Errorf("%d of 20 kB fit a queue of 64 KiB", sent-1)
	}
}

// Requests that come together, and are more than the queue holds or hold one that is too large, are each judged by themselves.
func TestNoRequestIsRefusedForWhatCameWithIt(t *testing.T) {
	s := start(t, options{memory: ordertest.MemoryConfig{QueueRequests: 5, RequestBytes: 4096}})
	n := s.nodes[0]
	stream, err := n.client.SendStream(n.as(alice))
	if err != nil {
		t.Fatal(err)
	}
	large := s.submission(alice, "large", bob)
	large.Envelopes[0].Payload = make([]byte, 4096)
	message := &sequencerv1.SendStreamRequest{Sequence: 1, Requests: [][]byte{
		s.request(alice, "one", bob), s.request(alice, "two", bob), s.network.Request(large, alice), s.request(alice, "three", bob),
	}}
	if err := stream.Send(message); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || len(answer.GetRefusals()) != 1 || answer.GetRefusals()[0].GetIndex() != 2 || answer.GetRefusals()[0].GetReason() != string(members.TooLarge) {
		t.Errorf("with one that is too large: %v, %v", answer, err)
	}
	delivered := n.subscribe(n.as(bob), bob, 0)
	for _, want := range []string{"sealed one", "sealed two", "sealed three"} {
		if d := delivered.next(); string(d.Envelopes[0].Payload) != want {
			t.Errorf("bob got %q, want %q", d.Envelopes[0].Payload, want)
		}
	}
	message = &sequencerv1.SendStreamRequest{Sequence: 2}
	for i := range 12 {
		message.Requests = append(message.Requests, s.request(alice, fmt.Sprint("many ", i), bob))
	}
	if err := stream.Send(message); err != nil {
		t.Fatal(err)
	}
	if answer, err = stream.Recv(); err != nil || len(answer.GetRefusals()) == 12 {
		t.Fatalf("more than the queue holds: %v, %v", answer, err)
	}
	for _, r := range answer.GetRefusals() { // what was queued may be ordered meanwhile
		if r.GetReason() != string(members.Overloaded) || r.GetRetryAfter() == nil {
			t.Errorf("more than the queue holds: %v", r)
		}
	}
}

// A submission whose times are right by the clock is taken though the order stands still.
func TestAnIdleNetworkTakesSubmissions(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	n.send(alice, "one", bob)
	reader := n.subscribe(n.as(bob), bob, 0)
	reader.next()
	s.ahead.Add(int64(20 * time.Minute))
	n.send(alice, "two", bob)
	if d := reader.next(); string(d.Envelopes[0].Payload) != "sealed two" {
		t.Errorf("%+v", d)
	}
}
