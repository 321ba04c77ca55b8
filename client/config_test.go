package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

func TestValidateNamesEachMistake(t *testing.T) {
	good := Config{Member: alice, Authentication: clienttest.AuthenticationKey(alice), Signing: clienttest.SigningKey(alice), TrustThreshold: 1,
		Sequencers: []Sequencer{{Alias: "s1", Endpoints: []Endpoint{{Address: "127.0.0.1:1", Plain: true}}}, {Alias: "s2", Endpoints: []Endpoint{{Address: "s2.example:443"}}}}}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		change func(c *Config)
		want   string
	}{
		{func(c *Config) { c.Member = "" }, "member \"\": want 1 to 255 bytes"},
		{func(c *Config) { c.Signing = zero(c.Signing) }, "no signing key"},
		{func(c *Config) { c.Authentication = zero(c.Authentication) }, "no authentication key"},
		{func(c *Config) { c.TrustThreshold = -1 }, "trust threshold -1: want at least 1"},
		{func(c *Config) { c.TrustThreshold = 3 }, "trust threshold 3: only 2 sequencers are configured"},
		{func(c *Config) { c.LivenessMargin = -1 }, "liveness margin -1"},
		{func(c *Config) { c.Start = Position{Event: 5, Known: 4} }, "start at event 5, known up to 4"},
		{func(c *Config) { c.Amplification.Factor = -1 }, "amplification factor -1"},
		{func(c *Config) { c.Lifetime = -1 }, "lifetime -1ns: want more than 0"},
		{func(c *Config) { c.RestartMin = time.Minute }, "restart max 10s is below restart min 1m0s"},
		{func(c *Config) { c.BufferEvents = -3 }, "buffer events -3: want at least 1"},
		{func(c *Config) { c.Sequencers[0].Alias = "" }, "a sequencer has no alias"},
		{func(c *Config) { c.Sequencers[0].Alias = "s2" }, `two sequencers have the alias "s2"`},
		{func(c *Config) { c.Sequencers[0].Endpoints = nil }, `sequencer "s1" has no endpoints`},
		{func(c *Config) { c.Sequencers[0].Endpoints = c.Sequencers[1].Endpoints }, `endpoint "s2.example:443" is listed under "s1" and "s2"`},
		{func(c *Config) { c.Sequencers[0].Endpoints = []Endpoint{{Address: "localhost"}} }, `endpoint "localhost": want host:port`},
		{func(c *Config) { c.Sequencers[0].Endpoints = []Endpoint{{Address: "s1.example:1", Plain: true}} }, "without TLS only loopback addresses"},
		{func(c *Config) { c.Sequencers[0].Endpoints = []Endpoint{{Address: "s1.example:1", CA: []byte("x")}} }, "the CA holds no certificate in PEM"},
	} {
		config := good
		config.Sequencers = []Sequencer{good.Sequencers[0], good.Sequencers[1]}
		c.change(&config)
		err := config.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want …%s…", err, c.want)
		}
		if _, err := New(config); err == nil {
			t.Errorf("%s: New takes it", c.want)
		}
	}
}

func zero[T any](T) (z T) { return z }

// certificate makes a self-signed one for a name.
func certificate(t *testing.T, name string) (tls.Certificate, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Over TCP and TLS, in real time: certificates are checked, and nothing is left running.
func TestTLS(t *testing.T) {
	defer goleak.VerifyNone(t)
	network := clienttest.New(2, alice, bob)
	defer network.Close()
	network.Submit(sequencing.Submission{Sender: bob, Message: "m", MaxTime: sequencing.Time(time.Now().Add(time.Minute).UnixMicro()), Sets: []sequencing.RecipientSet{To(alice)},
		Envelopes: []sequencing.Envelope{{Payload: []byte("hello")}}})
	network.Order()
	config := Config{Member: alice, Authentication: clienttest.AuthenticationKey(alice), Signing: clienttest.SigningKey(alice), Network: network.ID, TrustThreshold: 2}
	_, strange := certificate(t, "other.test")
	for _, s := range network.Sequencers() {
		chain, ca := certificate(t, s.Name+".test")
		server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&chain)), grpc.WaitForHandlers(true))
		sequencerv1.RegisterSequencerServiceServer(server, s)
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go server.Serve(listener)
		defer server.Stop()
		config.Sequencers = append(config.Sequencers, Sequencer{Alias: s.Name, Endpoints: []Endpoint{{Address: listener.Addr().String(), CA: ca, ServerName: s.Name + ".test"}}})
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	run := func() (*Client, func()) {
		c, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- c.Run(running) }()
		return c, func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	c, stop := run()
	if e, err := c.Next(ctx); err != nil || string(e.Delivery.Envelopes[0].Payload) != "hello" {
		t.Errorf("%+v, %v", e, err)
	}
	stop()

	config.Sequencers[0].Endpoints[0].CA = strange
	c, stop = run()
	defer stop()
	for {
		status := c.Status()
		if problem := status.Sequencers[0].EndpointErrors; len(problem) > 0 && problem[0] != "" {
			if !strings.Contains(problem[0], "certificate") || status.Health == Healthy {
				t.Errorf("a strange certificate: %+v", status)
			}
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("no error about the certificate")
		case <-time.After(time.Millisecond):
		}
	}
}
