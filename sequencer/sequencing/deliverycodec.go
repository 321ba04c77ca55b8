package sequencing

import "fmt"

// deliveryVersion is the first byte of each encoded delivery.
const deliveryVersion = 2

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
	places, sets := d.sets()
	w.count(len(sets))
	for _, i := range sets {
		d.Envelopes[i].Recipients.encodeShown(w, d.Envelopes[i].Set)
	}
	w.count(len(d.Envelopes))
	for i, e := range d.Envelopes {
		w.count(e.Number)
		w.count(places[i])
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

// sets returns, of each envelope, the place of its recipient set among those that differ, and of each of
// these the first envelope with it.
func (d *Delivery) sets() (places, sets []int) {
	places = make([]int, len(d.Envelopes))
	known := make(map[Digest]int, 1)
	for i, e := range d.Envelopes {
		place, has := known[e.Set]
		if !has {
			place = len(sets)
			known[e.Set], sets = place, append(sets, i)
		}
		places[i] = place
	}
	return places, sets
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
	sets := decodeReceivedSets(r, len(d.Proof.Envelopes))
	used := 0
	d.Envelopes = make([]Received, r.count(1, len(d.Proof.Envelopes), 2+2+4))
	for i := range d.Envelopes {
		e := &d.Envelopes[i]
		e.Number = int(r.U16())
		set := int(r.U16())
		if set > used || set >= len(sets) {
			r.Fail(errRange)
			return
		}
		used = max(used, set+1)
		e.Set, e.Recipients = sets[set].Set, sets[set].Recipients
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
	if used != len(sets) {
		r.Fail(errRange) // a set that no envelope uses
	}
	d.Signers = make([]Signer, r.count(1, MaxEligible, 1+1+8+len(Key{})+len(Signature{})))
	for i := range d.Signers {
		d.Signers[i] = Signer{Sender: MemberID(r.text(MaxMemberID)), Message: MessageID(r.text(MaxMessageID)), Cost: r.U64(), Key: r.key(), Signature: r.signature()}
	}
}

// decodeReceivedSets reads the recipient sets of envelopes, which all differ.
func decodeReceivedSets(r *reader, most int) []Received {
	sets := make([]Received, r.count(1, most, 3))
	h, known, named := newHasher(), make(map[Digest]struct{}, 1), 0
	for i := range sets {
		set, sealed := decodeShown(r, h)
		if named += len(set); named > MaxNamed {
			r.Fail(errLimit)
		}
		if _, repeated := known[sealed.digest]; repeated {
			r.Fail(errOrder)
		}
		if r.Err != nil {
			return nil
		}
		known[sealed.digest] = struct{}{}
		sets[i] = Received{Set: sealed.digest, Recipients: set}
	}
	return sets
}
