package synchronizer_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// world is one order and some sequencers that follow it, each in its own way.
type world struct {
	t       failing
	outer   testing.TB
	network *membertest.Network
	clock   func() time.Time // of all sequencers; that of the machine if nil
	members []topology.Member
	keys    []int // of each member: how often it changed its protocol key
	order   []ordering.Block
	now     sequencing.Time
	sent    int
	nodes   []*sequencer
	ends    map[int]bft.Digest // where epochs end: blocks of the order, and the state, zero until a sequencer got there
}

type sequencer struct {
	dir      string
	state    *synchronizer.State
	applied  int              // blocks of the order
	snapshot replica.Snapshot // of the last end of an epoch that it came to
	at       int              // its height
	digest   bft.Digest
}

// client reads one member's events, wherever it can.
type client struct {
	id    sequencing.MemberID
	after sequencing.Time
	seen  []string
}

func verifier() sequencing.Verifier {
	v := keys.NewBatchVerifier(64)
	return func(signed []sequencing.SignedDigest) []bool {
		batch := make([]keys.Signed, len(signed))
		for i, s := range signed {
			batch[i] = keys.Signed{Key: keys.PublicKey(s.Key), Message: s.Digest[:], Signature: keys.Signature(s.Signature)}
		}
		return v.Verify(batch)
	}
}

// failing is what testing.TB and rapid's T have in common here.
type failing interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
	Error(...any)
}

func newWorld(outer testing.TB, t failing, nodes int) *world {
	w := &world{t: t, outer: outer, network: membertest.Found(outer, membertest.Plan{Participants: []string{"alice", "bob", "carol"}}),
		now: sequencing.Time(membertest.Began) + sequencing.Second, ends: map[int]bft.Digest{}}
	for _, name := range []string{"alice", "bob", "carol"} {
		w.members, w.keys = append(w.members, membertest.Participant(name)), append(w.keys, 0)
	}
	for range nodes {
		s := &sequencer{dir: outer.TempDir()}
		w.nodes = append(w.nodes, s)
		w.open(s)
	}
	return w
}

func (w *world) open(s *sequencer) {
	w.t.Helper()
	var err error
	s.state, err = synchronizer.Open(synchronizer.Config{Dir: s.dir, Founding: w.network.Genesis, Network: w.network.ID, Verify: verifier(), SegmentSize: 1 << 16, Now: w.clock})
	if err != nil {
		w.t.Fatal(err)
	}
	height, _, err := s.state.Start()
	if err != nil {
		w.t.Fatal(err)
	}
	s.applied = int(height)
}

func (w *world) close() {
	for _, s := range w.nodes {
		if err := s.state.Close(); err != nil {
			w.t.Error(err)
		}
	}
}

// block orders requests.
func (w *world) block(requests ...[]byte) {
	w.now += sequencing.Millisecond
	w.order = append(w.order, ordering.Block{Height: ordering.Height(len(w.order) + 1), Time: int64(w.now), Payloads: []ordering.Payload{ordering.Pack(requests...)}})
	w.now += sequencing.Time(len(requests))
}

// protocol names a member's protocol key after so many changes.
func (w *world) protocol(member, changes int) string {
	if changes == 0 {
		return w.members[member].Name + " protocol"
	}
	return fmt.Sprintf("%s protocol %d", w.members[member].Name, changes)
}

// sign signs with a member's newest key.
func (w *world) sign(body sequencing.Body, member int) []byte {
	return w.network.RequestBy(body, membertest.Key(w.protocol(member, w.keys[member])))
}

// submission is one of a member to another, to everybody, or to the sequencers, which listen to nobody here.
func (w *world) submission(from, to int) *sequencing.Submission {
	w.sent++
	recipient := sequencing.Recipient{Kind: sequencing.ToAll}
	switch {
	case to < len(w.members):
		recipient = sequencing.Recipient{Kind: sequencing.ToMember, Member: membertest.ID(w.members[to])}
	case to > len(w.members):
		recipient = sequencing.Recipient{Kind: sequencing.ToSequencers}
	}
	return &sequencing.Submission{
		Sender: membertest.ID(w.members[from]), Message: sequencing.MessageID(strconv.Itoa(w.sent)), MaxTime: w.now + sequencing.Minute, Cost: 1 << 40,
		Sets: []sequencing.RecipientSet{{recipient}}, Envelopes: []sequencing.Envelope{{Payload: []byte(strconv.Itoa(w.sent))}},
	}
}

func (w *world) send(from, to int) []byte { return w.sign(w.submission(from, to), from) }

// aggregate is the same content of two members, which is delivered once both have sent it.
func (w *world) aggregate(one, other, to int) (requests [][]byte) {
	eligible := []sequencing.MemberID{membertest.ID(w.members[one]), membertest.ID(w.members[other])}
	slices.Sort(eligible)
	s := w.submission(one, to)
	for _, from := range []int{one, other} {
		part := *s
		part.Sender, part.Aggregation = membertest.ID(w.members[from]), &sequencing.Aggregation{Threshold: 2, Eligible: eligible}
		requests = append(requests, w.sign(&part, from))
	}
	return requests
}

func (w *world) acknowledge(member int, upTo sequencing.Time) []byte {
	return w.sign(&sequencing.Acknowledgement{Member: membertest.ID(w.members[member]), UpTo: upTo}, member)
}

// decide is a decision of the sequencers, of which one decides.
func (w *world) decide(body sequencing.Body) []byte {
	return w.network.RequestBy(body, membertest.Protocol(w.network.Sequencers[0]))
}

// rekey is the change by which a member exchanges its protocol key.
func (w *world) rekey(member int) []byte {
	w.keys[member]++
	m := w.members[member]
	signed := w.network.KeysOf(w.outer, m, topology.Serial(1+w.keys[member]), []string{w.protocol(member, w.keys[member])}, []string{m.Name + " authentication"})
	return sequencing.Request{Body: &sequencing.TopologyChange{Transactions: membership.Encode(signed.Encode())}}.Encode()
}

// register is the change by which somebody new becomes a member.
func (w *world) register(name string) []byte {
	m := membertest.Participant(name)
	var encoded [][]byte
	for _, s := range w.network.Registration(w.outer, m) {
		encoded = append(encoded, s.Encode())
	}
	w.members, w.keys = append(w.members, m), append(w.keys, 0)
	return sequencing.Request{Body: &sequencing.TopologyChange{Transactions: membership.Encode(encoded...)}}.Encode()
}

// follow applies blocks that a sequencer has not applied yet, and ends epochs where they end.
func (w *world) follow(s *sequencer, most int) {
	w.t.Helper()
	for _, b := range w.order[s.applied:min(s.applied+most, len(w.order))] {
		if err := s.state.Apply(b); err != nil {
			w.t.Fatal(err)
		}
		s.applied++
		if _, ends := w.ends[s.applied]; ends {
			w.endEpoch(s)
		}
	}
}

// endEpoch compares what a sequencer hands over with what others did there.
func (w *world) endEpoch(s *sequencer) {
	w.t.Helper()
	ended, err := s.state.EndEpoch()
	if err != nil {
		w.t.Fatal(err)
	}
	s.snapshot, s.at, s.digest = ended.Snapshot, s.applied, ended.State
	if other := w.ends[s.at]; other == (bft.Digest{}) {
		w.ends[s.at] = s.digest
	} else if s.digest != other {
		w.t.Fatalf("after block %d two sequencers have different states", s.at)
	}
	if len(ended.Members) != 1 || ended.Params != bft.DefaultParams() {
		w.t.Fatalf("next come %d members", len(ended.Members))
	}
}

// end lets an epoch end behind the next block, whoever is there already.
func (w *world) end() {
	w.ends[len(w.order)+1] = bft.Digest{}
	w.block(w.send(0, 1))
}

// restart is a stop, or a crash: what was not kept is applied again.
func (w *world) restart(s *sequencer) {
	w.t.Helper()
	if err := s.state.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open(s)
}

// install gives a sequencer the state of another, piece by piece, with a wrong one among them.
func (w *world) install(to, from *sequencer) error {
	pieces, err := to.state.Verify(from.digest, from.snapshot.Manifest())
	if err != nil {
		return err
	}
	if _, err := to.state.Verify(bft.Digest{1}, from.snapshot.Manifest()); err == nil {
		return errors.New("a manifest of another state is accepted")
	}
	fetched := make([][]byte, pieces.Count())
	for i := range fetched {
		if fetched[i], err = from.snapshot.Piece(i); err != nil {
			return err
		}
		if err := pieces.Check(i, fetched[i]); err != nil {
			return err
		}
		wrong := append(slices.Clone(fetched[i]), 0)
		if pieces.Check(i, wrong) == nil {
			return fmt.Errorf("piece %d is accepted with a byte more", i)
		}
	}
	snapshot, err := to.state.Install(from.snapshot.Manifest(), func(i int) ([]byte, error) { return fetched[i], nil })
	to.applied, to.snapshot, to.at, to.digest = from.at, snapshot, from.at, from.digest
	return err
}

// read lets a client read on at a sequencer.
func (c *client) read(s *sequencer, limit int) error {
	m, ok := s.state.Member(c.id)
	if !ok {
		return nil
	}
	events, known, err := s.state.Read(m.Index, c.after, sequencing.Limit{Events: limit})
	var pruned *sequencing.Pruned
	if errors.As(err, &pruned) {
		return nil // it reads at another
	}
	if err != nil {
		return err
	}
	last := sequencing.Time(0)
	if n := len(c.seen); n > 0 {
		last = lastTime(c.seen[n-1])
	}
	for _, e := range events {
		if e.Previous != last {
			return fmt.Errorf("%s: event at %d names %d as the one before, seen is %d", c.id, e.Time, e.Previous, last)
		}
		c.seen, last = append(c.seen, describe(e)), e.Time
	}
	c.after = max(c.after, known)
	return nil
}

func describe(d sequencing.Delivery) string {
	text := fmt.Sprintf("%d %d %v %s", d.Time, d.Kind, d.Receipt, d.Message)
	for _, e := range d.Envelopes {
		text += " " + string(e.Payload)
	}
	return text
}

func lastTime(event string) (t sequencing.Time) {
	_, _ = fmt.Sscan(event, &t)
	return t
}

// TestAnyInterleaving: however sends to one, to groups and of several together, acknowledgements, new members, new keys, purchases,
// members that are shut out, pruning, kept states, restarts and fetched states follow each other, and whichever sequencer a member asks, it is told the same stream
// without a gap, and all sequencers have the same state.
func TestAnyInterleaving(outer *testing.T) {
	if testing.Short() {
		outer.Skip("takes seconds")
	}
	installed := 0
	rapid.Check(outer, func(t *rapid.T) {
		w := newWorld(outer, t, 3)
		defer w.close()
		var clients []*client
		for range w.members {
			clients = append(clients, &client{id: membertest.ID(w.members[len(clients)])})
		}
		node := func() *sequencer { return w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, "node")] }
		member := func() int { return rapid.IntRange(0, len(w.members)-1).Draw(t, "member") }
		names, purchases, shutOut := 0, uint64(0), false
		var stale []string // what was signed with old keys
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				var requests [][]byte
				for range rapid.IntRange(1, 4).Draw(t, "requests") {
					requests = append(requests, w.send(member(), rapid.IntRange(0, len(w.members)+1).Draw(t, "to")))
				}
				w.block(requests...)
			},
			"aggregate": func(t *rapid.T) {
				one, other := member(), member()
				if one == other {
					t.Skip("one alone")
				}
				for _, part := range w.aggregate(one, other, rapid.IntRange(0, len(w.members)).Draw(t, "to")) {
					w.block(part)
				}
			},
			"rekey": func(t *rapid.T) {
				i := member()
				w.block(w.rekey(i))
				w.now += sequencing.Second // until it is in force
				s := w.submission(i, len(w.members))
				stale = append(stale, string(s.Message))
				w.block(w.network.RequestBy(s, membertest.Key(w.protocol(i, w.keys[i]-1))))
			},
			"purchase": func(*rapid.T) {
				purchases++
				w.block(w.decide(&sequencing.TrafficPurchase{Member: membertest.ID(w.members[member()]), Serial: purchases, Total: purchases}))
			},
			"shut out": func(t *rapid.T) {
				if shutOut {
					t.Skip("one is enough")
				}
				shutOut = true
				w.block(w.decide(&sequencing.Disable{Member: membertest.ID(w.members[member()])}))
			},
			"acknowledge": func(*rapid.T) {
				i := member()
				w.block(w.acknowledge(i, clients[i].after))
			},
			"register": func(t *rapid.T) {
				if names == 3 {
					t.Skip("enough")
				}
				names++
				w.block(w.register(fmt.Sprintf("newcomer%d", names)))
				clients = append(clients, &client{id: membertest.ID(w.members[len(clients)])})
				w.now += sequencing.Second // until it is in force
			},
			"follow": func(t *rapid.T) { w.follow(node(), rapid.IntRange(1, 20).Draw(t, "blocks")) },
			"epoch":  func(*rapid.T) { w.end() },
			"keep": func(t *rapid.T) {
				s := node()
				if s.snapshot == nil || s.at > s.applied { // it fell back behind it by a restart
					t.Skip("nothing to keep")
				}
				if err := s.state.Keep(s.snapshot); err != nil {
					t.Fatal(err)
				}
			},
			"restart": func(*rapid.T) { w.restart(node()) },
			"install": func(t *rapid.T) {
				to, from := w.nodes[1+rapid.IntRange(0, 1).Draw(t, "to")], node()
				if from.snapshot == nil || from == to || from.at < to.applied {
					t.Skip("nothing to install")
				}
				if to.applied < from.at {
					installed++
				}
				if err := w.install(to, from); err != nil {
					t.Fatal(err)
				}
			},
			"prune": func(t *rapid.T) {
				s := w.nodes[1+rapid.IntRange(0, 1).Draw(t, "at")] // the first keeps everything
				if err := s.state.Prune(s.state.PruningPoint()); err != nil {
					t.Fatal(err)
				}
			},
			"read": func(t *rapid.T) {
				if err := clients[member()].read(node(), rapid.IntRange(1, 5).Draw(t, "limit")); err != nil {
					t.Fatal(err)
				}
			},
		})
		w.end()
		for _, s := range w.nodes {
			w.follow(s, len(w.order))
		}
		for _, c := range clients {
			for range len(w.order) + 1 {
				if err := c.read(w.nodes[0], 100); err != nil {
					t.Fatal(err)
				}
			}
			fresh := &client{id: c.id}
			for range len(w.order) + 1 {
				if err := fresh.read(w.nodes[0], 7); err != nil {
					t.Fatal(err)
				}
			}
			for _, event := range fresh.seen {
				if message := strings.Fields(event)[3:]; len(message) > 0 && slices.Contains(stale, message[0]) {
					t.Fatalf("%s was told what an old key had signed: %s", c.id, event)
				}
			}
			if !slices.Equal(c.seen, fresh.seen) {
				t.Fatalf("%s was told\n%v\nwant\n%v", c.id, c.seen, fresh.seen)
			}
		}
	})
	if installed == 0 {
		outer.Error("no sequencer that was behind took over the state of another: the walk walks too little")
	}
}
