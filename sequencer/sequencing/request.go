package sequencing

import (
	"bytes"
	"fmt"
)

// The kinds of requests: the first byte of each.
const (
	kindSubmission  = 1
	kindAcknowledge = 2
	kindTopology    = 3
	kindPurchase    = 4
	kindDisable     = 5
	kindTick        = 6
)

// Body is the content of a request: one of [Submission], [Acknowledgement],
// [TopologyChange], [TrafficPurchase], [Disable] and [Tick].
type Body interface {
	kind() uint8
	encode(w *writer)
	digest(network NetworkID, h *hasher) Digest
}

// Request is what is handed to an orderer, and nothing is believed of it yet.
type Request struct {
	Body Body
	// Signatures are over [Request.Digest]: one on a submission and on an
	// acknowledgement, none on a topology change (whose own are inside) and on a
	// tick, and up to [MaxSignatures] on the rest, strictly ascending by key.
	Signatures []KeySignature
}

// KeySignature is a signature and the key that it is said to be by.
type KeySignature struct {
	Key       Key
	Signature Signature
}

// Acknowledgement is a member's word that it has processed its events up to a
// time and needs none of them again.
type Acknowledgement struct {
	Member MemberID
	UpTo   Time
}

// TopologyChange carries signed topology transactions, opaque here.
type TopologyChange struct{ Transactions []byte }

// TrafficPurchase sets how much traffic a member has bought in all, in bytes.
type TrafficPurchase struct {
	Member MemberID
	// Serial orders the purchases of one member: one that is not above the last
	// has no effect, so that none can be replayed.
	Serial uint64
	Total  uint64
}

// Disable shuts a member out for good: it can neither send nor receive any more,
// and pruning does not wait for it.
type Disable struct{ Member MemberID }

// Tick has no effect but its time: a sequencer orders one when members wait for
// time to advance and there is nothing else to order.
type Tick struct{}

// Digest is what is signed.
func (r Request) Digest(network NetworkID) Digest { return r.Body.digest(network, newHasher()) }

// Encode returns the canonical encoding, which [Decode] reads. What exceeds a
// limit comes out as an encoding that Decode refuses.
func (r Request) Encode() []byte {
	size := 512
	if s, ok := r.Body.(*Submission); ok {
		for _, e := range s.Envelopes {
			size += len(e.Payload)
		}
	}
	w := newWriter(make([]byte, 0, size))
	w.U8(r.Body.kind())
	r.Body.encode(&w)
	fewest, most := signatures(r.Body.kind())
	if fewest != most {
		w.count(len(r.Signatures))
	}
	for _, s := range r.Signatures {
		w.Bytes(s.Key[:])
		w.Bytes(s.Signature[:])
	}
	return w.Buf
}

// signatures returns how many signatures a kind of request carries.
func signatures(kind uint8) (least, most int) {
	switch kind {
	case kindSubmission, kindAcknowledge:
		return 1, 1
	case kindPurchase, kindDisable:
		return 1, MaxSignatures
	}
	return 0, 0
}

// Decode reads one request, which may come from anybody. The request keeps
// windows onto data.
func Decode(data []byte) (Request, error) {
	r := newReader(data)
	request := Request{}
	kind := r.U8()
	switch kind {
	case kindSubmission:
		request.Body = decodeSubmission(&r)
	case kindAcknowledge:
		request.Body = &Acknowledgement{Member: MemberID(r.text(MaxMemberID)), UpTo: r.time()}
	case kindTopology:
		request.Body = decodeTopology(&r)
	case kindPurchase:
		request.Body = &TrafficPurchase{Member: MemberID(r.text(MaxMemberID)), Serial: r.U64(), Total: r.U64()}
	case kindDisable:
		request.Body = &Disable{Member: MemberID(r.text(MaxMemberID))}
	case kindTick:
		request.Body = Tick{}
	default:
		r.Fail(errKind)
	}
	least, most := signatures(kind)
	n := most
	if least != most {
		n = r.count(least, most, len(Key{})+len(Signature{}))
	}
	for i := range n {
		request.Signatures = append(request.Signatures, KeySignature{Key: r.key(), Signature: r.signature()})
		if i > 0 && bytes.Compare(request.Signatures[i-1].Key[:], request.Signatures[i].Key[:]) >= 0 {
			r.Fail(errOrder)
		}
	}
	if err := r.Done(); err != nil {
		return Request{}, fmt.Errorf("decode request of %d bytes: %w", len(data), err)
	}
	return request, nil
}

func decodeTopology(r *reader) *TopologyChange {
	size := r.U32()
	if size > MaxTopology {
		r.Fail(errLimit)
	}
	return &TopologyChange{Transactions: r.Take(int(size))}
}

func (*Acknowledgement) kind() uint8 { return kindAcknowledge }
func (*TopologyChange) kind() uint8  { return kindTopology }
func (*TrafficPurchase) kind() uint8 { return kindPurchase }
func (*Disable) kind() uint8         { return kindDisable }
func (Tick) kind() uint8             { return kindTick }

func (a *Acknowledgement) encode(w *writer) {
	w.text(string(a.Member))
	w.time(a.UpTo)
}

func (t *TopologyChange) encode(w *writer) {
	w.U32(uint32(len(t.Transactions)))
	w.Bytes(t.Transactions)
}

func (p *TrafficPurchase) encode(w *writer) {
	w.text(string(p.Member))
	w.U64(p.Serial)
	w.U64(p.Total)
}

func (d *Disable) encode(w *writer) { w.text(string(d.Member)) }
func (Tick) encode(*writer)         {}

func (a *Acknowledgement) digest(network NetworkID, h *hasher) Digest {
	return h.body(domainAcknowledge, network, a)
}

func (t *TopologyChange) digest(network NetworkID, h *hasher) Digest {
	return h.body(domainTopology, network, t)
}

func (p *TrafficPurchase) digest(network NetworkID, h *hasher) Digest {
	return h.body(domainPurchase, network, p)
}

func (d *Disable) digest(network NetworkID, h *hasher) Digest {
	return h.body(domainDisable, network, d)
}
func (Tick) digest(NetworkID, *hasher) Digest { return Digest{} }

func (h *hasher) body(domain string, network NetworkID, body Body) Digest {
	h.begin(domain)
	h.Bytes(network[:])
	body.encode(&h.writer)
	return h.end()
}
