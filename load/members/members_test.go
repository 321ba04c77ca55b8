package members_test

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/keys"
	load "github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/ordering/ordertest"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// sequencer is the real service of a sequencer over an order in memory, behind a proxy that can lie in its name.
type sequencer struct {
	id      sequencing.MemberID
	proxy   *clienttest.Proxy
	address string
	// restart breaks all connections to the proxy, and listens again.
	restart func()
}

func target(address string) load.Target {
	return load.Target{Address: address, Options: []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}}
}

// begin starts a network of two sequencers.
func begin(t *testing.T) (sequencers []*sequencer, targets []load.Target) {
	t.Helper()
	t.Parallel()
	network := membertest.Found(t, membertest.Plan{Sequencers: 2, Parameters: func(p *topology.SynchronizerParameters) { p.TopologyChangeDelay = 20_000 }})
	memory := ordertest.StartMemory(t, ordertest.MemoryConfig{Nodes: 2})
	keepTime(t, memory.Node(0))
	for i, self := range network.Sequencers {
		s := serve(t, network, memory.Node(i), i)
		s.id = membertest.ID(self)
		sequencers, targets = append(sequencers, s), append(targets, target(s.address))
	}
	return sequencers, targets
}

// keepTime orders something again and again: an order in memory has no time of its own.
func keepTime(t *testing.T, orderer *ordertest.MemoryNode) {
	ctx, cancel := context.WithCancel(context.Background())
	var keeping sync.WaitGroup
	keeping.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = orderer.Submit(ctx, sequencing.Request{Body: sequencing.Tick{}}.Encode()) // if it fails, the next one may not
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() { cancel(); keeping.Wait() })
}

func serve(t *testing.T, network *membertest.Network, orderer *ordertest.MemoryNode, i int) *sequencer {
	t.Helper()
	self, quiet := network.Sequencers[i], slog.New(slog.DiscardHandler)
	state, err := synchronizer.Open(synchronizer.Config{Dir: t.TempDir(), Founding: network.Genesis, Network: network.ID,
		Verify: members.Verifier(keys.NewBatchVerifier(100)), SegmentSize: 1 << 20, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	service, err := members.New(members.Config{State: state, Orderer: orderer, Self: self, TickEvery: 5 * time.Millisecond, Log: quiet,
		Key: func() keys.PrivateKey { return membertest.Protocol(self) }, Registrations: 1000, HostRegistrations: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = orderer.Read(ctx, 1, state.Apply) })
	running.Go(func() { _ = service.Run(ctx) })
	behind := grpc.NewServer(grpc.WaitForHandlers(true))
	service.Register(behind)
	inner, stopInner := listen(t, behind, "127.0.0.1:0")
	conn, err := grpc.NewClient(inner, target("").Options...)
	if err != nil {
		t.Fatal(err)
	}
	s := &sequencer{proxy: clienttest.NewProxy(network.ID, membertest.Protocol(self), sequencerv1.NewSequencerServiceClient(conn)), address: "127.0.0.1:0"}
	var stop func()
	up := func() {
		server := grpc.NewServer(grpc.WaitForHandlers(true))
		sequencerv1.RegisterSequencerServiceServer(server, s.proxy)
		s.address, stop = listen(t, server, s.address)
	}
	up()
	s.restart = func() { stop(); up() }
	t.Cleanup(func() {
		stop()
		_ = conn.Close()
		stopInner()
		cancel()
		running.Wait()
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// listen serves at an address until stopped.
func listen(t *testing.T, server *grpc.Server, address string) (at string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	return listener.Addr().String(), func() { server.Stop(); serving.Wait() }
}

// brief is a workload that ends when it has done enough. Little is under way at a time, so that a busy machine sequences it before its time has
// passed.
var brief = load.Config{Rate: 500, Size: 64, Members: 3, InFlight: 10, Duration: time.Hour, Drain: time.Minute}

// runUntil runs a workload until it has done enough, which is looked at each second.
func runUntil(t *testing.T, config load.Config, targets []load.Target, enough func(load.Progress) bool) load.Result {
	t.Helper()
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	config.Stop = stop
	config.Progress = func(p load.Progress) {
		if enough(p) {
			end()
		}
	}
	return run(t, config, targets)
}

func some(p load.Progress) bool { return p.Receipts >= 90 }

func run(t *testing.T, config load.Config, targets []load.Target) load.Result {
	t.Helper()
	result, err := load.Run(t.Context(), config, targets...)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestASoundNetworkIsClean(t *testing.T) {
	for name, change := range map[string]func(*load.Config){
		"streams": func(*load.Config) {}, "calls": func(c *load.Config) { c.Unary = true }, "as fast as it goes": func(c *load.Config) { c.Rate, c.InFlight = 0, 2 },
		"to two others": func(c *load.Config) { c.Recipients = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			_, targets := begin(t)
			config := brief
			change(&config)
			r := runUntil(t, config, targets, some)
			copies := int64(2 * max(1, config.Recipients)) // a listener of each recipient at both
			if !r.Clean || r.Receipts != r.Accepted || r.Accepted != r.Submitted || r.Unknown != 0 || r.Deliveries != copies*r.Receipts || len(r.Suspects) > 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A sequencer that lies is not clean, and the verdict names the lie and who told it.
func TestTheVerdictNamesLies(t *testing.T) {
	for _, lie := range []struct {
		name      string
		behaviour clienttest.Behaviour
		named     func(load.Result) int64
		suspected bool
	}{
		{"takes submissions and drops them", clienttest.Behaviour{Swallow: true}, func(r load.Result) int64 { return r.Lost }, false},
		{"drops an event", clienttest.Behaviour{Distort: clienttest.Drop(5)}, func(r load.Result) int64 { return r.Reordered }, true},
		{"leaves a gap", clienttest.Behaviour{Distort: clienttest.Gap(5)}, func(r load.Result) int64 { return r.Reordered }, true},
		{"alters an event", clienttest.Behaviour{Distort: clienttest.Alter(5)}, func(r load.Result) int64 { return r.Reordered }, true},
		{"swaps events", clienttest.Behaviour{Distort: clienttest.Swap(5)}, func(r load.Result) int64 { return r.Reordered }, true},
		{"does not sign what it tells", clienttest.Behaviour{Forger: true}, func(r load.Result) int64 { return r.Forged }, true},
	} {
		t.Run(lie.name, func(t *testing.T) {
			sequencers, targets := begin(t)
			liar := sequencers[1]
			liar.proxy.Behave(lie.behaviour)
			config := brief
			config.Drain = 3 * time.Second
			r := runUntil(t, config, targets, some)
			suspected := slices.ContainsFunc(r.Suspects, func(s load.Suspect) bool { return s.Sequencer == string(liar.id) })
			if r.Clean || lie.named(r) == 0 || suspected != lie.suspected {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What a sequencer refuses is neither lost nor unknown.
func TestRefusalsAreNoLosses(t *testing.T) {
	sequencers, targets := begin(t)
	sequencers[0].proxy.Behave(clienttest.Behaviour{Refuse: clienttest.Failure(codes.ResourceExhausted, "OVERLOADED", "", time.Millisecond)})
	r := runUntil(t, brief, targets, func(p load.Progress) bool { return p.Refused > 0 && p.Receipts > 0 })
	if !r.Clean || r.Rejected == 0 || r.Accepted+r.Rejected != r.Submitted || r.Unknown != 0 {
		t.Errorf("%+v", r)
	}
}

// What a sequencer had taken and not ordered when the connection to it breaks is no loss that the verdict blames anybody for, also when
// it breaks after the last submission; and members go on where they were.
func TestBrokenConnectionsAreNoLosses(t *testing.T) {
	sequencers, targets := begin(t)
	first, second := sequencers[0], sequencers[1]
	stop := make(chan struct{})
	config := brief
	config.Duration, config.Stop = time.Hour, stop
	forgets := clienttest.Behaviour{Swallow: true}
	fails := func(s *sequencer) {
		s.proxy.Behave(clienttest.Behaviour{})
		s.restart()
	}
	step, before := 0, 0
	first.proxy.Behave(forgets)
	config.Progress = func(load.Progress) { // each second
		switch {
		case step == 0 && first.proxy.Sends() > 0:
			fails(first)
			second.proxy.Behave(forgets)
			step, before = 1, second.proxy.Sends()
		case step == 1 && second.proxy.Sends() > before:
			close(stop)
			step = 2
		case step == 2:
			fails(second)
			step = 3
		}
	}
	if r := run(t, config, targets); !r.Clean || r.Unknown == 0 || step < 3 {
		t.Errorf("%+v", r)
	}
}
