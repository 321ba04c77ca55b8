package sequencing

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/ordering"
)

// chooser makes the choices of a walk: rapid, which finds the shortest walk that
// fails, or a seed.
type chooser interface{ Int(n int) int }

type rapidChooser struct{ t *rapid.T }

func (r rapidChooser) Int(n int) int { return rapid.IntRange(0, n-1).Draw(r.t, "choice") }

type seedChooser struct{ *rand.Rand }

func (s seedChooser) Int(n int) int { return s.IntN(n) }

func pick[T any](c chooser, from ...T) T { return from[c.Int(len(from))] }

// walk is a network of two replicas, the model of it and a client for each
// member, under requests and events of any kind.
type walk struct {
	chooser
	topology *testTopology
	model    *model
	ahead    *replica // applies each block at once
	behind   *replica // applies them later, many together
	blocks   []ordering.Block
	digests  []Digest // by height - 1, of the one ahead
	clients  map[MemberID]*client
	earlier  []*Submission
	time     Time
	number   int
}

var actors = []MemberID{alice, bob, carol, med1, med2, seq1, seq2, seq3, "PAR::dora"}

func newWalk(c chooser, fault fault) *walk {
	topology := everybody()
	topology.rules.MaxInFlight = pick(c, 3, 1000, 1000)
	topology.rules.MaxRecipients = pick(c, 12, 60)
	topology.rules.Traffic.Base = pick(c, uint64(150), 1001, 1<<30, 1<<30)
	topology.rules.Traffic.Envelope, topology.rules.Traffic.Recipient = 7, 3
	w := &walk{chooser: c, topology: topology, model: newModel(topology), ahead: newReplica(topology, fault),
		behind: newReplica(topology, fault), clients: map[MemberID]*client{}, time: t0}
	for _, id := range actors {
		w.clients[id] = &client{}
	}
	return w
}

// run takes steps and returns what is wrong.
func (w *walk) run(steps int) error {
	for range steps {
		if err := w.step(); err != nil {
			return err
		}
	}
	if err := w.catchUp(len(w.blocks)); err != nil {
		return err
	}
	for _, id := range actors {
		for _, r := range []*replica{w.ahead, w.behind} {
			c := w.clients[id]
			if err := c.read(id, r, 1<<20, w.gone(id)); err != nil {
				return err
			}
			known := w.model.members[id]
			if known == nil && len(c.seen) == 0 || c.cut {
				continue
			}
			if known == nil || !slices.Equal(c.seen, known.stream) {
				return fmt.Errorf("%s\n saw %q\nmodel %q", id, c.seen, known.stream)
			}
		}
	}
	return errors.Join(w.ask(w.ahead), w.ask(w.behind))
}

// ask lets every member ask who got what, of each event that there was.
func (w *walk) ask(r *replica) error {
	asked := map[modelShown]bool{}
	for told := range w.model.shown {
		for _, id := range actors {
			question := modelShown{told.at, told.set, id}
			m, ok := r.machine.Member(id)
			if asked[question] || !ok {
				continue
			}
			asked[question] = true
			encoded, err := r.history.Recipients(m.Index, told.at, told.set)
			switch may := w.model.shown[question]; {
			case errors.Is(err, ErrPruned):
			case may && (err != nil || RecipientSetDigest(encoded) != told.set):
				return fmt.Errorf("%s is not told the recipients %v at %d: %x, %v", id, told.set, told.at, encoded, err)
			case !may && !errors.Is(err, ErrNotShown):
				return fmt.Errorf("%s is told the recipients %v at %d: %w", id, told.set, told.at, err)
			}
		}
	}
	return nil
}

func (w *walk) step() error {
	switch w.Int(18) {
	default:
		return w.order()
	case 0, 1:
		return w.catchUp(len(w.digests) - w.Int(3))
	case 2:
		r := pick(w.chooser, w.ahead, w.behind)
		r.taken, r.digest = r.machine.Snapshot(), r.machine.Digest()
	case 3:
		return w.restart(pick(w.chooser, w.ahead, w.behind))
	case 4:
		return w.prune(pick(w.chooser, w.ahead, w.behind))
	case 5, 6:
		id := pick(w.chooser, actors...)
		return w.clients[id].read(id, pick(w.chooser, w.ahead, w.behind), w.Int(4), w.gone(id))
	}
	return nil
}

// order makes a block and lets the replica ahead and the model apply it.
func (w *walk) order() error {
	start := w.time + pick(w.chooser, 1, Millisecond, Millisecond, Second, Second, 4*Second, 31*Second)
	var requests [][]byte
	last := start
	for i := range w.Int(4) {
		last = start + Time(i)
		r := w.request(last)
		data := r.Encode()
		decoded, err := Decode(data)
		if err != nil {
			return fmt.Errorf("%+v: %w", r.Body, err)
		}
		requests = append(requests, data)
		w.model.apply(start, last, decoded, w.signers(decoded, last))
	}
	w.time = last
	b := block(ordering.Height(len(w.blocks)+1), start, requests...)
	w.blocks = append(w.blocks, b)
	if err := w.ahead.apply(b); err != nil {
		return err
	}
	w.digests = append(w.digests, w.ahead.machine.Digest())
	if got, want := w.ahead.machine.PruningPoint(), w.model.pruningPoint(w.time); got != want {
		return fmt.Errorf("pruning point %d, model says %d", got, want)
	}
	return w.compareMembers()
}

// compareMembers compares what the state says of members, beyond their events.
func (w *walk) compareMembers() error {
	for _, id := range actors {
		got, registered := w.ahead.machine.Member(id)
		want := w.model.members[id]
		if registered != (want != nil) {
			return fmt.Errorf("%s: registered %v", id, registered)
		}
		if !registered {
			continue
		}
		if got.Registered != want.since || got.Last != want.last || got.Acknowledged != want.acknowledged || got.Disabled != want.disabled {
			return fmt.Errorf("%s is %+v, model says %+v", id, got, want)
		}
		if traffic, _ := w.ahead.machine.TrafficAt(id, w.time); traffic.Left() != w.model.left(id) {
			return fmt.Errorf("%s has %d bytes of traffic left, model says %d", id, traffic.Left(), w.model.left(id))
		}
	}
	return nil
}

// catchUp applies blocks at the replica behind, and compares digests.
func (w *walk) catchUp(height int) error {
	for h := int(w.behind.machine.Height()); h < height; h++ {
		if err := w.behind.apply(w.blocks[h]); err != nil {
			return err
		}
		if w.Int(3) == 0 || h+1 == height { // not always: hashing now or later is the same
			if got := w.behind.machine.Digest(); got != w.digests[h] {
				return fmt.Errorf("digest at height %d is %v, ahead it was %v", h+1, got, w.digests[h])
			}
		}
	}
	return nil
}

// restart brings a replica back from its snapshot and lets it apply what it had
// applied before.
func (w *walk) restart(r *replica) error {
	if r.taken == nil {
		return nil
	}
	height := int(r.machine.Height())
	if err := r.restore(); err != nil {
		return err
	}
	for h := int(r.machine.Height()); h < height; h++ {
		if err := r.apply(w.blocks[h]); err != nil {
			return err
		}
	}
	if height > 0 && r.machine.Digest() != w.digests[height-1] {
		return fmt.Errorf("digest after a restart at height %d differs", height)
	}
	return nil
}

func (w *walk) prune(r *replica) error {
	point := r.machine.PruningPoint()
	if err := r.history.Prune(point+1, point); err == nil {
		return fmt.Errorf("pruned what is needed")
	}
	return r.history.Prune(max(0, point-pick(w.chooser, 0, 1, Minute)), point)
}

// gone reports whether pruning need not wait for a member.
func (w *walk) gone(id MemberID) bool {
	m, known := w.ahead.machine.Member(id)
	_, active := w.topology.Member(id, w.time)
	_, later := w.topology.Member(id, w.time+1)
	return known && m.Disabled || !active || !later || len(w.topology.spans[id]) != 1
}

// signers are those whose keys of a time signed a request, each once.
func (w *walk) signers(r Request, at Time) (ids []MemberID) {
	d := r.Digest(testNetwork)
	for _, id := range append([]MemberID{"PAR::eve"}, actors...) {
		if slices.ContainsFunc(r.Signatures, func(s KeySignature) bool {
			return slices.Contains(w.topology.keys(id, at), s.Key) && s.Signature == testSignature(s.Key, d)
		}) {
			ids = append(ids, id)
		}
	}
	return ids
}

// signed makes a request that members sign, most often with keys that they have.
func (w *walk) signed(now Time, body Body, by ...MemberID) Request {
	var keys []Key
	for _, id := range by {
		has := w.topology.keys(id, now)
		key := has[w.Int(len(has))]
		if n := len(w.topology.keyed[id]); n > 0 && w.Int(8) == 0 {
			key = testKeyOf(id, w.Int(n+1))
		}
		keys = append(keys, key)
		if len(has) > 1 && len(by) > 1 && w.Int(2) == 0 { // both of its keys: it is one all the same
			keys = append(keys, has[0], has[1])
		}
	}
	slices.SortFunc(keys, func(a, b Key) int { return slices.Compare(a[:], b[:]) })
	return signedWith(body, slices.Compact(keys)...)
}

// request makes any request, most often a good one.
func (w *walk) request(now Time) Request {
	switch w.Int(15) {
	default:
		return w.sign(now, w.submission(now))
	case 0, 1, 2:
		id := pick(w.chooser, actors...)
		return w.signed(now, &Acknowledgement{Member: id, UpTo: pick(w.chooser, w.clients[id].after, w.clients[id].last, w.clients[id].after, now+1)}, id)
	case 3:
		return Request{Body: &TopologyChange{[]byte(pick(w.chooser, "+PAR::dora", "-PAR::dora", "-MED1::one", "+MED1::one", "?"))}}
	case 7:
		return Request{Body: &TopologyChange{[]byte(pick(w.chooser, "!PAR::alice", "&PAR::alice", "&PAR::bob", "!PAR::bob", "&"+string(seq1), "!"+string(seq1), ">12", ">60"))}}
	case 4, 5:
		w.number++
		return w.signed(now, &TrafficPurchase{Member: pick(w.chooser, actors...), Serial: uint64(max(0, w.number-w.Int(3))), Total: uint64(w.Int(5000))},
			pick(w.chooser, []MemberID{seq1, seq2}, []MemberID{seq1, seq2, seq3}, []MemberID{seq1}, []MemberID{alice, seq1})...)
	case 6:
		if w.Int(6) == 0 {
			return w.signed(now, &Disable{pick(w.chooser, actors...)}, pick(w.chooser, []MemberID{seq1, seq2}, []MemberID{seq3})...)
		}
		return Request{Body: Tick{}}
	}
}

func (w *walk) sign(now Time, s *Submission) Request {
	if w.Int(10) == 0 {
		return w.signed(now, s, pick(w.chooser, alice, bob))
	}
	r := w.signed(now, s, s.Sender)
	if w.Int(15) == 0 {
		r.Signatures[0].Signature[3]++
	}
	return r
}

func (w *walk) submission(now Time) *Submission {
	if n := len(w.earlier); n > 0 && w.Int(5) > 1 {
		s := *w.earlier[max(0, n-1-w.Int(4))]
		switch w.Int(4) {
		case 0: // once more
		case 1:
			s.Cost++
		default: // the same content by another
			s.Sender, s.Message = pick(w.chooser, alice, bob, med1), pick[MessageID](w.chooser, "m", "n", "o", "p")
		}
		s.sealed = seal{}
		w.earlier = append(w.earlier, &s)
		return &s
	}
	s := &Submission{Sender: pick(w.chooser, alice, alice, bob, carol, med1, seq1, "PAR::dora", "PAR::eve"), Message: pick[MessageID](w.chooser, "m", "n", "o", "p"),
		MaxTime: now + pick(w.chooser, Second, 15*Second, 40*Second, 2*Minute, 2*Minute+1, -1, 0), Cost: pick[uint64](w.chooser, 1<<30, 1<<30, 1<<30, 120)}
	if w.Int(4) == 0 {
		s.TopologyTime = pick(w.chooser, now, now-Second, now-30*Second, now-30*Second-1, now+1, w.topology.changed)
	}
	if w.Int(2) == 0 {
		s.Aggregation = pick(w.chooser, &Aggregation{1, []MemberID{s.Sender}}, &Aggregation{2, []MemberID{alice, bob, carol}},
			&Aggregation{2, []MemberID{med1, alice, bob}}, &Aggregation{3, []MemberID{med1, alice, bob}})
		slices.Sort(s.Aggregation.Eligible)
	}
	for i := range w.Int(4) {
		s.Sets = append(s.Sets, w.recipients())
		s.Envelopes = append(s.Envelopes, Envelope{Set: i, Payload: make([]byte, w.Int(300))})
		for range w.Int(2) {
			s.Envelopes = append(s.Envelopes, Envelope{Set: w.Int(i + 1), Payload: []byte(fmt.Sprintf("%d", now))})
		}
	}
	w.earlier = append(w.earlier, s)
	return s
}

func (w *walk) recipients() (set RecipientSet) {
	for range 1 + w.Int(3) {
		set = append(set, pick(w.chooser, Recipient{Kind: ToMember, Member: alice}, Recipient{Kind: ToMember, Member: bob}, Recipient{Kind: ToMember, Member: carol},
			Recipient{Kind: ToMember, Member: "PAR::dora"}, Recipient{Kind: ToMediatorGroup, Group: 1}, Recipient{Kind: ToMediatorGroup, Group: 1},
			Recipient{Kind: ToSequencers}, Recipient{Kind: ToAll}, Recipient{Kind: ToMediatorGroup, Group: 3}))
	}
	return sortedSet(set)
}

// Whatever is sent, acknowledged, decided, changed in the topology, pruned, saved and
// restored, in any order and at any pace, every member sees what the model says, without a gap, and both
// replicas have the same state.
func TestEveryWalkAgreesWithTheModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		if err := newWalk(rapidChooser{r}, faultNone).run(60); err != nil {
			r.Fatal(err)
		}
	})
}

// The walks come by every code, or they would prove little.
func TestWalksMeetEveryCode(t *testing.T) {
	met := map[Code]int{}
	for seed := range uint64(200) {
		w := newWalk(seedChooser{rand.New(rand.NewPCG(seed, 2))}, faultNone)
		if err := w.run(60); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for code, n := range w.ahead.met {
			met[code] += n
		}
	}
	for c := Code(0); c <= lastCode; c++ {
		if met[c] < 5 && (c == 0 || codes[c].name != "") && c != Malformed && c != TooLarge { // both have tests of their own
			t.Errorf("%v: met %d times", c, met[c])
		}
	}
}

var faultNames = [faultLast]string{
	faultAnyKey:            "any key may sign for a member",
	faultDisabledTakePart:  "members that are shut out take part",
	faultExpiredPass:       "max-sequencing-time is ignored",
	faultNoDeduplication:   "message ids are not compared",
	faultAggregateAgain:    "an aggregation is delivered again",
	faultAggregateEarly:    "an aggregation is delivered one sender early",
	faultContributeTwice:   "a sender counts twice",
	faultOverdraw:          "traffic may be overdrawn",
	faultNoCharge:          "traffic is free",
	faultRefillTwice:       "the allowance fills too fast",
	faultPreviousSkipped:   "previous times are missing",
	faultTwoEvents:         "a recipient in two sets gets two events",
	faultAcknowledgeBack:   "acknowledgements go back",
	faultOldSerial:         "old purchases count again",
	faultLonePurchase:      "one alone decides",
	faultSnapshotAliases:   "a snapshot changes with the state",
	faultDisabledHoldsBack: "pruning waits for members that are shut out",
	faultForgetEarly:       "submissions are forgotten too early",
	faultGroupsNow:         "groups are resolved at the sequencing time",
	faultRefusedPasses:     "what was refused as a duplicate passes later",
}

// The walks notice each rule that is left out.
func TestWalksNoticePlantedBugs(t *testing.T) {
	for f := faultNone + 1; f < faultLast; f++ {
		t.Run(faultNames[f], func(t *testing.T) {
			for seed := range uint64(1000) {
				if err := newWalk(seedChooser{rand.New(rand.NewPCG(seed, 1))}, f).run(60); err != nil {
					t.Logf("seed %d: %.300v", seed, err)
					return
				}
			}
			t.Error("1000 walks noticed nothing")
		})
	}
}

// forgetful is the topology as a machine sees it that does not follow it.
type forgetful struct {
	*testTopology
	keys, parameters bool
}

func (f forgetful) Member(id MemberID, at Time) (Standing, bool) {
	standing, active := f.testTopology.Member(id, at)
	if f.keys {
		for changes := range f.keyed[id] {
			standing.Keys = append(standing.Keys, testKeyOf(id, changes))
		}
	}
	return standing, active
}

func (f forgetful) Parameters(at Time) Parameters {
	if f.parameters {
		return f.rules
	}
	return f.testTopology.Parameters(at)
}

// The walks notice a machine for which keys stay good that were withdrawn, and one for which the first parameters hold for ever.
func TestWalksNoticeATopologyNotFollowed(t *testing.T) {
	for name, plant := range map[string]func(*testTopology) Topology{
		"old keys stay good":      func(t *testTopology) Topology { return forgetful{t, true, false} },
		"parameters never change": func(t *testTopology) Topology { return forgetful{t, false, true} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(1000) {
				w := newWalk(seedChooser{rand.New(rand.NewPCG(seed, 3))}, faultNone)
				w.ahead, w.behind = newReplica(plant(w.topology), faultNone), newReplica(plant(w.topology), faultNone)
				if err := w.run(60); err != nil {
					t.Logf("seed %d: %.300v", seed, err)
					return
				}
			}
			t.Error("1000 walks noticed nothing")
		})
	}
}
