package admin_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/node/pki"
	"github.com/synod-network/synod/sequencer/admin"
)

// TestStreamsAreForOperatorsToo: a stream is not begun on a connection that has outlived its certificate.
func TestStreamsAreForOperatorsToo(t *testing.T) {
	var later atomic.Int64
	address, dir, _ := serving(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	service := healthpb.NewHealthClient(dial(t, address, dir, "ours-client"))
	watch := func() error {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream, err := service.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	if err := watch(); err != nil {
		t.Fatal(err)
	}
	later.Store(int64(pki.LeafValid + time.Hour))
	if err := watch(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("after the certificate has expired: %v", err)
	}
}

// TestOldTLSIsRefused: an operator who would be served otherwise, too.
func TestOldTLSIsRefused(t *testing.T) {
	address, dir := served(t)
	content, err := os.ReadFile(filepath.Join(dir, "ours-ca"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(content)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ours-client"), filepath.Join(dir, "ours-client-key"))
	if err != nil {
		t.Fatal(err)
	}
	for version, good := range map[uint16]bool{tls.VersionTLS12: false, tls.VersionTLS13: true} {
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, MaxVersion: version, NextProtos: []string{"h2"}})
		if (err == nil) != good {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// TestAReloadThatFailsChangesNothing: whatever file is missing, cut off or of another kind, who was served is served on, and nobody else.
func TestAReloadThatFailsChangesNothing(t *testing.T) {
	address, dir, s := serving(t, time.Now, admin.NewNode(admin.NodeConfig{Level: &slog.LevelVar{}, Log: slog.New(slog.DiscardHandler)}))
	for _, file := range []string{"ours-ca", "ours-server", "ours-server-key"} {
		path := filepath.Join(dir, file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, content := range map[string][]byte{"gone": nil, "no PEM": []byte("hello"), "cut off": good[:len(good)/2]} {
			err := os.WriteFile(path, content, 0o600)
			if content == nil {
				err = os.Remove(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Reload(); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: %v", file, what, err)
			}
		}
		if err := os.WriteFile(path, good, 0o600); err != nil {
			t.Fatal(err)
		}
		for client, want := range map[string]codes.Code{"ours-client": codes.OK, "other-client": codes.Unavailable, "": codes.Unavailable} {
			_, err := adminv1.NewNodeServiceClient(dial(t, address, dir, client)).GetLogLevel(t.Context(), &adminv1.GetLogLevelRequest{})
			if status.Code(err) != want {
				t.Errorf("after %s could not be read, with %q: %v", file, client, err)
			}
		}
	}
}

// TestLargeRequestsAreRefused: operators have little to say, and the listener holds no more than that.
func TestLargeRequestsAreRefused(t *testing.T) {
	address, dir := served(t, admin.NewMembers(admin.MembersConfig{Log: slog.New(slog.DiscardHandler)}))
	service := adminv1.NewMemberServiceClient(dial(t, address, dir, "ours-client"))
	for size, want := range map[int]codes.Code{1<<20 - 100: codes.InvalidArgument, 1<<20 + 1: codes.ResourceExhausted} {
		if _, err := service.Sign(t.Context(), &adminv1.SignRequest{Request: make([]byte, size)}); status.Code(err) != want {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestHealthFollowsReadiness: over a listener without TLS too, which serves whoever is on the machine; when it ends, a stream that goes
// on does not hold it up for ever.
func TestHealthFollowsReadiness(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var unready atomic.Bool
	unready.Store(true)
	s, err := admin.New(listener, admin.Config{Plain: true, Ready: func() error {
		if unready.Load() {
			return errors.New("no quorum is connected")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := healthpb.NewHealthClient(conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	next := func(when string, want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		if answer, err := stream.Recv(); err != nil || answer.GetStatus() != want {
			t.Fatalf("%s: %v, %v", when, answer, err)
		}
	}
	next("at first", healthpb.HealthCheckResponse_NOT_SERVING)
	unready.Store(false)
	next("with a quorum", healthpb.HealthCheckResponse_SERVING)
	stop()
	next("as it ends", healthpb.HealthCheckResponse_NOT_SERVING)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
