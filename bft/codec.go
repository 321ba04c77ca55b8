package bft

import "github.com/synod-network/synod/internal/canon"

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

// writer appends what [canon.Writer] does, and references.
type writer struct{ canon.Writer }

func newWriter(buf []byte) writer { return writer{canon.Writer{Buf: buf}} }

func (w *writer) ref(r Ref) {
	w.U64(uint64(r.Round))
	w.U16(uint16(r.Author))
	w.Bytes(r.Digest[:])
}

// reader takes the same apart.
type reader struct{ canon.Reader }

func newReader(b []byte) reader { return reader{canon.Reader{Buf: b}} }

func (r *reader) digest() (d Digest) {
	copy(d[:], r.Take(len(d)))
	return d
}

func (r *reader) key() (k PublicKey) {
	copy(k[:], r.Take(len(k)))
	return k
}

func (r *reader) signature() (s Signature) {
	copy(s[:], r.Take(len(s)))
	return s
}

func (r *reader) ref() Ref {
	return Ref{Round: Round(r.U64()), Author: Author(r.U16()), Digest: r.digest()}
}

// count reads the length of a list of at most limit elements that take at least size bytes each.
func (r *reader) count(limit, size int) int { return r.Count(int(r.U32()), 0, limit, size) }
