package directory_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/client"
	"github.com/synod-network/synod/client/directory"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/internal/halfopen/halfopentest"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// teller serves a topology as a sequencer does, or lies about it.
type teller struct {
	sequencerv1.UnimplementedSequencerServiceServer
	id       string
	listener *bufconn.Listener

	mu     sync.Mutex
	state  *topology.State
	at     topology.Time
	change func(parts []*sequencerv1.DownloadTopologyResponse) ([]*sequencerv1.DownloadTopologyResponse, error) // nil: honest
	asked  int
	mute   int // says nothing from that part on, counted from 1; 0: it does not fall silent
}

func (t *teller) Handshake(context.Context, *sequencerv1.HandshakeRequest) (*sequencerv1.HandshakeResponse, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &sequencerv1.HandshakeResponse{Version: 1, Sequencer: t.id}, nil
}

func (t *teller) DownloadTopology(_ *sequencerv1.DownloadTopologyRequest, stream grpc.ServerStreamingServer[sequencerv1.DownloadTopologyResponse]) error {
	parts, err := t.parts()
	t.mu.Lock()
	mute := t.mute
	t.mu.Unlock()
	for i, part := range parts {
		if i+1 == mute {
			<-stream.Context().Done()
			return stream.Context().Err()
		}
		for data := part.GetData(); ; {
			n := min(len(data), messageSize)
			part.Data, data = data[:n], data[n:]
			if err := stream.Send(part); err != nil {
				return err
			}
			if len(data) == 0 {
				break
			}
			part = &sequencerv1.DownloadTopologyResponse{}
		}
	}
	return err
}

// messageSize is small, so that gRPC holds less than a topology of many members.
const messageSize = 4 << 10

// fallSilent makes a teller say nothing from a part on.
func (t *teller) fallSilent(part int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mute = part
}

// askings is how often it was asked.
func (t *teller) askings() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked
}

func (t *teller) parts() (parts []*sequencerv1.DownloadTopologyResponse, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	data, err := t.state.Encode(t.state.Floor())
	if err != nil {
		return nil, err
	}
	digest := t.state.Digest()
	half := min(len(data)/2, messageSize)
	parts = []*sequencerv1.DownloadTopologyResponse{
		{TimeMicros: int64(t.at), Digest: digest[:], Size: uint64(len(data)), Data: data[:half]}, {Data: data[half:]},
	}
	if t.change != nil {
		return t.change(parts)
	}
	return parts, nil
}

// lie makes a teller lie, or honest with nil.
func (t *teller) lie(change func(parts []*sequencerv1.DownloadTopologyResponse) ([]*sequencerv1.DownloadTopologyResponse, error)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.change = change
}

// world is a network with four tellers, and a directory that believes two.
type world struct {
	t       *testing.T
	net     *membertest.Network
	tellers []*teller
	config  directory.Config
	dir     *directory.Directory
	changes atomic.Int64
	time    topology.Time
}

var alice, bob = membertest.Participant("alice"), membertest.Participant("bob")

func inWorld(t *testing.T, story func(w *world)) { inWorldOf(t, []string{"alice"}, story) }

func inWorldOf(t *testing.T, participants []string, story func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: membertest.Found(t, membertest.Plan{Sequencers: 4, Participants: participants}), time: membertest.Began}
		w.config = directory.Config{Genesis: w.net.Genesis, Network: w.net.ID, Threshold: 2, Every: time.Second, Changed: func() { w.changes.Add(1) }, Dial: w.dial}
		for i, s := range w.net.Sequencers {
			one := &teller{id: s.String(), listener: bufconn.Listen(1 << 16), state: w.founded(), at: w.time}
			w.tellers = append(w.tellers, one)
			server := grpclink.Server()
			sequencerv1.RegisterSequencerServiceServer(server, one)
			served := make(chan error, 1)
			go func() { served <- server.Serve(one.listener) }()
			defer func() { server.Stop(); one.listener.Close(); <-served }()
			w.config.Sequencers = append(w.config.Sequencers, client.Sequencer{Alias: s.Name, ID: membertest.ID(s),
				Endpoints: []client.Endpoint{{Address: fmt.Sprintf("s%d:1", i), Plain: true}}})
		}
		story(w)
	})
}

func (w *world) founded() *topology.State {
	state := &topology.State{}
	if r := state.Load(w.net.Genesis); r != nil {
		w.t.Fatal(r)
	}
	return state
}

func (w *world) dial(ctx context.Context, address string) (net.Conn, error) {
	var i int
	if _, err := fmt.Sscanf(address, "s%d:1", &i); err != nil {
		return nil, err
	}
	return w.tellers[i].listener.DialContext(ctx)
}

// follow runs a directory, and returns how to end it.
func (w *world) follow() (end func()) {
	w.t.Helper()
	var err error
	if w.dir, err = directory.New(w.config); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.dir.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// order lets some tellers know transactions.
func (w *world) order(tellers []*teller, list ...topology.SignedTransaction) {
	w.t.Helper()
	w.time += micros(time.Second)
	for _, one := range tellers {
		one.mu.Lock()
		for _, signed := range list {
			if _, r := one.state.Apply(w.time, signed); r != nil {
				w.t.Fatal(r)
			}
		}
		one.at = w.time
		one.mu.Unlock()
	}
}

func micros(d time.Duration) topology.Time { return topology.Time(d.Microseconds()) }

// knows wants the directory to know keys of bob's, or not.
func (w *world) knows(what string, want bool) {
	w.t.Helper()
	time.Sleep(5 * time.Second) // of virtual time
	id, later := membertest.ID(bob), sequencing.Time(w.time)+sequencing.Minute
	if got := w.dir.MaySign(id, sequencing.Key(membertest.Protocol(bob).Public()), later); got != want {
		w.t.Errorf("%s: bob may sign: %v", what, got)
	}
}

func TestTheGenesisIsKnownFromTheBeginning(t *testing.T) {
	inWorld(t, func(w *world) {
		d, err := directory.New(w.config)
		if err != nil {
			t.Fatal(err)
		}
		first := w.net.Sequencers[0]
		if got := d.SequencerKeys(membertest.ID(first)); !slices.Equal(got, []keys.PublicKey{membertest.Protocol(first).Public()}) {
			t.Errorf("keys %v", got)
		}
		if len(d.Sequencers()) != 4 || len(d.EncryptionKeys(membertest.ID(alice))) != 1 || len(d.EncryptionKeys(membertest.ID(bob))) != 0 {
			t.Errorf("sequencers %v", d.Sequencers())
		}
		for _, id := range []sequencing.MemberID{membertest.ID(alice), "PAR::alice", "nonsense", ""} {
			if got := d.SequencerKeys(id); got != nil {
				t.Errorf("%s is no sequencer, but has the keys %v", id, got)
			}
		}
		if d.MaySign(membertest.ID(alice), sequencing.Key(membertest.Protocol(alice).Public()), 1) {
			t.Error("somebody may sign before the network began")
		}
	})
}

func TestItFollowsWhatEnoughSequencersAgreeOn(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.follow()()
		w.knows("before", false)
		w.order(w.tellers[:1], w.net.Registration(t, bob)...)
		w.knows("one of them", false)
		w.order(w.tellers[1:], w.net.Registration(t, bob)...)
		// The two states differ, for bob came at two times.
		w.knows("three of them", true)
		w.order(w.tellers[1:])
		time.Sleep(5 * time.Second)
		if w.changes.Load() != 1 || len(w.dir.EncryptionKeys(membertest.ID(bob))) != 1 {
			t.Errorf("%d changes", w.changes.Load())
		}
		disabled := w.net.Sign(t, topology.Add(1, topology.MemberDisabled{Synchronizer: w.net.Synchronizer, Member: bob}), "owner")
		w.order(w.tellers[1:], disabled)
		w.knows("disabled", false)
		before := w.tellers[2].askings()
		time.Sleep(10 * time.Second)
		if n := w.tellers[2].askings() - before; n < 9 || n > 11 || w.changes.Load() != 2 {
			t.Errorf("asked %d times in 10 s, %d changes", n, w.changes.Load())
		}
	})
}

// A key is known when it was ordered, and the old one until it is out of force.
func TestKeysAreKnownBeforeTheyAreInForce(t *testing.T) {
	inWorld(t, func(w *world) {
		defer w.follow()()
		first := w.net.Sequencers[0]
		id, old, fresh := membertest.ID(first), membertest.Protocol(first).Public(), membertest.Key("fresh").Public()
		w.order(w.tellers, w.net.KeysOf(t, first, 2, []string{"fresh"}, []string{"fresh login"}))
		time.Sleep(5 * time.Second)
		if got := w.dir.SequencerKeys(id); len(got) != 2 || !slices.Contains(got, old) || !slices.Contains(got, fresh) {
			t.Errorf("keys %v: want the old one and the new one", got)
		}
		w.order(w.tellers)
		time.Sleep(5 * time.Second)
		if got := w.dir.SequencerKeys(id); !slices.Equal(got, []keys.PublicKey{fresh}) {
			t.Errorf("keys %v: want the new one", got)
		}
		// A sequencer that is taken out has none, and is not to be used.
		set := w.dir.View().Sequencers()
		set.Sequencers = set.Sequencers[1:]
		w.order(w.tellers, w.net.Sign(t, topology.Add(2, set), "owner"))
		w.order(w.tellers)
		time.Sleep(5 * time.Second)
		if got := w.dir.SequencerKeys(id); got != nil {
			t.Errorf("a sequencer that is out has the keys %v", got)
		}
		others := append(slices.Clone(w.config.Sequencers), client.Sequencer{Alias: "anonymous"})
		if got := w.dir.Serving(others); len(got) != 4 || got[0].Alias != w.net.Sequencers[1].Name || got[3].Alias != "anonymous" {
			t.Errorf("serving %v", got)
		}
	})
}

func TestLiarsAreNotBelieved(t *testing.T) {
	type parts = []*sequencerv1.DownloadTopologyResponse
	foreign := membertest.Found(t, membertest.Plan{Network: 7, Sequencers: 4, Participants: []string{"alice", "bob"}})
	forged := &topology.State{}
	if r := forged.Load(foreign.Genesis); r != nil {
		t.Fatal(r)
	}
	for _, c := range []struct {
		name string
		lie  func(p parts) (parts, error)
	}{
		{"another digest", func(p parts) (parts, error) { p[0].Digest[5]++; return p, nil }},
		{"a short digest", func(p parts) (parts, error) { p[0].Digest = p[0].Digest[:31]; return p, nil }},
		{"other data", func(p parts) (parts, error) { p[1].Data[len(p[1].Data)-5]++; return p, nil }},
		{"less data", func(p parts) (parts, error) { return p[:1], nil }},
		{"more data", func(p parts) (parts, error) { return append(p, p[1], p[1], p[1]), nil }},
		{"a size without end", func(p parts) (parts, error) { p[0].Size = 1 << 60; return p, nil }},
		{"a failure", func(p parts) (parts, error) { return nil, status.Error(codes.Internal, "broken") }},
		{"nothing", func(p parts) (parts, error) { return nil, nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.tellers[0].lie(c.lie)
				defer w.follow()()
				w.order(w.tellers, w.net.Registration(t, bob)...)
				w.knows("a liar among four", true)
				w.tellers[1].lie(func(parts) (parts, error) { return nil, status.Error(codes.Unavailable, "away") })
				w.tellers[2].lie(func(parts) (parts, error) { return nil, status.Error(codes.Unavailable, "away") })
				w.tellers[0].lie(func(p parts) (parts, error) { p[0].Digest[5]++; return p, nil })
				disabled := w.net.Sign(t, topology.Add(1, topology.MemberDisabled{Synchronizer: w.net.Synchronizer, Member: bob}), "owner")
				w.order(w.tellers, disabled)
				// Only a liar and one that is true are left: what is believed is the truth, as it was or as it is.
				w.knows("a liar beside one that is true", true)
				if w.changes.Load() == 2 {
					t.Error("one alone is believed")
				}
			})
		})
	}
	t.Run("more liars than there may be, of another network", func(t *testing.T) {
		inWorld(t, func(w *world) {
			for _, one := range w.tellers {
				one.state, one.at = forged, w.time+micros(time.Hour)
			}
			defer w.follow()()
			w.knows("another network", false)
			if w.changes.Load() != 0 {
				t.Error("a topology of another network is taken")
			}
		})
	})
	t.Run("an older topology", func(t *testing.T) {
		inWorld(t, func(w *world) {
			defer w.follow()()
			w.order(w.tellers, w.net.Registration(t, bob)...)
			w.knows("registered", true)
			for _, one := range w.tellers {
				one.mu.Lock()
				one.state = w.founded()
				one.mu.Unlock()
			}
			w.knows("told an older one", true)
		})
	})
	t.Run("one that has two names", func(t *testing.T) {
		inWorld(t, func(w *world) {
			for i := range w.config.Sequencers {
				w.config.Sequencers[i].ID = ""
			}
			w.tellers[0].id, w.tellers[1].id = "SEQ::twin", "SEQ::twin"
			defer w.follow()()
			w.order(w.tellers[:2], w.net.Registration(t, bob)...)
			w.knows("told by a twin", false)
		})
	})
	t.Run("one that is another than configured", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.tellers[0].id = w.tellers[1].id
			defer w.follow()()
			w.order(w.tellers[:2], w.net.Registration(t, bob)...)
			w.knows("told by an impostor", false)
		})
	})
}

// One sequencer that says nothing, or begins and does not end, does not keep the directory from what the others say.
func TestSilentSequencersAreNotWaitedFor(t *testing.T) {
	for part, name := range map[int]string{1: "from the beginning", 2: "in the middle"} {
		t.Run(name, func(t *testing.T) {
			many := []string{"alice"} // so many that no connection holds all that is told of them
			for i := range 250 {
				many = append(many, fmt.Sprint("p", i))
			}
			for _, silent := range []int{0, 3} {
				inWorldOf(t, many, func(w *world) {
					w.tellers[silent].fallSilent(part)
					defer w.follow()()
					w.order(w.tellers, w.net.Registration(t, bob)...)
					time.Sleep(15 * time.Second) // if the silent one is chosen to give the topology, it is given up first
					w.knows("three of four", true)
				})
			}
		})
	}
}

// What is known moves on with the threshold of sequencers, whatever fewer of them say about the time.
func TestNobodyHoldsTheTimeBack(t *testing.T) {
	type parts = []*sequencerv1.DownloadTopologyResponse
	inWorld(t, func(w *world) {
		w.tellers[0].lie(func(p parts) (parts, error) { p[0].TimeMicros = 0; return p, nil })
		defer w.follow()()
		w.order(w.tellers, w.net.KeysOf(t, alice, 2, []string{"fresh"}, []string{"fresh login"}))
		for range 5 {
			w.order(w.tellers)
			time.Sleep(5 * time.Second)
		}
		fresh := membertest.Key("fresh").Public()
		if got := w.dir.View().SigningKeys(alice, keys.Protocol); !slices.Equal(got, []keys.PublicKey{fresh}) {
			t.Errorf("keys %v: want the new one alone", got)
		}
	})
}

// A liar that sides with one that is behind, and claims to be ahead of all, does not keep the directory behind.
func TestSidingWithOneThatIsBehind(t *testing.T) {
	type parts = []*sequencerv1.DownloadTopologyResponse
	inWorld(t, func(w *world) {
		for _, one := range w.tellers[2:] {
			one.state = w.founded()
		}
		w.tellers[2].lie(func(p parts) (parts, error) { p[0].TimeMicros += int64(time.Hour / time.Microsecond); return p, nil })
		defer w.follow()()
		w.order(w.tellers[:2], w.net.Registration(t, bob)...)
		w.knows("two of four", true)
	})
}

func TestWhoIsAskedMayChange(t *testing.T) {
	inWorld(t, func(w *world) {
		all := w.config.Sequencers
		w.config.Sequencers = all[:2]
		defer w.follow()()
		w.order(w.tellers[2:], w.net.Registration(t, bob)...)
		w.knows("not asked", false)
		if err := w.dir.SetSequencers(all[:1]); err == nil || !strings.Contains(err.Error(), "threshold 2") {
			t.Errorf("fewer than the threshold: %v", err)
		}
		if err := w.dir.SetSequencers(all[2:]); err != nil {
			t.Fatal(err)
		}
		w.knows("asked", true)
	})
}

func TestBadConfigurations(t *testing.T) {
	inWorld(t, func(w *world) {
		for want, change := range map[string]func(c *directory.Config){
			"no genesis":               func(c *directory.Config) { c.Genesis = nil },
			"genesis is of network":    func(c *directory.Config) { c.Network[3]++ },
			"threshold 5: want 1 to 4": func(c *directory.Config) { c.Threshold = 5 },
			"more than 0":              func(c *directory.Config) { c.Every = -1 },
			"two sequencers have":      func(c *directory.Config) { c.Sequencers[1].Alias = c.Sequencers[0].Alias },
		} {
			c := w.config
			c.Sequencers = slices.Clone(c.Sequencers)
			change(&c)
			if _, err := directory.New(c); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want …%s…", err, want)
			}
		}
	})
}

// Where the machines behind the connections vanish and others answer at the addresses, nothing tells but silence.
func TestConnectionsThatLeadNowhereAreGivenUp(t *testing.T) {
	inWorld(t, func(w *world) {
		wires := &halfopentest.Wires{Connect: w.dial}
		w.config.Dial = wires.Dial
		defer w.follow()()
		time.Sleep(10 * time.Minute)
		if n := wires.Made(); n != len(w.tellers) {
			t.Errorf("%d connections were made before anything happened", n)
		}
		wires.Cut()
		w.order(w.tellers, w.net.Registration(t, bob)...)
		time.Sleep(time.Minute)
		w.knows("a minute after all connections were cut", true)
	})
}
