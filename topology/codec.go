package topology

import (
	"errors"

	"github.com/synod-network/synod/internal/canon"
)

// Encodings are canonical: a value has one, and what a decoder accepts encodes to the same bytes. Integers are
// big-endian, lists have their length in front, and sets are sorted.

var (
	errUnsorted = errors.New("signatures are not sorted by key, each once")
	errUnknown  = errors.New("it holds a number of no known meaning; a newer version may know it")
)

// writer appends what [canon.Writer] does, and the types of this package.
type writer struct{ canon.Writer }

func newWriter(buf []byte) writer { return writer{canon.Writer{Buf: buf}} }

func (w *writer) time(t Time) { w.U64(uint64(t)) }
func (w *writer) uid(u UID) {
	w.U8(uint8(len(u.Name)))
	w.Bytes([]byte(u.Name))
	w.Bytes(u.Namespace[:])
}

func (w *writer) member(m Member) {
	w.U8(uint8(m.Role))
	w.uid(m.UID)
}

func writeList[T any](w *writer, list []T, element func(T)) {
	w.U16(uint16(len(list)))
	for _, e := range list {
		element(e)
	}
}

// reader takes the same apart.
type reader struct{ canon.Reader }

func newReader(b []byte) reader { return reader{canon.Reader{Buf: b}} }

func (r *reader) time() Time { return Time(r.U64()) }

// bytes32 reads a key, a namespace or a digest.
func (r *reader) bytes32() (b [32]byte) {
	copy(b[:], r.Take(len(b)))
	return b
}

func (r *reader) signature() (s [64]byte) {
	copy(s[:], r.Take(len(s)))
	return s
}

func (r *reader) uid() (u UID) {
	u.Name = string(r.Take(int(r.U8())))
	u.Namespace = r.bytes32()
	return u
}

func (r *reader) member() Member { return Member{Role: Role(r.U8()), UID: r.uid()} }

// The least sizes of encoded elements, in bytes.
const (
	sizeUID    = 1 + 32
	sizeMember = 1 + sizeUID
)

// readList reads a list of at most limit elements of at least size bytes each.
func readList[T any](r *reader, limit, size int, element func() T) []T {
	n := r.Count(int(r.U16()), 0, limit, size)
	if n == 0 {
		return nil
	}
	list := make([]T, 0, n)
	for range n {
		list = append(list, element())
	}
	return list
}
