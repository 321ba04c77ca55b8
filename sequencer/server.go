package sequencer

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/internal/grpcbuf"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/ordering"
)

// In bytes. A stream's window is what its client sends before anybody reads: it lets small messages run at 25 MB/s over a link of 10 ms, and is
// opened further for each larger message once there is room for it (see [room]). gRPC gives the window of a connection back at once, whether
// what came was read or not: it bounds nothing.
const (
	streamWindow     = 256 << 10
	connectionWindow = 4 << 20
	headerBytes      = 16 << 10 // of the metadata of a call
)

// handshakePatience is how long a connection may take to begin: TLS and the preface of HTTP/2.
const handshakePatience = 10 * time.Second

// Server is the listener for clients: the ordering service, and others beside it.
type Server struct {
	config   Config
	listener net.Listener
	orderer  ordering.Orderer
	access   *access
	service  *service
	health   *health.Server
	grpc     *grpc.Server
	draining context.Context
	drain    context.CancelCauseFunc
}

// New returns a server for the orderer on a listener, which it owns from then
// on, and which should bound its connections ([turnstile.Turnstile]): those over which
// a token was shown that holds count as proven. It fails if the files that config names cannot be used, or if strangers
// could reach the listener unauthenticated; the caller then still owns it.
func New(orderer ordering.Orderer, listener net.Listener, config Config) (*Server, error) {
	config = config.withDefaults()
	access, err := newAccess(config, listener.Addr())
	if err != nil {
		return nil, fmt.Errorf("sequencer service: %w", err)
	}
	draining, drain := context.WithCancelCause(context.Background())
	gate := newGate(access, config, draining)
	s := &Server{
		config:   config,
		listener: listener,
		orderer:  orderer,
		access:   access,
		service:  &service{orderer: orderer, log: config.Log, observer: config.Observer},
		health:   health.NewServer(),
		draining: draining,
		drain:    drain,
		grpc: grpclink.Server(
			grpc.Creds(turnstile.Credentials(access.credentials())),
			grpc.InTapHandle(tapped),
			grpc.StreamInterceptor(gate.stream),
			grpc.ConnectionTimeout(handshakePatience),
			grpclink.Idle(config.Idle),
			grpc.MaxHeaderListSize(headerBytes),
			grpc.MaxRecvMsgSize(config.MessageBytes),
			grpcbuf.Serve(),
			grpc.MaxConcurrentStreams(uint32(config.StreamsPerConnection)),
			grpc.InitialWindowSize(streamWindow),
			grpc.InitialConnWindowSize(connectionWindow),
		),
	}
	registrar := gated{s.grpc, gate}
	if config.Ordering {
		orderingv1.RegisterOrderingServiceServer(registrar, s.service)
	}
	for _, service := range config.Services {
		service.Register(registrar)
	}
	healthpb.RegisterHealthServer(registrar, s.health)
	reflection.Register(registrar)
	s.reportHealth()
	return s, nil
}

// Address is where the server listens.
func (s *Server) Address() net.Addr { return s.listener.Addr() }

// Subscribers is the number of subscriptions open now, and the number of blocks
// that the slowest of them is behind the head.
func (s *Server) Subscribers() (open int, lag uint64) {
	return s.service.positions.lag(s.service.orderer.Status().Head)
}

// Reload reads the certificate and the tokens again, for connections and calls
// to come. On an error what was in force stays so.
func (s *Server) Reload() error { return s.access.reload() }

// Run serves until ctx ends, and then drains: health goes down, after a lull
// streams are ended with SHUTTING_DOWN, and calls in hand get the drain time to
// finish. It returns nil after that, or what made serving impossible.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.listener) }()
	var beside sync.WaitGroup
	defer beside.Wait()
	defer s.drain(errDraining) // at the latest
	for _, service := range s.config.Services {
		beside.Go(func() {
			if err := service.Run(s.draining); err != nil {
				s.config.Log.Error("a service ended", "error", err)
			}
		})
	}
	ticker := time.NewTicker(s.config.ReadyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.reportHealth()
		case <-ctx.Done():
			s.stop()
			return <-served
		case err := <-served:
			s.stop()
			return fmt.Errorf("serving on %v: %w", s.listener.Addr(), err)
		}
	}
}

// reportHealth publishes the orderer's readiness; Watch tells those who wait for
// a change.
func (s *Server) reportHealth() {
	serving := healthpb.HealthCheckResponse_SERVING
	if s.orderer.Ready() != nil {
		serving = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus("", serving)
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, serving)
	}
}

func (s *Server) stop() {
	s.health.Shutdown()
	lull := time.NewTimer(s.config.Lull)
	defer lull.Stop()
	<-lull.C
	s.drain(errDraining)
	deadline := time.AfterFunc(s.config.Drain, s.grpc.Stop)
	defer deadline.Stop()
	s.grpc.GracefulStop()
}
