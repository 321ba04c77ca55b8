package casper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/synod-network/synod/sidecar/event"
)

// Node is a node to read, and how.
type Node struct {
	SSE  string // host:port of its event streams
	REST string // host:port of its status page

	MaxAttempts int           // failed attempts in a row before it is given up; at least 1
	RetryDelay  time.Duration // before each attempt but the first
	Partial     bool          // read on while one of its streams lives; else all or none
	LogEvents   bool          // write a line to the log for each event

	ConnectTimeout time.Duration // to connect, to the beginning of an answer, to the first event
	CheckEvery     time.Duration // how often it is looked whether anything came
	Silence        time.Duration // without a byte, after which a stream is given up; keep-alives count
}

// Options is what a [Source] is made of.
type Options struct {
	Nodes   []Node
	Network string  // chainspec name that nodes must report; empty for any
	Minimum Version // of nodes
	Log     *slog.Logger

	// MaxEvent bounds the data of one event, in bytes; larger ones are skipped and counted. 0 is [DefaultMaxEvent].
	MaxEvent int
}

// DefaultMaxEvent is far above the largest events, the Steps at the end of an era.
const DefaultMaxEvent = 512 << 20

// What each stream may have read ahead of the sink.
const (
	aheadEvents = 1000
	aheadBytes  = 4 << 20
)

// ErrUnavailable is returned by [Source.Run] when every node was given up.
var ErrUnavailable error = wording("Connected node(s) are unavailable")

// wording is an error in the words of Casper's sidecar, capital letters and all.
type wording string

func (w wording) Error() string { return string(w) }

// Source reads nodes. It has no state of its own: where streams resume is asked of the sink.
type Source struct{ o Options }

// New checks the options.
func New(o Options) (*Source, error) {
	if o.MaxEvent == 0 {
		o.MaxEvent = DefaultMaxEvent
	}
	if len(o.Nodes) == 0 {
		return nil, errors.New("no node to read")
	}
	for _, n := range o.Nodes {
		if n.MaxAttempts < 1 || n.ConnectTimeout <= 0 || n.CheckEvery <= 0 || n.Silence <= 0 || n.RetryDelay < 0 {
			return nil, fmt.Errorf("node %s: attempts and time-outs must be positive", n.SSE)
		}
	}
	return &Source{o: o}, nil
}

// Run reads all nodes until ctx ends, until the sink refuses, or until all nodes are given up, which is [ErrUnavailable]. A
// node that is given up does not disturb the others.
func (s *Source) Run(ctx context.Context, sink event.Sink, positions event.Positions, observer event.Observer) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, o := range s.o.Nodes {
		n := newNode(o, &s.o, sink, positions, observer)
		group.Go(func() error {
			defer n.client.CloseIdleConnections()
			return n.run(ctx)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ErrUnavailable
}

// node is one node while it is read. Its fields are owned by the goroutine of run, except those of state.
type node struct {
	o         Node
	shared    *Options
	sink      event.Sink
	positions event.Positions
	observer  event.Observer
	log       *slog.Logger
	client    *http.Client
	url       string // of its streams, with a slash at the end

	state state
}

func newNode(o Node, shared *Options, sink event.Sink, positions event.Positions, observer event.Observer) *node {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	return &node{
		o: o, shared: shared, sink: sink, positions: positions, observer: observer, log: shared.Log.With("node", o.SSE), url: "http://" + o.SSE + "/",
		client: &http.Client{
			Transport: &http.Transport{
				DialContext: dialer.DialContext, ResponseHeaderTimeout: o.ConnectTimeout, DisableCompression: true, DisableKeepAlives: true, ReadBufferSize: 64 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		state: state{observer: observer, now: event.NodeState{Node: o.SSE}},
	}
}

// shortestDelay keeps a node that is there and useless from being asked without pause when no delay is configured.
const shortestDelay = 20 * time.Millisecond

// run keeps the node read. It returns nil once the node is given up, and an error when reading is to end altogether.
func (n *node) run(ctx context.Context) error {
	n.state.become(event.Preparing, nil)
	n.state.become(event.Connecting, nil)
	var last standing
	failed := 0 // attempts, since data flowed
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			if err := wait(ctx, max(n.o.RetryDelay, shortestDelay)); err != nil {
				return err
			}
		}
		now, err := n.probe(ctx)
		flowed := false
		if err == nil {
			if now.version != last.version {
				failed = 0
			}
			last = now
			n.state.identify(now)
			flowed, err = n.read(ctx, now)
			n.state.lost()
		}
		var refused *sinkError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refused):
			return err
		case errors.Is(err, errUnusable):
			n.log.Error("giving the node up", "err", err)
			n.state.become(event.Incompatible, err)
			return nil
		}
		failed++
		if flowed {
			failed = 0
		}
		n.state.failed(failed, err)
		n.log.Warn("no connection to the node", "err", err, "failed_attempts", failed, "max_attempts", n.o.MaxAttempts)
		if failed >= n.o.MaxAttempts {
			n.log.Error("giving the node up: all attempts are used", "err", err)
			n.state.become(event.Defunct, err)
			return nil
		}
	}
}

func wait(ctx context.Context, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
