package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/synod-network/synod/keys"
)

// Config says who the node is, whom it knows, and what happens to frames that arrive.
type Config struct {
	Key     keys.PrivateKey // the node's identity
	Network [32]byte        // nodes of another network are refused

	// Listener is where peers connect to. Run closes it.
	Listener net.Listener

	// Peers maps each peer to its address, host:port. An empty address means that only the peer can dial. The
	// node's own key is ignored, so that all nodes can share one list. SetPeers changes it later.
	Peers map[keys.PublicKey]string

	Limits Limits // zero fields take the values of DefaultLimits

	// Handler receives each frame, in order, on the goroutine that reads the lane of that peer; calls for different
	// lanes or peers overlap. The frame belongs to the handler. While it blocks, nothing more is read from that lane.
	// It must return once ctx ends, which happens with the link or with Run. An error closes the link.
	Handler func(ctx context.Context, from keys.PublicKey, lane Lane, frame []byte) error

	// Up is called before the first frame of a new live link is handled; Down after the last. They alternate for each
	// peer, come on different goroutines for different peers, and must return quickly. Both may be nil.
	Up, Down func(peer keys.PublicKey)

	// Gate says how a peer is met: when it connects, before it is dialed, and after Reconsider. It must return quickly.
	// Nil: all are welcome.
	Gate func(peer keys.PublicKey) Treatment
	// Told is called with the notice of a peer that bans this node, at most MaxNotice bytes that nobody has verified. It
	// returns what they say, for the log and the statistics, or nil.
	Told func(peer keys.PublicKey, notice []byte) error
	// Faulted is called with what a peer is to blame for, OversizedFrame or MalformedFrame, before its link ends; Lost
	// when a live link broke that neither end meant to close. Both must return quickly, and may be nil.
	Faulted func(peer keys.PublicKey, what Refusal, err error)
	Lost    func(peer keys.PublicKey, err error)

	Log *slog.Logger // nil: silent

	// Name is what people call a peer, for the log; nil: its key.
	Name func(peer keys.PublicKey) string

	// Dial opens connections; nil: TCP. The tests cut links with it.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Limits bounds what peers and strangers can make a node hold, and how long it waits for them. A node holds for each
// peer and lane at most QueueBytes (or one frame, if that is larger) to be sent, and one frame of MaxFrame being received.
type Limits struct {
	Live, Bulk LaneLimits

	MaxPending       int           // connections that are not authenticated yet; over it the oldest is dropped
	HandshakeTimeout time.Duration // from connect to the first frame, incoming and outgoing
	WriteTimeout     time.Duration // for which a peer may take no byte at all before the link is closed
	PingEvery        time.Duration // between pings on each link
	DeadAfter        time.Duration // without a byte from the peer the link is closed
	RedialFrom       time.Duration // first pause after a failed dial or a lost link; doubles
	RedialTo         time.Duration // longest pause between dials
	RedialBanned     time.Duration // pause between dials of a peer that bans this node, which could change its mind
}

// LaneLimits bounds one lane of one peer.
type LaneLimits struct {
	MaxFrame   int // bytes of the largest frame that is sent or accepted
	QueueBytes int // bytes that wait to be sent, some 100 per frame included; a single frame may exceed it
}

// DefaultLimits is right for some dozens of sequencers on one continent or several.
func DefaultLimits() Limits {
	return Limits{
		Live:             LaneLimits{MaxFrame: 64 << 20, QueueBytes: 64 << 20},
		Bulk:             LaneLimits{MaxFrame: 64 << 20, QueueBytes: 32 << 20},
		MaxPending:       64,
		HandshakeTimeout: 5 * time.Second,
		WriteTimeout:     30 * time.Second,
		PingEvery:        time.Second,
		DeadAfter:        4 * time.Second,
		RedialFrom:       50 * time.Millisecond,
		RedialTo:         2 * time.Second,
		RedialBanned:     20 * time.Second,
	}
}

func (l Limits) lane(lane Lane) LaneLimits {
	if lane == Live {
		return l.Live
	}
	return l.Bulk
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	orDefault(&l.Live.MaxFrame, d.Live.MaxFrame)
	orDefault(&l.Live.QueueBytes, d.Live.QueueBytes)
	orDefault(&l.Bulk.MaxFrame, d.Bulk.MaxFrame)
	orDefault(&l.Bulk.QueueBytes, d.Bulk.QueueBytes)
	orDefault(&l.MaxPending, d.MaxPending)
	orDefault(&l.HandshakeTimeout, d.HandshakeTimeout)
	orDefault(&l.WriteTimeout, d.WriteTimeout)
	orDefault(&l.PingEvery, d.PingEvery)
	orDefault(&l.DeadAfter, d.DeadAfter)
	orDefault(&l.RedialFrom, d.RedialFrom)
	orDefault(&l.RedialTo, d.RedialTo)
	orDefault(&l.RedialBanned, d.RedialBanned)
	return l
}

func orDefault[T int | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

func (l Limits) validate() error {
	for _, lane := range []Lane{Live, Bulk} {
		limits := l.lane(lane)
		if limits.MaxFrame < 1 || limits.MaxFrame > maxLength {
			return fmt.Errorf("%s lane: MaxFrame is %d, want 1 to %d bytes", lane, limits.MaxFrame, maxLength)
		}
		if limits.QueueBytes < 1 {
			return fmt.Errorf("%s lane: QueueBytes is %d, want at least 1", lane, limits.QueueBytes)
		}
	}
	switch {
	case l.MaxPending < 1:
		return fmt.Errorf("MaxPending is %d, want at least 1", l.MaxPending)
	case min(l.HandshakeTimeout, l.WriteTimeout, l.PingEvery, l.DeadAfter, l.RedialFrom, l.RedialTo, l.RedialBanned) <= 0:
		return errors.New("a duration is negative")
	case l.DeadAfter < 2*l.PingEvery:
		return fmt.Errorf("DeadAfter is %s, want at least two pings, 2 × %s", l.DeadAfter, l.PingEvery)
	case l.RedialTo < l.RedialFrom:
		return fmt.Errorf("RedialTo is %s, want at least RedialFrom, %s", l.RedialTo, l.RedialFrom)
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.Limits = c.Limits.withDefaults()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Name == nil {
		c.Name = keys.PublicKey.String
	}
	if c.Up == nil {
		c.Up = func(keys.PublicKey) {}
	}
	if c.Down == nil {
		c.Down = func(keys.PublicKey) {}
	}
	if c.Gate == nil {
		c.Gate = func(keys.PublicKey) Treatment { return Treatment{} }
	}
	if c.Told == nil {
		c.Told = func(keys.PublicKey, []byte) error { return nil }
	}
	if c.Faulted == nil {
		c.Faulted = func(keys.PublicKey, Refusal, error) {}
	}
	if c.Lost == nil {
		c.Lost = func(keys.PublicKey, error) {}
	}
	if c.Dial == nil {
		c.Dial = dialTCP
	}
	return c
}

func (c Config) validate() error {
	switch {
	case c.Key.IsZero():
		return errors.New("no key")
	case c.Listener == nil:
		return errors.New("no listener")
	case c.Handler == nil:
		return errors.New("no handler")
	}
	return c.Limits.validate()
}
