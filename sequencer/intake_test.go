package sequencer_test

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer"
)

// withToken is a configuration that admits who shows the token.
func withToken(t *testing.T, config sequencer.Config) sequencer.Config {
	t.Helper()
	config.TokenFile = filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(config.TokenFile, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// wire calls methods over HTTP/2 as no gRPC client does.
type wire struct {
	t      *testing.T
	client *http.Client
	at     string
}

func newWire(t *testing.T, at string) *wire {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &wire{t: t, client: &http.Client{Transport: transport}, at: at}
}

// withheld is a call whose message is said to have so many bytes, of which this many come. Its answer is its status, once the
// server has ended it; until then its message goes on to lack its end.
func (w *wire) withheld(method, shown string, says, comes int) (status <-chan string, end func()) {
	w.t.Helper()
	body, more := io.Pipe()
	request, err := http.NewRequestWithContext(patience(w.t), http.MethodPost, "http://"+w.at+method, body)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("content-type", "application/grpc")
	request.Header.Set("te", "trailers")
	if shown != "" {
		request.Header.Set("authorization", "Bearer "+shown)
	}
	answers, sent := make(chan string, 1), make(chan struct{})
	go func() {
		response, err := w.client.Do(request)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		if s := response.Header.Get("grpc-status"); s != "" {
			answers <- s
			return
		}
		answers <- response.Trailer.Get("grpc-status")
	}()
	go func() {
		defer close(sent)
		message := make([]byte, 5+comes)
		binary.BigEndian.PutUint32(message[1:], uint32(says))
		_, _ = more.Write(message) // the server may hang up before
	}()
	end = func() { more.CloseWithError(io.ErrClosedPipe); <-sent }
	w.t.Cleanup(end)
	return answers, end
}

const (
	submit = "/synod.ordering.v1.OrderingService/Submit"
	stream = "/synod.ordering.v1.OrderingService/SubmitStream"
	check  = "/grpc.health.v1.Health/Check"
	watch  = "/grpc.health.v1.Health/Watch"
)

// The answer does not wait for the end of a message, which never comes.
func TestWhatIsRefusedIsNotRead(t *testing.T) {
	for _, tc := range []struct {
		name, method, token string
		says, comes         int
		want                string // gRPC's status code
		counted             sequencer.Limit
	}{
		{"without a token", submit, "", 15 << 20, 100 << 10, "16", ""},
		{"without a token, a stream", stream, "", 15 << 20, 100 << 10, "16", ""},
		{"a token of nobody", submit, "is not admitted here", 15 << 20, 100 << 10, "16", ""},
		{"a long message of a stranger", check, "", 1 << 20, 0, "8", sequencer.LimitSize},
		{"too long a message", submit, token, 17 << 20, 0, "8", sequencer.LimitSize},
		{"too long a message in a stream", stream, token, 17 << 20, 0, "8", sequencer.LimitSize},
		{"more than one caller may have under way", submit, token, 9 << 20, 0, "8", sequencer.LimitBytes},
		{"a message that does not come", submit, token, 1000, 10, "4", sequencer.LimitPatience},
		{"a large message that does not come", submit, token, 1 << 20, 900 << 10, "4", sequencer.LimitPatience},
		{"a large message in a stream that does not come", stream, token, 1 << 20, 300 << 10, "4", sequencer.LimitPatience},
		{"a message of a stranger that does not come", watch, "", 1000, 10, "4", sequencer.LimitPatience},
	} {
		t.Run(tc.name, func(t *testing.T) {
			counts := &counter{}
			s := start(t, ordertest.MemoryConfig{}, withToken(t, sequencer.Config{
				Observer: counts, LargeBytes: 32 << 20, Patience: 20 * time.Millisecond, StrangersPatience: 20 * time.Millisecond}))
			answer, _ := newWire(t, s.server.Address().String()).withheld(tc.method, tc.token, tc.says, tc.comes)
			if got := <-answer; got != tc.want {
				t.Errorf("status %s, want %s", got, tc.want)
			}
			if tc.counted != "" {
				counts.want(t, sequencer.Reason(tc.counted), 1)
			}
		})
	}
}

// Large messages share a room, and give it back however they end.
func TestRoomForLargeMessages(t *testing.T) {
	counts := &counter{}
	s := start(t, ordertest.MemoryConfig{}, withToken(t, sequencer.Config{Observer: counts, LargeBytes: 32 << 20}))
	w := newWire(t, s.server.Address().String())
	ctx := metadata.AppendToOutgoingContext(patience(t), "authorization", "Bearer "+token)
	large := &orderingv1.SubmitRequest{Requests: [][]byte{make([]byte, 6<<20)}}
	answer, end := w.withheld(submit, token, 5<<20, 4<<20)
	for { // until the one withheld has its room
		_, err := s.client.Submit(ctx, large)
		if err == nil {
			select {
			case <-answer: // it came while the other one had the room
				answer, end = w.withheld(submit, token, 5<<20, 4<<20)
			default:
			}
			continue
		}
		if _, retry := wantFailure(t, err, codes.ResourceExhausted, sequencer.TooManyStreams); retry.GetRetryDelay().AsDuration() <= 0 {
			t.Error("it is not told when to try again")
		}
		break
	}
	if _, err := s.client.Submit(ctx, &orderingv1.SubmitRequest{Requests: [][]byte{make([]byte, 200<<10)}}); err != nil {
		t.Errorf("a small message needs no room: %v", err)
	}
	end()
	for ctx.Err() == nil {
		if _, err := s.client.Submit(ctx, large); err == nil {
			return
		}
	}
	t.Error("the room is not given back")
}

// Calls of strangers are bounded, by host and in all; those of others go on.
func TestStrangersAreBounded(t *testing.T) {
	s := start(t, ordertest.MemoryConfig{}, withToken(t, sequencer.Config{Strangers: turnstile.Limits{Total: 10, Host: 2}}))
	health := healthpb.NewHealthClient(s.conn)
	ctx, cancel := context.WithCancel(patience(t))
	for range 2 {
		stream, err := health.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := health.Check(patience(t), &healthpb.HealthCheckRequest{})
	if _, retry := wantFailure(t, err, codes.ResourceExhausted, sequencer.TooManyStreams); retry == nil {
		t.Error("it is not told when to try again")
	}
	authorized := metadata.AppendToOutgoingContext(patience(t), "authorization", "Bearer "+token)
	if _, err := s.client.GetStatus(authorized, &orderingv1.GetStatusRequest{}); err != nil {
		t.Errorf("with a token: %v", err)
	}
	cancel()
	for err != nil && patience(t).Err() == nil {
		_, err = health.Check(patience(t), &healthpb.HealthCheckRequest{})
	}
	if err != nil {
		t.Error(err)
	}
}

// Who shows a token keeps the connection, however many come after; who shows none is pushed out.
func TestAConnectionIsProvenByAToken(t *testing.T) {
	gate := turnstile.New(turnstile.Limits{Total: 3})
	s := serveOn(t, gate.Listener(listen(t, "127.0.0.1:0")), withToken(t, sequencer.Config{}))
	ctx := metadata.AppendToOutgoingContext(patience(t), "authorization", "Bearer "+token)
	stream, err := s.client.Subscribe(ctx, &orderingv1.SubscribeRequest{})
	if err == nil {
		_, err = s.client.Submit(ctx, &orderingv1.SubmitRequest{Requests: [][]byte{[]byte("a")}})
	}
	if err == nil {
		_, err = stream.Recv()
	}
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		conn, err := grpc.NewClient(s.server.Address().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := healthpb.NewHealthClient(conn).Check(patience(t), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.client.Submit(ctx, &orderingv1.SubmitRequest{Requests: [][]byte{[]byte("b")}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("the connection that was proven is gone: %v", err)
	}
	if counts := gate.Counts(); counts.Open > 3 || counts.PushedOut == 0 || counts.Refused > 0 {
		t.Errorf("%+v", counts)
	}
}
