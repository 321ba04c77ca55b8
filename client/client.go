package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/synod-network/synod/internal/grpcbuf"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Position is a place in a member's stream of events: the time of the last event, 0 for none, and up to when everything
// is known, which is that time or a later one. An application that stores it with what it made of the event resumes
// without gap or duplicate.
type Position struct{ Event, Known sequencing.Time }

// Event is something that a threshold of sequencers told.
type Event struct {
	// Position is where the stream is behind the event.
	Position Position
	// Delivery is the event itself; nil for a tick: up to Position.Known there was nothing more. Who signed its batch was
	// not checked, see [VerifyBatch]. Its payloads are shared memory.
	Delivery *sequencing.Delivery
	// Sequencers are those whose telling it decided.
	Sequencers []sequencing.MemberID

	size int
}

// Client is a member's connection to its network. Make one with [New], run it with [Client.Run]. Its methods may be
// called from any goroutine, but Next from one at a time.
type Client struct {
	config  Config
	buffers grpc.DialOption // shared by its connections
	news    chan struct{}   // Next should look again
	poke    chan struct{}   // Run should look again
	begun   chan struct{}   // closed when Run has begun
	ended   chan struct{}   // closed when Run has ended
	group   sync.WaitGroup

	mu         sync.Mutex
	rng        *rand.Rand
	ctx        context.Context // of Run; nil before
	cancel     context.CancelCauseFunc
	err        error // why it ended
	views      map[view]map[sequencing.MemberID]bool
	view       view // that is believed; zero before
	peers      []*peer
	agreement  *agreement
	queue      []Event // for Next
	queued     int     // bytes in it
	told       sequencing.Time
	tracked    map[sequencing.MessageID]*tracked
	receipts   receipts
	expiry     sequencing.Time // the earliest max-sequencing-time in tracked, or before it
	confirmed  sequencing.Time
	record     record
	wake       time.Time // when Run should look again, at the latest
	reconnects uint64
}

// New returns a client that does nothing yet.
func New(config Config) (*Client, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	seed := config.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	c := &Client{
		config: config, buffers: grpcbuf.Dial(), news: make(chan struct{}, 1), poke: make(chan struct{}, 1), begun: make(chan struct{}), ended: make(chan struct{}),
		rng:       rand.New(rand.NewPCG(seed, 0)),
		views:     map[view]map[sequencing.MemberID]bool{},
		agreement: newAgreement(config.TrustThreshold, config.Start, config.Remember),
		told:      config.Start.Known, confirmed: config.Start.Known,
		tracked: map[sequencing.MessageID]*tracked{}, receipts: newReceipts(config.Start.Known),
	}
	c.agreement.fault = config.fault
	for _, s := range config.Sequencers {
		c.peers = append(c.peers, newPeer(s))
	}
	return c, nil
}

// Run connects, reads and keeps doing so until the context ends, and then returns nil, or until there is no use in going
// on; see [ErrForked] and its neighbours. When it returns, every goroutine of the client has ended. It is called once.
func (c *Client) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.mu.Lock()
	if c.ctx != nil {
		c.mu.Unlock()
		return errors.New("run the client: it was run before")
	}
	c.ctx, c.cancel = ctx, cancel
	for _, p := range c.peers {
		c.start(p)
	}
	c.mu.Unlock()
	close(c.begun)
	c.group.Go(func() { c.acknowledge(ctx) })

	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-c.poke:
		case <-timer.C:
		}
		c.mu.Lock()
		c.balance()
		timer.Reset(min(time.Until(c.wake), c.config.Check))
		c.mu.Unlock()
	}
	c.mu.Lock()
	failed := c.err
	if failed == nil {
		c.err = fmt.Errorf("%w: it was stopped", ErrStopped)
	}
	c.mu.Unlock()
	c.group.Wait()
	close(c.ended)
	signal(c.news)
	return failed
}

// fail ends Run with an error. The caller holds the lock.
func (c *Client) fail(err error) {
	if c.err != nil || c.cancel == nil {
		return
	}
	c.err = fmt.Errorf("client of %s: %w", c.config.Member, err)
	c.config.Log.Error("the client cannot go on", "member", c.config.Member, "error", err)
	c.cancel(c.err)
}

// Next returns the next event. It waits for one, until the context ends or the client does; events that were released
// before the end are still returned. While Next is not called, reading stops after what [Config.BufferEvents] allows, and
// so do the answers to sends.
func (c *Client) Next(ctx context.Context) (Event, error) {
	for {
		if event, ok, err := c.take(); ok || err != nil {
			return event, err
		}
		select {
		case <-c.news:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

func (c *Client) take() (Event, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		event := c.queue[0]
		c.queue[0] = Event{}
		c.queue, c.queued = c.queue[1:], c.queued-event.size
		c.told = event.Position.Known
		if len(c.queue) <= c.config.BufferEvents/2 && c.queued <= c.config.BufferBytes/2 {
			c.pump()
		}
		return event, true, nil
	}
	if known := c.agreement.position.Known; c.config.Ticks && known > c.told {
		c.told = known
		return Event{Position: c.agreement.position}, true, nil
	}
	if c.err != nil {
		signal(c.news) // for the next caller
		return Event{}, false, c.err
	}
	return Event{}, false, nil
}

// Confirm says that the application processed everything up to a time, as [Event.Position] gave it: the member will
// acknowledge it, and sequencers may then forget the events.
func (c *Client) Confirm(upTo sequencing.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if upTo > c.told {
		return fmt.Errorf("confirm %d: Next returned nothing beyond %d", upTo, c.told)
	}
	c.confirmed = max(c.confirmed, upTo)
	return nil
}

// Position is up to where a threshold of sequencers agree; Next may be behind it.
func (c *Client) Position() Position {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agreement.position
}

// pump releases what is agreed, as far as there is room. The caller holds the lock.
func (c *Client) pump() {
	before := c.agreement.position.Known
	for {
		room := c.config.BufferEvents - len(c.queue)
		if room <= 0 || c.queued >= c.config.BufferBytes {
			break
		}
		events, lies, err := c.agreement.advance(room)
		for _, e := range events {
			c.release(e)
		}
		for _, lie := range lies {
			c.leave(lie)
		}
		if err != nil {
			c.fail(err)
			return
		}
		if len(events) == 0 && len(lies) == 0 {
			break
		}
	}
	if known := c.agreement.position.Known; known > before {
		c.expire(known)
		signal(c.news)
	}
	for _, p := range c.peers {
		if v := c.agreement.voices[p.id]; p.stream != nil && v != nil && !v.full(c.config.BufferEvents, c.config.BufferBytes) {
			signal(p.stream.room)
		}
	}
}

// release decodes an event that is agreed and queues it for Next.
func (c *Client) release(e released) {
	delivery, err := sequencing.DecodeDelivery(e.encoded)
	if err != nil {
		c.fail(fmt.Errorf("event at %d, on which %v agree: %w: %w: update this client", e.time, e.by, ErrUnreadable, err))
		return
	}
	if c.err != nil {
		return // nothing may be released behind an event that is not
	}
	c.queue = append(c.queue, Event{Position: Position{Event: e.time, Known: e.time}, Delivery: delivery, Sequencers: e.by, size: len(e.encoded)})
	c.queued += len(e.encoded)
	c.receipt(delivery)
}

// leave stops using a sequencer that lied. The caller holds the lock.
func (c *Client) leave(lie *Lie) {
	c.agreement.expel(lie.Sequencer)
	c.record.add(lie)
	c.config.Log.Error("a sequencer lies and is not used any more", "sequencer", lie.Sequencer, "kind", lie.Kind, "time", lie.Time, "detail", lie.Detail,
		"against", lie.Against)
	for _, p := range c.peers {
		if p.id == lie.Sequencer && p.left == nil && c.config.fault != faultKeepLiars {
			p.left = lie
			p.stop()
		}
	}
	signal(c.poke)
}

// Lies are the newest lies that sequencers were found at, with the evidence.
func (c *Client) Lies() []Lie {
	c.mu.Lock()
	defer c.mu.Unlock()
	lies := make([]Lie, len(c.record.kept))
	for i, l := range c.record.kept {
		lies[i] = *l
	}
	return lies
}

// LieCounts says how often each sequencer was found at which kind of lie.
func (c *Client) LieCounts() map[sequencing.MemberID]map[LieKind]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[sequencing.MemberID]map[LieKind]uint64{}
	for id, kinds := range c.record.counts {
		counts[id] = map[LieKind]uint64{}
		for kind, n := range kinds {
			counts[id][kind] = n
		}
	}
	return counts
}

// signal makes whoever waits on a channel of capacity one look again.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
