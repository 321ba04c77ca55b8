package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Config is everything a [Client] needs to know. The zero value of a field that has a default means that default.
type Config struct {
	// Member is whose events are read and who sends: PAR::name::fingerprint, or MED:: in front.
	Member sequencing.MemberID
	// Authentication signs logins, Signing signs requests: the member's keys for the purposes of these names
	// ([keys.SequencerAuthentication], [keys.Protocol]).
	Authentication, Signing keys.PrivateKey
	// Network is the network's id, the digest of its genesis. If it is zero, the client believes the network that
	// TrustThreshold sequencers name first, and ends with [ErrTwoNetworks] should as many name another.
	Network sequencing.NetworkID
	// Sequencers are those to use; [Client.SetSequencers] changes them.
	Sequencers []Sequencer
	// TrustThreshold is how many sequencers must say the same before it is believed. It must be larger than the number of
	// sequencers that may lie. Default 1.
	TrustThreshold int
	// LivenessMargin is how many more sequencers than that are read from, so that one that falls silent costs no time.
	LivenessMargin int
	// Start is where the application is: the [Event.Position] of the last event that it processed, or zero for all events.
	Start Position
	// Ticks makes Next return also the times up to which there was nothing, newest only.
	Ticks bool
	// Directory knows keys from the topology; nil to believe the key that a sequencer names in its handshake, which is
	// then as good as the TLS connection.
	Directory Directory

	// Amplification says how a send is repeated through other sequencers.
	Amplification Amplification
	// Lifetime of a send that names no max-sequencing-time. Default 2 min.
	Lifetime time.Duration
	// CallTimeout ends a call that gets no answer. Default 10 s.
	CallTimeout time.Duration
	// SendWindow is how many submissions may be unanswered at one sequencer; further ones wait. Default 256.
	SendWindow int
	// Unary sends each submission in a call of its own, instead of many in one stream. Sequencers that have no streams are
	// sent to like that anyway.
	Unary bool
	// AcknowledgeInterval is how often the member acknowledges what [Client.Confirm] was told. Default 1 min.
	AcknowledgeInterval time.Duration
	// RefreshBefore is how long before its end a token is replaced. Default 20 s.
	RefreshBefore time.Duration

	// A stream is replaced when it is behind another by both LagTime and LagEvents, and when it said nothing for
	// Silence, not even the time. Defaults 2 min, 50, 2 min.
	LagTime   time.Duration
	LagEvents int
	Silence   time.Duration
	// Remember is how many events late sequencers are compared with. Default 1000.
	Remember int
	// Check is how often streams are looked at. Default 1 s.
	Check time.Duration
	// A connection or stream that failed is tried again after a random time of up to RestartMin, which doubles with each
	// failure up to RestartMax. A sequencer that asks to be left alone is, for up to RestartMax. Defaults 10 ms and 10 s.
	RestartMin, RestartMax time.Duration

	// BufferEvents and BufferBytes bound what is kept of each sequencer that is ahead of the others, and, again, what waits
	// for Next; one response more may lie above. Defaults 512 and 8 MiB.
	BufferEvents, BufferBytes int
	// MaxResponse is the largest response that is read, in bytes. Default 64 MiB.
	MaxResponse int

	// Log takes what an operator should know. Default: nothing is logged.
	Log *slog.Logger
	// Seed makes random choices repeatable; 0 for different ones each time.
	Seed uint64
	// Dial replaces how addresses are connected to, as a proxy does; nil for TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	fault fault // planted by tests
}

// Sequencer is one sequencer, which has one vote however many endpoints it has.
type Sequencer struct {
	// Alias is what the operator calls it, unique in a configuration.
	Alias string
	// ID is the sequencer that must answer, SEQ::name::fingerprint; empty to take the one that does. Without it, one that
	// lies could take the name of another that connects later.
	ID        sequencing.MemberID
	Endpoints []Endpoint
}

// Endpoint is one way to reach a sequencer.
type Endpoint struct {
	// Address is host:port.
	Address string
	// CA holds the PEM certificates that the server's must chain to; empty for those of the system.
	CA []byte
	// ServerName must be in the server's certificate; empty for the host of the address.
	ServerName string
	// Plain does without TLS, which is for sandboxes: loopback addresses only.
	Plain bool
}

// Amplification repeats a send through other sequencers when its receipt is late. It costs the network little: the copies
// are one submission, and its sender pays once.
type Amplification struct {
	// Factor is through how many sequencers a send goes at most. Default 1.
	Factor int
	// Patience is how long to wait for the receipt before the next one. Default 10 s.
	Patience time.Duration
}

// Directory knows who has which keys, from the topology. It is safe for concurrent use and does not block.
type Directory interface {
	// SequencerKeys are the keys with which a sequencer may sign what it delivers now; none for a stranger.
	SequencerKeys(sequencer sequencing.MemberID) []keys.PublicKey
}

// Validate says what is wrong with a configuration: every mistake, one a line.
func (c Config) Validate() error {
	c = c.withDefaults()
	var wrong []error
	complain := func(bad bool, format string, args ...any) {
		if bad {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	complain(c.Member == "" || len(c.Member) > sequencing.MaxMemberID, "member %.80q: want 1 to %d bytes, such as PAR::alice::1220…", c.Member, sequencing.MaxMemberID)
	complain(c.Authentication.IsZero(), "no authentication key: the member's key for %s is needed to log in", keys.SequencerAuthentication)
	complain(c.Signing.IsZero(), "no signing key: the member's key for %s is needed to send", keys.Protocol)
	complain(c.TrustThreshold < 1, "trust threshold %d: want at least 1", c.TrustThreshold)
	complain(c.TrustThreshold > len(c.Sequencers), "trust threshold %d: only %d sequencers are configured", c.TrustThreshold, len(c.Sequencers))
	complain(c.LivenessMargin < 0, "liveness margin %d: want 0 or more", c.LivenessMargin)
	complain(c.Start.Event < 0 || c.Start.Known < c.Start.Event, "start at event %d, known up to %d: want 0 ≤ event ≤ known", c.Start.Event, c.Start.Known)
	complain(c.Amplification.Factor < 1, "amplification factor %d: want at least 1", c.Amplification.Factor)
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"amplification patience", c.Amplification.Patience}, {"lifetime", c.Lifetime}, {"call timeout", c.CallTimeout},
		{"acknowledge interval", c.AcknowledgeInterval}, {"refresh before", c.RefreshBefore}, {"lag time", c.LagTime}, {"silence", c.Silence},
		{"check", c.Check}, {"restart min", c.RestartMin}, {"restart max", c.RestartMax},
	} {
		complain(d.value < 0, "%s %v: want more than 0", d.name, d.value)
	}
	complain(c.RestartMax < c.RestartMin, "restart max %v is below restart min %v", c.RestartMax, c.RestartMin)
	for _, n := range []struct {
		name  string
		value int
	}{
		{"lag events", c.LagEvents}, {"remember", c.Remember}, {"buffer events", c.BufferEvents}, {"buffer bytes", c.BufferBytes}, {"max response", c.MaxResponse},
		{"send window", c.SendWindow},
	} {
		complain(n.value < 1, "%s %d: want at least 1", n.name, n.value)
	}
	wrong = append(wrong, ValidateSequencers(c.Sequencers, c.Dial != nil))
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("configuration of the client of %s: %w", c.Member, err)
	}
	return nil
}

// ValidateSequencers says what is wrong with a list of sequencers: every mistake, one a line. With dials, addresses need not be of
// this machine to be spoken to without TLS.
func ValidateSequencers(sequencers []Sequencer, dials bool) error {
	var wrong []error
	aliases, addresses := map[string]bool{}, map[string]string{}
	for _, s := range sequencers {
		switch {
		case s.Alias == "":
			wrong = append(wrong, errors.New("a sequencer has no alias"))
		case aliases[s.Alias]:
			wrong = append(wrong, fmt.Errorf("two sequencers have the alias %q", s.Alias))
		}
		aliases[s.Alias] = true
		if len(s.Endpoints) == 0 {
			wrong = append(wrong, fmt.Errorf("sequencer %q has no endpoints", s.Alias))
		}
		for _, e := range s.Endpoints {
			if other, taken := addresses[e.Address]; taken {
				wrong = append(wrong, fmt.Errorf("endpoint %q is listed under %q and %q", e.Address, other, s.Alias))
			}
			addresses[e.Address] = s.Alias
			if _, err := e.Credentials(dials); err != nil {
				wrong = append(wrong, fmt.Errorf("sequencer %q: %w", s.Alias, err))
			}
		}
	}
	return errors.Join(wrong...)
}

// Credentials are those to connect with. With dials, addresses need not be of this machine to be spoken to without TLS.
func (e Endpoint) Credentials(dials bool) (credentials.TransportCredentials, error) {
	host, port, err := net.SplitHostPort(e.Address)
	if err != nil || host == "" || port == "" {
		return nil, fmt.Errorf("endpoint %q: want host:port", e.Address)
	}
	if e.Plain {
		if ip := net.ParseIP(host); !dials && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, fmt.Errorf("endpoint %q: without TLS only loopback addresses are spoken to", e.Address)
		}
		return insecure.NewCredentials(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: e.ServerName}
	if len(e.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(e.CA) {
			return nil, fmt.Errorf("endpoint %q: the CA holds no certificate in PEM", e.Address)
		}
	}
	return credentials.NewTLS(config), nil
}

func orDefault[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

func (c Config) withDefaults() Config {
	c.TrustThreshold = orDefault(c.TrustThreshold, 1)
	c.Amplification.Factor = orDefault(c.Amplification.Factor, 1)
	c.Amplification.Patience = orDefault(c.Amplification.Patience, 10*time.Second)
	c.Lifetime = orDefault(c.Lifetime, 2*time.Minute)
	c.CallTimeout = orDefault(c.CallTimeout, 10*time.Second)
	c.SendWindow = orDefault(c.SendWindow, 256)
	c.AcknowledgeInterval = orDefault(c.AcknowledgeInterval, time.Minute)
	c.RefreshBefore = orDefault(c.RefreshBefore, 20*time.Second)
	c.LagTime = orDefault(c.LagTime, 2*time.Minute)
	c.LagEvents = orDefault(c.LagEvents, 50)
	c.Silence = orDefault(c.Silence, 2*time.Minute)
	c.Remember = orDefault(c.Remember, 1000)
	c.Check = orDefault(c.Check, time.Second)
	c.RestartMin = orDefault(c.RestartMin, 10*time.Millisecond)
	c.RestartMax = orDefault(c.RestartMax, 10*time.Second)
	c.BufferEvents = orDefault(c.BufferEvents, 512)
	c.BufferBytes = orDefault(c.BufferBytes, 8<<20)
	c.MaxResponse = orDefault(c.MaxResponse, 64<<20)
	c.Log = orDefault(c.Log, slog.New(slog.DiscardHandler))
	return c
}

// loggedAddress is an address fit for one line.
func loggedAddress(address string) string { return strings.ToValidUTF8(address, "?") }
