package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/node/exit"
)

// reach is where sequencers are and how to talk to them.
type reach struct {
	readyFile   string
	endpoints   []string
	tls         bool
	authorities string
	tokenFile   string
}

func (r *reach) targets() ([]load.Target, error) {
	addresses, err := r.addresses()
	if err != nil {
		return nil, err
	}
	options, err := r.options()
	if err != nil {
		return nil, err
	}
	targets := make([]load.Target, 0, len(addresses))
	for _, address := range addresses {
		targets = append(targets, load.Endpoint(address, options...))
	}
	return targets, nil
}

// addresses are those of the sequencers' public listeners.
func (r *reach) addresses() (addresses []string, err error) {
	if r.readyFile != "" && len(r.endpoints) > 0 {
		return nil, exit.Errorf(exit.Usage, "--ready-file and --endpoint both name sequencers; write one of them")
	}
	addresses = r.endpoints
	if r.readyFile != "" {
		if addresses, err = publicListeners(r.readyFile); err != nil {
			return nil, err
		}
	}
	if len(addresses) == 0 {
		return nil, exit.Errorf(exit.Usage, "no sequencer is named; write --ready-file FILE or --endpoint host:port")
	}
	return addresses, nil
}

func (r *reach) options() ([]grpc.DialOption, error) {
	transport := insecure.NewCredentials()
	if r.tls || r.authorities != "" {
		pool, err := trusted(r.authorities)
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool})
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(transport)}
	if r.tokenFile != "" {
		content, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return nil, exit.Errorf(exit.BadConfig, "--token-file: %w", err)
		}
		options = append(options, grpc.WithPerRPCCredentials(bearer(firstToken(string(content)))))
	}
	return options, nil
}

// trusted reads the authorities to trust from what --tls-ca names; nil stands for the system's.
func trusted(authorities string) (*x509.CertPool, error) {
	if authorities == "" {
		return nil, nil
	}
	content, err := os.ReadFile(authorities)
	if err != nil {
		return nil, exit.Errorf(exit.BadConfig, "--tls-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, exit.Errorf(exit.BadConfig, "--tls-ca: %s holds no certificate in PEM", authorities)
	}
	return pool, nil
}

// firstToken reads a token file as the sequencer does: one token a line, empty
// lines and comments aside.
func firstToken(content string) string {
	for line := range strings.Lines(content) {
		if token := strings.TrimSpace(line); token != "" && !strings.HasPrefix(token, "#") {
			return token
		}
	}
	return ""
}

// bearer is a token shown with every call. It goes over plain connections too:
// a sequencer has such a listener on loopback only.
type bearer string

// GetRequestMetadata implements [credentials.PerRPCCredentials].
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity implements [credentials.PerRPCCredentials].
func (b bearer) RequireTransportSecurity() bool { return false }
