package sequencing

import (
	"crypto/sha256"
	"errors"
	"slices"
)

// Size is how many bytes of payload the event carries.
func (d *Delivery) Size() int {
	size := len(d.Topology)
	for _, e := range d.Envelopes {
		size += len(e.Payload)
	}
	return size
}

// deliver makes the event of one member; Previous is left to the caller.
func (r *Record) deliver(member Index) Delivery {
	d, _ := r.deliverWith(member, func(_ int, payload []byte) ([]byte, error) { return payload, nil }) // no error without one from there
	return d
}

// deliverWith is deliver with payloads that come from elsewhere: payload is asked for
// that of each envelope of the member by number, or for that of a topology change.
func (r *Record) deliverWith(member Index, payload func(number int, known []byte) ([]byte, error)) (d Delivery, err error) {
	d = Delivery{Time: r.Time, Kind: r.Kind, Refusal: r.Refusal}
	if r.Submission == nil {
		d.Topology, err = payload(0, r.Topology)
		return d, err
	}
	s := r.Submission
	if d.Receipt = r.Sender == member; d.Receipt {
		d.Message, d.Cost = s.Message, r.Cost
	}
	if r.Kind != Delivered {
		return d, nil
	}
	for i, e := range s.Envelopes {
		if _, mine := slices.BinarySearch(r.Sets[e.Set], member); !mine {
			continue
		}
		data, err := payload(i, e.Payload)
		if err != nil {
			return Delivery{}, err
		}
		d.Envelopes = append(d.Envelopes, Received{Number: i, Recipients: s.Sets[e.Set], Payload: data})
	}
	if len(d.Envelopes) > 0 {
		d.Proof = Proof{MaxTime: s.MaxTime, TopologyTime: s.TopologyTime, Aggregation: s.Aggregation, Envelopes: s.sealed.envelopes}
		d.Signers = r.Signers
	}
	return d, nil
}

// ErrPayload says that a stored payload is not the one that was sequenced.
var ErrPayload = errors.New("a stored payload does not match its digest")

// StoredRecord is a [Record] without its payloads, as [DecodeHead] reads it.
type StoredRecord struct {
	record Record
	ends   []int // of the payloads, in bytes from where the first begins
}

// size is how many bytes of payloads there are.
func (s *StoredRecord) size() int {
	if len(s.ends) == 0 {
		return 0
	}
	return s.ends[len(s.ends)-1]
}

// Time is that of the record.
func (s *StoredRecord) Time() Time { return s.record.Time }

// Deliver makes the event of one member, without its Previous. It asks read for
// the member's own payloads and no others, by place and size in bytes, and checks
// them: the error is that of read, or matches [ErrPayload].
func (s *StoredRecord) Deliver(member Index, read func(at, size int) ([]byte, error)) (Delivery, error) {
	h := newHasher()
	return s.record.deliverWith(member, func(number int, _ []byte) ([]byte, error) {
		at := 0
		if number > 0 {
			at = s.ends[number-1]
		}
		data, err := read(at, s.ends[number]-at)
		if err != nil {
			return nil, err
		}
		if !s.record.genuine(h, number, data) {
			return nil, ErrPayload
		}
		return data, nil
	})
}

// genuine checks a payload against its digest.
func (r *Record) genuine(h *hasher, number int, payload []byte) bool {
	if r.Submission == nil {
		return sha256.Sum256(payload) == r.topology
	}
	s := r.Submission
	return h.envelope(h.set(s.Sets[s.Envelopes[number].Set]), payload) == s.sealed.envelopes[number]
}
