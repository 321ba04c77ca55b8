package client

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/client/clienttest"
	"github.com/synod-network/synod/sequencer/sequencing"
)

func TestVerifyBatch(t *testing.T) {
	net := clienttest.New(0, alice, bob)
	soon := sequencing.Time(time.Now().Add(time.Minute).UnixMicro())
	send := func(sender sequencing.MemberID, rule *sequencing.Aggregation) {
		net.Submit(sequencing.Submission{Sender: sender, Message: "m", MaxTime: soon, Aggregation: rule,
			Sets:      []sequencing.RecipientSet{To(alice), To(bob)},
			Envelopes: []sequencing.Envelope{{Set: 0, Payload: []byte("for alice")}, {Set: 1, Payload: []byte("for bob")}}})
		net.Order()
	}
	received := func() *sequencing.Delivery {
		events, _ := net.Events(alice)
		return &events[len(events)-1]
	}
	send(bob, nil)
	plain := received()
	both := &sequencing.Aggregation{Threshold: 2, Eligible: []sequencing.MemberID{alice, bob}}
	send(alice, both)
	receipt := received()
	net.Submit(sequencing.Submission{Sender: bob, Message: "n", MaxTime: soon, Aggregation: both,
		Sets:      []sequencing.RecipientSet{To(alice), To(bob)},
		Envelopes: []sequencing.Envelope{{Set: 0, Payload: []byte("for alice")}, {Set: 1, Payload: []byte("for bob")}}})
	net.Order()
	aggregated := received()

	b, err := VerifyBatch(net.ID, plain, net)
	if err != nil || len(b.Senders) != 1 || b.Senders[0] != bob || b.Of != 2 || len(b.Envelopes) != 1 || string(b.Envelopes[0].Payload) != "for alice" {
		t.Errorf("%+v, %v", b, err)
	}
	if b, err := VerifyBatch(net.ID, aggregated, net); err != nil || len(b.Senders) != 2 {
		t.Errorf("%+v, %v", b, err)
	}
	for _, c := range []struct {
		name   string
		from   *sequencing.Delivery
		change func(d *sequencing.Delivery)
		want   string
	}{
		{"receipt", receipt, func(*sequencing.Delivery) {}, "no envelopes"},
		{"payload", plain, func(d *sequencing.Delivery) { d.Envelopes[0].Payload = []byte("for bob!!") }, "an envelope is not one of the batch"},
		{"recipients", plain, func(d *sequencing.Delivery) { d.Envelopes[0].Recipients = To(bob) }, "an envelope is not one of the batch"},
		{"set of recipients", plain, func(d *sequencing.Delivery) { d.Envelopes[0].Set, d.Envelopes[0].Recipients = To(bob).Digest(), nil }, "an envelope is not one of the batch"},
		{"max time", plain, func(d *sequencing.Delivery) { d.Proof.MaxTime++ }, "the signature of PAR::bob does not fit"},
		{"message id", plain, func(d *sequencing.Delivery) { d.Signers[0].Message = "x" }, "the signature of PAR::bob does not fit"},
		{"cost", plain, func(d *sequencing.Delivery) { d.Signers[0].Cost++ }, "the signature of PAR::bob does not fit"},
		{"sender", plain, func(d *sequencing.Delivery) { d.Signers[0].Sender = alice }, "is not one of PAR::alice then"},
		{"nobody", plain, func(d *sequencing.Delivery) { d.Signers = nil }, "0 signed, 1 are needed"},
		{"one of two", aggregated, func(d *sequencing.Delivery) { d.Signers = d.Signers[:1] }, "1 signed, 2 are needed"},
		{"one twice", aggregated, func(d *sequencing.Delivery) { d.Signers[1] = d.Signers[0] }, "PAR::alice signed twice"},
		{"not eligible", aggregated, func(d *sequencing.Delivery) {
			d.Proof.Aggregation = &sequencing.Aggregation{Threshold: 2, Eligible: []sequencing.MemberID{bob, "PAR::x"}}
		}, "PAR::alice is not among the eligible"},
	} {
		changed, err := sequencing.DecodeDelivery(c.from.Encode()) // a copy
		if err != nil {
			t.Fatal(err)
		}
		c.change(changed)
		if _, err := VerifyBatch(net.ID, changed, net); !errors.Is(err, ErrNotSigned) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want …%s…", c.name, err, c.want)
		}
	}
	if _, err := VerifyBatch(sequencing.NetworkID{9}, plain, net); !errors.Is(err, ErrNotSigned) {
		t.Errorf("of another network: %v", err)
	}
}
