package stories

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	synod "github.com/synod-network/synod/client"
	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/load/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// TestLyingSequencer: one of four sequencers lies to its members, with its own keys, in every way there is. Clients that believe two
// name it, show what it signed, and go on without it; whatever was sent arrives once.
func TestLyingSequencer(t *testing.T) {
	c := found(t, 4)
	c.start()
	s := c.takeOver(c.nodes[2])
	for _, lie := range lies {
		s.told(lie)
	}
	s.dropsWhatItTakes()
	s.denies()
	s.agree()
	s.load()
}

// lie is a way to lie from the i-th event on, and what it may be called. Which of several it is depends on what else the same
// response holds.
type lie struct {
	name   string
	from   func(i int) clienttest.Behaviour
	called []synod.LieKind
}

var lies = []lie{
	{"drops", distort(clienttest.Drop), []synod.LieKind{synod.Dropped}},
	{"drops openly", distort(clienttest.Gap), []synod.LieKind{synod.BrokenChain, synod.Dropped}},
	{"alters", distort(clienttest.Alter), []synod.LieKind{synod.Altered}},
	{"forges", distort(forge), []synod.LieKind{synod.Forged}},
	{"exchanges", distort(clienttest.Swap), []synod.LieKind{synod.Altered}},
	{"reorders", garble(func(e [][]byte) [][]byte { slices.Reverse(e); return e }), []synod.LieKind{synod.Reordered, synod.BrokenChain}},
	{"repeats", garble(func(e [][]byte) [][]byte { return append(e, e...) }), []synod.LieKind{synod.Reordered}},
	{"tells garbage", garble(func(e [][]byte) [][]byte { return append(e, []byte("garbage")) }), []synod.LieKind{synod.Malformed}},
	{"knows the future", distort(func(int) clienttest.Distortion { return clienttest.Ahead(10 * sequencing.Second) }), []synod.LieKind{synod.Dropped}},
	{"signs with another key", func(int) clienttest.Behaviour { return clienttest.Behaviour{Forger: true} }, []synod.LieKind{synod.BadSignature}},
}

func distort(d func(i int) clienttest.Distortion) func(int) clienttest.Behaviour {
	return func(i int) clienttest.Behaviour { return clienttest.Behaviour{Distort: d(i)} }
}

// forge tells an event of its own as soon as there is room for one: two events of one block have none between them.
func forge(i int) clienttest.Distortion {
	return func(events []sequencing.Delivery, known sequencing.Time) ([]sequencing.Delivery, sequencing.Time) {
		for n := i; n < len(events); n++ {
			if forged, known := clienttest.Forge(n)(slices.Clone(events), known); len(forged) > len(events) {
				return forged, known
			}
		}
		return events, known
	}
}

func garble(g func([][]byte) [][]byte) func(int) clienttest.Behaviour {
	return func(int) clienttest.Behaviour { return clienttest.Behaviour{Garble: g} }
}

// siege is a network of which one sequencer was taken over, and alice, who sends to herself and to bob through it.
type siege struct {
	*cluster
	liar       *sequencer
	id         sequencing.MemberID
	key        keys.PublicKey
	proxy      *clienttest.Proxy
	at         string // where it listens
	alice, bob topology.Member

	position synod.Position
	stream   []string // alice's events, encoded
	sent     []string
}

// takeOver puts a proxy that holds the keys of a sequencer in front of it, and makes alice and bob known.
func (c *cluster) takeOver(liar *sequencer) *siege {
	c.t.Helper()
	s := &siege{cluster: c, liar: liar, alice: membertest.Participant("alice"), bob: membertest.Participant("bob")}
	v, err := vault.Open(liar.at.KeysDir)
	if err != nil {
		c.t.Fatal(err)
	}
	entry, err := v.Newest(keys.Protocol)
	if err != nil {
		c.t.Fatal(err)
	}
	key, err := v.Signing(keys.Protocol, entry.Fingerprint)
	if err != nil {
		c.t.Fatal(err)
	}
	conn, err := grpc.NewClient(liar.config.Public.Listen, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		c.t.Fatal(err)
	}
	service := sequencerv1.NewSequencerServiceClient(conn)
	s.key, s.proxy = key.Public(), clienttest.NewProxy(sequencing.NetworkID(c.net.Genesis.ID), key, service)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	sequencerv1.RegisterSequencerServiceServer(server, s.proxy)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	c.t.Cleanup(func() { server.Stop(); conn.Close(); serving.Wait() })
	s.at = listener.Addr().String()
	hello, err := service.Handshake(c.t.Context(), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}})
	if err != nil {
		c.t.Fatal(err)
	}
	s.id = sequencing.MemberID(hello.GetSequencer())
	if _, err := service.RegisterTopology(c.t.Context(), registering(c.t, c.founded(), s.alice, s.bob)); err != nil { // both, so that they become active at once
		c.t.Fatal(err)
	}
	return s
}

// visit is a client at work.
type visit struct {
	*synod.Client
	siege *siege
	end   func()
	mu    sync.Mutex
}

// visit runs a client of a member that believes a threshold of some sequencers, and reads from all of them.
func (s *siege) visit(m topology.Member, threshold int, nodes []*sequencer, start synod.Position, take func(synod.Event)) *visit {
	s.t.Helper()
	config := synod.Config{Member: membertest.ID(m), Authentication: membertest.Authentication(m), Signing: membertest.Protocol(m),
		Network: sequencing.NetworkID(s.net.Genesis.ID), TrustThreshold: threshold, LivenessMargin: len(nodes) - threshold, Start: start}
	config.Amplification.Factor = 2
	config.Amplification.Patience = patience / 100
	for _, n := range nodes {
		e := synod.Endpoint{Address: n.config.Public.Listen, Plain: true}
		if n == s.liar {
			e.Address = s.at
		}
		config.Sequencers = append(config.Sequencers, synod.Sequencer{Alias: n.name, Endpoints: []synod.Endpoint{e}})
	}
	c, err := synod.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	v := &visit{Client: c, siege: s}
	var running sync.WaitGroup
	v.end = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(v.end)
	running.Go(func() {
		if err := c.Run(ctx); err != nil {
			s.t.Errorf("the client of %s ended: %v", m, err)
		}
	})
	running.Go(func() {
		for {
			e, err := c.Next(ctx)
			if err != nil {
				return
			}
			v.mu.Lock()
			take(e)
			v.mu.Unlock()
		}
	})
	return v
}

// aliceVisits runs a client of alice's, from where the last one was, until it reads from all sequencers.
func (s *siege) aliceVisits() *visit {
	s.t.Helper()
	s.proxy.Behave(clienttest.Behaviour{})
	v := s.visit(s.alice, 2, s.nodes, s.position, func(e synod.Event) {
		s.stream, s.position = append(s.stream, string(e.Delivery.Encode())), e.Position
	})
	within(s.t, patience, "the client reads from all sequencers", func() error {
		for _, one := range v.Status().Sequencers {
			if !one.Reading {
				return fmt.Errorf("not from %s: %s %v", one.Alias, one.StreamError, one.EndpointErrors)
			}
		}
		return nil
	})
	return v
}

// send sends some messages beside each other, all of which must arrive.
func (v *visit) send(name string, n int) {
	v.siege.t.Helper()
	var sending sync.WaitGroup
	for range n {
		text := fmt.Sprintf("%s %d", name, len(v.siege.sent))
		v.siege.sent = append(v.siege.sent, text)
		sending.Go(func() {
			_, err := v.Send(v.siege.t.Context(), sequencing.Submission{
				Sets:      []sequencing.RecipientSet{synod.To(membertest.ID(v.siege.alice), membertest.ID(v.siege.bob))},
				Envelopes: []sequencing.Envelope{{Payload: []byte(text)}}})
			if err != nil {
				v.siege.t.Errorf("send %q: %v", text, err)
			}
		})
	}
	sending.Wait()
}

// ahead is the number of an event that the liar has not told yet: more than what was sent and not delivered. Not all events are
// messages: changes of the topology are told to everybody.
func (v *visit) ahead() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.siege.stream) + 20
}

// status is what the client says of the liar.
func (v *visit) status() (liar synod.SequencerStatus) {
	for _, one := range v.Status().Sequencers {
		if one.Alias == v.siege.liar.name {
			liar = one
		}
	}
	return liar
}

// told tells alice a lie, while she sends.
func (s *siege) told(l lie) {
	s.t.Helper()
	v := s.aliceVisits()
	defer v.end()
	v.send(l.name, 2)
	s.proxy.Behave(l.from(v.ahead()))
	within(s.t, patience, "the liar that "+l.name+" is found", func() error {
		v.send(l.name, 5)
		if len(v.Lies()) == 0 {
			return fmt.Errorf("no lie is known; %+v", v.Status())
		}
		return nil
	})
	v.send(l.name, 5)
	found := v.Lies()[0]
	switch {
	case len(v.Lies()) != 1 || found.Sequencer != s.id || !slices.Contains(l.called, found.Kind) || v.LieCounts()[s.id][found.Kind] != 1:
		s.t.Errorf("%s: found %v, counted %v; want %s, one of %v", l.name, v.Lies(), v.LieCounts(), s.id, l.called)
	case found.Kind != synod.BadSignature && (found.Statement == nil || found.Statement.Key != s.key || !found.Statement.Signed(sequencing.NetworkID(s.net.Genesis.ID))):
		s.t.Errorf("%s: the evidence is not signed by it: %+v", l.name, found)
	case v.status().Left == nil || v.status().Reading:
		s.t.Errorf("%s: it is not left: %+v", l.name, v.status())
	}
}

// dropsWhatItTakes answers that submissions are queued, and forgets them.
func (s *siege) dropsWhatItTakes() {
	s.t.Helper()
	v := s.aliceVisits()
	defer v.end()
	s.proxy.Behave(clienttest.Behaviour{Swallow: true})
	for attempt := 1; ; attempt++ { // who is passed over is asked all the same where the others take longer than the client's patience
		within(s.t, patience, "the client passes over who drops what it takes", func() error {
			v.send("dropped", 4)
			if one := v.status(); one.PassedOver.IsZero() || one.Broken == 0 {
				return fmt.Errorf("%+v", one)
			}
			return nil
		})
		before := s.proxy.Sends()
		v.send("passed over", 20)
		through := s.proxy.Sends() - before
		if through == 0 {
			return
		}
		if attempt == 4 {
			s.t.Fatalf("%d submissions more went through who drops them", through)
		}
	}
}

// denies answers that the rules refuse what they do not.
func (s *siege) denies() {
	s.t.Helper()
	v := s.aliceVisits()
	defer v.end()
	before := s.proxy.Sends()
	s.proxy.Behave(clienttest.Behaviour{Refuse: clienttest.Failure(codes.FailedPrecondition, "REFUSED", "too_large", 0)})
	within(s.t, patience, "the liar is asked", func() error {
		v.send("denied", 5)
		if s.proxy.Sends() == before {
			return errors.New("not yet")
		}
		return nil
	})
}

// agree wants bob to get, while lied to, what was sent, all of it and once; and alice to have been told what one sequencer that is
// true tells alone.
func (s *siege) agree() {
	s.t.Helper()
	s.proxy.Behave(clienttest.Behaviour{Distort: clienttest.Alter(len(s.sent) / 2)})
	var got map[string]int
	var bob *visit
	for range 10 { // if the others were so quick that the liar was never asked about what is past, he reads once more
		got = map[string]int{}
		bob = s.visit(s.bob, 2, s.nodes, synod.Position{}, func(e synod.Event) {
			for _, envelope := range e.Delivery.Envelopes {
				got[string(envelope.Payload)]++
			}
		})
		bob.until("bob gets everything", func() int { return len(got) }, len(s.sent))
		if len(bob.Lies()) > 0 {
			break
		}
	}
	for _, text := range s.sent {
		if got[text] != 1 {
			s.t.Errorf("bob got %q %d times", text, got[text])
		}
	}
	if lies := bob.Lies(); len(got) != len(s.sent) || len(lies) != 1 || lies[0].Sequencer != s.id {
		s.t.Errorf("bob got %d of %d messages, and found %v", len(got), len(s.sent), lies)
	}
	var truth []string
	honest := s.visit(s.alice, 1, s.nodes[:1], synod.Position{}, func(e synod.Event) { truth = append(truth, string(e.Delivery.Encode())) })
	honest.until("alice reads again from one sequencer", func() int { return len(truth) }, len(s.stream))
	if !slices.Equal(s.stream, truth[:len(s.stream)]) {
		s.t.Error("alice was told something else than what is true")
	}
	s.t.Logf("%d messages, %d events of alice's", len(s.sent), len(s.stream))
}

// until waits until a visitor has taken so many, and ends the visit.
func (v *visit) until(what string, taken func() int, want int) {
	v.siege.t.Helper()
	within(v.siege.t, patience, what, func() error {
		v.mu.Lock()
		defer v.mu.Unlock()
		if n := taken(); n < want {
			return fmt.Errorf("%d of %d", n, want)
		}
		return nil
	})
	v.end()
}

// load shows that "synod load" finds the liar, too: its verdict names who signed what others do not say.
func (s *siege) load() {
	s.t.Helper()
	s.proxy.Behave(clienttest.Behaviour{Distort: clienttest.Alter(3)})
	traffic := driveMembers(s.t, s.nodes[:1], "--endpoint", s.at, "--endpoint", s.nodes[3].config.Public.Listen, "--duration", "2s", "--drain", "1s")
	if code := traffic.exitCode(patience); code != 1 {
		s.t.Errorf("load of a liar: exit code %d", code)
	}
	var result members.Result
	if err := json.Unmarshal([]byte(traffic.stdout()), &result); err != nil {
		s.t.Fatalf("load printed %q: %v: %s", traffic.stdout(), err, traffic.lastLines(3))
	}
	if result.Clean || result.Reordered == 0 || len(result.Suspects) == 0 || result.Suspects[0].Sequencer != string(s.id) {
		s.t.Errorf("load of a liar: %+v", result)
	}
}
