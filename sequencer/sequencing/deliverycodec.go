package sequencing

import "fmt"

// deliveryVersion is the first byte of each encoded delivery.
const deliveryVersion = 1

// Flags of an encoded delivery.
const (
	flagReceipt   = 1 << iota // message id and cost follow
	flagEnvelopes             // envelopes, proof and signers follow
)

// Encode returns the canonical encoding, which [DecodeDelivery] reads: what a
// sequencer sends to a member, and what members compare.
func (d *Delivery) Encode() []byte {
	w := writer{buf: make([]byte, 0, 512+d.Size())}
	w.u8(deliveryVersion)
	w.u8(uint8(d.Kind))
	w.time(d.Time)
	w.time(d.Previous)
	if d.Kind == TopologyChanged {
		w.u32(uint32(len(d.Topology)))
		w.bytes(d.Topology)
		return w.buf
	}
	flags := uint8(0)
	if d.Receipt {
		flags |= flagReceipt
	}
	if len(d.Envelopes) > 0 {
		flags |= flagEnvelopes
	}
	w.u8(flags)
	if d.Receipt {
		w.text(string(d.Message))
		w.u64(d.Cost)
	}
	if d.Kind == Refused {
		w.u8(uint8(d.Refusal.Code))
		w.text(d.Refusal.Detail)
	}
	if len(d.Envelopes) > 0 {
		d.encodeEnvelopes(&w)
	}
	return w.buf
}

func (d *Delivery) encodeEnvelopes(w *writer) {
	w.time(d.Proof.MaxTime)
	w.time(d.Proof.TopologyTime)
	d.Proof.Aggregation.encode(w)
	w.count(len(d.Proof.Envelopes))
	for _, digest := range d.Proof.Envelopes {
		w.bytes(digest[:])
	}
	w.count(len(d.Envelopes))
	for _, e := range d.Envelopes {
		w.count(e.Number)
		e.Recipients.encode(w)
		w.u32(uint32(len(e.Payload)))
		w.bytes(e.Payload)
	}
	w.count(len(d.Signers))
	for _, s := range d.Signers {
		w.text(string(s.Sender))
		w.text(string(s.Message))
		w.u64(s.Cost)
		w.bytes(s.Key[:])
		w.bytes(s.Signature[:])
	}
}

// DecodeDelivery reads one delivery, which may come from anybody; its signatures
// are not checked. It keeps windows onto data.
func DecodeDelivery(data []byte) (*Delivery, error) {
	r := reader{buf: data}
	d := decodeDelivery(&r)
	if err := r.done(); err != nil {
		return nil, fmt.Errorf("decode event of %d bytes: %w", len(data), err)
	}
	return d, nil
}

// DeliveryTimes reads the time and the previous time of an encoded delivery and nothing behind them, for whoever compares
// many before it decodes one.
func DeliveryTimes(data []byte) (at, previous Time, err error) {
	r := reader{buf: data}
	version := r.u8()
	r.u8() // kind
	at, previous = r.time(), r.time()
	if version != deliveryVersion {
		r.fail(errKind)
	}
	if previous >= at {
		r.fail(errRange)
	}
	if r.err != nil {
		return 0, 0, fmt.Errorf("decode event of %d bytes: %w", len(data), r.err)
	}
	return at, previous, nil
}

func decodeDelivery(r *reader) *Delivery {
	if r.u8() != deliveryVersion {
		r.fail(errKind)
	}
	d := &Delivery{Kind: RecordKind(r.u8()), Time: r.time(), Previous: r.time()}
	if d.Previous >= d.Time {
		r.fail(errRange)
	}
	if d.Kind == TopologyChanged {
		size := r.u32()
		if size > MaxTopology {
			r.fail(errLimit)
		}
		d.Topology = r.take(int(size))
		return d
	}
	flags := r.u8()
	envelopes := flags&flagEnvelopes != 0
	d.Receipt = flags&flagReceipt != 0
	switch {
	case flags > flagReceipt|flagEnvelopes, flags == 0:
		r.fail(errRange)
	case d.Kind != Delivered && (d.Kind != Contributed && d.Kind != Refused || envelopes):
		r.fail(errKind)
	}
	if d.Receipt {
		d.Message, d.Cost = MessageID(r.text(MaxMessageID)), r.u64()
	}
	if d.Kind == Refused {
		d.Refusal.Code = Code(r.u8())
		d.Refusal.Detail = string(r.take(int(r.u8())))
		if c := d.Refusal.Code; !c.Delivered() || c > lastCode {
			r.fail(errRange)
		}
	}
	if envelopes && r.err == nil {
		d.decodeEnvelopes(r)
	}
	return d
}

func (d *Delivery) decodeEnvelopes(r *reader) {
	d.Proof = Proof{MaxTime: r.time(), TopologyTime: r.time(), Aggregation: decodeAggregation(r)}
	d.Proof.Envelopes = make([]Digest, r.count(1, MaxEnvelopes, len(Digest{})))
	for i := range d.Proof.Envelopes {
		d.Proof.Envelopes[i] = r.digest()
	}
	d.Envelopes = make([]Received, r.count(1, len(d.Proof.Envelopes), 2+3+4))
	named := 0
	for i := range d.Envelopes {
		e := &d.Envelopes[i]
		e.Number, e.Recipients = int(r.u16()), decodeSet(r)
		if named += len(e.Recipients); named > MaxNamed {
			r.fail(errLimit)
		}
		if e.Number >= len(d.Proof.Envelopes) || i > 0 && e.Number <= d.Envelopes[i-1].Number {
			r.fail(errOrder)
		}
		size := r.u32()
		if size > MaxPayload {
			r.fail(errLimit)
		}
		if e.Payload = r.take(int(size)); r.err != nil {
			return
		}
	}
	d.Signers = make([]Signer, r.count(1, MaxEligible, 1+1+8+len(Key{})+len(Signature{})))
	for i := range d.Signers {
		d.Signers[i] = Signer{Sender: MemberID(r.text(MaxMemberID)), Message: MessageID(r.text(MaxMessageID)), Cost: r.u64(), Key: r.key(), Signature: r.signature()}
	}
}
