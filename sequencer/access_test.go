package sequencer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer"
)

const token = "correct horse battery staple"

func TestTokenIsAskedOfEveryCallButHealth(t *testing.T) {
	file := write(t, "tokens", "# operators\n"+token+"\n\nanother token, long enough\n")
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{TokenFile: file})
	call := func(authorization ...string) error {
		ctx := patience(t)
		for _, value := range authorization {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", value)
		}
		_, err := s.client.GetStatus(ctx, &orderingv1.GetStatusRequest{})
		return err
	}
	for _, refused := range [][]string{nil, {"Bearer wrong"}, {token}, {"Bearer " + token + "x"}, {"Bearer # operators"}, {"Bearer " + token, "Bearer " + token}} {
		wantFailure(t, call(refused...), codes.Unauthenticated, sequencer.Unauthenticated)
	}
	for _, admitted := range []string{token, "another token, long enough"} {
		if err := call("Bearer " + admitted); err != nil {
			t.Errorf("a listed token is refused: %v", err)
		}
	}
	stream, err := s.client.Subscribe(patience(t), &orderingv1.SubscribeRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	wantFailure(t, err, codes.Unauthenticated, sequencer.Unauthenticated)
	if _, err := healthpb.NewHealthClient(s.conn).Check(patience(t), &healthpb.HealthCheckRequest{}); err != nil {
		t.Errorf("a probe without a token is refused: %v", err)
	}

	// A token that is taken out of the file is refused after the next reload, and
	// a file that cannot be used changes nothing.
	if err := os.WriteFile(file, []byte("another token, long enough\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Reload(); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, call("Bearer "+token), codes.Unauthenticated, sequencer.Unauthenticated)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.server.Reload(); err == nil {
		t.Error("an empty token file is taken")
	}
	if err := call("Bearer another token, long enough"); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
}

func TestTLSServesItsCertificate(t *testing.T) {
	certificate, key := selfSigned(t)
	roots := x509.NewCertPool()
	content, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(content)
	s := start(t, ordertest.MemoryConfig{}, sequencer.Config{CertificateFile: certificate, KeyFile: key},
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, "")))
	if _, err := s.client.GetStatus(patience(t), &orderingv1.GetStatusRequest{}); err != nil {
		t.Errorf("over TLS: %v", err)
	}
	plain, err := grpc.NewClient(s.server.Address().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := orderingv1.NewOrderingServiceClient(plain).GetStatus(patience(t), &orderingv1.GetStatusRequest{}); err == nil {
		t.Error("a client without TLS was served")
	}
}

func TestStrangersFindNoOpenListener(t *testing.T) {
	certificate, key := selfSigned(t)
	tokens := write(t, "tokens", token)
	outside := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
	everywhere := &net.TCPAddr{IP: net.IPv6unspecified, Port: 1}
	loopback := &net.TCPAddr{IP: net.IPv6loopback, Port: 1}
	for _, test := range []struct {
		name    string
		address net.Addr
		config  sequencer.Config
		want    string // in the error; empty: none
	}{
		{"loopback, nothing", loopback, sequencer.Config{}, ""},
		{"loopback, token", loopback, sequencer.Config{TokenFile: tokens}, ""},
		{"outside, nothing", outside, sequencer.Config{}, "has no TLS"},
		{"every address, nothing", everywhere, sequencer.Config{}, "has no TLS"},
		{"outside, token in the clear", outside, sequencer.Config{TokenFile: tokens}, "has no TLS"},
		{"outside, TLS alone", outside, sequencer.Config{CertificateFile: certificate, KeyFile: key, Ordering: true}, "admits anybody"},
		{"outside, TLS, services that admit by themselves", outside, sequencer.Config{CertificateFile: certificate, KeyFile: key}, ""},
		{"outside, both", outside, sequencer.Config{CertificateFile: certificate, KeyFile: key, TokenFile: tokens}, ""},
		{"certificate without key", loopback, sequencer.Config{CertificateFile: certificate}, "belong together"},
		{"no such certificate", loopback, sequencer.Config{CertificateFile: "/none", KeyFile: key}, "/none"},
		{"no such token file", loopback, sequencer.Config{TokenFile: "/none"}, "/none"},
		{"short token", loopback, sequencer.Config{TokenFile: write(t, "short", "\nsecret\n")}, "line 2"},
		{"no token", loopback, sequencer.Config{TokenFile: write(t, "empty", "# nobody\n")}, "no token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			memory := ordertest.StartMemory(t, ordertest.MemoryConfig{})
			_, err := sequencer.New(memory.Node(0), pretendListener{address: test.address}, test.config)
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error is %v, want one with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows a token: %v", err)
			}
		})
	}
}

// pretendListener has an address and nothing else.
type pretendListener struct {
	net.Listener
	address net.Addr
}

func (l pretendListener) Addr() net.Addr { return l.address }

func write(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func selfSigned(t *testing.T) (certificateFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "certificate.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))),
		write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
}
