package sequencer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// access is who may call, and over what. Its two values are replaced whole when
// the files are read again.
type access struct {
	config      Config
	certificate atomic.Pointer[tls.Certificate]
	// tokens are the SHA-256 of those admitted: comparing digests of one length
	// tells nothing about how long a token is.
	tokens atomic.Pointer[[][sha256.Size]byte]
}

// newAccess reads the files that config names and refuses a listener that would
// let strangers in.
func newAccess(config Config, address net.Addr) (*access, error) {
	if (config.CertificateFile == "") != (config.KeyFile == "") {
		return nil, errors.New("a certificate file and a key file belong together: set both or neither")
	}
	if !isLoopback(address) {
		switch {
		case config.CertificateFile == "":
			return nil, fmt.Errorf("%v can be reached from other machines and has no TLS: set a certificate and key file, or listen on a loopback address", address)
		case config.TokenFile == "" && config.Ordering:
			return nil, fmt.Errorf("%v can be reached from other machines and admits anybody: set a token file, or listen on a loopback address", address)
		}
	}
	a := &access{config: config}
	return a, a.reload()
}

func isLoopback(address net.Addr) bool {
	switch address := address.(type) {
	case *net.TCPAddr:
		return address.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// reload reads the certificate and the tokens again. On an error what was read
// before stays in force.
func (a *access) reload() error {
	if file := a.config.CertificateFile; file != "" {
		certificate, err := tls.LoadX509KeyPair(file, a.config.KeyFile)
		if err != nil {
			return fmt.Errorf("reading the server's certificate %s and key %s: %w", file, a.config.KeyFile, err)
		}
		a.certificate.Store(&certificate)
	}
	if file := a.config.TokenFile; file != "" {
		tokens, err := readTokens(file)
		if err != nil {
			return fmt.Errorf("reading bearer tokens: %w", err)
		}
		a.tokens.Store(&tokens)
	}
	return nil
}

// minTokenLength keeps tokens out that can be guessed over the network.
const minTokenLength = 16

func readTokens(file string) ([][sha256.Size]byte, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var tokens [][sha256.Size]byte
	number := 0
	for line := range strings.Lines(string(content)) {
		number++
		token := strings.TrimSpace(line)
		switch {
		case token == "" || strings.HasPrefix(token, "#"):
		case len(token) < minTokenLength:
			return nil, fmt.Errorf("%s line %d: a token of %d characters can be guessed, use %d or more", file, number, len(token), minTokenLength)
		default:
			tokens = append(tokens, sha256.Sum256([]byte(token)))
		}
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("%s holds no token: nobody could call", file)
	}
	return tokens, nil
}

// credentials are the server's transport security.
func (a *access) credentials() credentials.TransportCredentials {
	if a.config.CertificateFile == "" {
		return insecure.NewCredentials()
	}
	return credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return a.certificate.Load(), nil
		},
	})
}

// healthMethods begins the names of those methods that need no token: probes
// have none, and learn nothing but whether the service is up.
const healthMethods = "/grpc.health.v1.Health/"

// isProbe reports whether a method tells nothing but whether and what the server serves.
func isProbe(method string) bool {
	return strings.HasPrefix(method, healthMethods) || strings.HasPrefix(method, "/grpc.reflection.")
}

// admit checks the bearer token of one call.
func (a *access) admit(ctx context.Context, method string) error {
	tokens := a.tokens.Load()
	if tokens == nil || strings.HasPrefix(method, healthMethods) {
		return nil
	}
	shown := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(shown) != 1 {
		return unauthenticated("this sequencer wants a token: send metadata \"authorization: Bearer …\"")
	}
	token, found := strings.CutPrefix(shown[0], "Bearer ")
	if !found {
		return unauthenticated("the authorization metadata does not begin with \"Bearer \"")
	}
	digest, match := sha256.Sum256([]byte(token)), 0
	for _, admitted := range *tokens {
		match |= subtle.ConstantTimeCompare(digest[:], admitted[:])
	}
	if match == 0 {
		return unauthenticated("the token is not one of those that this sequencer admits")
	}
	return nil
}

func unauthenticated(message string) *failure {
	return &failure{reason: Unauthenticated, code: codes.Unauthenticated, message: message}
}
