package grpclink_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/internal/halfopen/halfopentest"
)

// station is a server, and a connection to it over wires that can be cut.
func station(t *testing.T, story func(t *testing.T, wires *halfopentest.Wires, service healthpb.HealthClient)) {
	synctest.Test(t, func(t *testing.T) {
		listener, server := bufconn.Listen(1<<16), grpclink.Server(grpc.WaitForHandlers(true))
		healthpb.RegisterHealthServer(server, health.NewServer())
		go func() { _ = server.Serve(listener) }() // ends with Stop
		defer server.Stop()
		wires := &halfopentest.Wires{Connect: func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }}
		conn, err := grpclink.Dial("passthrough:///test", grpc.WithContextDialer(wires.Dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		story(t, wires, healthpb.NewHealthClient(conn))
	})
}

// TestServersAdmitThePingsOfClients: with and without a stream, one connection lasts.
func TestServersAdmitThePingsOfClients(t *testing.T) {
	station(t, func(t *testing.T, wires *halfopentest.Wires, service healthpb.HealthClient) {
		if _, err := service.Check(t.Context(), &healthpb.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Minute) // less than the half hour after which gRPC lets an idle connection go
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		watch, err := service.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(2*time.Hour, cancel)
		if _, err := watch.Recv(); ctx.Err() == nil {
			t.Errorf("the stream ended: %v", err)
		}
		if n := wires.Made(); n != 1 {
			t.Errorf("%d connections were made", n)
		}
	})
}

// TestClientsNoticeThatTheOtherEndIsGone: while they wait, and while they do not.
func TestClientsNoticeThatTheOtherEndIsGone(t *testing.T) {
	station(t, func(t *testing.T, wires *halfopentest.Wires, service healthpb.HealthClient) {
		watch, err := service.Watch(t.Context(), &healthpb.HealthCheckRequest{})
		if err == nil {
			_, err = watch.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		wires.Cut()
		began := time.Now()
		_, err = watch.Recv()
		if took := time.Since(began); err == nil || took > grpclink.PingAfter+grpclink.PingPatience+time.Second {
			t.Errorf("noticed after %v: %v", took, err)
		}
		if _, err := service.Check(t.Context(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Errorf("a new connection: %v", err)
		}
		wires.Cut()
		time.Sleep(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := service.Check(ctx, &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
			t.Errorf("the next call after a minute: %v", err)
		}
	})
}
