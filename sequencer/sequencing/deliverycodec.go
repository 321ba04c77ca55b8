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
	w := newWriter(make([]byte, 0, 512+d.Size()))
	w.U8(deliveryVersion)
	w.U8(uint8(d.Kind))
	w.time(d.Time)
	w.time(d.Previous)
	if d.Kind == TopologyChanged {
		w.U32(uint32(len(d.Topology)))
		w.Bytes(d.Topology)
		return w.Buf
	}
	flags := uint8(0)
	if d.Receipt {
		flags |= flagReceipt
	}
	if len(d.Envelopes) > 0 {
		flags |= flagEnvelopes
	}
	w.U8(flags)
	if d.Receipt {
		w.text(string(d.Message))
		w.U64(d.Cost)
	}
	if d.Kind == Refused {
		w.U8(uint8(d.Refusal.Code))
		w.text(d.Refusal.Detail)
	}
	if len(d.Envelopes) > 0 {
		d.encodeEnvelopes(&w)
	}
	return w.Buf
}

func (d *Delivery) encodeEnvelopes(w *writer) {
	w.time(d.Proof.MaxTime)
	w.time(d.Proof.TopologyTime)
	d.Proof.Aggregation.encode(w)
	w.count(len(d.Proof.Envelopes))
	for _, digest := range d.Proof.Envelopes {
		w.Bytes(digest[:])
	}
	w.count(len(d.Envelopes))
	for _, e := range d.Envelopes {
		w.count(e.Number)
		e.Recipients.encode(w)
		w.U32(uint32(len(e.Payload)))
		w.Bytes(e.Payload)
	}
	w.count(len(d.Signers))
	for _, s := range d.Signers {
		w.text(string(s.Sender))
		w.text(string(s.Message))
		w.U64(s.Cost)
		w.Bytes(s.Key[:])
		w.Bytes(s.Signature[:])
	}
}

// DecodeDelivery reads one delivery, which may come from anybody; its signatures
// are not checked. It keeps windows onto data.
func DecodeDelivery(data []byte) (*Delivery, error) {
	r := newReader(data)
	d := decodeDelivery(&r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode event of %d bytes: %w", len(data), err)
	}
	return d, nil
}

// DeliveryTimes reads the time and the previous time of an encoded delivery and nothing behind them, for whoever compares
// many before it decodes one.
func DeliveryTimes(data []byte) (at, previous Time, err error) {
	r := newReader(data)
	version := r.U8()
	r.U8() // kind
	at, previous = r.time(), r.time()
	if version != deliveryVersion {
		r.Fail(errKind)
	}
	if previous >= at {
		r.Fail(errRange)
	}
	if r.Err != nil {
		return 0, 0, fmt.Errorf("decode event of %d bytes: %w", len(data), r.Err)
	}
	return at, previous, nil
}

func decodeDelivery(r *reader) *Delivery {
	if r.U8() != deliveryVersion {
		r.Fail(errKind)
	}
	d := &Delivery{Kind: RecordKind(r.U8()), Time: r.time(), Previous: r.time()}
	if d.Previous >= d.Time {
		r.Fail(errRange)
	}
	if d.Kind == TopologyChanged {
		size := r.U32()
		if size > MaxTopology {
			r.Fail(errLimit)
		}
		d.Topology = r.Take(int(size))
		return d
	}
	flags := r.U8()
	envelopes := flags&flagEnvelopes != 0
	d.Receipt = flags&flagReceipt != 0
	switch {
	case flags > flagReceipt|flagEnvelopes, flags == 0:
		r.Fail(errRange)
	case d.Kind != Delivered && (d.Kind != Contributed && d.Kind != Refused || envelopes):
		r.Fail(errKind)
	}
	if d.Receipt {
		d.Message, d.Cost = MessageID(r.text(MaxMessageID)), r.U64()
	}
	if d.Kind == Refused {
		d.Refusal.Code = Code(r.U8())
		d.Refusal.Detail = string(r.Take(int(r.U8())))
		if c := d.Refusal.Code; !c.Delivered() || c > lastCode {
			r.Fail(errRange)
		}
	}
	if envelopes && r.Err == nil {
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
		e.Number, e.Recipients = int(r.U16()), decodeSet(r)
		if named += len(e.Recipients); named > MaxNamed {
			r.Fail(errLimit)
		}
		if e.Number >= len(d.Proof.Envelopes) || i > 0 && e.Number <= d.Envelopes[i-1].Number {
			r.Fail(errOrder)
		}
		size := r.U32()
		if size > MaxPayload {
			r.Fail(errLimit)
		}
		if e.Payload = r.Take(int(size)); r.Err != nil {
			return
		}
	}
	d.Signers = make([]Signer, r.count(1, MaxEligible, 1+1+8+len(Key{})+len(Signature{})))
	for i := range d.Signers {
		d.Signers[i] = Signer{Sender: MemberID(r.text(MaxMemberID)), Message: MessageID(r.text(MaxMessageID)), Cost: r.U64(), Key: r.key(), Signature: r.signature()}
	}
}
