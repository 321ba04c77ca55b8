package topology

import (
	"encoding/binary"
	"errors"
)

// Encodings are canonical: a value has one, and what a decoder accepts encodes to the same bytes. Integers are
// big-endian, lists have their length in front, and sets are sorted.

var (
	errTruncated = errors.New("it ends early")
	errTrailing  = errors.New("bytes follow its end")
	errTooMany   = errors.New("a list is longer than its limit")
	errUnsorted  = errors.New("signatures are not sorted by key, each once")
	errUnknown   = errors.New("it holds a number of no known meaning; a newer version may know it")
)

// writer appends big-endian integers and raw bytes.
type writer struct{ buf []byte }

func (w *writer) u8(v uint8)     { w.buf = append(w.buf, v) }
func (w *writer) u16(v uint16)   { w.buf = binary.BigEndian.AppendUint16(w.buf, v) }
func (w *writer) u32(v uint32)   { w.buf = binary.BigEndian.AppendUint32(w.buf, v) }
func (w *writer) u64(v uint64)   { w.buf = binary.BigEndian.AppendUint64(w.buf, v) }
func (w *writer) time(t Time)    { w.u64(uint64(t)) }
func (w *writer) bytes(b []byte) { w.buf = append(w.buf, b...) }

func (w *writer) bool(v bool) {
	if v {
		w.u8(1)
	} else {
		w.u8(0)
	}
}

func (w *writer) uid(u UID) {
	w.u8(uint8(len(u.Name)))
	w.bytes([]byte(u.Name))
	w.bytes(u.Namespace[:])
}

func (w *writer) member(m Member) {
	w.u8(uint8(m.Role))
	w.uid(m.UID)
}

func writeList[T any](w *writer, list []T, element func(T)) {
	w.u16(uint16(len(list)))
	for _, e := range list {
		element(e)
	}
}

// reader takes the same apart. The first shortfall is remembered and every later read returns zero, so that a decoder
// checks once, at its end.
type reader struct {
	buf []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.buf) < n {
		r.err = errTruncated
	}
	if r.err != nil {
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

func (r *reader) time() Time { return Time(r.u64()) }

// bool accepts 0 and 1 alone, so that an encoding is canonical.
func (r *reader) bool() bool {
	v := r.u8()
	if v > 1 {
		r.fail(errUnknown)
	}
	return v == 1
}

// bytes32 reads a key, a namespace or a digest.
func (r *reader) bytes32() (b [32]byte) {
	copy(b[:], r.take(len(b)))
	return b
}

func (r *reader) signature() (s [64]byte) {
	copy(s[:], r.take(len(s)))
	return s
}

func (r *reader) uid() (u UID) {
	u.Name = string(r.take(int(r.u8())))
	u.Namespace = r.bytes32()
	return u
}

func (r *reader) member() Member { return Member{Role: Role(r.u8()), UID: r.uid()} }

// The least sizes of encoded elements, in bytes.
const (
	sizeUID    = 1 + 32
	sizeMember = 1 + sizeUID
)

// readList reads a list of at most limit elements of at least size bytes each, so that a forged length cannot make the
// decoder allocate more than a small multiple of what was received.
func readList[T any](r *reader, limit, size int, element func() T) []T {
	n := int(r.u16())
	if n > limit || n*size > len(r.buf) {
		r.fail(errTooMany)
	}
	if r.err != nil || n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, element())
	}
	return list
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// done returns the first error, or an error if bytes are left over.
func (r *reader) done() error {
	if r.err == nil && len(r.buf) > 0 {
		r.err = errTrailing
	}
	return r.err
}
