package sequencing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// A state that was restored makes of everything that can come what the one makes from which it was taken: with half of an aggregation in flight,
// message ids that are taken, traffic in fractions, a purchase, one shut out and one gone.
func TestARestoredStateGoesOn(t *testing.T) {
	topology := everybody()
	topology.rules.Traffic.Refill = 7 * Second // 4000 bytes do not divide by it
	w := newWorld(t, topology)
	part := func(sender MemberID, message MessageID, content string) Request {
		s := send(sender, message, t0+Minute, to(bob, seq1), content)
		s.Aggregation = &Aggregation{Threshold: 3, Eligible: []MemberID{med1, med2, alice, bob}}
		slices.Sort(s.Aggregation.Eligible)
		return signed(s, sender)
	}
	ordinary := send(alice, "m", t0+Minute, to(bob), "x")
	w.apply(t0, signed(ordinary, alice), part(med1, "one", "verdict"), part(med2, "two", "verdict"), part(bob, "three", "other"))
	w.apply(t0+Millisecond, signed(&TrafficPurchase{alice, 5, 100_000}, seq1, seq2), signed(&Acknowledgement{bob, t0}, bob), signed(&Disable{carol}, seq1, seq2))
	w.apply(t0+Second, signed(send(alice, "n", t0+3*Second, to(bob), strings.Repeat("x", 3000)), alice)) // to draw on what was purchased, and to expire soon
	other := copyOf(t, w.machine)

	again := send(alice, "m", t0+Minute, to(bob), "something else")
	for i, tc := range []struct {
		request Request
		code    Code
	}{
		{signed(ordinary, alice), Replayed},
		{signed(again, alice), DuplicateMessage},
		{signed(again, alice), Replayed}, // as what was refused
		{part(med1, "four", "verdict"), AlreadyContributed},
		{part(alice, "five", "verdict"), 0}, // the third one
		{part(bob, "six", "verdict"), AlreadySent},
		{part(bob, "seven", "other"), AlreadyContributed},
		{part(med1, "eight", "other"), 0},
		{part(alice, "nine", "other"), 0},
		{signed(&TrafficPurchase{alice, 5, 200_000}, seq1, seq2), StaleSerial},
		{signed(&TrafficPurchase{alice, 6, 300_000}, seq1, seq2), 0},
		{signed(&Acknowledgement{bob, t0}, bob), StaleAcknowledgment},
		{signed(&Acknowledgement{bob, t0 + 1}, bob), 0},
		{signed(send(bob, "ten", t0+Minute, to(carol), "x"), bob), UnknownRecipient},
		{signed(send(carol, "eleven", t0+Minute, to(bob), "x"), carol), Disabled},
		{signed(send(alice, "n", t0+20*Second, to(bob), "its message id is free again"), alice), 0},
		{signed(send(alice, "twelve", t0+Minute, to(bob), strings.Repeat("x", 3900)), alice), 0},
	} {
		b := block(w.machine.Height()+1, t0+Time(i+4)*Second/3, tc.request.Encode())
		want, err := w.machine.Apply(Parse(testNetwork, b).Verify(testVerifier))
		if err != nil {
			t.Fatal(err)
		}
		got, err := other.Apply(Parse(testNetwork, b).Verify(testVerifier))
		if err != nil {
			t.Fatal(err)
		}
		if a, b := outcomes(w.machine, want), outcomes(other, got); a != b || w.machine.Digest() != other.Digest() {
			t.Errorf("request %d:\n got %s\nwant %s", i, b, a)
		}
		if code, _ := outcome(want); code != tc.code {
			t.Errorf("request %d: the story has %v, want %v", i, code, tc.code)
		}
	}
}

// outcomes says what a block came to: kinds, refusals, charges, signers and events, and what each member is left with.
func outcomes(m *Machine, out *Output) string {
	var b strings.Builder
	for _, d := range out.Dropped {
		fmt.Fprintf(&b, "dropped at %d: %v; ", d.Time, d.Code)
	}
	for _, r := range out.Records {
		fmt.Fprintf(&b, "%d of kind %d by %d for %d: %v, signed by", r.Time, r.Kind, r.Sender, r.Cost, r.Refusal.Code)
		for _, s := range r.Signers {
			fmt.Fprintf(&b, " %s as %s for %d with %x %x", s.Sender, s.Message, s.Cost, s.Key[:4], s.Signature[:4])
		}
		fmt.Fprintf(&b, ", events %v; ", r.Events)
	}
	for member := range m.Members {
		fmt.Fprintf(&b, "%+v; ", member)
	}
	fmt.Fprintf(&b, "pruning point %d", m.PruningPoint())
	return b.String()
}

// What no sequencer tells in earnest is refused when it is read.
func TestEventsThatAreRefused(t *testing.T) {
	w := newWorld(t, everybody())
	part := func(sender MemberID, message MessageID) Request {
		s := send(sender, message, t0+Minute, to(bob, carol), "hello")
		s.Sets, s.Envelopes = append(s.Sets, to(bob)), append(s.Envelopes, Envelope{Set: 1, Payload: []byte("secret")})
		s.Aggregation = &Aggregation{Threshold: 2, Eligible: []MemberID{alice, bob}}
		return signed(s, sender)
	}
	w.apply(t0, part(alice, "a"))
	w.apply(t0+Second, part(bob, "b"))
	delivered := func() *Delivery { d := w.read(bob)[0]; return &d }
	refused := func() *Delivery {
		return &Delivery{Time: t0, Kind: Refused, Receipt: true, Message: "m", Refusal: Refusal{Code: TooLarge}}
	}
	changed := func() *Delivery { return &Delivery{Time: t0, Kind: TopologyChanged, Topology: []byte("+PAR::x")} }
	for _, from := range []func() *Delivery{delivered, refused, changed} {
		encoded := from().Encode()
		if _, err := DecodeDelivery(encoded); err != nil {
			t.Fatal(err)
		}
		for n := range encoded {
			if _, err := DecodeDelivery(encoded[:n]); err == nil {
				t.Errorf("kind %d: the first %d of %d bytes pass for it", from().Kind, n, len(encoded))
			}
		}
		if _, err := DecodeDelivery(append(encoded, 0)); err == nil {
			t.Errorf("kind %d: a byte behind it passes", from().Kind)
		}
		encoded[0]++
		if _, err := DecodeDelivery(encoded); err == nil {
			t.Errorf("kind %d: another version passes", from().Kind)
		}
		if _, _, err := DeliveryTimes(encoded); err == nil {
			t.Errorf("kind %d: times of another version pass", from().Kind)
		}
	}
	for _, tc := range []struct {
		name   string
		from   func() *Delivery
		change func(d *Delivery)
	}{
		{"at the time of the one before", delivered, func(d *Delivery) { d.Previous = d.Time }},
		{"before the one before", delivered, func(d *Delivery) { d.Previous = d.Time + 1 }},
		{"of no kind", delivered, func(d *Delivery) { d.Kind = 5 }},
		{"contributed, with envelopes", delivered, func(d *Delivery) { d.Kind = Contributed }},
		{"refused, with envelopes", delivered, func(d *Delivery) { d.Kind, d.Refusal.Code = Refused, TooLarge }},
		{"refused for nothing", refused, func(d *Delivery) { d.Refusal.Code = 0 }},
		{"refused for what nobody is told", refused, func(d *Delivery) { d.Refusal.Code = Replayed }},
		{"refused for what is not known", refused, func(d *Delivery) { d.Refusal.Code = lastCode + 1 }},
		{"neither receipt nor envelope", refused, func(d *Delivery) { d.Receipt = false }},
		{"an envelope beyond the batch", delivered, func(d *Delivery) { d.Envelopes[1].Number = 2 }},
		{"an envelope twice", delivered, func(d *Delivery) { d.Envelopes[1].Number = 0 }},
		{"envelopes out of order", delivered, func(d *Delivery) { d.Envelopes[0].Number, d.Envelopes[1].Number = 1, 0 }},
		{"by nobody", delivered, func(d *Delivery) { d.Signers = nil }},
		{"more topology than there may be", changed, func(d *Delivery) { d.Topology = make([]byte, MaxTopology+1) }},
		{"a payload larger than there may be", delivered, func(d *Delivery) { d.Envelopes[0].Payload = make([]byte, MaxPayload+1) }},
	} {
		d := tc.from()
		tc.change(d)
		if _, err := DecodeDelivery(d.Encode()); err == nil {
			t.Errorf("%s: accepted", tc.name)
		}
		if _, _, err := DeliveryTimes(d.Encode()); (err != nil) != (d.Previous >= d.Time) {
			t.Errorf("%s: times %v", tc.name, err)
		}
	}
}
