package admin_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/pki"
	"github.com/synod-network/synod/sequencer/admin"
)

// peersInFile are peers whose endpoints are only stored.
type peersInFile struct {
	*admin.Endpoints
	known map[keys.PublicKey]string
}

func (p peersInFile) Name(k keys.PublicKey) string { return p.known[k] }

func (p peersInFile) List() (list []admin.Peer) {
	said := p.All()
	for k, name := range p.known {
		peer := admin.Peer{Key: k, Endpoint: admin.Endpoint{Name: name}, Origin: "configuration"}
		if word, ok := said[k]; ok {
			peer.Endpoint, peer.Origin = word, "operator"
		}
		list = append(list, peer)
	}
	return list
}

// served is a listener for operators with mutual TLS, and the directory of its certificates.
func served(t *testing.T, services ...admin.Service) (address, dir string) {
	t.Helper()
	address, dir, _ = serving(t, time.Now, services...)
	return address, dir
}

func serving(t *testing.T, now func() time.Time, services ...admin.Service) (address, dir string, s *admin.Server) {
	t.Helper()
	dir = t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, owner := range []string{"ours", "other"} {
		ca, err := pki.CreateAuthority(owner, at(owner+"-ca"), at(owner+"-ca-key"), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := ca.Client("alice", at(owner+"-client"), at(owner+"-client-key"), time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := ca.Server("sequencer1", []string{"127.0.0.1"}, at(owner+"-server"), at(owner+"-server-key"), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err = admin.New(listener, admin.Config{
		CertificateFile: at("ours-server"), KeyFile: at("ours-server-key"), AuthorityFile: at("ours-ca"), Services: services, Now: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String(), dir, s
}

func dial(t *testing.T, address, dir, client string) *grpc.ClientConn {
	t.Helper()
	return dialWith(t, address, dir, client, nil)
}

func dialWith(t *testing.T, address, dir, client string, sessions tls.ClientSessionCache) *grpc.ClientConn {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "ours-ca"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(content)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13, ClientSessionCache: sessions}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, client), filepath.Join(dir, client+"-key"))
		if err != nil {
			t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestOnlyOperatorsAreServed: no certificate, another authority's and a server's are all refused.
func TestOnlyOperatorsAreServed(t *testing.T) {
	level := &slog.LevelVar{}
	var log bytes.Buffer
	address, dir := served(t, admin.NewNode(admin.NodeConfig{Level: level, Log: slog.New(slog.NewTextHandler(&log, nil))}))
	for _, client := range []string{"", "other-client", "ours-server"} {
		service := adminv1.NewNodeServiceClient(dial(t, address, dir, client))
		if _, err := service.SetLogLevel(t.Context(), &adminv1.SetLogLevelRequest{Level: "debug"}); status.Code(err) != codes.Unavailable {
			t.Errorf("with %q: %v", client, err)
		}
	}
	if level.Level() != slog.LevelInfo {
		t.Error("somebody who was refused changed the level")
	}
	service := adminv1.NewNodeServiceClient(dial(t, address, dir, "ours-client"))
	if _, err := service.SetLogLevel(t.Context(), &adminv1.SetLogLevelRequest{Level: "debug"}); err != nil {
		t.Fatal(err)
	}
	if level.Level() != slog.LevelDebug || !strings.Contains(log.String(), "by=alice") || !strings.Contains(log.String(), "level=debug") {
		t.Errorf("level %s, log %s", level.Level(), &log)
	}
	if _, err := service.SetLogLevel(t.Context(), &adminv1.SetLogLevelRequest{Level: "loud"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a level that does not exist: %v", err)
	}
}

// TestOperatorsOfAnotherAuthorityAreOut: whose authority was taken out does not come back, not with what an earlier connection left
// either, and is cut off where it is connected.
func TestOperatorsOfAnotherAuthorityAreOut(t *testing.T) {
	address, dir, s := serving(t, time.Now, admin.NewNode(admin.NodeConfig{Level: &slog.LevelVar{}, Log: slog.New(slog.DiscardHandler)}))
	sessions := tls.NewLRUClientSessionCache(8)
	ask := func(conn *grpc.ClientConn) error {
		_, err := adminv1.NewNodeServiceClient(conn).GetLogLevel(t.Context(), &adminv1.GetLogLevelRequest{})
		return err
	}
	connected := dialWith(t, address, dir, "ours-client", sessions)
	for _, conn := range []*grpc.ClientConn{connected, dialWith(t, address, dir, "ours-client", sessions)} {
		if err := ask(conn); err != nil {
			t.Fatal(err)
		}
	}
	later := dialWith(t, address, dir, "ours-client", sessions)
	trusted, err := os.ReadFile(filepath.Join(dir, "other-ca"))
	if err == nil {
		// The client goes on to trust the server: what it has read is not read again.
		err = os.WriteFile(filepath.Join(dir, "ours-ca"), trusted, 0o644)
	}
	if err == nil {
		err = s.Reload()
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(later); status.Code(err) != codes.Unavailable {
		t.Errorf("an operator whose authority is out comes back: %v", err)
	}
	if err := ask(connected); status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), `of "alice"`) {
		t.Errorf("an operator whose authority is out goes on: %v", err)
	}
}

// TestAnExpiredOperatorIsOut: a connection does not outlive the certificate with which it began.
func TestAnExpiredOperatorIsOut(t *testing.T) {
	var later atomic.Int64
	address, dir, _ := serving(t, func() time.Time { return time.Now().Add(time.Duration(later.Load())) })
	service := healthpb.NewHealthClient(dial(t, address, dir, "ours-client"))
	for _, c := range []struct {
		later time.Duration
		want  codes.Code
	}{{0, codes.OK}, {pki.LeafValid - time.Hour, codes.OK}, {pki.LeafValid + time.Hour, codes.Unauthenticated}} {
		later.Store(int64(c.later))
		if _, err := service.Check(t.Context(), &healthpb.HealthCheckRequest{}); status.Code(err) != c.want {
			t.Errorf("after %v: %v", c.later, err)
		}
	}
}

func TestPlainIsForLoopbackOnly(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := admin.New(listener, admin.Config{Plain: true}); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("a plain listener that others can reach: %v", err)
	}
}

// TestEndpointsOutliveTheProcess: what operators said is there after a restart, wrong input changes nothing, damage is told.
func TestEndpointsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operators", "peers.json")
	endpoints, err := admin.OpenEndpoints(path)
	if err != nil {
		t.Fatal(err)
	}
	self, peer, fresh := keys.PublicKey{1}, keys.PublicKey{2}, keys.PublicKey{3}
	peers := peersInFile{endpoints, map[keys.PublicKey]string{peer: "sequencer2"}}
	s := admin.NewBft(self, nil, peers, slog.New(slog.DiscardHandler))
	text := func(k keys.PublicKey) string { b, _ := k.MarshalText(); return string(b) }
	for name, r := range map[string]*adminv1.AddPeerEndpointRequest{
		"nobody":     {Peer: "sequencer9", Address: "127.0.0.1:1"},
		"itself":     {Peer: text(self), Address: "127.0.0.1:1"},
		"no port":    {Peer: "sequencer2", Address: "127.0.0.1"},
		"port 0":     {Peer: "sequencer2", Address: "127.0.0.1:0"},
		"port 65536": {Peer: "sequencer2", Address: "127.0.0.1:65536"},
		"a service":  {Peer: "sequencer2", Address: "127.0.0.1:http"},
		"no host":    {Peer: "sequencer2", Address: ":1"},
		"much text":  {Peer: "sequencer2", Address: strings.Repeat("h", 254) + ":1"},
		"no name":    {Peer: "", Address: "127.0.0.1:1"},
		"other name": {Peer: "sequencer2", Address: "127.0.0.1:1", Name: "sequencer3"},
	} {
		if _, err := s.AddPeerEndpoint(t.Context(), r); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if len(endpoints.All()) != 0 {
		t.Errorf("wrong input changed %v", endpoints.All())
	}
	if _, err := s.RemovePeerEndpoint(t.Context(), &adminv1.RemovePeerEndpointRequest{Peer: "sequencer2"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddPeerEndpoint(t.Context(), &adminv1.AddPeerEndpointRequest{Peer: text(fresh), Address: "h:2", Name: "sequencer3"}); err != nil {
		t.Fatal(err)
	}
	again, err := admin.OpenEndpoints(path)
	if err != nil {
		t.Fatal(err)
	}
	again.All()[self] = admin.Endpoint{Address: "h:9"} // a copy
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if all := again.All(); len(all) != 2 || !all[peer].Removed || all[fresh] != (admin.Endpoint{Name: "sequencer3", Address: "h:2"}) {
		t.Errorf("after a restart: %v", all)
	}
	for name, content := range map[string]string{
		"a damaged file": "{", "one of another version": `{"` + text(fresh) + `": {"name": "sequencer3", "adress": "h:2"}}`, "one that grew": "{" + strings.Repeat(" ", 1<<20) + "}",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.OpenEndpoints(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatOperatorsSayIsBounded: of so many peers something can be said; what was said of one can still be changed.
func TestWhatOperatorsSayIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.json")
	fill := func(n int) {
		said := map[keys.PublicKey]admin.Endpoint{}
		for i := range n {
			said[keys.PublicKey{byte(i >> 8), byte(i), 1}] = admin.Endpoint{Address: "h:1"}
		}
		content, err := json.Marshal(said)
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(admin.MaxEndpoints)
	endpoints, err := admin.OpenEndpoints(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := endpoints.Set(keys.PublicKey{1}, admin.Endpoint{Address: "h:2"}); err == nil || !strings.Contains(err.Error(), "which is the most") {
		t.Errorf("one more: %v", err)
	}
	if err := endpoints.Set(keys.PublicKey{0, 0, 1}, admin.Endpoint{Removed: true}); err != nil || len(endpoints.All()) != admin.MaxEndpoints {
		t.Errorf("one of them again: %v, %d", err, len(endpoints.All()))
	}
	fill(admin.MaxEndpoints + 1)
	if _, err := admin.OpenEndpoints(path); err == nil || !strings.Contains(err.Error(), "names 1025 peers") {
		t.Errorf("a file of too many: %v", err)
	}
}
