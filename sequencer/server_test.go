package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/blockwire"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// station is a running server on one node of an in-memory network, with a client.
type station struct {
	memory *ordertest.Memory
	server *sequencer.Server
	conn   *grpc.ClientConn
	client orderingv1.OrderingServiceClient
	// stop ends the server and waits for it.
	stop func()
}

func start(t *testing.T, limits ordertest.MemoryConfig, config sequencer.Config, options ...grpc.DialOption) *station {
	t.Helper()
	memory := ordertest.StartMemory(t, limits)
	return serve(t, memory, memory.Node(0), config, options...)
}

// serveOn is start on a listener.
func serveOn(t *testing.T, listener net.Listener, config sequencer.Config) *station {
	t.Helper()
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	return serveAt(t, listener, memory, memory.Node(0), config)
}

func serve(t *testing.T, memory *ordertest.Memory, orderer ordering.Orderer, config sequencer.Config, options ...grpc.DialOption) *station {
	t.Helper()
	return serveAt(t, listen(t, "127.0.0.1:0"), memory, orderer, config, options...)
}

func serveAt(t *testing.T, listener net.Listener, memory *ordertest.Memory, orderer ordering.Orderer, config sequencer.Config, options ...grpc.DialOption) *station {
	t.Helper()
	config.ReadyEvery, config.Ordering = time.Millisecond, true
	server, err := sequencer.New(orderer, listener, config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(stop)
	if len(options) == 0 {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient(server.Address().String(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &station{memory: memory, server: server, conn: conn, client: orderingv1.NewOrderingServiceClient(conn), stop: stop}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// patience bounds what should take milliseconds.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// subscribe reads blocks until it has seen that many requests.
func subscribe(t *testing.T, client orderingv1.OrderingServiceClient, from uint64, requests int) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(patience(t))
	defer cancel()
	stream, err := client.Subscribe(ctx, &orderingv1.SubscribeRequest{FromHeight: from})
	if err != nil {
		t.Fatal(err)
	}
	joiner := blockwire.NewJoiner(64 << 20)
	var got []string
	for len(got) < requests {
		part, err := stream.Recv()
		if err != nil {
			t.Fatalf("after %d requests: %v", len(got), err)
		}
		block, whole, err := joiner.Add(part)
		if err != nil {
			t.Fatal(err)
		}
		if whole {
			for request := range block.Requests() {
				got = append(got, string(request.Data))
			}
		}
	}
	return got
}

// wantFailure checks code and reason of a failure and returns its details.
func wantFailure(t *testing.T, err error, code codes.Code, reason sequencer.Reason) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	t.Helper()
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			info = detail
		case *errdetails.RetryInfo:
			retry = detail
		}
	}
	if status.Code(err) != code || info.GetReason() != string(reason) || info.GetDomain() != sequencer.ErrorDomain {
		t.Fatalf("failed with %v (details %v), want code %v and reason %s", err, info, code, reason)
	}
	return info, retry
}

func TestRequestsComeBackInOrder(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{})
	ctx := patience(t)
	large := strings.Repeat("L", 3<<20) // more than one part
	for _, request := range []string{"a", "", large} {
		if _, err := s.client.Submit(ctx, &orderingv1.SubmitRequest{Requests: [][]byte{[]byte(request)}}); err != nil {
			t.Fatal(err)
		}
		subscribe(t, s.client, 1, 1)
	}
	got := subscribe(t, s.client, 0, 3)
	if strings.Join(got, ",") != "a,,"+large {
		t.Errorf("%d requests came back, not those submitted", len(got))
	}
}

func TestStatusTellsHeightEpochAndReadiness(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{})
	ctx := patience(t)
	if _, err := s.client.Submit(ctx, &orderingv1.SubmitRequest{Requests: [][]byte{[]byte("a")}}); err != nil {
		t.Fatal(err)
	}
	subscribe(t, s.client, 1, 1)
	resume := s.memory.Stall()
	stalled, err := s.client.GetStatus(ctx, &orderingv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if stalled.GetHeadHeight() != 1 || stalled.GetLowestHeight() != 1 || stalled.GetEpoch() != 1 || stalled.GetTimeMicros() == 0 {
		t.Errorf("status is %v", stalled)
	}
	if stalled.GetReady() || !strings.Contains(stalled.GetNotReadyReason(), "stalled") {
		t.Errorf("a stalled network's status is %v", stalled)
	}
	resume()
	if now, err := s.client.GetStatus(ctx, &orderingv1.GetStatusRequest{}); err != nil || !now.GetReady() {
		t.Errorf("status is %v, %v; want ready", now, err)
	}
}

func TestStreamAnswersEveryBatch(t *testing.T) {
	counts := &counter{}
	s := start(t, ordertest.MemoryConfig{RequestBytes: 1000}, sequencer.Config{Observer: counts})
	stream, err := s.client.SubmitStream(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	const batches = 200
	for sequence := uint64(1); sequence <= batches; sequence++ {
		payload := ordering.Pack([]byte(fmt.Sprint("first of ", sequence)), []byte("second"))
		switch sequence {
		case 50:
			payload = ordering.Pack(make([]byte, 1001))
		case 60:
			payload.Count++
		}
		batch := &orderingv1.SubmitStreamRequest{Sequence: sequence, RequestCount: uint32(payload.Count), Data: payload.Data}
		if err := stream.Send(batch); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	rejected := map[uint64]orderingv1.Rejection_Reason{}
	var answered uint64
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if answer.GetSequence() <= answered {
			t.Errorf("answer %d after answer %d", answer.GetSequence(), answered)
		}
		answered = answer.GetSequence()
		if answer.GetRejection() != nil {
			rejected[answered] = answer.GetRejection().GetReason()
		}
	}
	if answered != batches {
		t.Errorf("the last answer is %d, the last batch was %d", answered, batches)
	}
	if len(rejected) != 2 || rejected[50] != orderingv1.Rejection_REASON_TOO_LARGE || rejected[60] != orderingv1.Rejection_REASON_INVALID {
		t.Errorf("rejected %v, want 50 as too large and 60 as invalid", rejected)
	}
	accepted := 2 * (batches - 2)
	if got := subscribe(t, s.client, 1, accepted); len(got) != accepted {
		t.Errorf("%d requests were ordered, %d accepted", len(got), accepted)
	}
	counts.want(t, "", accepted)
	counts.want(t, sequencer.TooLarge, 1)
	counts.want(t, sequencer.Invalid, 3)
}

func TestStreamEndsWhenSequencesDoNotGrow(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{})
	stream, err := s.client.SubmitStream(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	payload := ordering.Pack([]byte("a"))
	for range 2 {
		if err := stream.Send(&orderingv1.SubmitStreamRequest{Sequence: 1, RequestCount: 1, Data: payload.Data}); err != nil {
			break
		}
	}
	for err == nil {
		_, err = stream.Recv()
	}
	wantFailure(t, err, codes.InvalidArgument, sequencer.Invalid)
}

func TestFailuresCarryTheirReason(t *testing.T) {
	small := ordertest.MemoryConfig{RequestBytes: 100, QueueBytes: 300, QueueRequests: 10}
	submit := func(s *station, sizes ...int) error {
		request := &orderingv1.SubmitRequest{}
		for _, size := range sizes {
			request.Requests = append(request.Requests, make([]byte, size))
		}
		_, err := s.client.Submit(patience(t), request)
		return err
	}
	t.Run("overloaded", func(t *testing.T) {
		s := start(t, small, sequencer.Config{})
		defer s.memory.Stall()()
		var err error
		for err == nil {
			err = submit(s, 50)
		}
		_, retry := wantFailure(t, err, codes.ResourceExhausted, sequencer.Overloaded)
		if retry.GetRetryDelay().AsDuration() <= 0 {
			t.Error("no delay is given")
		}
	})
	t.Run("too large", func(t *testing.T) {
		s := start(t, small, sequencer.Config{})
		info, _ := wantFailure(t, submit(s, 101), codes.InvalidArgument, sequencer.TooLarge)
		if info.GetMetadata()["limit"] != "100" || info.GetMetadata()["size"] != "101" {
			t.Errorf("metadata is %v", info.GetMetadata())
		}
	})
	t.Run("nothing submitted", func(t *testing.T) {
		wantFailure(t, submit(start(t, small, sequencer.Config{})), codes.InvalidArgument, sequencer.Invalid)
	})
	t.Run("pruned", func(t *testing.T) {
		s := start(t, small, sequencer.Config{})
		for range 3 {
			if err := submit(s, 1); err != nil {
				t.Fatal(err)
			}
			subscribe(t, s.client, s.head(t), 1)
		}
		s.memory.Prune(0, 3)
		stream, err := s.client.Subscribe(patience(t), &orderingv1.SubscribeRequest{FromHeight: 1})
		if err == nil {
			_, err = stream.Recv()
		}
		info, _ := wantFailure(t, err, codes.OutOfRange, sequencer.Pruned)
		if info.GetMetadata()["lowest_height"] != "3" {
			t.Errorf("metadata is %v", info.GetMetadata())
		}
	})
	t.Run("not ready", func(t *testing.T) {
		memory := ordertest.StartMemory(t, small)
		s := serve(t, memory, failing(memory.Node(0), &ordering.NotReady{Reason: "two of four are down"}), sequencer.Config{})
		err := submit(s, 1)
		if _, retry := wantFailure(t, err, codes.Unavailable, sequencer.NotReady); retry == nil || !strings.Contains(err.Error(), "two of four") {
			t.Errorf("failed with %v, want the reason and a delay", err)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		s := start(t, small, sequencer.Config{})
		s.memory.Stop(0)
		wantFailure(t, submit(s, 1), codes.Unavailable, sequencer.ShuttingDown)
	})
	t.Run("internal, without a word about the inside", func(t *testing.T) {
		memory := ordertest.StartMemory(t, small)
		s := serve(t, memory, failing(memory.Node(0), errors.New("secret path /var")), sequencer.Config{Log: discard()})
		err := submit(s, 1)
		wantFailure(t, err, codes.Internal, sequencer.Internal)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the client is told %q", err)
		}
	})
	t.Run("panic", func(t *testing.T) {
		memory, counts := ordertest.StartMemory(t, small), &counter{}
		panicking := &ordertest.Altered{Orderer: memory.Node(0), OnSubmit: func(context.Context, [][]byte) error { panic("planted") }}
		s := serve(t, memory, panicking, sequencer.Config{Log: discard(), Observer: counts})
		wantFailure(t, submit(s, 1), codes.Internal, sequencer.Internal)
		counts.want(t, "panic", 1)
	})
	t.Run("too many streams", func(t *testing.T) {
		s := start(t, small, sequencer.Config{Streams: 1})
		if err := submit(s, 1); err != nil {
			t.Fatal(err)
		}
		stream, err := s.client.Subscribe(patience(t), &orderingv1.SubscribeRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		wantFailure(t, submit(s, 1), codes.ResourceExhausted, sequencer.TooManyStreams)
	})
}

func (s *station) head(t *testing.T) uint64 {
	t.Helper()
	for ctx := patience(t); ; {
		now, err := s.client.GetStatus(ctx, &orderingv1.GetStatusRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if now.GetHeadHeight() > 0 {
			return now.GetHeadHeight()
		}
	}
}

func failing(sound ordering.Orderer, err error) ordering.Orderer {
	return &ordertest.Altered{Orderer: sound, OnSubmit: func(context.Context, [][]byte) error { return err }}
}

// A subscriber that does not read holds up neither others nor memory: the server
// reads no more blocks for it than fit the connection's windows.
func TestSlowSubscriberIsNotQueuedFor(t *testing.T) {
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
	var mu sync.Mutex
	read := 0
	counting := &ordertest.Altered{Orderer: memory.Node(0), Deliver: func(block ordering.Block) []ordering.Block {
		mu.Lock()
		defer mu.Unlock()
		read++
		return []ordering.Block{block}
	}}
	s := serve(t, memory, counting, sequencer.Config{})
	ctx := patience(t)
	if _, err := s.client.Subscribe(ctx, &orderingv1.SubscribeRequest{}); err != nil {
		t.Fatal(err)
	}
	const blocks = 64
	request := make([]byte, 1<<20)
	for i := range blocks {
		if err := memory.Node(1).Submit(ctx, request); err != nil {
			t.Fatal(err)
		}
		if err := memory.Node(1).Read(ctx, ordering.Height(i+1), func(ordering.Block) error { return io.EOF }); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	// Another connection gets everything, which gave the first one its chance.
	other, err := grpc.NewClient(s.server.Address().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	subscribe(t, orderingv1.NewOrderingServiceClient(other), 1, blocks)
	mu.Lock()
	defer mu.Unlock()
	if slow := read - blocks; slow > blocks/4 {
		t.Errorf("%d MiB were read for a subscriber that takes nothing", slow)
	}
}

func TestHealthFollowsReadinessAndIsWatched(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{})
	health := healthpb.NewHealthClient(s.conn)
	watch, err := health.Watch(patience(t), &healthpb.HealthCheckRequest{Service: "synod.ordering.v1.OrderingService"})
	if err != nil {
		t.Fatal(err)
	}
	want := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if got, err := watch.Recv(); err != nil || got.GetStatus() != want {
			t.Fatalf("health is %v, %v; want %v", got, err, want)
		}
	}
	want(healthpb.HealthCheckResponse_SERVING)
	resume := s.memory.Stall()
	want(healthpb.HealthCheckResponse_NOT_SERVING)
	resume()
	want(healthpb.HealthCheckResponse_SERVING)
	go s.stop()
	want(healthpb.HealthCheckResponse_NOT_SERVING)
}

func TestDrainEndsStreamsAndTellsClientsToGoOnElsewhere(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{Drain: time.Hour})
	ctx := patience(t)
	if _, err := s.client.Submit(ctx, &orderingv1.SubmitRequest{Requests: [][]byte{[]byte("a")}}); err != nil {
		t.Fatal(err)
	}
	subscription, err := s.client.Subscribe(ctx, &orderingv1.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := subscription.Recv(); err != nil {
		t.Fatal(err)
	}
	submission, err := s.client.SubmitStream(ctx)
	if err != nil {
		t.Fatal(err)
	}
	payload := ordering.Pack([]byte("b"))
	if err := submission.Send(&orderingv1.SubmitStreamRequest{Sequence: 1, RequestCount: 1, Data: payload.Data}); err != nil {
		t.Fatal(err)
	}
	if _, err := submission.Recv(); err != nil {
		t.Fatal(err)
	}
	s.stop() // returns although nobody hung up
	_, err = submission.Recv()
	wantFailure(t, err, codes.Unavailable, sequencer.ShuttingDown)
	for err = nil; err == nil; {
		_, err = subscription.Recv()
	}
	wantFailure(t, err, codes.Unavailable, sequencer.ShuttingDown)
}

func TestReflectionNamesTheService(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{})
	stream, err := reflectionpb.NewServerReflectionClient(s.conn).ServerReflectionInfo(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil || !strings.Contains(answer.String(), "synod.ordering.v1.OrderingService") {
		t.Errorf("reflection answers %v, %v", answer, err)
	}
}
