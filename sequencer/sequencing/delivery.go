package sequencing

import (
	"crypto/sha256"
	"errors"
	"slices"
)

// Size is how many bytes the event carries, but for what each has: payloads,
// recipients that it shows, and digests.
func (d *Delivery) Size() int {
	size := len(d.Topology) + len(d.Proof.Envelopes)*len(Digest{})
	for i, e := range d.Envelopes {
		size += len(e.Payload)
		if i > 0 && e.Set == d.Envelopes[i-1].Set {
			continue
		}
		for _, r := range e.Recipients {
			size += 2 + len(r.Member)
		}
	}
	return size
}

// Deliver makes the event of one member; Previous is left to the caller. It shares payloads and more with the record.
func (r *Record) Deliver(member Index) Delivery {
	d, _ := r.deliverWith(member, func(_ int, payload []byte) ([]byte, error) { return payload, nil }) // no error without one from there
	return d
}

// deliverWith is Deliver with payloads that come from elsewhere: payload is asked for
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
		if !isIn(r.Sets[e.Set], member) {
			continue
		}
		data, err := payload(i, e.Payload)
		if err != nil {
			return Delivery{}, err
		}
		set := s.sealed.sets[e.Set]
		received := Received{Number: i, Set: set.digest, Payload: data}
		if set.shown() {
			received.Recipients = s.Sets[e.Set]
		}
		d.Envelopes = append(d.Envelopes, received)
	}
	if len(d.Envelopes) > 0 {
		d.Proof = Proof{MaxTime: s.MaxTime, TopologyTime: s.TopologyTime, Aggregation: s.Aggregation, Envelopes: s.sealed.envelopes}
		d.Signers = r.Signers
	}
	return d, nil
}

func isIn(set []Index, member Index) bool {
	_, found := slices.BinarySearch(set, member)
	return found
}

// ErrPayload says that a stored payload, or a recipient set that is stored beside
// payloads, is not the one that was sequenced.
var ErrPayload = errors.New("a stored payload does not match its digest")

// StoredRecord is a [Record] without its payloads and large recipient sets, as
// [DecodeHead] reads it.
type StoredRecord struct {
	record Record
	ends   []int // of the payloads and then of the sets that follow, in bytes from where the first begins
	large  []int // the sets that follow
}

// size is how many bytes of payloads and recipient sets there are.
func (s *StoredRecord) size() int {
	if len(s.ends) == 0 {
		return 0
	}
	return s.ends[len(s.ends)-1]
}

// part reads payload or large set i.
func (s *StoredRecord) part(i int, read func(at, size int) ([]byte, error)) ([]byte, error) {
	at := 0
	if i > 0 {
		at = s.ends[i-1]
	}
	return read(at, s.ends[i]-at)
}

// Time is that of the record.
func (s *StoredRecord) Time() Time { return s.record.Time }

// Deliver makes the event of one member, without its Previous. It asks read for
// the member's own payloads and no others, by place and size in bytes, and checks
// them: the error is that of read, or matches [ErrPayload].
func (s *StoredRecord) Deliver(member Index, read func(at, size int) ([]byte, error)) (Delivery, error) {
	h := newHasher()
	return s.record.deliverWith(member, func(number int, _ []byte) ([]byte, error) {
		data, err := s.part(number, read)
		if err != nil {
			return nil, err
		}
		if !s.record.genuine(h, number, data) {
			return nil, ErrPayload
		}
		return data, nil
	})
}

// Recipients returns the encoding of the recipient set of a digest, if the record
// tells a member of it; it reads no payloads. The error is that of read, or matches
// [ErrNotShown] or [ErrPayload].
func (s *StoredRecord) Recipients(member Index, set Digest, read func(at, size int) ([]byte, error)) ([]byte, error) {
	i, ok := s.record.told(member, set)
	if !ok {
		return nil, ErrNotShown
	}
	place := slices.Index(s.large, i)
	if place < 0 {
		return s.record.Submission.Sets[i].Encode(), nil
	}
	data, err := s.part(len(s.record.Submission.Envelopes)+place, read)
	if err == nil && RecipientSetDigest(data) != set {
		err = ErrPayload
	}
	return data, err
}

// genuine checks a payload against its digest.
func (r *Record) genuine(h *hasher, number int, payload []byte) bool {
	if r.Submission == nil {
		return sha256.Sum256(payload) == r.topology
	}
	s := r.Submission
	return h.envelope(s.sealed.sets[s.Envelopes[number].Set].digest, payload) == s.sealed.envelopes[number]
}
