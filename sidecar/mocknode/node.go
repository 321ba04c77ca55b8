package mocknode

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sidecar/event"
)

// Options is what a node is made of. Zero values of the bounds and times mean those of [Defaults].
type Options struct {
	SSEAddress  string // "127.0.0.1:0"
	RESTAddress string
	Version     Version
	Network     string // chainspec name

	Seed     uint64
	Shape    Shape
	Fixtures []Made        // played before the synthetic load, instead of it if there is a Limit
	Rate     float64       // events per second; 0: only what [Node.Emit] asks for
	Limit    int           // no event after so many; 0: never ends
	Delay    time.Duration // before the first event, so that this node lags behind others
	FirstID  uint32        // number of the first event

	Ring        int // events kept for replay
	RingBytes   int
	KeepAlive   time.Duration // a comment is sent after so long without an event
	Subscribers int           // streams at once

	Faults Faults

	// Sent hears of everything that goes out, in order, before any stream can have it. May be nil.
	Sent func(Sent)
}

// Sent is one thing that the node said on a filter.
type Sent struct {
	ID     uint32
	HasID  bool
	Filter event.Filter
	Kind   event.Kind
	Data   []byte // JSON, unless Fault says otherwise
	Fault  string // name of what is wrong with it; empty for an honest event
}

// Defaults is a node of a local network that makes ten events a second.
func Defaults() Options {
	return Options{
		SSEAddress: "127.0.0.1:0", RESTAddress: "127.0.0.1:0", Version: Version{1, 5, 3}, Network: "casper-example", Seed: 1, Shape: DefaultShape(), Rate: 10,
		Ring: 5000, RingBytes: 256 << 20, KeepAlive: 15 * time.Second, Subscribers: 100,
	}
}

// Node is a pretended node. Make one with [Listen], run it with [Node.Run].
type Node struct {
	o          Options
	sse, rest  net.Listener // sse: only to begin with; Run replaces it after the node was down
	sseAddress string
	goDown     chan time.Duration

	mu        sync.Mutex
	load      *Load
	fixtures  []Made
	version   Version
	ring      ring
	next      uint32        // number of the next event
	made      int           // events so far, garbage not counted
	garbage   int           // so far
	wake      chan struct{} // closed, and replaced, when anything below or in the ring changes
	cut       uint64        // streams that began before this generation are to end at once
	finish    uint64        // streams that began before this generation are to end once they have everything
	streams   uint64        // generation of new streams
	open      int           // streams
	stalled   time.Time     // until when streams say nothing
	mute      time.Time     // until when nothing is answered at all
	upgrading *Version      // while down
}

// maxShape bounds what is in one block.
const maxShape = 10_000

// validate refuses numbers that mean nothing.
func (o *Options) validate() error {
	if !(o.Rate >= 0) {
		return fmt.Errorf("--rate is %v: it is a number of events a second, 0 for only those that are asked for", o.Rate)
	}
	numbers := map[string]int{
		"limit": o.Limit, "ring": o.Ring, "max-subscribers": o.Subscribers, "deploys": o.Shape.Deploys, "validators": o.Shape.Validators, "era-blocks": o.Shape.EraBlocks,
		"step-bytes": o.Shape.StepBytes, "disconnect-every": o.Faults.DisconnectEvery, "stall-every": o.Faults.StallEvery, "garbage-every": o.Faults.GarbageEvery,
		"lie-every": o.Faults.LieEvery, "down-every": o.Faults.DownEvery, "upgrade-after": o.Faults.UpgradeAfter,
	}
	for _, flag := range slices.Sorted(maps.Keys(numbers)) {
		if numbers[flag] < 0 {
			return fmt.Errorf("--%s is %d: it must not be negative", flag, numbers[flag])
		}
	}
	if most := maxShape; o.Shape.Deploys > most || o.Shape.Validators > most {
		return fmt.Errorf("--deploys and --validators must be at most %d, or a block takes for ever to make", most)
	}
	return nil
}

// Listen opens the node's ports.
func Listen(ctx context.Context, o Options) (*Node, error) {
	d := Defaults()
	fill(&o.Ring, d.Ring)
	fill(&o.RingBytes, d.RingBytes)
	fill(&o.KeepAlive, d.KeepAlive)
	fill(&o.Subscribers, d.Subscribers)
	fill(&o.Version, d.Version)
	fill(&o.Network, d.Network)
	fill(&o.Shape, d.Shape)
	if err := o.validate(); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	sse, err := node.Listen(ctx, "event streams", "--sse-port", o.SSEAddress)
	if err != nil {
		return nil, err
	}
	rest, err := node.Listen(ctx, "the status page", "--rest-port", o.RESTAddress)
	if err != nil {
		sse.Close()
		return nil, err
	}
	return &Node{
		o: o, sse: sse, rest: rest, sseAddress: sse.Addr().String(), goDown: make(chan time.Duration, 1),
		load: NewLoad(o.Seed, o.Shape, o.Network), fixtures: o.Fixtures, version: o.Version, next: o.FirstID,
		ring: ring{maxCount: o.Ring, maxBytes: o.RingBytes}, wake: make(chan struct{}),
	}, nil
}

func fill[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// SSEAddress and RESTAddress are where the node listens, as host:port.
func (n *Node) SSEAddress() string { return n.sseAddress }

// RESTAddress is where the status page is.
func (n *Node) RESTAddress() string { return n.rest.Addr().String() }

// Run serves until ctx ends.
func (n *Node) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.serveStreams(ctx) })
	group.Go(func() error { return serve(ctx, n.rest, n.restHandler(), restPatience, cutOff) })
	group.Go(func() error { return n.produce(ctx) })
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// restPatience is how long a request to the REST port and its answer may take.
const restPatience = 30 * time.Second

// serve answers until ctx ends, and then ends the server. A request and its answer may take as long as patience, or 0 for streams, which
// have no end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, patience time.Duration, stop func(*http.Server)) error {
	server := &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       patience,
		WriteTimeout:      patience,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ended, end := context.WithCancel(ctx)
	defer end()
	watching.Go(func() { <-ended.Done(); stop(server) })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return ctx.Err()
}

// cutOff cuts all connections.
func cutOff(server *http.Server) { _ = server.Close() }

// endStreams cuts all connections, but those of streams that were told to finish have a second for their last bytes.
func (n *Node) endStreams(server *http.Server) {
	n.mu.Lock()
	finishing := n.finish > 0
	n.mu.Unlock()
	if finishing {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = server.Shutdown(ctx) // what is still there then is cut
	}
	cutOff(server)
}

// serveStreams serves the event port, with pauses while the node is down.
func (n *Node) serveStreams(ctx context.Context) error {
	listener := n.sse
	for {
		up, end := context.WithCancel(ctx)
		served := make(chan error, 1)
		go func() { served <- serve(up, listener, n.streamHandler(), 0, n.endStreams) }()
		var pause time.Duration
		select {
		case err := <-served:
			end()
			return err
		case pause = <-n.goDown:
		}
		n.awaitFinish(ctx)
		end()
		<-served
		if err := rest(ctx, pause); err != nil {
			return err
		}
		n.comeBack()
		var err error
		if listener, err = n.listenAgain(ctx); err != nil {
			return err
		}
	}
}

// listenAgain opens the event port again, which somebody else may have taken.
func (n *Node) listenAgain(ctx context.Context) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", n.sseAddress)
	if err != nil {
		return nil, fmt.Errorf("listen for event streams again: %w", err)
	}
	return listener, nil
}

// awaitFinish waits until streams that were told to finish have sent everything, or a second has passed.
func (n *Node) awaitFinish(ctx context.Context) {
	limit := time.NewTimer(time.Second)
	defer limit.Stop()
	for {
		n.mu.Lock()
		done, wake := n.finish == 0 || n.open == 0, n.wake
		n.mu.Unlock()
		if done {
			return
		}
		select {
		case <-wake:
		case <-limit.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) comeBack() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.finish = 0
	if n.upgrading != nil {
		n.version, n.upgrading = *n.upgrading, nil
		n.ring.clear()
	}
}

func rest(ctx context.Context, span time.Duration) error {
	timer := time.NewTimer(span)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// produce makes events at the rate asked for.
func (n *Node) produce(ctx context.Context) error {
	if err := rest(ctx, n.o.Delay); err != nil || n.o.Rate <= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	interval := min(max(time.Duration(float64(time.Second)/n.o.Rate), 2*time.Millisecond), time.Second)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	begun, emitted := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		due := int(math.Floor(time.Since(begun).Seconds() * n.o.Rate))
		if n.Emit(due-emitted) < due-emitted {
			<-ctx.Done() // the limit is reached
			return ctx.Err()
		}
		emitted = max(emitted, due)
	}
}
