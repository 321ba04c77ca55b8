package members_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = membertest.Participant("alice")
	bob   = membertest.Participant("bob")
	carol = membertest.Participant("carol")
)

// station is a network of sequencers that follow one order in memory.
type station struct {
	t       testing.TB
	network *membertest.Network
	memory  *ordertest.Memory
	nodes   []*node
	ahead   atomic.Int64 // of the clock, ns

	mu   sync.Mutex
	next chan struct{} // closed when something happens
}

// node is one sequencer with its service on a loopback listener, and a client.
type node struct {
	station *station
	self    topology.Member
	state   *synchronizer.State
	service *members.Service
	conn    *grpc.ClientConn
	client  sequencerv1.SequencerServiceClient
	counter counter
	stop    func()
}

type options struct {
	plan    membertest.Plan
	memory  ordertest.MemoryConfig
	config  func(*members.Config)
	orderer func(ordering.Orderer) ordering.Orderer
}

func (s *station) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

func start(t testing.TB, o options) *station {
	t.Helper()
	if o.plan.Participants == nil {
		o.plan.Participants = []string{"alice", "bob"}
	}
	s := &station{t: t, network: membertest.Found(t, o.plan), next: make(chan struct{})}
	o.memory.Nodes = max(1, o.plan.Sequencers)
	o.memory.Now = s.now
	s.memory = ordertest.StartMemory(t, o.memory)
	for i := range o.memory.Nodes {
		s.nodes = append(s.nodes, s.startNode(i, o))
	}
	return s
}

func (s *station) startNode(i int, o options) *node {
	t := s.t
	n := &node{station: s, self: s.network.Sequencers[i], counter: counter{happened: s.happened}}
	var err error
	n.state, err = synchronizer.Open(synchronizer.Config{Dir: t.TempDir(), Founding: s.network.Genesis, Network: s.network.ID,
		Verify: members.Verifier(keys.NewBatchVerifier(100)), SegmentSize: 1 << 20, Now: s.now, Log: discard()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		apply := func(b ordering.Block) error {
			defer s.happened()
			return n.state.Apply(b)
		}
		if err := s.memory.Node(i).Read(ctx, 1, apply); ctx.Err() == nil {
			t.Errorf("following the order: %v", err)
		}
	})
	config := members.Config{State: n.state, Orderer: s.memory.Node(i), Self: n.self, TickEvery: 5 * time.Millisecond, Now: s.now,
		Key: func() keys.PrivateKey { return membertest.Protocol(n.self) }, Observer: &n.counter, Log: discard()}
	if o.orderer != nil {
		config.Orderer = o.orderer(config.Orderer)
	}
	if o.config != nil {
		o.config(&config)
	}
	if n.service, err = members.New(config); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	n.service.Register(server)
	running.Go(func() { _ = server.Serve(listener) })
	serving, endService := context.WithCancel(ctx)
	var service sync.WaitGroup
	service.Go(func() { _ = n.service.Run(serving) })
	n.stop = func() { endService(); service.Wait() }
	if n.conn, err = grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
		t.Fatal(err)
	}
	n.client = sequencerv1.NewSequencerServiceClient(n.conn)
	t.Cleanup(func() {
		n.conn.Close()
		n.stop()
		server.Stop()
		cancel()
		running.Wait()
		if err := n.state.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// patience bounds what should take milliseconds.
func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// happened tells those who wait that something may be different: a block was applied, or a service did something that it counts.
func (s *station) happened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.next)
	s.next = make(chan struct{})
}

// until waits for something that the order or a client brings.
func (s *station) until(what string, ok func() bool) {
	s.t.Helper()
	deadline := patience(s.t)
	for {
		s.mu.Lock()
		next := s.next
		s.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-next:
		case <-deadline.Done():
			s.t.Fatalf("waited for %s in vain", what)
		}
	}
}

func (n *node) login(m topology.Member, key keys.PrivateKey) *sequencerv1.AuthenticateRequest {
	n.station.t.Helper()
	challenge, err := n.client.Challenge(patience(n.station.t), &sequencerv1.ChallengeRequest{Member: m.String(), NetworkId: n.station.network.ID[:]})
	if err != nil {
		n.station.t.Fatal(err)
	}
	l := session.Login{Member: membertest.ID(m), Sequencer: membertest.ID(n.self), Nonce: session.Nonce(challenge.GetNonce())}
	public, signature := key.Public(), l.Sign(n.station.network.ID, key)
	return &sequencerv1.AuthenticateRequest{Member: m.String(), Nonce: challenge.GetNonce(), Key: public[:], Signature: signature[:]}
}

func (n *node) token(m topology.Member) string {
	n.station.t.Helper()
	response, err := n.client.Authenticate(patience(n.station.t), n.login(m, membertest.Authentication(m)))
	if err != nil {
		n.station.t.Fatal(err)
	}
	return response.GetToken()
}

func with(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// as is a call of a member that logs in for it.
func (n *node) as(m topology.Member) context.Context {
	n.station.t.Helper()
	return with(patience(n.station.t), n.token(m))
}

func (s *station) submission(from topology.Member, message string, to ...topology.Member) *sequencing.Submission {
	var set sequencing.RecipientSet
	for _, m := range to {
		set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: membertest.ID(m)})
	}
	slices.SortFunc(set, sequencing.Recipient.Compare)
	return &sequencing.Submission{Sender: membertest.ID(from), Message: sequencing.MessageID(message), Cost: 1 << 40,
		MaxTime: sequencing.Time(s.now().Add(time.Minute).UnixMicro()), Sets: []sequencing.RecipientSet{set},
		Envelopes: []sequencing.Envelope{{Payload: []byte("sealed " + message)}}}
}

func (s *station) request(from topology.Member, message string, to ...topology.Member) []byte {
	return s.network.Request(s.submission(from, message, to...), from)
}

// send sends a submission and fails the test if it is refused.
func (n *node) send(from topology.Member, message string, to ...topology.Member) {
	n.station.t.Helper()
	if _, err := n.client.SendAsync(n.as(from), &sequencerv1.SendAsyncRequest{Request: n.station.request(from, message, to...)}); err != nil {
		n.station.t.Fatalf("send %s: %v", message, err)
	}
}

// reader reads a subscription and checks what holds for every stream.
type reader struct {
	t       testing.TB
	node    *node
	member  topology.Member
	stream  grpc.ServerStreamingClient[sequencerv1.SubscribeResponse]
	known   sequencing.Time
	last    sequencing.Time
	ticks   int
	pending []*sequencing.Delivery
	cancel  func()
}

func (n *node) subscribe(ctx context.Context, m topology.Member, after sequencing.Time) *reader {
	n.station.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	n.station.t.Cleanup(cancel)
	stream, err := n.client.Subscribe(ctx, &sequencerv1.SubscribeRequest{AfterMicros: int64(after)})
	if err != nil {
		n.station.t.Fatal(err)
	}
	return &reader{t: n.station.t, node: n, member: m, stream: stream, known: after, last: after, cancel: cancel}
}

// receive takes one response.
func (r *reader) receive() error {
	r.t.Helper()
	response, err := r.stream.Recv()
	if err != nil {
		return err
	}
	told := session.Events{Member: membertest.ID(r.member), After: r.known, Encoded: response.GetEvents(), Known: sequencing.Time(response.GetKnownMicros())}
	key := keys.PublicKey(response.GetKey())
	if key != membertest.Protocol(r.node.self).Public() || !told.Signed(nil, r.node.station.network.ID, key, keys.Signature(response.GetSignature())) {
		r.t.Fatal("a response is not signed by the sequencer")
	}
	for _, encoded := range response.GetEvents() {
		d, err := sequencing.DecodeDelivery(encoded)
		if err != nil {
			r.t.Fatal(err)
		}
		if d.Previous != r.last && r.last != 0 || d.Time <= r.last {
			r.t.Fatalf("event %d after %d names %d as the one before", d.Time, r.last, d.Previous)
		}
		r.last, r.pending = d.Time, append(r.pending, d)
	}
	if told.Known < r.last || told.Known < r.known {
		r.t.Fatalf("known %d after %d with events up to %d", told.Known, r.known, r.last)
	}
	if len(response.GetEvents()) == 0 {
		r.ticks++
	}
	r.known = told.Known
	return nil
}

// next returns the next event.
func (r *reader) next() *sequencing.Delivery {
	r.t.Helper()
	for len(r.pending) == 0 {
		if err := r.receive(); err != nil {
			r.t.Fatalf("subscription: %v", err)
		}
	}
	d := r.pending[0]
	r.pending = r.pending[1:]
	return d
}

// end returns what ends the subscription.
func (r *reader) end() error {
	r.t.Helper()
	for {
		if err := r.receive(); err != nil {
			return err
		}
	}
}

// wantFailure checks code and reason of a failure and returns its details.
func wantFailure(t testing.TB, err error, code codes.Code, reason members.Reason) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.RetryInfo:
			retry = detail
		}
	}
	if status.Code(err) != code || info.GetReason() != string(reason) || info.GetDomain() != members.ErrorDomain {
		t.Fatalf("failed with %v (details %v), want code %v and reason %s", err, info, code, reason)
	}
	return info, retry
}

// counter counts what happened.
type counter struct {
	happened func()

	mu     sync.Mutex
	counts map[string]int
}

func (c *counter) add(what string, count int) {
	defer c.happened()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what] += count
}

func (c *counter) get(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts[what]
}

func (c *counter) Authenticated(r members.Reason)     { c.add("authenticated "+string(r), 1) }
func (c *counter) TokenRefused()                      { c.add("token refused", 1) }
func (c *counter) Submitted(r members.Reason, _ int)  { c.add("submitted "+string(r), 1) }
func (c *counter) Cost(traffic uint64)                { c.add("cost", int(traffic)) }
func (c *counter) Registered(r members.Reason)        { c.add("registered "+string(r), 1) }
func (c *counter) Delivered(events, _ int)            { c.add("delivered", events) }
func (c *counter) SubscriptionEnded(r members.Reason) { c.add("ended "+string(r), 1) }

func TestAMessageIsDeliveredAndItsSenderTold(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Sequencers: 2}})
	fromAlice, fromBob := s.nodes[0].subscribe(s.nodes[0].as(alice), alice, 0), s.nodes[1].subscribe(s.nodes[1].as(bob), bob, 0)
	for _, message := range []string{"one", "two", "three"} {
		s.nodes[0].send(alice, message, bob)
		receipt, delivery := fromAlice.next(), fromBob.next()
		if !receipt.Receipt || string(receipt.Message) != message || len(receipt.Envelopes) != 0 {
			t.Errorf("receipt %+v", receipt)
		}
		if delivery.Receipt || len(delivery.Envelopes) != 1 || string(delivery.Envelopes[0].Payload) != "sealed "+message || delivery.Time != receipt.Time {
			t.Errorf("delivery %+v", delivery)
		}
	}
	// A later subscription, at the other sequencer, is told the same again.
	again := s.nodes[1].subscribe(s.nodes[1].as(alice), alice, 0)
	for _, message := range []string{"one", "two", "three"} {
		if d := again.next(); string(d.Message) != message {
			t.Errorf("told %q, want %q", d.Message, message)
		}
	}
	if got := s.nodes[0].counter.get("submitted "); got != 3 {
		t.Errorf("counted %d submissions", got)
	}
}

func TestAMemberWithoutEventsIsToldTheTime(t *testing.T) {
	s := start(t, options{plan: membertest.Plan{Participants: []string{"alice", "bob", "carol"}}})
	n := s.nodes[0]
	idle := n.subscribe(n.as(carol), carol, 0)
	var last sequencing.Time
	for _, message := range []string{"one", "two"} {
		n.send(alice, message, bob)
		for idle.known <= last {
			if err := idle.receive(); err != nil {
				t.Fatal(err)
			}
		}
		last = idle.known
	}
	if len(idle.pending) > 0 || idle.ticks < 2 {
		t.Errorf("%d events and %d ticks", len(idle.pending), idle.ticks)
	}
	// Its first event reaches a subscription that began before it had ever taken part.
	n.send(alice, "three", carol)
	if d := idle.next(); string(d.Envelopes[0].Payload) != "sealed three" {
		t.Errorf("%+v", d)
	}
	response, err := n.client.GetTime(patience(t), &sequencerv1.GetTimeRequest{})
	if err != nil || response.GetTimeMicros() < int64(last) {
		t.Errorf("time %v, %v", response, err)
	}
}

func TestAStreamOfSubmissionsIsAnsweredInOrder(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	stream, err := n.client.SendStream(n.as(alice))
	if err != nil {
		t.Fatal(err)
	}
	const messages = 40
	for i := range messages {
		forged := s.network.RequestBy(s.submission(alice, "forged", bob), membertest.Protocol(bob))
		forged[len(forged)-1] ^= 1
		m := &sequencerv1.SendStreamRequest{Sequence: uint64(2*i + 1), Requests: [][]byte{
			s.request(alice, string(rune('a'+i%26))+string(rune('a'+i/26)), bob), forged, s.request(bob, "not hers", alice), {1, 2, 3}}}
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	var refusals []*sequencerv1.SendStreamResponse_Refusal
	for last := uint64(0); last < 2*messages-1; {
		answer, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetSequence() <= last {
			t.Fatalf("answer %d after %d", answer.GetSequence(), last)
		}
		last = answer.GetSequence()
		refusals = append(refusals, answer.GetRefusals()...)
	}
	if len(refusals) != 3*messages {
		t.Fatalf("%d refusals", len(refusals))
	}
	for i, r := range refusals {
		want := []members.Reason{members.BadSignature, members.NotYours, members.Invalid}[i%3]
		if r.GetSequence() != uint64(2*(i/3)+1) || int(r.GetIndex()) != i%3+1 || r.GetReason() != string(want) {
			t.Errorf("refusal %d: %v, want %s", i, r, want)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	delivered := n.subscribe(n.as(bob), bob, 0)
	for range messages {
		delivered.next()
	}
}

func TestStoppingSendsEverybodyElsewhere(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	token := n.as(alice)
	reader := n.subscribe(token, alice, 0)
	sending, err := n.client.SendStream(token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.stream.Header(); err != nil {
		t.Fatal(err)
	}
	n.stop()
	wantFailure(t, reader.end(), codes.Unavailable, members.ShuttingDown)
	_, err = sending.Recv()
	wantFailure(t, err, codes.Unavailable, members.ShuttingDown)
	_, err = n.client.GetTime(patience(t), &sequencerv1.GetTimeRequest{})
	wantFailure(t, err, codes.Unavailable, members.ShuttingDown)
}

var tick = sequencing.Request{Body: sequencing.Tick{}}.Encode()
