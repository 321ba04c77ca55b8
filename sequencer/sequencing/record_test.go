package sequencing

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"
)

// someRecords are records of every kind.
func someRecords(t testing.TB) []Record {
	topology := newTopology(append(longNames(9), everybody().names...)...)
	topology.rules.MaxRecipients = 100
	w := newWorld(t, topology)
	rule := &Aggregation{Threshold: 2, Eligible: []MemberID{med1, med2}}
	part := func(by MemberID) Request {
		s := send(by, "verdict", t0+Minute, to(alice, bob), "approved")
		s.Aggregation = rule
		return signed(s, by)
	}
	many := send(alice, "many", t0+Minute, nil, "to many")
	many.Sets, many.Envelopes = []RecipientSet{to(bob), to(longNames(9)...), to(carol)}, append(many.Envelopes, Envelope{Set: 1, Payload: []byte("x")}, Envelope{Set: 2})
	two := send(alice, "two", t0+Minute, to(bob, carol), "first")
	two.Sets, two.Envelopes = append(two.Sets, RecipientSet{{Kind: ToMediatorGroup, Group: 1}}), append(two.Envelopes, Envelope{Set: 1, Payload: []byte("second")}, Envelope{Set: 0})
	out := w.apply(t0, signed(two, alice), signed(send(alice, "two", t0+Minute, to(bob), "again"), alice), signed(many, alice),
		part(med1), part(med2), Request{Body: &TopologyChange{[]byte("+PAR::dora")}},
		signed(&Submission{Sender: bob, Message: "empty", MaxTime: t0 + Minute, Cost: 1 << 20}, bob))
	for _, want := range []RecordKind{Delivered, Contributed, Refused, TopologyChanged} {
		if !slices.ContainsFunc(out.Records, func(r Record) bool { return r.Kind == want }) {
			t.Fatalf("no record of kind %d, dropped: %v", want, out.Dropped)
		}
	}
	return out.Records
}

// A record comes back as it was, from its whole encoding and from its head.
func TestRecordsComeBackAsTheyWere(t *testing.T) {
	for _, r := range someRecords(t) {
		data, head := AppendRecord([]byte("before"), &r)
		data = data[len("before"):]
		got, err := DecodeRecord(data, head)
		if err != nil {
			t.Fatal(err)
		}
		if again, h := AppendRecord(nil, got); h != head || !bytes.Equal(again, data) || !slices.Equal(got.Events, r.Events) {
			t.Errorf("record at %d changed: events %v, want %v", r.Time, got.Events, r.Events)
		}
		stored, err := DecodeHead(data[:head])
		if err != nil {
			t.Fatal(err)
		}
		for member := range Index(8) {
			if !slices.ContainsFunc(r.Events, func(e Event) bool { return e.Member == member }) {
				continue
			}
			d, err := stored.Deliver(member, func(at, size int) ([]byte, error) { return data[head+at : head+at+size], nil })
			if want := r.Deliver(member); err != nil || !reflect.DeepEqual(normal(d), normal(want)) {
				t.Errorf("member %d at %d, %v\n got %+v\nwant %+v", member, r.Time, err, d, want)
			}
			if len(d.Envelopes) > 0 && genuine(d) != nil {
				t.Error(genuine(d))
			}
		}
	}
}

// normal gives empty payloads one form.
func normal(d Delivery) Delivery {
	d.Envelopes = slices.Clone(d.Envelopes)
	for i := range d.Envelopes {
		d.Envelopes[i].Payload = append([]byte{}, d.Envelopes[i].Payload...)
	}
	return d
}

// A payload that changed on the disk is neither decoded nor delivered.
func TestAChangedPayloadIsNoticed(t *testing.T) {
	for _, r := range someRecords(t) {
		data, head := AppendRecord(nil, &r)
		if r.Kind == Refused || r.Kind == Contributed || head == len(data) {
			continue
		}
		data[head] ^= 1
		if _, err := DecodeRecord(data, head); !errors.Is(err, ErrPayload) {
			t.Errorf("decoded: %v", err)
		}
		stored, err := DecodeHead(data[:head])
		if err != nil {
			t.Fatal(err)
		}
		member := r.Sets[0][0]
		if _, err := stored.Deliver(member, func(at, size int) ([]byte, error) { return data[head+at : head+at+size], nil }); !errors.Is(err, ErrPayload) {
			t.Errorf("delivered: %v", err)
		}
	}
}

// FuzzDecodeRecord: whatever decodes is encoded to the same bytes, and nothing
// else than an error comes of the rest.
func FuzzDecodeRecord(f *testing.F) {
	for _, r := range someRecords(f) {
		data, head := AppendRecord(nil, &r)
		f.Add(data, head)
	}
	f.Add([]byte{1, 2}, 2)
	f.Fuzz(func(t *testing.T, data []byte, head int) {
		if head >= 0 && head <= len(data) {
			if s, err := DecodeHead(data[:head]); err == nil {
				_, _ = s.Deliver(0, func(int, int) ([]byte, error) { return nil, nil })
			}
		}
		r, err := DecodeRecord(data, head)
		if err != nil {
			return
		}
		if again, h := AppendRecord(nil, r); h != head || !bytes.Equal(again, data) {
			t.Errorf("decodes to %+v, which encodes differently", r)
		}
	})
}
