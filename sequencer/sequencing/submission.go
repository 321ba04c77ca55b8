package sequencing

import "cmp"

// Submission is what a member asks to have sequenced: one batch of envelopes,
// delivered to all its recipients with the same sequencing time or to nobody.
type Submission struct {
	Sender  MemberID
	Message MessageID
	// MaxTime is the max-sequencing-time: the last time that the submission may
	// be given. After it the sender knows that it will never be sequenced.
	MaxTime Time
	// TopologyTime is the time at which groups are resolved; 0 for the sequencing
	// time. A sender that built its envelopes for the members of a group pins so
	// whom it meant.
	TopologyTime Time
	// Cost is what the sender expects to pay at most, in bytes of traffic.
	Cost uint64
	// Aggregation makes the batch wait for other senders of the same content; nil
	// delivers it at once.
	Aggregation *Aggregation
	// Sets are the recipient sets that envelopes share. Each is used by an
	// envelope, in order of first use.
	Sets      []RecipientSet
	Envelopes []Envelope

	// What decoding or [Submission.digest] computes, for use after it.
	sealed seal
}

// Envelope is one opaque payload and who gets it.
type Envelope struct {
	// Set is the index into [Submission.Sets] of those who get it. There must be
	// such a set, or hashing panics.
	Set     int
	Payload []byte
}

// RecipientSet lists recipients in strictly ascending order of
// [Recipient.Compare].
type RecipientSet []Recipient

// RecipientKind tells what a [Recipient] names.
type RecipientKind uint8

// The kinds of recipients.
const (
	ToMember        RecipientKind = 1 // one member
	ToMediatorGroup RecipientKind = 2 // all mediators of a numbered group
	ToSequencers    RecipientKind = 3 // every sequencer
	ToAll           RecipientKind = 4 // every member of the network
)

// Recipient is a member or a group of members.
type Recipient struct {
	Kind   RecipientKind
	Member MemberID // of ToMember, else empty
	Group  uint32   // of ToMediatorGroup, else 0
}

// Compare orders recipients by kind, group and member.
func (r Recipient) Compare(o Recipient) int {
	return cmp.Or(cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Group, o.Group), cmp.Compare(r.Member, o.Member))
}

// Aggregation says who must send the same content before it is delivered, once.
// The rule is part of the content: senders under different rules do not meet.
// With one eligible sender and threshold 1 it is the form for amplified sends:
// the content is delivered once, whatever message ids it is sent under.
type Aggregation struct {
	// Threshold is how many distinct eligible senders are needed.
	Threshold int
	// Eligible are the senders that count, strictly ascending.
	Eligible []MemberID
}

// seal is what hashing a submission yields.
type seal struct {
	sets      []sealedSet
	envelopes []Digest
	content   Digest
	digest    Digest
	key       inflightKey
}

func (*Submission) kind() uint8 { return kindSubmission }

func (s *Submission) encode(w *writer) {
	s.encodeTerms(w)
	w.count(len(s.Sets))
	for _, set := range s.Sets {
		set.encode(w)
	}
	w.count(len(s.Envelopes))
	for _, e := range s.Envelopes {
		w.count(e.Set)
		w.U32(uint32(len(e.Payload)))
		w.Bytes(e.Payload)
	}
}

// encodeTerms writes everything but recipients and envelopes.
func (s *Submission) encodeTerms(w *writer) {
	w.text(string(s.Sender))
	w.text(string(s.Message))
	w.time(s.MaxTime)
	w.time(s.TopologyTime)
	w.U64(s.Cost)
	s.Aggregation.encode(w)
}

func (a *Aggregation) encode(w *writer) {
	if a == nil {
		w.U16(0)
		return
	}
	w.count(len(a.Eligible))
	w.count(a.Threshold)
	for _, member := range a.Eligible {
		w.text(string(member))
	}
}

func (s RecipientSet) encode(w *writer) {
	w.count(len(s))
	for _, recipient := range s {
		w.U8(uint8(recipient.Kind))
		switch recipient.Kind {
		case ToMember:
			w.text(string(recipient.Member))
		case ToMediatorGroup:
			w.U32(recipient.Group)
		}
	}
}

// decodeSubmission reads what encode writes. Payloads are windows onto the input.
func decodeSubmission(r *reader) *Submission {
	s := decodeTerms(r)
	s.decodeSets(r)
	used := 0
	s.Envelopes = make([]Envelope, r.count(0, MaxEnvelopes, 6))
	for i := range s.Envelopes {
		set, size := decodeEnvelope(r, s, &used)
		s.Envelopes[i] = Envelope{Set: set, Payload: r.Take(size)}
	}
	if used != len(s.Sets) {
		r.Fail(errRange) // a set that no envelope uses
	}
	return s
}

// decodeEnvelope reads the set and the size of an envelope; the first used sets
// have been used before.
func decodeEnvelope(r *reader, s *Submission, used *int) (set, size int) {
	set, size = int(r.U16()), int(r.U32())
	if set > *used || set >= len(s.Sets) || size > MaxPayload {
		r.Fail(errRange)
	}
	*used = max(*used, set+1)
	return set, size
}

func decodeTerms(r *reader) *Submission {
	s := &Submission{Sender: MemberID(r.text(MaxMemberID)), Message: MessageID(r.text(MaxMessageID))}
	s.MaxTime, s.TopologyTime, s.Cost = r.time(), r.time(), r.U64()
	s.Aggregation = decodeAggregation(r)
	return s
}

func (s *Submission) decodeSets(r *reader) {
	named := 0
	s.Sets = make([]RecipientSet, r.count(0, MaxSets, 3))
	for i := range s.Sets {
		s.Sets[i] = decodeSet(r)
		if named += len(s.Sets[i]); named > MaxNamed {
			r.Fail(errLimit)
		}
	}
}

func decodeAggregation(r *reader) *Aggregation {
	n := r.count(0, MaxEligible, 2)
	if n == 0 {
		return nil
	}
	a := &Aggregation{Threshold: int(r.U16()), Eligible: make([]MemberID, n)}
	for i := range a.Eligible {
		a.Eligible[i] = MemberID(r.text(MaxMemberID))
		if i > 0 && a.Eligible[i] <= a.Eligible[i-1] {
			r.Fail(errOrder)
		}
	}
	if a.Threshold < 1 || a.Threshold > n {
		r.Fail(errRange)
	}
	return a
}

func decodeSet(r *reader) RecipientSet {
	set := make(RecipientSet, r.count(1, MaxNamed, 1))
	for i := range set {
		recipient := Recipient{Kind: RecipientKind(r.U8())}
		switch recipient.Kind {
		case ToMember:
			recipient.Member = MemberID(r.text(MaxMemberID))
		case ToMediatorGroup:
			recipient.Group = r.U32()
		case ToSequencers, ToAll:
		default:
			r.Fail(errKind)
		}
		if set[i] = recipient; i > 0 && set[i-1].Compare(recipient) >= 0 {
			r.Fail(errOrder)
		}
	}
	return set
}

// digest is what the sender signs. It is built so that a recipient can check
// the signature from its own envelopes and the digests of the others.
func (s *Submission) digest(network NetworkID, h *hasher) Digest {
	seal := &s.sealed
	seal.sets = make([]sealedSet, len(s.Sets))
	for i, set := range s.Sets {
		seal.sets[i] = h.sealedSet(set)
	}
	seal.envelopes = make([]Digest, len(s.Envelopes))
	for i, e := range s.Envelopes {
		seal.envelopes[i] = h.envelope(seal.sets[e.Set].digest, e.Payload)
	}
	seal.content = h.content(network, s.MaxTime, s.TopologyTime, s.Aggregation, seal.envelopes)
	seal.digest = h.submission(network, s.Sender, s.Message, s.Cost, seal.content)
	seal.key = h.message(s.Sender, s.Message)
	return seal.digest
}
