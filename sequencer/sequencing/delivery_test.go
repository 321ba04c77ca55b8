package sequencing

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func rendered(events []Delivery) (lines []string) {
	for _, e := range events {
		line := render(e)
		lines = append(lines, strings.NewReplacer("1000000000", "T", "1001000000", "T1").Replace(line))
	}
	return lines
}

func expect(t *testing.T, w *world, id MemberID, want ...string) {
	t.Helper()
	if got := rendered(w.read(id)); !slices.Equal(got, want) {
		t.Errorf("%s\n got %q\nwant %q", id, got, want)
	}
}

// Each recipient gets its own envelopes and no others, with the time of its
// event before; the sender gets a receipt.
func TestABatchReachesEachWithItsOwn(t *testing.T) {
	w := newWorld(t, everybody())
	batch := &Submission{Sender: alice, Message: "m", MaxTime: t0 + Minute, Cost: 1 << 20,
		Sets: []RecipientSet{to(bob), {{Kind: ToMember, Member: alice}, {Kind: ToMember, Member: bob}, {Kind: ToMediatorGroup, Group: 1}}},
		Envelopes: []Envelope{{Set: 0, Payload: []byte("for bob")}, {Set: 1, Payload: []byte("for four")},
			{Set: 0, Payload: []byte("also for bob")}}}
	w.apply(t0, signed(batch, alice))
	w.apply(t0+Second, signed(send(bob, "n", t0+Minute, to(carol), "hi"), bob))

	expect(t, w, alice, "T after 0: delivered receipt m for 127, 1=for four by [PAR::alice as m]")
	expect(t, w, bob, "T after 0: delivered 0=for bob, 1=for four, 2=also for bob by [PAR::alice as m]",
		"T1 after T: delivered receipt n for 102")
	expect(t, w, carol, "T1 after 0: delivered 0=hi by [PAR::bob as n]")
	expect(t, w, med2, "T after 0: delivered 1=for four by [PAR::alice as m]")
	expect(t, w, seq1)
	for _, e := range w.read(bob) {
		if err := genuine(e); err != nil {
			t.Error(err)
		}
	}
}

// What a recipient is shown proves that the sender meant exactly this.
func TestARecipientCanCheckWhatItGot(t *testing.T) {
	w := newWorld(t, everybody())
	s := send(alice, "m", t0+Minute, to(bob), "hello")
	s.Sets, s.Envelopes = append(s.Sets, to(carol)), append(s.Envelopes, Envelope{Set: 1, Payload: []byte("secret")})
	w.apply(t0, signed(s, alice))
	for name, change := range map[string]func(*Delivery){
		"payload":     func(d *Delivery) { d.Envelopes[0].Payload = []byte("hullo") },
		"recipients":  func(d *Delivery) { d.Envelopes[0].Recipients = to(bob, carol) },
		"set":         func(d *Delivery) { d.Envelopes[0].Set, d.Envelopes[0].Recipients = to(carol).Digest(), nil },
		"place":       func(d *Delivery) { d.Envelopes[0].Number = 1 },
		"no place":    func(d *Delivery) { d.Envelopes[0].Number = 2 },
		"deadline":    func(d *Delivery) { d.Proof.MaxTime++ },
		"topology":    func(d *Delivery) { d.Proof.TopologyTime++ },
		"others":      func(d *Delivery) { d.Proof.Envelopes = append(slices.Clone(d.Proof.Envelopes), Digest{}) },
		"fewer":       func(d *Delivery) { d.Proof.Envelopes = d.Proof.Envelopes[:1] },
		"rule":        func(d *Delivery) { d.Proof.Aggregation = &Aggregation{1, []MemberID{alice}} },
		"sender":      func(d *Delivery) { d.Signers = []Signer{{Sender: bob, Key: testKey(bob)}} },
		"message id":  func(d *Delivery) { d.Signers = slices.Clone(d.Signers); d.Signers[0].Message = "n" },
		"another one": func(d *Delivery) { d.Signers = append(slices.Clone(d.Signers), d.Signers[0]) },
	} {
		d := w.read(bob)[0]
		if err := genuine(d); err != nil {
			t.Fatal(err)
		}
		if change(&d); genuine(d) == nil {
			t.Errorf("another %s goes unnoticed", name)
		}
	}
}

// Senders of the same content are counted; what is delivered has the signatures
// of all that were needed.
func TestAnAggregationIsDeliveredOnceWithAllSignatures(t *testing.T) {
	w := newWorld(t, everybody())
	part := func(sender MemberID, message MessageID) Request {
		s := send(sender, message, t0+Minute, to(bob, carol), "verdict")
		s.Aggregation = &Aggregation{Threshold: 2, Eligible: []MemberID{med1, med2, alice}}
		return signed(s, sender)
	}
	w.apply(t0, part(med1, "x"))
	expect(t, w, bob)
	expect(t, w, med1, "T after 0: contributed, receipt x for 107")
	w.apply(t0+Second, part(med2, "y"), part(alice, "z"))
	expect(t, w, bob, "T1 after 0: delivered 0=verdict by [MED1::one as x MED1::two as y]")
	expect(t, w, med2, "T1 after 0: delivered receipt y for 107")
	expect(t, w, alice, "1001000001 after 0: refused z for 100: already_sent")
	if err := genuine(w.read(bob)[0]); err != nil {
		t.Error(err)
	}
}

// After its max-sequencing-time nothing is left of an aggregation.
func TestAnAggregationExpires(t *testing.T) {
	w := newWorld(t, everybody())
	part := func(sender MemberID, maxTime Time) Request {
		s := send(sender, "x", maxTime, to(bob), "verdict")
		s.Aggregation = &Aggregation{Threshold: 2, Eligible: []MemberID{med1, med2}}
		return signed(s, sender)
	}
	w.apply(t0, part(med1, t0+Second))
	if code, _ := outcome(w.apply(t0+Second+1, part(med2, t0+Second))); code != Expired {
		t.Errorf("late part: %v", code)
	}
	w.apply(t0+2*Second, part(med2, t0+3*Second)) // other deadline, other content
	expect(t, w, bob)
	w.apply(t0+Minute, Request{Body: Tick{}})
	if f := w.machine.inflight; len(f.buckets)+len(f.seen)+len(f.aggregations)+f.of(0)+f.of(1) != 0 {
		t.Errorf("remembered after all expired: %d buckets, %d ids, %d aggregations", len(f.buckets), len(f.seen), len(f.aggregations))
	}
}

// A thousand recipients cost one payload.
func TestAPayloadIsStoredOnce(t *testing.T) {
	var names []MemberID
	for i := range 1000 {
		names = append(names, MemberID("PAR::"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i)[:i/26]))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	topology := newTopology(names...)
	topology.rules.MaxRecipients = 2000
	w := newWorld(t, topology)
	out := w.apply(t0, signed(send(names[0], "m", t0+Minute, RecipientSet{{Kind: ToAll}}, "payload"), names[0]))
	if len(out.Records) != 1 || len(out.Records[0].Events) != len(names) {
		t.Fatalf("%d records, %d events", len(out.Records), len(out.Records[0].Events))
	}
	var first *byte
	for _, id := range names {
		payload := w.read(id)[0].Envelopes[0].Payload
		if first == nil {
			first = unsafe.SliceData(payload)
		}
		if unsafe.SliceData(payload) != first {
			t.Fatal("a second copy of the payload")
		}
	}
	if size := unsafe.Sizeof(w.history.streams[0].times[0]); size != 8 {
		t.Errorf("an event of a member takes %d bytes", size)
	}
}

// An idle member learns the time; a busy one is not told more than it was given.
func TestReadingTellsHowFarItGoes(t *testing.T) {
	w := newWorld(t, everybody())
	w.apply(t0, signed(send(alice, "1", t0+Minute, to(bob), ""), alice), signed(send(alice, "2", t0+Minute, to(bob), ""), alice))
	w.apply(t0+Second, Request{Body: Tick{}})
	b, _ := w.machine.Member(bob)
	for _, tc := range []struct {
		after Time
		limit int
		n     int
		want  Time
	}{
		{0, 0, 0, 0}, {0, 1, 1, t0}, {0, 2, 2, t0 + Second}, {0, 9, 2, t0 + Second}, {t0, 1, 1, t0 + Second}, {t0 + 1, 1, 0, t0 + Second}, {t0 - 1, 1, 1, t0},
	} {
		events, through, err := w.history.Read(b.Index, tc.after, Limit{Events: tc.limit})
		if err != nil || len(events) != tc.n || through != tc.want {
			t.Errorf("after %d at most %d: %d events through %d, %v", tc.after, tc.limit, len(events), through, err)
		}
	}
	if _, through, err := w.history.Read(99, 0, Limit{Events: 1}); through != t0+Second || err != nil {
		t.Errorf("one that never took part: through %d, %v", through, err)
	}
}

// Pruning waits for every active member that reads, and reading below says so.
func TestPruning(t *testing.T) {
	known := newTopology(alice, bob, seq1)
	known.unread = "SEQ" // is told of every change of the topology, and acknowledges nothing
	w := newWorld(t, known)
	for i := range Time(3) {
		w.apply(t0+i*Second, signed(send(alice, MessageID(rune('a'+i)), t0+Minute, to(bob, seq1), "x"), alice))
	}
	point := func(want Time) {
		t.Helper()
		if got := w.machine.PruningPoint(); got != want {
			t.Fatalf("pruning point is %d, want %d", got, want)
		}
	}
	point(t0 - 1)
	w.apply(t0+5*Second, signed(&Acknowledgement{alice, t0 + 2*Second}, alice), signed(&Acknowledgement{bob, t0 + Second}, bob))
	point(t0 + Second)
	if err := w.history.Prune(t0+2*Second, w.machine.PruningPoint()); !errors.Is(err, ErrNeeded) {
		t.Errorf("pruned what bob needs: %v", err)
	}
	if err := w.history.Prune(t0+Second, w.machine.PruningPoint()); err != nil {
		t.Fatal(err)
	}
	b, _ := w.machine.Member(bob)
	var pruned *Pruned
	if _, _, err := w.history.Read(b.Index, t0, Limit{Events: 10}); !errors.Is(err, ErrPruned) || !errors.As(err, &pruned) || pruned.Last != t0+Second {
		t.Errorf("read below: %v", err)
	}
	events, _, err := w.history.Read(b.Index, t0+Second, Limit{Events: 10})
	if err != nil || len(events) != 1 || events[0].Previous != t0+Second {
		t.Errorf("read above: %v, %v", events, err)
	}
	if len(w.history.blocks) != 1 {
		t.Errorf("%d blocks are kept", len(w.history.blocks))
	}
	w.apply(t0+6*Second, signed(&Disable{bob}, seq1))
	point(t0 + 2*Second) // alice; bob holds nobody back
	w.apply(t0+7*Second, Request{Body: &TopologyChange{[]byte("-PAR::alice")}})
	w.apply(t0+8*Second, signed(&Acknowledgement{seq1, t0 + 8*Second}, seq1))
	point(t0 + 8*Second) // neither does one that is gone
}

// A block that does not follow is refused and changes nothing.
func TestBrokenOrderIsRefused(t *testing.T) {
	w := newWorld(t, everybody())
	w.apply(t0, signed(send(alice, "m", t0+Minute, to(bob), "x"), alice))
	before := w.machine.Digest()
	for name, b := range map[string]*UnverifiedBlock{
		"again":     Parse(testNetwork, block(1, t0)),
		"gap":       Parse(testNetwork, block(3, t0+1)),
		"same time": Parse(testNetwork, block(2, t0)),
	} {
		if _, err := w.machine.Apply(b.Verify(testVerifier)); !errors.Is(err, ErrBrokenOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.machine.Digest() != before {
		t.Error("the state changed")
	}
}
