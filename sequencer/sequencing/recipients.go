package sequencing

import (
	"errors"
	"fmt"
)

const (
	// MaxShownSet is the largest encoding of a recipient set, in bytes, that an event
	// shows whole. Of a larger one it has the digest alone: a submission to n members
	// would otherwise carry n names to each of n recipients.
	MaxShownSet = 2 << 10
	// MaxRecipientSet is the largest encoding of any recipient set, in bytes.
	MaxRecipientSet = 2 + MaxNamed*(1+1+MaxMemberID)
)

// ErrNotShown says that a member has no event at a time with which it was told of a
// recipient set of a digest.
var ErrNotShown = errors.New("no event of the member has such recipients")

// Encode returns the canonical encoding, which [DecodeRecipientSet] reads.
func (s RecipientSet) Encode() []byte {
	w := newWriter(nil)
	s.encode(&w)
	return w.Buf
}

// Digest is what the sender of a submission signs of a recipient set.
func (s RecipientSet) Digest() Digest { return newHasher().set(s) }

// RecipientSetDigest is the [RecipientSet.Digest] of a set from its encoding, of
// which nothing is believed.
func RecipientSetDigest(encoded []byte) Digest { return newHasher().encodedSet(encoded) }

// DecodeRecipientSet reads one recipient set, which may come from anybody. It keeps
// no windows onto data.
func DecodeRecipientSet(data []byte) (RecipientSet, error) {
	r := newReader(data)
	set := decodeSet(&r)
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("decode recipient set of %d bytes: %w", len(data), err)
	}
	return set, nil
}

// sealedSet is what hashing a recipient set yields.
type sealedSet struct {
	digest Digest
	size   int // of the encoding, in bytes
}

// shown reports whether events show the set whole.
func (s sealedSet) shown() bool { return s.size <= MaxShownSet }

// encodeShown writes a set as events show it: whole, or no recipients and the digest.
func (s RecipientSet) encodeShown(w *writer, digest Digest) {
	if s == nil {
		w.count(0)
		w.Bytes(digest[:])
		return
	}
	s.encode(w)
}

// decodeShown reads what encodeShown writes. The set is nil if there is only its digest.
func decodeShown(r *reader, h *hasher) (RecipientSet, sealedSet) {
	if len(r.Buf) >= 2 && r.Buf[0] == 0 && r.Buf[1] == 0 {
		r.U16()
		return nil, sealedSet{digest: r.digest(), size: MaxShownSet + 1}
	}
	from := r.Buf
	set := decodeSet(r)
	size := len(from) - len(r.Buf)
	if size > MaxShownSet {
		r.Fail(errLimit)
	}
	if r.Err != nil {
		return nil, sealedSet{}
	}
	return set, sealedSet{digest: h.encodedSet(from[:size]), size: size}
}

// told finds the recipient set of a digest, if the record tells a member of it: the
// sender of each, a recipient of those that it is in.
func (r *Record) told(member Index, digest Digest) (set int, ok bool) {
	if r.Submission == nil {
		return 0, false
	}
	for i, s := range r.Submission.sealed.sets {
		if s.digest == digest && (r.Sender == member || r.Kind == Delivered && isIn(r.Sets[i], member)) {
			return i, true
		}
	}
	return 0, false
}

// recipients returns the encoding of a recipient set that the record tells a member
// of. The error matches [ErrNotShown].
func (r *Record) recipients(member Index, digest Digest) ([]byte, error) {
	set, ok := r.told(member, digest)
	if !ok {
		return nil, ErrNotShown
	}
	return r.Submission.Sets[set].Encode(), nil
}
