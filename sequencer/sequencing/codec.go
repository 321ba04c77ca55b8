package sequencing

import (
	"encoding/binary"
	"errors"
)

// Domains separate what is hashed or signed for one purpose from everything
// hashed or signed for another.
const (
	domainSet         = "synod/sequencing/recipients/1\x00"
	domainEnvelope    = "synod/sequencing/envelope/1\x00"
	domainContent     = "synod/sequencing/content/1\x00"
	domainSubmission  = "synod/sequencing/submission/1\x00"
	domainMessage     = "synod/sequencing/message-id/1\x00"
	domainAcknowledge = "synod/sequencing/acknowledgement/1\x00"
	domainPurchase    = "synod/sequencing/traffic-purchase/1\x00"
	domainDisable     = "synod/sequencing/disable/1\x00"
	domainTopology    = "synod/sequencing/topology/1\x00"
	domainRecord      = "synod/sequencing/record/1\x00"
	domainMember      = "synod/sequencing/member/1\x00"
	domainNode        = "synod/sequencing/node/1\x00"
	domainState       = "synod/sequencing/state/1\x00"
)

var (
	errTruncated = errors.New("message ends early")
	errTrailing  = errors.New("bytes follow the end of the message")
	errLimit     = errors.New("a list or text is longer than its limit")
	errOrder     = errors.New("a list is not strictly ascending")
	errRange     = errors.New("a number is out of its range")
	errKind      = errors.New("unknown kind")
)

// writer appends big-endian integers, and bytes and texts behind their length.
type writer struct{ buf []byte }

func (w *writer) u8(v uint8)     { w.buf = append(w.buf, v) }
func (w *writer) u16(v uint16)   { w.buf = binary.BigEndian.AppendUint16(w.buf, v) }
func (w *writer) u32(v uint32)   { w.buf = binary.BigEndian.AppendUint32(w.buf, v) }
func (w *writer) u64(v uint64)   { w.buf = binary.BigEndian.AppendUint64(w.buf, v) }
func (w *writer) time(t Time)    { w.u64(uint64(t)) }
func (w *writer) bytes(b []byte) { w.buf = append(w.buf, b...) }
func (w *writer) raw(s string)   { w.buf = append(w.buf, s...) }

// text writes a text of at most 255 bytes; a longer one as if it were empty.
func (w *writer) text(s string) {
	if len(s) > 255 {
		s = ""
	}
	w.u8(uint8(len(s)))
	w.raw(s)
}

// count writes a length, or another number that is below every limit if it is
// valid.
func (w *writer) count(n int) { w.u16(uint16(min(max(n, 0), 1<<16-1))) }

func (w *writer) bool(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}

// reader takes the same apart. The first shortfall is remembered and every
// later read returns zero, so that a decoder checks once, at its end.
type reader struct {
	buf []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
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

// time reads a time, which is never negative.
func (r *reader) time() Time {
	t := Time(r.u64())
	if t < 0 {
		r.fail(errRange)
		return 0
	}
	return t
}

func (r *reader) digest() (d Digest) {
	copy(d[:], r.take(len(d)))
	return d
}

func (r *reader) key() (k Key) {
	copy(k[:], r.take(len(k)))
	return k
}

func (r *reader) signature() (s Signature) {
	copy(s[:], r.take(len(s)))
	return s
}

// text reads a text of 1 to limit bytes.
func (r *reader) text(limit int) string {
	n := int(r.u8())
	if r.err == nil && (n == 0 || n > limit) {
		r.err = errLimit
	}
	return string(r.take(n))
}

// count reads the length of a list of least to most elements that take at least
// size bytes each, so that a forged length can not make the decoder allocate
// more than a small multiple of what was received.
func (r *reader) count(least, most, size int) int {
	n := int(r.u16())
	if r.err == nil && (n < least || n > most || n*size > len(r.buf)) {
		r.err = errLimit
	}
	if r.err != nil {
		return 0
	}
	return n
}

// bool accepts 0 and 1 alone, so that an encoding is canonical.
func (r *reader) bool() bool {
	v := r.u8()
	if v > 1 {
		r.fail(errRange)
	}
	return v == 1
}

// done returns the first error, or an error if bytes are left over.
func (r *reader) done() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = errTrailing
	}
	return r.err
}
