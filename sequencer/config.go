package sequencer

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"
)

// Config shapes a [Server]. Zero fields take the default.
type Config struct {
	// CertificateFile and KeyFile are the server's TLS identity, PEM. Both or
	// neither.
	CertificateFile, KeyFile string
	// TokenFile lists the bearer tokens that clients may show, one a line; empty
	// lines and those that begin with # do not count.
	TokenFile string

	// Ordering serves the ordering service, to whoever shows a token.
	Ordering bool
	// Services are served beside. They authenticate and limit their callers themselves.
	Services []Service

	// MessageBytes is the largest message received. Default 16 MiB.
	MessageBytes int
	// StreamsPerConnection and Streams bound the calls and streams served at the
	// same time, on one connection and in all. Defaults 128 and 4096.
	StreamsPerConnection, Streams int
	// ReadyEvery is how often readiness is looked at for the health service.
	// Default 100 ms.
	ReadyEvery time.Duration
	// Lull is how long the server goes on after it has reported bad health,
	// before it sends clients away: load balancers need a moment. Default none.
	Lull time.Duration
	// Drain is how long clients then have to leave. Default 5 s.
	Drain time.Duration

	// Log receives what the operator should know. Default [slog.Default].
	Log *slog.Logger
	// Observer is told what happens. Default nobody.
	Observer Observer
}

// Service is a service that stands on the same listener.
type Service interface {
	Register(grpc.ServiceRegistrar)
	// Prefix begins the names of its methods, such as "/synod.sequencer.v1.".
	Prefix() string
	// Run serves until ctx ends; it then ends all streams.
	Run(ctx context.Context) error
}

func (c Config) withDefaults() Config {
	c.MessageBytes = cmp.Or(c.MessageBytes, 16<<20)
	c.StreamsPerConnection = cmp.Or(c.StreamsPerConnection, 128)
	c.Streams = cmp.Or(c.Streams, 4096)
	c.ReadyEvery = cmp.Or(c.ReadyEvery, 100*time.Millisecond)
	c.Drain = cmp.Or(c.Drain, 5*time.Second)
	c.Log = cmp.Or(c.Log, slog.Default())
	if c.Observer == nil {
		c.Observer = nobody{}
	}
	return c
}

// Observer is told what the service does, to count it. Its methods are called
// from many goroutines, on hot paths: they must be quick and must not block.
type Observer interface {
	// Submitted tells what became of one call's or batch's requests: reason is
	// empty when they were queued. Bytes are those of the requests alone.
	Submitted(reason Reason, requests, bytes int)
	// Delivered tells of one block sent whole to one subscriber.
	Delivered(requests, bytes int)
	// SubscriptionEnded tells why one ended: reason is empty when the client left.
	SubscriptionEnded(reason Reason)
	// Panicked tells that a call ended in a panic, which was caught.
	Panicked()
}

type nobody struct{}

func (nobody) Submitted(Reason, int, int) {}
func (nobody) Delivered(int, int)         {}
func (nobody) SubscriptionEnded(Reason)   {}
func (nobody) Panicked()                  {}
