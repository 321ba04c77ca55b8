package bft

import (
	"encoding/binary"
	"errors"
)

// Domains separate what is hashed or signed for one purpose from everything
// hashed or signed for another. Each begins the bytes that are hashed; the
// network id follows.
const (
	domainRoot     = "synod/bft/root/1\x00"
	domainBlock    = "synod/bft/block/1\x00"
	domainSign     = "synod/bft/block-signature/1\x00"
	domainPayload  = "synod/bft/payload/1\x00"
	domainCommit   = "synod/bft/commit/1\x00"
	domainHandover = "synod/bft/handover/1\x00"
)

var (
	errTruncated = errors.New("message ends early")
	errTrailing  = errors.New("bytes follow the end of the message")
	errTooMany   = errors.New("a list is longer than its limit")
)

// writer appends big-endian integers and raw bytes.
type writer struct{ buf []byte }

func (w *writer) u8(v uint8)     { w.buf = append(w.buf, v) }
func (w *writer) u16(v uint16)   { w.buf = binary.BigEndian.AppendUint16(w.buf, v) }
func (w *writer) u32(v uint32)   { w.buf = binary.BigEndian.AppendUint32(w.buf, v) }
func (w *writer) u64(v uint64)   { w.buf = binary.BigEndian.AppendUint64(w.buf, v) }
func (w *writer) bytes(b []byte) { w.buf = append(w.buf, b...) }
func (w *writer) ref(r Ref) {
	w.u64(uint64(r.Round))
	w.u16(uint16(r.Author))
	w.bytes(r.Digest[:])
}

// reader takes the same apart. The first shortfall is remembered and every
// later read returns zero, so that a decoder checks once, at its end.
type reader struct {
	buf []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || len(r.buf) < n {
		r.err = errTruncated
		return nil
	}
	b := r.buf[:n:n]
	r.buf = r.buf[n:]
	return b
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) digest() (d Digest) {
	copy(d[:], r.take(len(d)))
	return d
}

func (r *reader) key() (k PublicKey) {
	copy(k[:], r.take(len(k)))
	return k
}

func (r *reader) signature() (s Signature) {
	copy(s[:], r.take(len(s)))
	return s
}

func (r *reader) ref() Ref {
	return Ref{Round: Round(r.u64()), Author: Author(r.u16()), Digest: r.digest()}
}

// count reads the length of a list whose elements take at least size bytes
// each, so that a forged length can not make the decoder allocate more than a
// small multiple of what was received.
func (r *reader) count(limit, size int) int {
	n := int(r.u32())
	if r.err == nil && (n > limit || n*size > len(r.buf)) {
		r.err = errTooMany
	}
	if r.err != nil {
		return 0
	}
	return n
}

// done returns the first error, or an error if bytes are left over.
func (r *reader) done() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = errTrailing
	}
	return r.err
}

func (w *writer) bool(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}

// bool accepts 0 and 1 alone, so that an encoding is canonical.
func (r *reader) bool() bool {
	switch r.u8() {
	case 0:
		return false
	case 1:
		return true
	default:
		if r.err == nil {
			r.err = errNotBool
		}
		return false
	}
}

var errNotBool = errors.New("a truth value is neither 0 nor 1")
