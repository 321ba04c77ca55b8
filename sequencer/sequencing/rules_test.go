package sequencing

import (
	"errors"
	"strings"
	"testing"
)

const (
	alice MemberID = "PAR::alice"
	bob   MemberID = "PAR::bob"
	carol MemberID = "PAR::carol"
	med1  MemberID = "MED1::one"
	med2  MemberID = "MED1::two"
	seq1  MemberID = "SEQ::one"
	seq2  MemberID = "SEQ::two"
	seq3  MemberID = "SEQ::three"
	t0             = 1000 * Second
)

func everybody() *testTopology { return newTopology(alice, bob, carol, med1, med2, seq1, seq2, seq3) }

// outcome is the code that the last request of a block met, 0 for none, and
// whether its sender was told.
func outcome(out *Output) (code Code, told bool) {
	if n := len(out.Dropped); n > 0 && out.Dropped[n-1].Time == out.Time {
		return out.Dropped[n-1].Code, false
	}
	if n := len(out.Records); n > 0 && out.Records[n-1].Time == out.Time {
		return out.Records[n-1].Refusal.Code, out.Records[n-1].Kind == Refused
	}
	return 0, false
}

// Each rule, and its code: the requests before the last set the stage at t0.
func TestEveryRuleHasItsCode(t *testing.T) {
	ok := func() *Submission { return send(alice, "m", t0+Minute, to(bob), "hello") }
	with := func(change func(*Submission)) Request {
		s := ok()
		change(s)
		return signed(s, s.Sender)
	}
	rule := func(threshold int, ids ...MemberID) *Aggregation {
		return &Aggregation{Threshold: threshold, Eligible: ids}
	}
	forged := signed(ok(), alice)
	forged.Signatures[0].Signature[0] ^= 1
	poor := func(t *testTopology) { t.rules.Traffic.Base = 106 } // an event and not quite six bytes to one recipient
	dear := func(base uint64) func(*testTopology) {              // an event, and two envelopes to one recipient each: 120
		return func(t *testTopology) {
			t.rules.Traffic.Base, t.rules.Traffic.Envelope, t.rules.Traffic.Recipient = base, 7, 3
		}
	}
	empty := func() Request { return with(func(s *Submission) { s.Envelopes = []Envelope{{}, {}} }) }
	for _, tc := range []struct {
		name   string
		rules  func(*testTopology)
		before []Request
		last   Request
		code   Code
	}{
		{name: "accepted", last: signed(ok(), alice)},
		{name: "not to be decoded", last: Request{Body: &Submission{Sender: alice, Message: "m", Sets: []RecipientSet{to(bob)}}, Signatures: forged.Signatures}, code: Malformed},
		{name: "forged", last: forged, code: BadSignature},
		{name: "forged acknowledgement", last: Request{Body: &Acknowledgement{alice, 1}, Signatures: forged.Signatures}, code: BadSignature},
		{name: "stranger", last: with(func(s *Submission) { s.Sender = "PAR::eve" }), code: UnknownMember},
		{name: "gone", before: []Request{{Body: &TopologyChange{[]byte("-PAR::alice")}}}, last: signed(ok(), alice), code: UnknownMember},
		{name: "another's key", last: signed(ok(), bob), code: UnknownKey},
		{name: "shut out", before: []Request{signed(&Disable{alice}, seq1, seq2)}, last: signed(ok(), alice), code: Disabled},
		{name: "just in time", last: with(func(s *Submission) { s.MaxTime = t0 })},
		{name: "too late", last: with(func(s *Submission) { s.MaxTime = t0 - 1 }), code: Expired},
		{name: "as far as can be", last: with(func(s *Submission) { s.MaxTime = t0 + 2*Minute })},
		{name: "too far", last: with(func(s *Submission) { s.MaxTime = t0 + 2*Minute + 1 }), code: TooFarAhead},
		{name: "repeated", before: []Request{signed(ok(), alice)}, last: signed(ok(), alice), code: Replayed},
		{name: "other content", before: []Request{signed(ok(), alice)}, last: with(func(s *Submission) { s.Cost-- }), code: DuplicateMessage},
		{name: "other sender", before: []Request{signed(ok(), alice)}, last: with(func(s *Submission) { s.Sender = bob })},
		{name: "duplicate repeated", before: []Request{signed(ok(), alice), with(func(s *Submission) { s.Cost-- })},
			last: with(func(s *Submission) { s.Cost-- }), code: Replayed},
		{name: "many in flight", rules: func(t *testTopology) { t.rules.MaxInFlight = 1 }, before: []Request{signed(ok(), alice)},
			last: with(func(s *Submission) { s.Message = "n" }), code: TooManyInFlight},
		{name: "as large as can be", rules: func(t *testTopology) { t.rules.MaxBytes = 5 }, last: signed(ok(), alice)},
		{name: "too large", rules: func(t *testTopology) { t.rules.MaxBytes = 4 }, last: signed(ok(), alice), code: TooLarge},
		{name: "topology ahead", last: with(func(s *Submission) { s.TopologyTime = t0 + 1 }), code: TopologyTimeAhead},
		{name: "topology old enough", last: with(func(s *Submission) { s.TopologyTime = t0 - 30*Second })},
		{name: "topology too old", last: with(func(s *Submission) { s.TopologyTime = t0 - 30*Second - 1 }), code: TopologyTimeTooOld},
		{name: "to nobody known", last: with(func(s *Submission) { s.Sets[0] = to(bob, "PAR::eve") }), code: UnknownRecipient},
		{name: "to one shut out", before: []Request{signed(&Disable{bob}, seq1, seq3)}, last: signed(ok(), alice), code: UnknownRecipient},
		{name: "to an empty group", last: with(func(s *Submission) { s.Sets[0] = RecipientSet{{Kind: ToMediatorGroup, Group: 7}} }), code: UnknownRecipient},
		{name: "to a group", last: with(func(s *Submission) { s.Sets[0] = RecipientSet{{Kind: ToMediatorGroup, Group: 1}} })},
		{name: "to too many", rules: func(t *testTopology) { t.rules.MaxRecipients = 7 }, last: with(func(s *Submission) { s.Sets[0] = RecipientSet{{Kind: ToAll}} }), code: TooManyRecipients},
		{name: "to as many as can be", rules: func(t *testTopology) { t.rules.MaxRecipients = 8 }, last: with(func(s *Submission) { s.Sets[0] = RecipientSet{{Kind: ToAll}} })},
		{name: "to too many in two sets", rules: func(t *testTopology) { t.rules.MaxRecipients = 2 }, last: with(func(s *Submission) {
			s.Sets, s.Envelopes = []RecipientSet{to(alice, bob), to(carol)}, []Envelope{{}, {Set: 1}}
		}), code: TooManyRecipients},
		{name: "not eligible", last: with(func(s *Submission) { s.Aggregation = rule(1, bob) }), code: NotEligible},
		{name: "amplified", before: []Request{with(func(s *Submission) { s.Aggregation = rule(1, alice) })},
			last: with(func(s *Submission) { s.Message, s.Aggregation = "n", rule(1, alice) }), code: AlreadySent},
		{name: "other rule, other aggregation", before: []Request{with(func(s *Submission) { s.Aggregation = rule(1, alice) })},
			last: with(func(s *Submission) { s.Message, s.Aggregation = "n", rule(1, alice, bob) })},
		{name: "twice", before: []Request{with(func(s *Submission) { s.Aggregation = rule(2, alice, bob) })},
			last: with(func(s *Submission) { s.Message, s.Aggregation = "n", rule(2, alice, bob) }), code: AlreadyContributed},
		{name: "after the threshold", before: []Request{
			with(func(s *Submission) { s.Aggregation = rule(2, alice, bob, carol) }),
			with(func(s *Submission) { s.Sender, s.Aggregation = carol, rule(2, alice, bob, carol) })},
			last: with(func(s *Submission) { s.Sender, s.Aggregation = bob, rule(2, alice, bob, carol) }), code: AlreadySent},
		{name: "exact cost", last: with(func(s *Submission) { s.Cost = 105 })},
		{name: "claims too little", last: with(func(s *Submission) { s.Cost = 104 }), code: CostTooLow},
		{name: "just affordable", rules: func(t *testTopology) { t.rules.Traffic.Base = 105 }, last: signed(ok(), alice)},
		{name: "not affordable", rules: poor, last: with(func(s *Submission) { s.Envelopes[0].Payload = make([]byte, 7) }), code: TrafficExhausted},
		{name: "not even a refusal", rules: poor, before: []Request{signed(ok(), alice)}, last: with(func(s *Submission) { s.Message = "n" }), code: CannotPay},
		{name: "a refusal and no more", rules: func(t *testTopology) { t.rules.Traffic.Base = 100 }, last: signed(ok(), alice), code: TrafficExhausted},
		{name: "less than a refusal", rules: func(t *testTopology) { t.rules.Traffic.Base = 99 }, last: signed(ok(), alice), code: CannotPay},
		{name: "sequencers pay nothing", rules: poor, last: with(func(s *Submission) {
			s.Sender, s.Cost, s.Envelopes[0].Payload = seq1, 0, make([]byte, 1000)
		})},
		{name: "an empty batch is not free", rules: func(t *testTopology) { t.rules.Traffic.Base = 99 }, last: with(func(s *Submission) { s.Envelopes, s.Sets = nil, nil }), code: CannotPay},
		{name: "just affordable, empty", rules: dear(120), last: empty()},
		{name: "empty envelopes are not free", rules: dear(119), last: empty(), code: TrafficExhausted},
		{name: "nor are they to claim nothing for", rules: dear(1000), last: with(func(s *Submission) {
			s.Envelopes, s.Cost = []Envelope{{}, {}}, 119
		}), code: CostTooLow},
		{name: "a price is bounded", rules: func(t *testTopology) { dear(1 << 30)(t); t.rules.Traffic.Envelope = 1 << 60 }, last: with(func(s *Submission) { s.Envelopes, s.Cost = []Envelope{{}, {}}, 100+2<<20+6 })},
		{name: "no metering", rules: func(t *testTopology) { t.rules.Traffic = TrafficRules{} }, last: with(func(s *Submission) { s.Cost = 0 })},
		{name: "acknowledged", before: []Request{signed(ok(), alice)}, last: signed(&Acknowledgement{alice, t0}, alice)},
		{name: "acknowledged ahead", last: signed(&Acknowledgement{alice, t0 + 1}, alice), code: StaleAcknowledgment},
		{name: "acknowledged again", before: []Request{signed(&Acknowledgement{alice, t0 - 1}, alice)},
			last: signed(&Acknowledgement{alice, t0 - 1}, alice), code: StaleAcknowledgment},
		{name: "acknowledged for another", last: signed(&Acknowledgement{alice, t0}, bob), code: UnknownKey},
		{name: "acknowledged when shut out", before: []Request{signed(&Disable{alice}, seq1, seq2)}, last: signed(&Acknowledgement{alice, t0}, alice), code: Disabled},
		{name: "bought", last: signed(&TrafficPurchase{alice, 1, 500}, seq1, seq2)},
		{name: "bought again", before: []Request{signed(&TrafficPurchase{alice, 2, 500}, seq1, seq2)}, last: signed(&TrafficPurchase{alice, 2, 900}, seq1, seq2), code: StaleSerial},
		{name: "bought by one alone", last: signed(&TrafficPurchase{alice, 1, 500}, seq1), code: NotAuthorised},
		{name: "bought by nobody who decides", rules: func(t *testTopology) { t.lax = true }, last: signed(&TrafficPurchase{alice, 1, 500}, alice), code: NotAuthorised},
		{name: "bought by others", last: signed(&TrafficPurchase{alice, 1, 500}, alice, bob, carol), code: NotAuthorised},
		{name: "bought for a stranger", last: signed(&TrafficPurchase{"PAR::eve", 1, 500}, seq1, seq2), code: UnknownMember},
		{name: "shut out by too few", last: signed(&Disable{alice}, seq2, alice), code: NotAuthorised},
		{name: "topology refused", last: Request{Body: &TopologyChange{[]byte("?")}}, code: TopologyRefused},
		{name: "topology changed", last: Request{Body: &TopologyChange{[]byte("+PAR::dora")}}},
		{name: "tick", last: Request{Body: Tick{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			topology := everybody()
			if tc.rules != nil {
				tc.rules(topology)
			}
			w := newWorld(t, topology)
			if n := len(tc.before); n > 0 {
				for i, r := range tc.before {
					if code, _ := outcome(w.apply(t0-Time(n-i), r)); code != 0 && !strings.Contains(tc.name, "repeated") && !strings.Contains(tc.name, "again") {
						t.Fatalf("request %d that sets the stage met %v", i, code)
					}
				}
			}
			if s, ok := tc.last.Body.(*Submission); ok && tc.code != Malformed && tc.code != BadSignature {
				_, err := w.machine.Check(s, tc.last.Signatures[0].Key, t0)
				var refusal Refusal
				if errors.As(err, &refusal); refusal.Code != tc.code {
					t.Errorf("the check before ordering says %v, want %v", refusal.Code, tc.code)
				}
			}
			code, told := outcome(w.apply(t0, tc.last))
			if code != tc.code || told != tc.code.Delivered() {
				t.Errorf("code %v, told %v; want %v, %v", code, told, tc.code, tc.code.Delivered())
			}
		})
	}
}

// Among several signatures each is judged by itself, and each member counts once.
func TestForgedAndRepeatedSignaturesDoNotCount(t *testing.T) {
	for forged := range 3 {
		w := newWorld(t, everybody())
		r := signed(&TrafficPurchase{alice, 1, 500}, seq1, seq2)
		if forged < 2 {
			r.Signatures[forged].Signature[9]++
		}
		w.apply(t0, r)
		if traffic, _ := w.machine.TrafficAt(alice, t0); (traffic.Purchased == 500) != (forged == 2) {
			t.Errorf("signature %d of 2 is forged: %+v", forged, traffic)
		}
	}
	w := newWorld(t, &echoTopology{everybody()})
	if code, _ := outcome(w.apply(t0, signed(&Disable{alice}, seq1))); code != NotAuthorised {
		t.Errorf("one that is named twice decides alone: %v", code)
	}
}

// echoTopology names everybody who decides twice.
type echoTopology struct{ *testTopology }

func (e *echoTopology) Authority(at Time) Authority {
	a := e.testTopology.Authority(at)
	return Authority{Members: append(a.Members, a.Members...), Threshold: a.Threshold}
}

// Names and numbers of codes are kept for ever; each says a sentence.
func TestCodesAreComplete(t *testing.T) {
	names := map[string]bool{}
	for c := Code(1); c <= lastCode; c++ {
		if c > CannotPay && c < firstDelivered {
			continue
		}
		if strings.HasPrefix(c.String(), "code_") || c.Category() == "" || codes[c].sentence == "" || names[c.String()] {
			t.Errorf("code %d (%v) has no name of its own, no category or no sentence", c, c)
		}
		names[c.String()] = true
		if s := (Refusal{c, "x"}).Error(); strings.Contains(s, "%") {
			t.Errorf("%v: %s", c, s)
		}
	}
}
