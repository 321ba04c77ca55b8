package replica

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/bft/quorum"
	"github.com/synod-network/synod/internal/finetimer"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/telemetry"
	"golang.org/x/sync/errgroup"
)

// Config is what a replica needs.
type Config struct {
	Genesis     *bft.Committee
	Key         keys.PrivateKey
	Store       *store.Store
	Application Application

	// Listener is where peers connect; Peers maps the others' keys to their
	// addresses.
	Listener net.Listener
	Peers    map[keys.PublicKey]string
	// Name gives a peer's name for logs and metrics, empty for one that is not known. It
	// is called from any goroutine.
	Name func(keys.PublicKey) string

	Queue  QueueLimits
	Limits bft.Limits
	// Retention prunes the store; the zero value keeps everything.
	Retention Retention
	// ChainBytes bounds the payloads of ordered blocks kept in memory for
	// readers; 0 means 32 MiB.
	ChainBytes int
	// ServeBytesPerSecond bounds what is read from disk for members that are
	// behind, so that live ordering is not slowed; 0 means 48 MiB.
	ServeBytesPerSecond int
	// TransferPatience is how long nothing of a state that is fetched may come
	// before a newer one is looked for; a peer that owes pieces may be silent
	// for a fifth of it. 0 means 10 s.
	TransferPatience time.Duration

	// Trust is whom to believe after having been away for long.
	Trust bft.Trust
	// Rejoin says that the store is an old copy: see bft.Recovered.
	Rejoin bool

	// Note is given each note from a peer, on the goroutine of its link; an error counts as
	// junk. Nil drops them.
	Note func(from keys.PublicKey, note []byte) error

	Metrics *telemetry.Metrics
	Log     *slog.Logger
	// Now is the clock that stamps blocks, which may be wrong; nil means the
	// system's. Waiting is not measured with it.
	Now func() time.Time
	// Warden holds what is thought of the peers; nil: it begins anew, and nothing of it survives. The replica runs it.
	Warden *warden.Warden
	// Dial opens peer links; nil means TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Replica is one member's running engine.
type Replica struct {
	cfg     Config
	self    bft.PublicKey
	log     *slog.Logger
	metrics *telemetry.Metrics
	links   *p2p.Network
	warden  *warden.Warden
	queue   *queue
	chain   *chain
	inbox   *inbox
	writer  *persister
	server  *server
	started time.Time

	// committee is what arriving blocks are verified against; the loop sets
	// it.
	committee atomic.Pointer[bft.Committee]
	ring      atomic.Pointer[keys.Ring]
	// progress is the engine's newest state, for whoever asks.
	progress  atomic.Pointer[bft.Progress]
	connected atomic.Int64
	// fetching is how much is here of a state that is fetched, installing whether the application takes one over.
	fetching   atomic.Pointer[Transfer]
	installing atomic.Bool
	// open counts own blocks with requests that are not ordered yet.
	open atomic.Int64

	// signals reach the loop from the other goroutines.
	signals signals

	// Owned by the loop.
	engine   *bft.Engine
	timer    *finetimer.Timer
	recent   recentBlocks
	own      map[bft.Digest][]mark // submission times of own blocks' requests
	future   map[bft.PublicKey][]*bft.UnverifiedBlock
	transfer *transfer
	// undelivered commits wait for own blocks to be durable up to durableSeq.
	undelivered []bft.Deliver
	durableSeq  uint64
	// again is what carrying out effects led to, to be done after them.
	again []func() error
	// sealing is the payload that the running step may put into a block.
	sealing     *sealed
	engineEpoch bft.Epoch
	names       []string // of the committee's members in its order, as its metrics have them
	published   time.Time

	// installs reach the goroutine of the application.
	installs chan *fetched
	// prunes reach the goroutine that prunes.
	prunes chan *pruneRequest
	// held is the application's snapshot after an epoch whose hand-over is not
	// on its way to the disk yet.
	held   atomic.Pointer[snapshot]
	keeper keeper

	// ended is set when the replica has stopped, failure to why if it failed.
	ended   atomic.Bool
	failure atomic.Pointer[error]
}

// New opens nothing and starts nothing: it prepares a replica on an open store.
func New(cfg Config) (*Replica, error) {
	if err := cfg.Genesis.Validate(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if cfg.ChainBytes == 0 {
		cfg.ChainBytes = 32 << 20
	}
	if cfg.ServeBytesPerSecond == 0 {
		cfg.ServeBytesPerSecond = 48 << 20
	}
	if cfg.TransferPatience == 0 {
		cfg.TransferPatience = 10 * time.Second
	}
	if cfg.Limits == (bft.Limits{}) {
		cfg.Limits = bft.DefaultLimits()
	}
	if cfg.Name == nil {
		cfg.Name = func(keys.PublicKey) string { return "" }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	r := &Replica{
		cfg: cfg, self: bft.PublicKey(cfg.Key.Public()), log: cfg.Log, metrics: cfg.Metrics, inbox: newInbox(),
		own: map[bft.Digest][]mark{}, future: map[bft.PublicKey][]*bft.UnverifiedBlock{},
		recent: newRecentBlocks(), started: time.Now(), installs: make(chan *fetched, 1), prunes: make(chan *pruneRequest),
		keeper: keeper{wake: make(chan struct{}, 1)},
	}
	r.ring.Store(keys.NewRing(nil))
	r.signals.wake = make(chan struct{}, 1)
	r.queue = &queue{limits: cfg.Queue, arrived: r.signals.queueArrived}
	r.chain = newChain(cfg.Store, cfg.ChainBytes)
	r.server = newServer(cfg.Store, cfg.ServeBytesPerSecond, r.transmitBulk, func() { r.metrics.Catchup.Served.Inc() })
	r.writer = newPersister(cfg.Store, r.transmit, r.signals.durable, r.keeper.add, func() { r.metrics.Store.Failed(telemetry.StoreWrite) })
	var err error
	if r.warden = cfg.Warden; r.warden == nil {
		r.warden, err = warden.Open(warden.Config{Key: cfg.Key, Network: [32]byte(cfg.Genesis.Network), Log: cfg.Log})
		if err != nil {
			return nil, err
		}
	}
	r.links, err = p2p.New(p2p.Config{
		Key: cfg.Key, Network: [32]byte(cfg.Genesis.Network), Listener: cfg.Listener, Peers: cfg.Peers,
		Handler: r.frame, Up: r.up, Down: r.down,
		Gate: r.meet, Told: r.warden.Told, Faulted: r.faulted, Lost: r.lost, Log: cfg.Log, Dial: cfg.Dial,
		Name: func(peer keys.PublicKey) string { return r.name(bft.PublicKey(peer)) },
	})
	if err != nil {
		return nil, err
	}
	r.warden.Attach(r.links.Reconsider)
	return r, nil
}

// Run orders until ctx ends, the store fails or the engine halts. It returns
// nil only in the first case.
func (r *Replica) Run(ctx context.Context) error {
	found, err := r.recover()
	if err != nil {
		return fmt.Errorf("recover from the store: %w", err)
	}
	r.enterCommittee(found.Committee()) // the application judges by it what ends the epoch
	g, ctx := errgroup.WithContext(ctx)
	// The writer outlives the loop, so that what the loop handed over last
	// is on disk; the links outlive the writer.
	loopDone, writerDone := make(chan struct{}), make(chan struct{})
	g.Go(func() error { return r.cfg.Store.Run(after(ctx, writerDone)) })
	g.Go(func() error { return r.links.Run(after(ctx, writerDone)) })
	g.Go(func() error {
		defer close(writerDone)
		return r.writer.run(after(ctx, loopDone))
	})
	g.Go(func() error { return r.warden.Run(ctx) })
	g.Go(func() error { return r.server.run(ctx) })
	g.Go(func() error { return r.apply(ctx) })
	g.Go(func() error { return r.keep(ctx) })
	g.Go(func() error { return r.prune(ctx) })
	g.Go(func() error {
		defer close(loopDone)
		return r.loop(ctx, found)
	})
	err = g.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		r.failure.CompareAndSwap(nil, &err)
	}
	r.ended.Store(true)
	r.queue.close()
	r.chain.close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// after returns a context that ends once ctx has ended and done is closed.
func after(ctx context.Context, done <-chan struct{}) context.Context {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		<-ctx.Done()
		<-done
		cancel()
	}()
	return out
}

// Submit queues requests; see ordering.Orderer.
func (r *Replica) Submit(requests ...[]byte) error {
	limit := int(r.currentParams().RequestLimit)
	for _, q := range requests {
		if len(q) > limit {
			r.metrics.Ingress.Count(telemetry.TooLarge, len(q))
			return &ordering.TooLarge{Size: len(q), Limit: limit}
		}
	}
	err := r.queue.submit(requests, time.Now())
	outcome := telemetry.Accepted
	switch {
	case errors.Is(err, ordering.ErrOverloaded):
		outcome = telemetry.Overloaded
	case errors.Is(err, ordering.ErrTooLarge):
		outcome = telemetry.TooLarge
	case err != nil:
		outcome = telemetry.NotReady
	}
	for _, q := range requests {
		r.metrics.Ingress.Count(outcome, len(q))
	}
	return err
}

func (r *Replica) currentParams() bft.Params {
	if c := r.committee.Load(); c != nil {
		return c.Params
	}
	return r.cfg.Genesis.Params
}

// Commit returns an ordered commit, waiting for it if need be.
func (r *Replica) Commit(ctx context.Context, i bft.CommitIndex) (*Ordered, error) {
	return r.chain.wait(ctx, i)
}

// Head is the newest ordered commit and the last time that it gives out; Lowest
// is the oldest commit that can be read.
func (r *Replica) Head() (bft.CommitIndex, bft.Time) { return r.chain.newest() }

func (r *Replica) Lowest() bft.CommitIndex { return r.chain.lowest() }

// Queued returns what waits to be put into blocks.
func (r *Replica) Queued() (requests, bytes int) { return r.queue.size() }

// Progress returns the engine's newest state; nil before Run.
func (r *Replica) Progress() *bft.Progress { return r.progress.Load() }

// Committee returns who orders now; nil before Run.
func (r *Replica) Committee() *bft.Committee { return r.committee.Load() }

// MaxNote bounds a note, in bytes.
const MaxNote = 4 << 10

// Tell sends a note to all connected peers. It is lost where a link is down or full.
func (r *Replica) Tell(note []byte) {
	for _, p := range r.links.Stats() {
		if p.Live.Connected {
			_ = r.links.Send(p.Peer, p2p.Live, []byte{kindNote}, note)
		}
	}
}

// Links describes the links to the peers.
func (r *Replica) Links() []p2p.PeerStats { return r.links.Stats() }

// Refused counts refused connections by reason.
func (r *Replica) Refused() map[p2p.Refusal]uint64 { return r.links.Refused() }

// SetPeers changes addresses and peers while running.
func (r *Replica) SetPeers(peers map[keys.PublicKey]string) { r.links.SetPeers(peers) }

// Drain refuses further requests and waits until all that were accepted are
// ordered, or ctx ends.
func (r *Replica) Drain(ctx context.Context) error {
	r.queue.close()
	t := time.NewTicker(progressInterval)
	defer t.Stop()
	for {
		requests, _ := r.queue.size()
		open := requests + int(r.open.Load())
		if open == 0 || r.ended.Load() {
			return nil // all ordered, or nothing more will be
		}
		if p := r.progress.Load(); p != nil && !p.Member {
			return fmt.Errorf("%d requests or blocks of requests were not ordered, since this sequencer is not a member of the committee any more", open)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d requests or blocks of requests were not ordered in time; their outcome is known once this sequencer runs again", open)
		case <-t.C:
		}
	}
}

// Ready says why requests submitted now would not be ordered; nil if they
// would.
func (r *Replica) Ready() error {
	if f := r.failure.Load(); f != nil {
		return &ordering.NotReady{Reason: "stopped: " + (*f).Error()}
	}
	if r.ended.Load() {
		return ordering.ErrClosed
	}
	c, p := r.committee.Load(), r.progress.Load()
	if c == nil || p == nil {
		return &ordering.NotReady{Reason: "starting"}
	}
	if p.Distrusting {
		return &ordering.NotReady{Reason: "looking for the hand-over that trust.handover names, which the history here does not contain"}
	}
	if !p.Member {
		return &ordering.NotReady{Reason: "this sequencer is not a member of the committee of epoch " + fmt.Sprint(p.Epoch)}
	}
	if up, q := int(r.connected.Load())+1, quorum.Size(c.Size()); up < q {
		return &ordering.NotReady{Reason: fmt.Sprintf("%d of %d sequencers connected, %d needed for a quorum", up, c.Size(), q)}
	}
	if !p.Proposing {
		return &ordering.NotReady{Reason: "this sequencer may not propose in this epoch: it rejoins after losing its store, or its key is used elsewhere"}
	}
	switch {
	case p.Ignored:
		return &ordering.NotReady{Reason: "the others do not order this sequencer's blocks: they have evidence against its key or do not hear it; see its log and theirs"}
	case !p.Known:
		return &ordering.NotReady{Reason: "asking the other sequencers how far they are"}
	case p.BehindEpochs > 0:
		return &ordering.NotReady{Reason: fmt.Sprintf("catching up: %d epochs behind", p.BehindEpochs)}
	case p.Behind > readyLag:
		return &ordering.NotReady{Reason: fmt.Sprintf("catching up: %d commits behind", p.Behind)}
	}
	return nil
}

// readyLag is how many commits behind a sequencer may be and still be called
// ready: less than a second's worth on a busy network.
const readyLag = 100

func newNonce() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b[:]), nil
}

// signals carries what other goroutines tell the loop. Each is a newest value
// or a short list, so nothing can pile up.
type signals struct {
	wake chan struct{}

	mu      sync.Mutex
	queued  bool
	seq     uint64
	commit  bft.CommitIndex
	applied bft.CommitIndex
	epoch   *bft.EpochEnded
	links   []bft.Input // PeerUp and PeerDown
	payload *sealed
	newDurable,
	newApplied bool
}

func (s *signals) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *signals) queueArrived() {
	s.mu.Lock()
	s.queued = true
	s.mu.Unlock()
	s.poke()
}

func (s *signals) durable(seq uint64, commit bft.CommitIndex) {
	s.mu.Lock()
	if seq > s.seq {
		s.seq, s.newDurable = seq, true
	}
	s.commit = max(s.commit, commit)
	s.mu.Unlock()
	s.poke()
}

func (s *signals) appliedTo(i bft.CommitIndex, ended *bft.EpochEnded) {
	s.mu.Lock()
	s.applied, s.newApplied = i, true
	if ended != nil {
		s.epoch = ended
	}
	s.mu.Unlock()
	s.poke()
}

func (s *signals) link(in bft.Input) {
	s.mu.Lock()
	s.links = append(s.links, in)
	s.mu.Unlock()
	s.poke()
}

func (s *signals) sealed(p *sealed) {
	s.mu.Lock()
	s.payload = p
	s.mu.Unlock()
	s.poke()
}
