package sequencing

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/synod-network/synod/ordering"
)

// Decoders see what strangers send. On whatever bytes they never panic, never
// allocate much more than they were given, and accept one encoding only: what
// they accept encodes to the same bytes.

func bounded(t *testing.T, input []byte, decode func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(1<<16+64*len(input)); got > limit {
		t.Errorf("decoding %d bytes allocated %d, limit %d", len(input), got, limit)
	}
}

func seedRequests() []Request {
	full := send(alice, "m", 9, RecipientSet{{Kind: ToMember, Member: bob}, {Kind: ToMediatorGroup, Group: 3}, {Kind: ToSequencers}, {Kind: ToAll}}, "hi")
	full.Sets, full.Envelopes = append(full.Sets, to(carol)), append(full.Envelopes, Envelope{Set: 1}, Envelope{Set: 0, Payload: []byte("x")})
	full.Aggregation, full.TopologyTime = &Aggregation{2, []MemberID{alice, bob}}, 7
	return []Request{
		signed(&Submission{Sender: alice, Message: "m"}, alice),
		signed(full, alice),
		signed(&Acknowledgement{alice, 5}, alice),
		{Body: &TopologyChange{[]byte("+PAR::x")}},
		signed(&TrafficPurchase{alice, 1, 2}, seq1, seq2),
		signed(&Disable{alice}, seq1),
		{Body: Tick{}},
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, r := range seedRequests() {
		f.Add(r.Encode())
	}
	f.Add([]byte{kindSubmission, 1, 'a', 1, 'b', 255, 255})
	f.Fuzz(func(t *testing.T, input []byte) {
		var r Request
		var err error
		bounded(t, input, func() { r, err = Decode(input) })
		if err != nil {
			return
		}
		if !bytes.Equal(r.Encode(), input) {
			t.Errorf("accepted %x, which encodes to %x", input, r.Encode())
		}
		// No request, however absurd, upsets the machine.
		w := newWorld(t, everybody())
		out, err := w.machine.Apply(Parse(testNetwork, block(1, t0, input)).Verify(allValid))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.history.Append(out); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add(Manifest{Network: testNetwork, Height: 3, Members: []Digest{{1}}, InFlight: []Digest{{2}, {3}}}.Encode())
	f.Fuzz(func(t *testing.T, input []byte) {
		var m Manifest
		var err error
		bounded(t, input, func() { m, err = DecodeManifest(input) })
		if err == nil && !bytes.Equal(m.Encode(), input) {
			t.Errorf("accepted %x, which encodes to %x", input, m.Encode())
		}
	})
}

// Chunks are checked against digests, but a digest that somebody agreed on is no
// reason to crash.
func FuzzRestoreChunk(f *testing.F) {
	w := newWorld(f, everybody())
	s := send(alice, "m", t0+Minute, to(bob), "x")
	s.Aggregation = &Aggregation{2, []MemberID{alice, bob}}
	w.apply(t0, signed(s, alice), signed(send(bob, "m", t0+Minute, to(bob), "x"), bob))
	for i := range w.machine.Snapshot().Chunks() {
		f.Add(w.machine.Snapshot().Chunk(i))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		m := New(testNetwork, everybody())
		m.members.add(memberState{id: alice})
		bounded(t, input, func() { m.inflight.restore(input, 2) })
		fresh := New(testNetwork, everybody())
		_ = fresh.restoreMembers(input, Digest{})
	})
}

func TestRequestsSurviveTheWire(t *testing.T) {
	for _, r := range seedRequests() {
		data := r.Encode()
		back, err := Decode(data)
		if err != nil {
			t.Errorf("%T: %v", r.Body, err)
			continue
		}
		if back.Digest(testNetwork) != r.Digest(testNetwork) || !bytes.Equal(back.Encode(), data) {
			t.Errorf("%T: came back as %+v", r.Body, back)
		}
		for n := range data {
			if _, err := Decode(data[:n]); err == nil {
				t.Errorf("%T: the first %d of %d bytes are accepted", r.Body, n, len(data))
			}
		}
		if _, err := Decode(append(data, 0)); err == nil {
			t.Errorf("%T: a byte more is accepted", r.Body)
		}
	}
}

// What breaks a limit or an order is encoded as something that does not decode.
func TestDecodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Submission){
		"no sender":           func(s *Submission) { s.Sender = "" },
		"much too long id":    func(s *Submission) { s.Message = MessageID(strings.Repeat("m", 257)) },
		"long message id":     func(s *Submission) { s.Message = MessageID(strings.Repeat("m", MaxMessageID+1)) },
		"negative time":       func(s *Submission) { s.MaxTime = -1 },
		"threshold 0":         func(s *Submission) { s.Aggregation = &Aggregation{0, []MemberID{alice}} },
		"threshold too high":  func(s *Submission) { s.Aggregation = &Aggregation{2, []MemberID{alice}} },
		"eligible twice":      func(s *Submission) { s.Aggregation = &Aggregation{1, []MemberID{alice, alice}} },
		"eligible in reverse": func(s *Submission) { s.Aggregation = &Aggregation{1, []MemberID{bob, alice}} },
		"too many eligible":   func(s *Submission) { s.Aggregation = &Aggregation{1, make([]MemberID, MaxEligible+1)} },
		"empty set":           func(s *Submission) { s.Sets[0] = nil },
		"recipient twice":     func(s *Submission) { s.Sets[0] = to(bob, bob) },
		"unknown kind":        func(s *Submission) { s.Sets[0] = RecipientSet{{Kind: 9}} },
		"unused set":          func(s *Submission) { s.Sets = append(s.Sets, to(carol)) },
		"sets out of order": func(s *Submission) {
			s.Sets, s.Envelopes = append(s.Sets, to(carol)), []Envelope{{Set: 1}, {Set: 0}}
		},
		"no such set":        func(s *Submission) { s.Envelopes[0].Set = 1 },
		"too many envelopes": func(s *Submission) { s.Envelopes = make([]Envelope, MaxEnvelopes+1) },
	} {
		s := send(alice, "m", 9, to(bob), "x")
		change(s)
		if _, err := Decode(Request{Body: s, Signatures: make([]KeySignature, 1)}.Encode()); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	r := signed(&Disable{alice}, seq1, seq2)
	r.Signatures[0], r.Signatures[1] = r.Signatures[1], r.Signatures[0]
	if _, err := Decode(r.Encode()); err == nil {
		t.Error("signatures out of order are accepted")
	}
}

// What is signed binds the network and every field, and no kind of request can
// pass for another.
func TestDigestsBindEverything(t *testing.T) {
	seen := map[Digest]string{}
	add := func(name string, d Digest) {
		if other, taken := seen[d]; taken {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		seen[d] = name
	}
	base := func() *Submission {
		s := send(alice, "m", 9, to(bob), "x")
		s.Aggregation = &Aggregation{1, []MemberID{alice, bob}}
		return s
	}
	add("base", base().digest(testNetwork, newHasher()))
	add("network", base().digest(NetworkID{}, newHasher()))
	for name, change := range map[string]func(*Submission){
		"sender": func(s *Submission) { s.Sender = bob }, "message": func(s *Submission) { s.Message = "n" }, "time": func(s *Submission) { s.MaxTime++ },
		"topology": func(s *Submission) { s.TopologyTime++ }, "cost": func(s *Submission) { s.Cost++ }, "no rule": func(s *Submission) { s.Aggregation = nil },
		"threshold": func(s *Submission) { s.Aggregation.Threshold++ }, "eligible": func(s *Submission) { s.Aggregation.Eligible[1] = carol },
		"recipient": func(s *Submission) { s.Sets[0] = to(carol) }, "payload": func(s *Submission) { s.Envelopes[0].Payload = []byte("y") },
		"envelopes": func(s *Submission) { s.Envelopes = append(s.Envelopes, s.Envelopes[0]) },
		"split":     func(s *Submission) { s.Sender, s.Message = alice+"m", "" },
	} {
		s := base()
		change(s)
		add(name, s.digest(testNetwork, newHasher()))
	}
	add("acknowledgement", (&Acknowledgement{alice, 1}).digest(testNetwork, newHasher()))
	add("purchase", (&TrafficPurchase{alice, 0, 1}).digest(testNetwork, newHasher()))
	add("disable", (&Disable{alice}).digest(testNetwork, newHasher()))
	add("topology change", (&TopologyChange{[]byte(alice)}).digest(testNetwork, newHasher()))
}

// What does not decode keeps its place in time and does no harm.
func TestGarbageIsDroppedInPlace(t *testing.T) {
	w := newWorld(t, everybody())
	good := signed(send(alice, "m", t0+Minute, to(bob), "x"), alice).Encode()
	out, err := w.machine.Apply(Parse(testNetwork, ordering.Block{Height: 1, Time: int64(t0), Payloads: []ordering.Payload{
		ordering.Pack([]byte("garbage"), nil), ordering.Pack(good)}}).Verify(testVerifier))
	if err != nil || len(out.Dropped) != 2 || len(out.Records) != 1 || out.Records[0].Time != t0+2 || out.Time != t0+2 {
		t.Errorf("%+v, %v", out, err)
	}
}

// A forged length is refused before memory is set aside for it, and a truth
// value has two encodings, not 256.
func TestReaderRefusesForgeries(t *testing.T) {
	r := newReader([]byte{0x10, 0x00, 1, 2, 3})
	if n := r.count(0, MaxSets, 3); n != 0 || r.Err == nil {
		t.Errorf("%d elements in 3 bytes", n)
	}
	if r = newReader([]byte{2}); r.Bool() || r.Err == nil {
		t.Error("2 is a truth value")
	}
}

func FuzzDecodeDelivery(f *testing.F) {
	digests := []Digest{{1}, {2}}
	for _, d := range []Delivery{
		{Kind: TopologyChanged, Time: 5, Previous: 4, Topology: []byte("+PAR::x")},
		{Kind: Refused, Time: 5, Receipt: true, Message: "m", Cost: 3, Refusal: Refusal{TrafficExhausted, "x"}},
		{Kind: Contributed, Time: 5, Receipt: true, Message: "m"},
		{Kind: Delivered, Time: 5, Receipt: true, Message: "m", Envelopes: []Received{{0, to(bob).Digest(), to(bob), []byte("hi")}, {1, Digest{7}, nil, []byte("all")}},
			Proof: Proof{MaxTime: 9, Aggregation: &Aggregation{1, []MemberID{alice}}, Envelopes: digests}, Signers: []Signer{{Sender: alice, Message: "m"}}},
	} {
		f.Add(d.Encode())
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var d *Delivery
		var err error
		bounded(t, input, func() { d, err = DecodeDelivery(input) })
		if at, previous, short := DeliveryTimes(input); err == nil && (short != nil || at != d.Time || previous != d.Previous) {
			t.Errorf("times %d and %d, %v, of an event at %d after %d", at, previous, short, d.Time, d.Previous)
		}
		if err == nil && !bytes.Equal(d.Encode(), input) {
			t.Errorf("accepted %x, which encodes to %x", input, d.Encode())
		}
	})
}
