package sequencer

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"github.com/synod-network/synod/internal/turnstile"
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
	// Strangers bounds the calls open at the same time of those who need not say who they are: logins, registrations,
	// downloads of the topology, probes. Defaults 512, and 64 of one host.
	Strangers turnstile.Limits
	// LargeBytes bounds the bytes of messages above 256 KiB that are being received or handled. Strangers may have an eighth of it, one caller a
	// quarter. Default 256 MiB.
	LargeBytes int64
	// Patience is how long the message of a call, or a large one of a stream, may take to arrive; StrangersPatience the
	// same of a stranger's. Defaults 30 s and 10 s.
	Patience, StrangersPatience time.Duration
	// Idle is after how long a connection without a call is closed. Default 10 min.
	Idle time.Duration
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
	// Enter begins a call before any message of it is read. Its handler gets the context of the entry.
	Enter(ctx context.Context, method string) (Entry, error)
	// Overloaded is the refusal of a call for which there is no room, as its API tells it.
	Overloaded(message string, retryAfter time.Duration) error
}

// Entry is a call that may begin.
type Entry struct {
	// Context is the call's, for its handler.
	Context context.Context
	// Caller is who calls; empty for a stranger, who need not say.
	Caller string
	// Most is how many bytes a message of the call may have, 0 for what the server takes.
	Most int
	// Leave ends the call.
	Leave func()
}

func (c Config) withDefaults() Config {
	c.MessageBytes = cmp.Or(c.MessageBytes, 16<<20)
	c.StreamsPerConnection = cmp.Or(c.StreamsPerConnection, 128)
	c.Streams = cmp.Or(c.Streams, 4096)
	c.Strangers = cmp.Or(c.Strangers, turnstile.Limits{Total: 512, Host: 64})
	c.LargeBytes = cmp.Or(c.LargeBytes, 256<<20)
	c.Patience = cmp.Or(c.Patience, 30*time.Second)
	c.StrangersPatience = cmp.Or(c.StrangersPatience, 10*time.Second)
	c.Idle = cmp.Or(c.Idle, 10*time.Minute)
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
	// Limited tells that a call or a message of one was refused by a limit.
	Limited(by Limit)
	// Panicked tells that a call ended in a panic, which was caught.
	Panicked()
}

// Limit is one of the limits that keep callers from filling the memory.
type Limit string

// The limits.
const (
	LimitStrangers Limit = "strangers" // calls of strangers that are open
	LimitSize      Limit = "size"      // the length of one message
	LimitBytes     Limit = "bytes"     // the bytes of large messages that are under way
	LimitPatience  Limit = "patience"  // the time that a message takes to arrive
)

// Limits are all of them.
func Limits() []Limit { return []Limit{LimitStrangers, LimitSize, LimitBytes, LimitPatience} }

type nobody struct{}

func (nobody) Submitted(Reason, int, int) {}
func (nobody) Delivered(int, int)         {}
func (nobody) SubscriptionEnded(Reason)   {}
func (nobody) Limited(Limit)              {}
func (nobody) Panicked()                  {}
