package client

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// stranger answers at an address as a proxy does whose sequencer is away, or as something that is no sequencer.
type stranger struct {
	listener *bufconn.Listener
	there    atomic.Bool // else the sequencer itself answers
}

func (w *world) stranger(answer http.HandlerFunc) (s *stranger, config Config) {
	s = &stranger{listener: bufconn.Listen(1 << 16)}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: answer, Protocols: &protocols}
	go func() { _ = server.Serve(s.listener) }() // ends with Close
	context.AfterFunc(w.ctx, func() { _ = server.Close() })
	config = w.config()
	config.TrustThreshold = 1
	config.Dial = func(ctx context.Context, address string) (net.Conn, error) {
		if s.there.Load() {
			return s.listener.DialContext(ctx)
		}
		return w.net.Dial(ctx, address)
	}
	return s, config
}

// TestWhatIsNoSequencerIsTriedAgain: a proxy answers while the sequencer behind it begins anew.
func TestWhatIsNoSequencerIsTriedAgain(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"not found":   func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNotFound) },
		"forbidden":   func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) },
		"a page":      func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte("<html>come back later")) },
		"other calls": func(rw http.ResponseWriter, _ *http.Request) { grpcAnswer(rw, codes.Unimplemented) },
		"no rights":   func(rw http.ResponseWriter, _ *http.Request) { grpcAnswer(rw, codes.PermissionDenied) },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, 1, func(w *world) {
				proxy, config := w.stranger(answer)
				proxy.there.Store(true)
				var log strings.Builder
				config.Log = slog.New(slog.NewTextHandler(&log, nil))
				w.live(config)
				time.Sleep(time.Minute)
				if got := w.client.Status().Sequencers[0].EndpointErrors[0]; !strings.Contains(got, "no sequencer") || !strings.Contains(got, "s1.test:4000") {
					t.Errorf("the endpoint's error is %q", got)
				}
				proxy.there.Store(false)
				time.Sleep(15 * time.Second)
				if _, err := w.client.Send(w.ctx, toBob("at last")); err != nil {
					t.Error(err)
				}
				if err := w.stop(); err != nil {
					t.Errorf("the client ended: %v", err)
				}
				if n := strings.Count(log.String(), "no sequencer"); n == 0 || n > 3 {
					t.Errorf("an operator is told %d times", n)
				}
			})
		})
	}
}

func grpcAnswer(rw http.ResponseWriter, code codes.Code) {
	rw.Header().Set("content-type", "application/grpc")
	rw.Header().Set("grpc-status", string('0'+rune(code)/10)+string('0'+rune(code)%10))
	rw.WriteHeader(http.StatusOK)
}

// TestWhatIsNoSequencerRefusesNothing: only a sequencer's own reasons end a send.
func TestWhatIsNoSequencerRefusesNothing(t *testing.T) {
	for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
		if got := failureOf("s1", status.Error(code, "from a proxy")).answer(); got != elsewhere && got != login {
			t.Errorf("%v is answer %d", code, got)
		}
	}
}
