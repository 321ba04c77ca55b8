package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/internal/turnstile"
)

// Config is what a listener for operators needs.
type Config struct {
	// CertificateFile, KeyFile and AuthorityFile are PEM: what the listener shows, and whose certificates callers must show.
	CertificateFile, KeyFile, AuthorityFile string
	// Plain serves without TLS whoever can connect, which must be loopback only: for a sandbox.
	Plain bool
	// Services are what is served beside health and reflection.
	Services []Service
	// Now is the time by which callers' certificates are judged; nil means the system's.
	Now func() time.Time
	// Ready says why the sequencer cannot be used now, for the health service; nil if it can.
	Ready func() error
}

// Service is one service on the listener.
type Service interface{ Register(grpc.ServiceRegistrar) }

// Bounds on what callers can make the listener hold. Operators are few.
const (
	maxMessage        = 1 << 20 // bytes
	maxStreams        = 64      // on one connection
	headerBytes       = 16 << 10
	idle              = 10 * time.Minute // without a call, and the connection is closed
	handshakePatience = 10 * time.Second
	readyEvery        = 500 * time.Millisecond
	drainPatience     = 2 * time.Second
)

// Server is the listener for operators.
type Server struct {
	cfg      Config
	listener net.Listener
	tls      atomic.Pointer[tls.Config]
	health   *health.Server
	grpc     *grpc.Server
}

// New returns a server on a listener, which it owns from then on. It fails if the files cannot be used, or if strangers could
// call; the caller then still owns the listener.
func New(listener net.Listener, cfg Config) (*Server, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Server{cfg: cfg, listener: listener, health: health.NewServer()}
	transport, err := s.transport()
	if err != nil {
		return nil, fmt.Errorf("admin listener: %w", err)
	}
	s.grpc = grpclink.Server(grpc.Creds(turnstile.ProvenByHandshake(transport)), grpc.ConnectionTimeout(handshakePatience), grpclink.Idle(idle), grpc.MaxHeaderListSize(headerBytes), grpc.MaxRecvMsgSize(maxMessage), grpc.MaxConcurrentStreams(maxStreams),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream))
	for _, service := range cfg.Services {
		service.Register(s.grpc)
	}
	healthpb.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	s.reportHealth()
	return s, nil
}

func (s *Server) transport() (credentials.TransportCredentials, error) {
	if s.cfg.Plain {
		if a, ok := s.listener.Addr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
			return nil, fmt.Errorf("%v can be reached from other machines and admits anybody: listen on a loopback address", s.listener.Addr())
		}
		return insecure.NewCredentials(), nil
	}
	if err := s.Reload(); err != nil {
		return nil, err
	}
	return credentials.NewTLS(&tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.tls.Load(), nil },
	}), nil
}

// Reload reads the certificates again, for connections to come; callers of another authority are refused from then on also on connections
// that they have. On an error what was in force stays so.
func (s *Server) Reload() error {
	if s.cfg.Plain {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(s.cfg.CertificateFile, s.cfg.KeyFile)
	if err != nil {
		return fmt.Errorf("read the certificate %s and key %s: %w", s.cfg.CertificateFile, s.cfg.KeyFile, err)
	}
	content, err := os.ReadFile(s.cfg.AuthorityFile)
	if err != nil {
		return fmt.Errorf("read the operators' authority: %w", err)
	}
	operators := x509.NewCertPool()
	if !operators.AppendCertsFromPEM(content) {
		return fmt.Errorf("read the operators' authority: %s holds no certificate in PEM", s.cfg.AuthorityFile)
	}
	s.tls.Store(&tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: operators,
	})
	return nil
}

func (s *Server) unary(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if err := s.admit(ctx); err != nil {
		return nil, err
	}
	return handler(ctx, r)
}

func (s *Server) stream(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if err := s.admit(stream.Context()); err != nil {
		return err
	}
	return handler(server, stream)
}

// admit looks at a caller's certificate again: a connection lasts for long, and the authority may have been replaced, or the certificate have
// expired, since it began.
func (s *Server) admit(ctx context.Context) error {
	if s.cfg.Plain {
		return nil
	}
	p, _ := peer.FromContext(ctx)
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.PeerCertificates) == 0 {
		return status.Error(codes.Unauthenticated, "an operator's certificate is needed")
	}
	options := x509.VerifyOptions{Roots: s.tls.Load().ClientCAs, Intermediates: x509.NewCertPool(), CurrentTime: s.cfg.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, c := range info.State.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := info.State.PeerCertificates[0].Verify(options); err != nil {
		return status.Errorf(codes.Unauthenticated, "the certificate of %q does not admit to this sequencer any more: %v", info.State.PeerCertificates[0].Subject.CommonName, err)
	}
	return nil
}

// Run serves until ctx ends; calls in hand get a moment to finish.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.grpc.Serve(s.listener) }()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.reportHealth()
		case err := <-served:
			return fmt.Errorf("serve operators on %v: %w", s.listener.Addr(), err)
		case <-ctx.Done():
			s.health.Shutdown()
			deadline := time.AfterFunc(drainPatience, s.grpc.Stop)
			defer deadline.Stop()
			s.grpc.GracefulStop()
			return <-served
		}
	}
}

func (s *Server) reportHealth() {
	serving := healthpb.HealthCheckResponse_SERVING
	if s.cfg.Ready != nil && s.cfg.Ready() != nil {
		serving = healthpb.HealthCheckResponse_NOT_SERVING
	}
	s.health.SetServingStatus("", serving)
}
