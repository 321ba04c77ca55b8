// Package instance puts one sequencer together from its configuration: store,
// replica, orderer, service, and the ports for operators. A sequencer that runs
// alone and one in a sandbox are made by the same code.
package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/internal/halfopen"
	"github.com/synod-network/synod/internal/openfiles"
	"github.com/synod-network/synod/internal/turnstile"
	"github.com/synod-network/synod/internal/version"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/bftorder"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/sequencer"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/telemetry"
)

// Instance is one sequencer, made and not yet running.
type Instance struct {
	Config  *config.Sequencer
	Genesis *genesis.Genesis
	Health  *node.Health
	Log     *slog.Logger

	identity identity

	level   *slog.LevelVar
	store   *store.Store
	state   *synchronizer.State
	replica *replica.Replica
	peers   *peers
	changed changes // of the topology
	onboard *onboard
	// again ends the instance, to be made anew with other keys; nil where nobody would do so.
	again   func(tryNext bool)
	orderer ordering.Orderer
	members *members.Service
	// verifier checks the signatures of requests, before they are ordered and after.
	verifier  *keys.BatchVerifier
	service   *sequencer.Server
	warden    *warden.Warden
	pruner    *admin.Pruner // nil without a listener for operators, as is operators
	operators *admin.Server
	metrics   *prometheus.Registry

	listeners map[string]net.Listener
	// turnstiles bound the connections of listeners; that for peers has bounds of its own.
	turnstiles map[string]*turnstile.Turnstile

	crashed context.Context
	crash   context.CancelFunc
}

// Options are what a sequencer needs beside its configuration.
type Options struct {
	// LogTo receives the log.
	LogTo io.Writer
	// Rejoin says that the store is an old copy: the sequencer proposes again
	// only when no epoch can be running in which it may have signed.
	Rejoin bool
	// PlainAdmin serves operators without TLS, on loopback only: for a sandbox.
	PlainAdmin bool
	// Now is the clock that stamps blocks; nil means the system's.
	Now func() time.Time

	tryNext bool // order by the next node key, if the committee lists neither
}

// New opens the store and the listeners. Close gives them back if the instance
// is not run.
func New(ctx context.Context, c *config.Sequencer, o Options) (_ *Instance, err error) {
	i := &Instance{Config: c, Health: node.NewHealth(), level: &slog.LevelVar{}, metrics: prometheus.NewRegistry(), listeners: map[string]net.Listener{}, turnstiles: map[string]*turnstile.Turnstile{}, changed: make(changes, 1), verifier: keys.NewBatchVerifier(rememberedKeys)}
	i.onboard = &onboard{Instance: i}
	i.crashed, i.crash = context.WithCancel(context.Background())
	i.level.Set(slog.Level(c.Log.Level))
	i.Log = telemetry.NewLogger(o.LogTo, telemetry.LogFormat(c.Log.Format), i.level, c.Name)
	defer func() {
		if err != nil {
			err = errors.Join(err, i.Close())
		}
	}()
	if i.Genesis, err = genesis.Load(c.GenesisFile); err != nil {
		return nil, exit.With(exit.BadConfig, err)
	}
	if i.identity, err = i.loadIdentity(); err != nil {
		return nil, err
	}
	m := telemetry.New(i.metrics)
	know(m.Members)
	if err := i.openStore(m); err != nil {
		return nil, err
	}
	if err := i.chooseNodeKey(o.tryNext); err != nil {
		return nil, err
	}
	if err := i.openState(m, o.Now); err != nil {
		return nil, err
	}
	if err := i.chooseProtocolKey(); err != nil {
		return nil, err
	}
	if err := i.place(i.state); err != nil {
		return nil, err
	}
	if err := i.listen(ctx); err != nil {
		return nil, err
	}
	said, err := admin.OpenEndpoints(i.operatorsFile("peers.json"))
	if err != nil {
		return nil, exit.With(exit.BadConfig, err)
	}
	committee, err := i.storedCommittee()
	if err != nil {
		return nil, err
	}
	i.peers = newPeers(i.Genesis, c.Peers, said, i.identity.holds)
	i.peers.ordering = i.peers.named(committee)
	settings := i.replicaConfig(m, o)
	if settings.Warden, err = warden.Open(warden.Config{
		Key: i.identity.node, Network: [32]byte(settings.Genesis.Network), Params: judgement(c.PeerTrust), Path: filepath.Join(c.DataDir, "peertrust"), Names: i.peers.called, Log: i.Log,
	}); err != nil {
		return nil, err
	}
	i.replica, err = replica.New(settings)
	if err != nil {
		return nil, err
	}
	i.peers.replica = i.replica
	i.replica.Observe()
	i.orderer = bftorder.New(i.replica)
	if err := i.serve(m); err != nil {
		return nil, err
	}
	i.warden = settings.Warden
	if err := i.serveOperators(o.PlainAdmin); err != nil {
		return nil, exit.With(exit.BadConfig, err)
	}
	i.Health.Live("store", i.store.Err)
	i.Health.Ready("ordering", i.orderer.Ready)
	m.Health.Observe(i.healthNow)
	return i, nil
}

// openStore opens the store, or makes one that knows that it may have
// forgotten something.
func (i *Instance) openStore(m *telemetry.Metrics) error {
	options := store.Options{
		Dir: i.Config.DataDir, Network: i.Genesis.Committee().Network, SegmentSize: int64(i.Config.Storage.SegmentSize), Log: i.Log,
		ObserveSync: func(bytes int64, took time.Duration) {
			m.Store.Written.Add(float64(bytes))
			m.Store.Synced(took)
		},
	}
	s, err := store.Open(options)
	if errors.Is(err, store.ErrMissing) {
		i.Log.Warn("there is no store; making an empty one and asking the others from which epoch this sequencer may propose again", slog.String("data_dir", i.Config.DataDir))
		if err := store.Create(options, store.Replacement); err != nil {
			return err
		}
		s, err = store.Open(options)
	}
	if err != nil {
		return err
	}
	i.store = s
	return nil
}

// openState opens what the sequencer knows of the network, beside the order that it follows from.
func (i *Instance) openState(m *telemetry.Metrics, clock func() time.Time) (err error) {
	founding, err := i.Genesis.Founding()
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	i.state, err = synchronizer.Open(synchronizer.Config{
		Dir: filepath.Join(i.Config.DataDir, "history"), Founding: founding, Network: sequencing.NetworkID(i.Genesis.ID),
		Verify: members.Verifier(i.verifier), SegmentSize: int64(i.Config.Storage.SegmentSize), Now: clock, Log: i.Log, Observer: applied{m.Members, i.changed},
	})
	return err
}

// rememberedKeys is for how many keys that sign often tables are kept, of about 2 KiB each.
const rememberedKeys = 2048

func (i *Instance) listen(ctx context.Context) error {
	c := i.Config
	for _, l := range []struct{ use, key, address string }{
		{"public", "public.listen", c.Public.Listen}, {"peer", "peer.listen", c.Peer.Listen},
		{"admin", "admin.listen", c.Admin.Listen}, {"pprof", "admin.pprof_listen", c.Admin.Pprof},
		{"admin-grpc", "admin.grpc_listen", c.Admin.GRPC},
	} {
		if l.address == "" {
			continue
		}
		listener, err := node.Listen(ctx, l.use, l.key, l.address)
		if err != nil {
			return err
		}
		if limits, ok := i.connections()[l.use]; ok {
			i.turnstiles[l.use] = turnstile.New(limits)
			// A wrapped connection hides its socket from gRPC, which would set the same limit.
			listener = i.turnstiles[l.use].Listener(halfopen.Listener(listener, grpclink.PingPatience))
		}
		i.listeners[l.use] = listener
	}
	return nil
}

// connections are the limits of connections, by listener. Operators and what scrapes metrics are few.
func (i *Instance) connections() map[string]turnstile.Limits {
	public := turnstile.Limits{Total: int(i.Config.Public.Connections), Host: int(i.Config.Public.HostConnections)}
	public.Total = cmp.Or(public.Total, openfiles.Connections(openfiles.Limit()))
	public.Host = cmp.Or(public.Host, max(1, public.Total/2))
	return map[string]turnstile.Limits{"public": public, "admin": {Total: 32}, "admin-grpc": {Total: 32}, "pprof": {Total: 8}}
}

// connected is what a scrape tells of connections.
func (i *Instance) connected() map[string]telemetry.ConnectionsState {
	limits, all := i.connections(), map[string]telemetry.ConnectionsState{}
	for use, t := range i.turnstiles {
		counts := t.Counts()
		all[use] = telemetry.ConnectionsState{Open: counts.Open, Limit: limits[use].Total, PushedOut: counts.PushedOut, Refused: counts.Refused}
	}
	return all
}

func (i *Instance) replicaConfig(m *telemetry.Metrics, o Options) replica.Config {
	c := i.Config
	committee := i.Genesis.Committee()
	return replica.Config{
		Genesis: committee, Key: i.identity.node, Store: i.store, Application: i.state,
		Listener: i.listeners["peer"], Peers: i.peers.start(i.state), Name: i.peers.name,
		Queue:     replica.QueueLimits{Requests: int(c.Queue.Requests), Bytes: int(c.Queue.Bytes)},
		Retention: replica.Retention{Commits: bft.CommitIndex(c.Storage.RetainCommits), Bytes: int64(c.Storage.RetainBytes)},
		Trust:     bft.Trust{Period: bft.Time(time.Duration(c.Trust.Period).Microseconds()), Handover: bft.Digest(c.Trust.Handover)},
		Rejoin:    o.Rejoin, Now: o.Now, Note: i.heard, Metrics: m, Log: i.Log,
	}
}

// judgement is how peers are judged, as configured.
func judgement(c config.PeerTrust) trust.Params {
	span := func(d config.Duration) trust.Duration { return trust.Duration(time.Duration(d).Microseconds()) }
	return trust.Params{
		HalfLife: span(c.HalfLife), LimitBelow: float64(c.LimitAt), Probation: float64(c.Probation),
		FirstBan: span(c.FirstBan), LongestBan: span(c.LongestBan), StrikeWindow: span(c.StrikeWindow), Jitter: float64(c.BanJitter),
		SuspectWindow: span(c.SuspectWindow), LooksBad: float64(c.LooksBadAt), SuspectFor: span(c.SuspectFor),
		QuorumGrace: span(c.QuorumGrace), Peers: int(c.RememberedPeers),
	}
}

func (i *Instance) serve(m *telemetry.Metrics) (err error) {
	c := i.Config
	i.members, err = members.New(members.Config{
		State: i.state, Orderer: i.orderer, Self: i.identity.member, Key: func() keys.PrivateKey { return i.identity.protocol },
		Verifier: i.verifier, Registrations: float64(c.Public.RegistrationsPerSecond), HostRegistrations: float64(c.Public.HostRegistrationsPerSecond),
		Software: version.Read().String(), Revoke: i.tellRevocation, Log: i.Log, Observer: toldToMembers{m.Members},
	})
	if err != nil {
		return err
	}
	i.service, err = sequencer.New(i.orderer, i.listeners["public"], sequencer.Config{
		CertificateFile: c.Public.TLSCert, KeyFile: c.Public.TLSKey, TokenFile: c.Public.TokenFile, Ordering: c.Public.Ordering, Services: []sequencer.Service{membersService{i.members}},
		LargeBytes: int64(c.Public.LargeMessages), Drain: time.Duration(c.Shutdown.DrainTimeout), Log: i.Log, Observer: observer{m},
	})
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	m.Members.Observe(i.membersNow)
	m.Connections.Observe(i.connected)
	m.Delivery.Observe(func() telemetry.DeliveryState {
		open, lag := i.service.Subscribers()
		return telemetry.DeliveryState{Subscribers: open, MaxLag: lag}
	})
	return nil
}

// membersService is the members' service on the public listener.
type membersService struct{ *members.Service }

func (membersService) Prefix() string { return "/synod.sequencer.v1." }

func (s membersService) Enter(ctx context.Context, method string) (sequencer.Entry, error) {
	entered, err := s.Service.Enter(ctx, method)
	return sequencer.Entry(entered), err
}

// Stages are the parts of the running sequencer, in the order of their start.
func (i *Instance) Stages() []node.Stage {
	name := func(s string) string { return i.Config.Name + " " + s }
	stages := []node.Stage{
		{Name: name("replica"), Run: func(ctx context.Context, ready func()) error {
			ready()
			defer i.crash()
			running, stop := context.WithCancel(ctx)
			defer stop()
			defer context.AfterFunc(i.crashed, stop)()
			err := errors.Join(i.replica.Run(running), i.state.Close(), i.store.Close())
			if err == nil {
				<-ctx.Done()
			}
			return err
		}, Drain: i.replica.Drain},
		{Name: name("peers"), Run: func(ctx context.Context, ready func()) error {
			ready()
			i.peers.follow(ctx, i.state, i.changed)
			return nil
		}},
		{Name: name("readiness"), Run: func(ctx context.Context, ready func()) error {
			ready()
			if err := i.announce(ctx); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}},
		{Name: name("onboarding"), Run: func(ctx context.Context, ready func()) error {
			ready()
			i.onboard.follow(ctx)
			<-ctx.Done()
			return nil
		}},
		{Name: name("keys"), Run: func(ctx context.Context, ready func()) error {
			ready()
			(&rotation{Instance: i, engine: i.replica, began: time.Now()}).run(ctx, i.exchange)
			<-ctx.Done()
			return nil
		}},
		{Name: name("service"), Run: func(ctx context.Context, ready func()) error {
			ready()
			return i.service.Run(ctx)
		}},
		node.ServeHTTP(name("admin"), i.listeners["admin"], node.OperatorHandler(i.Health, i.metrics), node.OperatorPatience),
	}
	if i.operators != nil {
		stages = append(stages,
			node.Stage{Name: name("operators"), Run: func(ctx context.Context, ready func()) error {
				ready()
				return i.operators.Run(ctx)
			}},
			node.Stage{Name: name("pruning"), Run: func(ctx context.Context, ready func()) error {
				ready()
				return i.pruner.Run(ctx)
			}})
	}
	if l, ok := i.listeners["pprof"]; ok {
		stages = append(stages, node.ServeHTTP(name("pprof"), l, node.ProfileHandler(), node.ProfilePatience))
	}
	return stages
}

// exchange ends the instance for another one with other keys.
func (i *Instance) exchange(tryNext bool) {
	if i.again == nil {
		i.Log.Warn("this sequencer has other keys now, and uses them when the process is started again")
		return
	}
	i.again(tryNext)
}

// Ready says where the sequencer listens.
func (i *Instance) Ready() node.ReadyNode {
	r := node.ReadyNode{Name: i.Config.Name, Role: "sequencer", Listeners: map[string]string{}}
	for use, l := range i.listeners {
		r.Listeners[use] = l.Addr().String()
	}
	return r
}

// Address is where a listener of the given use listens.
func (i *Instance) Address(use string) string { return i.listeners[use].Addr().String() }

// Orderer gives the order, for what runs in the same process.
func (i *Instance) Orderer() ordering.Orderer { return i.orderer }

// State is what the sequencer knows of the network.
func (i *Instance) State() *synchronizer.State { return i.state }

// Replica is the running engine, for what shows its state.
func (i *Instance) Replica() *replica.Replica { return i.replica }

// SetPeers changes where the other sequencers are reached.
func (i *Instance) SetPeers(peers map[keys.PublicKey]string) { i.peers.setAddresses(peers) }

// Reload takes over what can change while running: certificates, tokens, log
// level. The level comes last: if a file cannot be read, it stays.
func (i *Instance) Reload(level slog.Level) error {
	if i.operators != nil {
		if err := i.operators.Reload(); err != nil {
			return err
		}
	}
	if err := i.service.Reload(); err != nil {
		return err
	}
	i.level.Set(level)
	return nil
}

// Crash ends the sequencer's engine and links at once, as kill would, for
// measurements of what the others then do. Its other parts go on.
func (i *Instance) Crash() { i.crash() }

// Close gives back what New opened. It is for an instance that was never run.
func (i *Instance) Close() error {
	var errs []error
	for _, l := range i.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if i.state != nil {
		errs = append(errs, i.state.Close())
	}
	if i.store != nil {
		errs = append(errs, i.store.Close())
	}
	return errors.Join(errs...)
}

// observer turns what the service does into metrics. What the queue decides is
// counted there.
type observer struct{ m *telemetry.Metrics }

func (o observer) Submitted(reason sequencer.Reason, requests, bytes int) {
	switch reason {
	case sequencer.Invalid, sequencer.Unauthenticated, sequencer.TooManyStreams:
		for range max(1, requests) {
			o.m.Ingress.Count(telemetry.Refused, bytes/max(1, requests))
		}
	}
}

func (o observer) Limited(by sequencer.Limit) { o.m.Ingress.Limited(telemetry.Limit(by)) }

func (o observer) Delivered(_, bytes int) {
	o.m.Delivery.Blocks.Inc()
	o.m.Delivery.Bytes.Add(float64(bytes))
}

func (o observer) SubscriptionEnded(reason sequencer.Reason) {
	switch reason {
	case "":
		o.m.Delivery.Ended(telemetry.EndedByClient)
	case sequencer.ShuttingDown:
		o.m.Delivery.Ended(telemetry.EndedByDrain)
	case sequencer.Pruned:
		o.m.Delivery.Ended(telemetry.EndedPruned)
	default:
		o.m.Delivery.Ended(telemetry.EndedFailed)
	}
}

func (o observer) Panicked() {}

// Run runs one sequencer until it is told to stop. While that takes other keys into use, one instance follows another.
func Run(ctx context.Context, c *config.Sequencer, o Options, readyFile string, reload func() (slog.Level, error)) error {
	signals, stop := node.Signals()
	defer stop()
	for {
		again, tryNext, err := run(ctx, c, o, readyFile, reload, signals)
		if !again {
			return err
		}
		o.tryNext, o.Rejoin = tryNext, false
	}
}

// run runs one instance until the process is told to stop, or until it is to run again with other keys.
func run(ctx context.Context, c *config.Sequencer, o Options, readyFile string, reload func() (slog.Level, error), signals <-chan os.Signal) (again, tryNext bool, err error) {
	i, err := New(ctx, c, o)
	if err != nil {
		return false, false, err
	}
	running, end := context.WithCancel(ctx)
	defer end()
	over := make(chan struct{})
	defer close(over)
	var next atomic.Pointer[bool]
	i.again = func(tryNext bool) { next.Store(&tryNext); end() }
	var stopped atomic.Bool
	passed := make(chan os.Signal)
	go func() { // so that a signal to stop is heeded also while the instance ends for another
		for {
			select {
			case s := <-signals:
				stopped.Store(stopped.Load() || s != syscall.SIGHUP)
				select {
				case passed <- s:
				case <-over:
				}
			case <-over:
				return
			}
		}
	}()
	stages := i.Stages()
	if readyFile != "" {
		stages = append(stages, node.ReadyFile(readyFile, i.Health, func() node.Ready {
			return node.Ready{PID: os.Getpid(), Network: i.Genesis.ID.String(), Nodes: []node.ReadyNode{i.Ready()}}
		}))
	}
	group := node.Group{
		Stages: stages, Health: i.Health, Log: i.Log, Signals: passed,
		LameDuck: time.Duration(c.Shutdown.LameDuck), DrainTimeout: time.Duration(c.Shutdown.DrainTimeout),
		Reload: func() error {
			level, err := reload()
			if err != nil {
				return fmt.Errorf("reload: %w", err)
			}
			return i.Reload(level)
		},
	}
	r := i.Ready()
	i.Log.Info("sequencer starts", slog.String("network", i.Genesis.Name), slog.String("public", r.Listeners["public"]),
		slog.String("peer", r.Listeners["peer"]), slog.String("admin", r.Listeners["admin"]))
	err = group.Run(running)
	if tryNext := next.Load(); tryNext != nil && ctx.Err() == nil && !stopped.Load() {
		if err != nil {
			i.Log.Warn("some requests are lost, unless their senders send them again", slog.Any("error", err))
		}
		return true, *tryNext, nil
	}
	return false, false, err
}
