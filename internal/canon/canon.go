// Package canon writes and reads canonical encodings: a value has exactly one, and what a reader accepts encodes to the
// same bytes again. Integers are big-endian and of fixed size; what has no fixed size has its length in front. Packages
// that define formats embed [Writer] and [Reader] and add the types of their own.
package canon

import (
	"encoding/binary"
	"errors"
)

// What is wrong with bytes that are no encoding.
var (
	ErrTruncated = errors.New("it ends early")
	ErrTrailing  = errors.New("bytes follow its end")
	ErrTooMany   = errors.New("a list is longer than its limit")
	ErrNotBool   = errors.New("a truth value is neither 0 nor 1")
)

// Writer appends to Buf.
type Writer struct{ Buf []byte }

// U8 appends one byte.
func (w *Writer) U8(v uint8) { w.Buf = append(w.Buf, v) }

// U16 appends two bytes.
func (w *Writer) U16(v uint16) { w.Buf = binary.BigEndian.AppendUint16(w.Buf, v) }

// U32 appends four bytes.
func (w *Writer) U32(v uint32) { w.Buf = binary.BigEndian.AppendUint32(w.Buf, v) }

// U64 appends eight bytes.
func (w *Writer) U64(v uint64) { w.Buf = binary.BigEndian.AppendUint64(w.Buf, v) }

// Bytes appends b without its length.
func (w *Writer) Bytes(b []byte) { w.Buf = append(w.Buf, b...) }

// Raw appends s without its length.
func (w *Writer) Raw(s string) { w.Buf = append(w.Buf, s...) }

// Bool appends 1 or 0.
func (w *Writer) Bool(v bool) {
	if v {
		w.U8(1)
	} else {
		w.U8(0)
	}
}

// Reader takes values off the front of Buf. The first shortfall is remembered in Err and every later read returns zero,
// so that a decoder checks once, at its end.
type Reader struct {
	Buf []byte
	Err error
}

// Fail remembers err, unless something failed before.
func (r *Reader) Fail(err error) {
	if r.Err == nil {
		r.Err = err
	}
}

// Take returns a window onto the next n bytes, nil if they are not there.
func (r *Reader) Take(n int) []byte {
	if r.Err != nil {
		return nil
	}
	if n < 0 || len(r.Buf) < n {
		r.Err = ErrTruncated
		return nil
	}
	b := r.Buf[:n:n]
	r.Buf = r.Buf[n:]
	return b
}

// U8 reads one byte.
func (r *Reader) U8() uint8 {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// U16 reads two bytes.
func (r *Reader) U16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// U32 reads four bytes.
func (r *Reader) U32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// U64 reads eight bytes.
func (r *Reader) U64() uint64 {
	if b := r.Take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// Bool accepts 0 and 1 alone.
func (r *Reader) Bool() bool {
	v := r.U8()
	if v > 1 {
		r.Fail(ErrNotBool)
	}
	return v == 1
}

// Count checks n, the length just read of a list of least to most elements that take at least size bytes each, and
// returns it, or 0 if it cannot be. So a forged length cannot make a decoder allocate more than a small multiple of what
// was received.
func (r *Reader) Count(n, least, most, size int) int {
	if n < least || n > most || n > len(r.Buf)/max(1, size) {
		r.Fail(ErrTooMany)
	}
	if r.Err != nil {
		return 0
	}
	return n
}

// Done returns the first error, or an error if bytes are left over.
func (r *Reader) Done() error {
	if len(r.Buf) > 0 {
		r.Fail(ErrTrailing)
	}
	return r.Err
}
