package bft

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// HandoverContent is what one committee passes on to the next. Its digest is
// what the members of the old committee sign and what the round-0 blocks of
// the next epoch bind; the set of signatures is bound by nothing, since two
// honest members may hold different ones.
type HandoverContent struct {
	Network NetworkID
	// Epoch is the epoch that ended.
	Epoch Epoch
	// End is the last commit of the epoch, EndDigest its digest.
	End       CommitIndex
	EndDigest Digest
	// State is the application's digest of its state after End.
	State Digest
	// Schedule is the leader schedule with which the next epoch starts, and
	// holds the last time given out.
	Schedule Schedule
	// Members and Params are the next committee and its parameters.
	Members []PublicKey
	Params  Params
}

func (h *HandoverContent) encode(w *writer) {
	w.Bytes(h.Network[:])
	w.U64(uint64(h.Epoch))
	w.U64(uint64(h.End))
	w.Bytes(h.EndDigest[:])
	w.Bytes(h.State[:])
	h.Schedule.encode(w)
	w.U32(uint32(len(h.Members)))
	for _, m := range h.Members {
		w.Bytes(m[:])
	}
	h.Params.encode(w)
}

func decodeHandoverContent(r *reader) (h HandoverContent) {
	h.Network = NetworkID(r.digest())
	h.Epoch = Epoch(r.U64())
	h.End = CommitIndex(r.U64())
	h.EndDigest = r.digest()
	h.State = r.digest()
	h.Schedule = decodeSchedule(r)
	n := r.count(MaxMembers, 32)
	h.Members = make([]PublicKey, 0, n)
	for range n {
		h.Members = append(h.Members, r.key())
	}
	h.Params = decodeParams(r)
	return h
}

// Digest returns the digest that is signed, under a domain of its own.
func (h *HandoverContent) Digest() Digest {
	var w writer
	w.Bytes([]byte(domainHandover))
	h.encode(&w)
	return sha256.Sum256(w.Buf)
}

// signedBytes is the message that a member of the old committee signs.
func (h *HandoverContent) signedBytes() []byte {
	d := h.Digest()
	return append([]byte(domainHandover), d[:]...)
}

// Next returns the committee that the hand-over installs.
func (h *HandoverContent) Next() *Committee {
	return &Committee{
		Network: h.Network, Epoch: h.Epoch + 1, Members: h.Members, Params: h.Params,
		Start: h.Schedule.LastTime, Base: h.End, BaseDigest: h.EndDigest, Anchor: h.Digest(),
	}
}

// MemberSignature is one member's signature, by its index in the committee.
type MemberSignature struct {
	Author    Author
	Signature Signature
}

// Handover is a hand-over with the signatures of a quorum of the old
// committee. Trust runs genesis → hand-over → hand-over.
type Handover struct {
	HandoverContent
	Signatures []MemberSignature
}

func (h *Handover) encode(w *writer) {
	h.HandoverContent.encode(w)
	w.U32(uint32(len(h.Signatures)))
	for _, s := range h.Signatures {
		w.U16(uint16(s.Author))
		w.Bytes(s.Signature[:])
	}
}

func decodeHandover(r *reader) *Handover {
	h := &Handover{HandoverContent: decodeHandoverContent(r)}
	n := r.count(MaxMembers, 2+64)
	for range n {
		h.Signatures = append(h.Signatures, MemberSignature{Author: Author(r.U16()), Signature: r.signature()})
	}
	return h
}

// Encode returns the encoding that is stored and sent.
func (h *Handover) Encode() []byte {
	var w writer
	h.encode(&w)
	return w.Buf
}

// DecodeHandover is the inverse of Handover.Encode. The result is not yet
// believed: see Verify.
func DecodeHandover(b []byte) (*Handover, error) {
	r := newReader(b)
	h := decodeHandover(&r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode hand-over: %w", err)
	}
	return h, nil
}

// Verify checks a hand-over against the committee whose epoch it ends.
func (h *Handover) Verify(c *Committee, verify Verifier) error {
	if h.Network != c.Network {
		return errors.New("hand-over of another network")
	}
	if h.Epoch != c.Epoch {
		return fmt.Errorf("hand-over of epoch %d, want %d", h.Epoch, c.Epoch)
	}
	next := h.Next()
	if err := next.Validate(); err != nil {
		return fmt.Errorf("hand-over of epoch %d installs an impossible committee: %w", h.Epoch, err)
	}
	if len(h.Schedule.Standings) != next.Size() || h.Schedule.Round != 0 {
		return fmt.Errorf("hand-over of epoch %d has a schedule that does not fit its committee", h.Epoch)
	}
	message := h.signedBytes()
	seen := make([]bool, c.Size())
	valid := 0
	for _, s := range h.Signatures {
		if int(s.Author) >= c.Size() || seen[s.Author] {
			return fmt.Errorf("hand-over of epoch %d: signature by %d is by a stranger or a second one", h.Epoch, s.Author)
		}
		seen[s.Author] = true
		if !verify(c.Members[s.Author], message, s.Signature) {
			return fmt.Errorf("hand-over of epoch %d: signature by member %d: %w", h.Epoch, s.Author, ErrBadSignature)
		}
		valid++
	}
	if valid < c.Quorum() {
		return fmt.Errorf("hand-over of epoch %d has %d signatures, want %d", h.Epoch, valid, c.Quorum())
	}
	return nil
}
