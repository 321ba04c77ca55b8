package sequencing

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/synod-network/synod/internal/canon"
)

// recordVersion is the first byte of each encoded record.
const recordVersion = 2

// errCanonical says that the same could have been said in another way.
var errCanonical = errors.New("not the canonical form")

// AppendRecord appends the canonical encoding of a record to buf: a head, then the
// payloads one after the other, then the recipient sets that events do not show
// whole. It returns the length of the head, which [DecodeHead] reads alone. Whoever
// stores an encoding protects the head by a checksum; what follows is covered by
// digests in the head.
func AppendRecord(buf []byte, r *Record) (encoded []byte, head int) {
	w := newWriter(buf)
	w.U8(recordVersion)
	w.U8(uint8(r.Kind))
	w.time(r.Time)
	if r.Kind == TopologyChanged {
		w.U32(uint32(len(r.Topology)))
		digest := sha256.Sum256(r.Topology)
		w.Bytes(digest[:])
	} else {
		r.encodeSubmission(&w)
	}
	for _, set := range r.Sets {
		w.U32(uint32(len(set)))
		for _, member := range set {
			w.U32(uint32(member))
		}
	}
	for _, e := range r.Events { // whom they are for follows from the rest
		w.time(e.Previous)
	}
	head = len(w.Buf) - len(buf)
	if r.Submission == nil {
		w.Bytes(r.Topology)
		return w.Buf, head
	}
	for _, e := range r.Submission.Envelopes {
		w.Bytes(e.Payload)
	}
	for i, set := range r.Submission.sealed.sets {
		if !set.shown() {
			r.Submission.Sets[i].encode(&w)
		}
	}
	return w.Buf, head
}

func (r *Record) encodeSubmission(w *writer) {
	s := r.Submission
	w.U32(uint32(r.Sender))
	w.U64(r.Cost)
	s.encodeTerms(w)
	w.count(len(s.Sets))
	for i, set := range s.sealed.sets {
		if set.shown() {
			s.Sets[i].encode(w)
			continue
		}
		RecipientSet(nil).encodeShown(w, set.digest)
		w.U32(uint32(set.size))
	}
	w.count(len(s.Envelopes))
	for i, e := range s.Envelopes {
		w.count(e.Set)
		w.U32(uint32(len(e.Payload)))
		w.Bytes(s.sealed.envelopes[i][:])
	}
	switch r.Kind {
	case Refused:
		w.U8(uint8(r.Refusal.Code))
		w.text(r.Refusal.Detail)
	case Delivered:
		w.count(len(r.Signers))
		for i := range r.Signers {
			r.Signers[i].encode(w, s)
		}
	}
}

// encode writes a signer; of one who sent this very submission no more than the
// signature.
func (s *Signer) encode(w *writer, of *Submission) {
	own := s.sent(of)
	if w.Bool(own); !own {
		w.text(string(s.Sender))
		w.text(string(s.Message))
		w.U64(s.Cost)
	}
	w.Bytes(s.Key[:])
	w.Bytes(s.Signature[:])
}

func (s *Signer) sent(of *Submission) bool {
	return s.Sender == of.Sender && s.Message == of.Message && s.Cost == of.Cost
}

func decodeSigner(r *reader, of *Submission) (s Signer) {
	if r.Bool() {
		s = Signer{Sender: of.Sender, Message: of.Message, Cost: of.Cost}
	} else if s = (Signer{Sender: MemberID(r.text(MaxMemberID)), Message: MessageID(r.text(MaxMessageID)), Cost: r.U64()}); s.sent(of) {
		r.Fail(errCanonical)
	}
	s.Key, s.Signature = r.key(), r.signature()
	return s
}

// DecodeHead reads the head of a record and leaves out its events. It keeps no
// windows onto data.
func DecodeHead(data []byte) (*StoredRecord, error) {
	r := newReader(data)
	s, err := decodeHead(&r)
	if err != nil {
		return nil, fmt.Errorf("decode head of %d bytes of a record: %w", len(data), err)
	}
	return s, nil
}

// DecodeRecord reads a whole record whose head has the given length. It keeps
// windows onto data. The error matches [ErrPayload] if payloads are not as they
// were. The digest over its submission as a whole is not part of it.
func DecodeRecord(data []byte, head int) (*Record, error) {
	if head < 0 || head > len(data) {
		return nil, fmt.Errorf("decode record of %d bytes: %w", len(data), canon.ErrTruncated)
	}
	r := newReader(data[:head])
	s, err := decodeHead(&r)
	if err == nil {
		err = s.record.decodeEvents(&r)
	}
	if err == nil && s.size() != len(data)-head {
		err = canon.ErrTrailing
	}
	if err != nil {
		return nil, fmt.Errorf("decode record of %d bytes: %w", len(data), err)
	}
	h := newHasher()
	for i, at := 0, head; i < len(s.ends); i++ {
		part := data[at : head+s.ends[i] : head+s.ends[i]]
		at = head + s.ends[i]
		if err := s.restore(h, i, part); err != nil {
			return nil, fmt.Errorf("decode record at %d: part %d: %w", s.record.Time, i, err)
		}
	}
	return &s.record, s.checkNamed()
}

// restore puts payload or large set i where it belongs.
func (s *StoredRecord) restore(h *hasher, i int, part []byte) (err error) {
	b := s.record.Submission
	if b != nil && i >= len(b.Envelopes) {
		set := s.large[i-len(b.Envelopes)]
		if h.encodedSet(part) != b.sealed.sets[set].digest {
			return ErrPayload
		}
		b.Sets[set], err = DecodeRecipientSet(part)
		return err
	}
	if !s.record.genuine(h, i, part) {
		return ErrPayload
	}
	if b == nil {
		s.record.Topology = part
	} else {
		b.Envelopes[i].Payload = part
	}
	return nil
}

// checkNamed counts the recipients of a record that is whole.
func (s *StoredRecord) checkNamed() error {
	named := 0
	if s.record.Submission != nil {
		for _, set := range s.record.Submission.Sets {
			named += len(set)
		}
	}
	if named > MaxNamed {
		return fmt.Errorf("decode record at %d: %d recipients: %w", s.record.Time, named, errLimit)
	}
	return nil
}

func decodeHead(r *reader) (*StoredRecord, error) {
	if r.U8() != recordVersion {
		r.Fail(errKind)
	}
	s := &StoredRecord{record: Record{Kind: RecordKind(r.U8()), Time: r.time(), Sender: Nobody}}
	sets := 0
	switch s.record.Kind {
	case TopologyChanged:
		size := r.U32()
		if size > MaxTopology {
			r.Fail(errLimit)
		}
		s.ends, s.record.topology, sets = []int{int(size)}, r.digest(), 1
	case Delivered, Contributed, Refused:
		s.decodeSubmission(r)
		if s.record.Kind == Delivered {
			sets = len(s.record.Submission.Sets)
		}
	default:
		r.Fail(errKind)
	}
	for range sets {
		s.record.Sets = append(s.record.Sets, decodeIndices(r))
	}
	return s, r.Err
}

func (s *StoredRecord) decodeSubmission(r *reader) {
	if s.record.Sender = Index(r.U32()); s.record.Sender == Nobody {
		r.Fail(errRange)
	}
	s.record.Cost = r.U64()
	b := decodeTerms(r)
	s.record.Submission = b
	largeSets := s.decodeSets(r)
	end, used := 0, 0
	n := r.count(0, MaxEnvelopes, 2+4+len(Digest{}))
	b.Envelopes, b.sealed.envelopes, s.ends = make([]Envelope, n), make([]Digest, n), make([]int, n, n+len(largeSets))
	for i := range b.Envelopes {
		set, size := decodeEnvelope(r, b, &used)
		end += size
		b.Envelopes[i].Set, b.sealed.envelopes[i], s.ends[i] = set, r.digest(), end
	}
	if used != len(b.Sets) {
		r.Fail(errRange)
	}
	for _, size := range largeSets {
		end += size
		s.ends = append(s.ends, end)
	}
	switch s.record.Kind {
	case Refused:
		s.record.Refusal.Code = Code(r.U8())
		s.record.Refusal.Detail = string(r.Take(int(r.U8())))
		if c := s.record.Refusal.Code; !c.Delivered() || c > lastCode {
			r.Fail(errRange)
		}
	case Delivered:
		s.record.Signers = make([]Signer, r.count(1, MaxEligible, 1+len(Key{})+len(Signature{})))
		for i := range s.record.Signers {
			s.record.Signers[i] = decodeSigner(r, b)
		}
	}
}

// decodeSets reads the recipient sets, and returns the sizes of those that follow
// behind the payloads.
func (s *StoredRecord) decodeSets(r *reader) (large []int) {
	b, h := s.record.Submission, newHasher()
	n := r.count(0, MaxSets, 3)
	b.Sets, b.sealed.sets = make([]RecipientSet, n), make([]sealedSet, n)
	for i := range b.Sets {
		set, sealed := decodeShown(r, h)
		if b.Sets[i] = set; set == nil {
			sealed.size = int(r.U32())
			if sealed.shown() || sealed.size > MaxRecipientSet {
				r.Fail(errRange)
			}
			s.large, large = append(s.large, i), append(large, sealed.size)
		}
		if b.sealed.sets[i] = sealed; r.Err != nil {
			return nil
		}
	}
	return large
}

// decodeIndices reads one set of members, ascending.
func decodeIndices(r *reader) []Index {
	n := int(r.U32())
	if r.Err == nil && n > len(r.Buf)/4 {
		r.Fail(errLimit)
	}
	if r.Err != nil {
		return nil
	}
	set := make([]Index, n)
	for i := range set {
		if set[i] = Index(r.U32()); set[i] == Nobody || i > 0 && set[i] <= set[i-1] {
			r.Fail(errOrder)
		}
	}
	return set
}

// decodeEvents reads the events, whose members are the sender and then the
// recipients in the order of sets, each once.
func (r *Record) decodeEvents(b *reader) error {
	seen := map[Index]struct{}{}
	event := func(member Index) {
		if _, has := seen[member]; has || b.Err != nil {
			return
		}
		seen[member] = struct{}{}
		e := Event{Member: member, Previous: b.time()}
		if e.Previous >= r.Time {
			b.Fail(errRange)
		}
		r.Events = append(r.Events, e)
	}
	if r.Sender != Nobody {
		event(r.Sender)
	}
	for _, set := range r.Sets {
		for _, member := range set {
			event(member)
		}
	}
	return b.Done()
}
