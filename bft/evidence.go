package bft

import (
	"errors"
	"fmt"
)

// Evidence is two signed headers by one author that prove a fault to anybody
// who knows the epoch's committee.
type Evidence struct {
	Kind  EvidenceKind
	Epoch Epoch
	First *Head
	Other *Head
	// Member is whose fault it is. The epoch's committee says so; it is not
	// part of the encoding.
	Member PublicKey
}

// Encode returns the encoding that is stored, sent and shown.
func (e *Evidence) Encode() []byte {
	u := e.unverified()
	return u.encoded()
}

func (e *Evidence) unverified() UnverifiedEvidence {
	return UnverifiedEvidence{
		Kind: e.Kind, Epoch: e.Epoch,
		First: UnverifiedBlock{Header: e.First.Header, Signature: e.First.Signature},
		Other: UnverifiedBlock{Header: e.Other.Header, Signature: e.Other.Signature},
	}
}

// UnverifiedEvidence is evidence as it arrives: well formed, not yet believed.
type UnverifiedEvidence struct {
	Kind         EvidenceKind
	Epoch        Epoch
	First, Other UnverifiedBlock // without payloads
}

func (u *UnverifiedEvidence) encode(w *writer) {
	w.U8(uint8(u.Kind))
	w.U64(uint64(u.Epoch))
	w.Bytes(encodeUnverifiedHead(&u.First))
	w.Bytes(encodeUnverifiedHead(&u.Other))
}

func (u *UnverifiedEvidence) encoded() []byte {
	var w writer
	u.encode(&w)
	return w.Buf
}

func decodeEvidence(r *reader) (u UnverifiedEvidence) {
	u.Kind = EvidenceKind(r.U8())
	u.Epoch = Epoch(r.U64())
	u.First = UnverifiedBlock{Header: decodeHeader(r), Signature: r.signature()}
	u.Other = UnverifiedBlock{Header: decodeHeader(r), Signature: r.signature()}
	return u
}

// DecodeEvidence is the inverse of Evidence.Encode. The result is not yet
// believed: see Verify.
func DecodeEvidence(b []byte) (UnverifiedEvidence, error) {
	r := newReader(b)
	u := decodeEvidence(&r)
	if err := r.Done(); err != nil {
		return UnverifiedEvidence{}, fmt.Errorf("decode evidence: %w", err)
	}
	return u, nil
}

// Verify checks evidence against the committee of its epoch. It fails for
// evidence of too many requests, which is proven together with the blocks that
// the two headers name: see TimeViolation.
func (u *UnverifiedEvidence) Verify(c *Committee, verify Verifier) (*Evidence, error) {
	if u.Epoch != c.Epoch {
		return nil, fmt.Errorf("evidence of epoch %d, want %d", u.Epoch, c.Epoch)
	}
	if err := u.proves(c); err != nil {
		return nil, err
	}
	first, err := u.First.VerifyHead(c, verify)
	if err != nil {
		return nil, fmt.Errorf("evidence: first header: %w", err)
	}
	other, err := u.Other.VerifyHead(c, verify)
	if err != nil {
		return nil, fmt.Errorf("evidence: other header: %w", err)
	}
	return &Evidence{Kind: u.Kind, Epoch: u.Epoch, First: first, Other: other, Member: c.Members[other.Author]}, nil
}

// proves reports what is missing for the two headers, if they are signed, to
// prove the fault alone.
func (u *UnverifiedEvidence) proves(c *Committee) error {
	first, other := &u.First.Header, &u.Other.Header
	same := u.First.Digest() == u.Other.Digest()
	switch {
	case first.Author != other.Author:
		return errors.New("evidence by two authors")
	case len(other.Parents) == 0:
		return errors.New("evidence with a header that is no block's")
	case u.Kind == Equivocation && first.Round == other.Round && !same:
		return nil
	case u.Kind == TimeViolation && !same && other.Parents[0].Digest == u.First.Digest() && other.Timestamp <= first.Timestamp:
		return nil
	case u.Kind == TimeViolation && same && other.Parents[0].Round == 0 && other.Timestamp <= c.Start:
		return nil
	}
	return fmt.Errorf("evidence of kind %d with headers of rounds %d and %d that do not prove it", u.Kind, first.Round, other.Round)
}
