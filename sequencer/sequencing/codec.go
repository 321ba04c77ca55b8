package sequencing

import (
	"errors"

	"github.com/synod-network/synod/internal/canon"
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
	errLimit = errors.New("a list or text is longer than its limit")
	errOrder = errors.New("a list is not strictly ascending")
	errRange = errors.New("a number is out of its range")
	errKind  = errors.New("unknown kind")
)

// writer appends what [canon.Writer] does, and texts and times.
type writer struct{ canon.Writer }

func newWriter(buf []byte) writer { return writer{canon.Writer{Buf: buf}} }

func (w *writer) time(t Time) { w.U64(uint64(t)) }

// text writes a text of at most 255 bytes; a longer one as if it were empty.
func (w *writer) text(s string) {
	if len(s) > 255 {
		s = ""
	}
	w.U8(uint8(len(s)))
	w.Raw(s)
}

// count writes a length, or another number that is below every limit if it is
// valid.
func (w *writer) count(n int) { w.U16(uint16(min(max(n, 0), 1<<16-1))) }

// reader takes the same apart.
type reader struct{ canon.Reader }

func newReader(b []byte) reader { return reader{canon.Reader{Buf: b}} }

// time reads a time, which is never negative.
func (r *reader) time() Time {
	t := Time(r.U64())
	if t < 0 {
		r.Fail(errRange)
		return 0
	}
	return t
}

func (r *reader) digest() (d Digest) {
	copy(d[:], r.Take(len(d)))
	return d
}

func (r *reader) key() (k Key) {
	copy(k[:], r.Take(len(k)))
	return k
}

func (r *reader) signature() (s Signature) {
	copy(s[:], r.Take(len(s)))
	return s
}

// text reads a text of 1 to limit bytes.
func (r *reader) text(limit int) string {
	n := int(r.U8())
	if r.Err == nil && (n == 0 || n > limit) {
		r.Err = errLimit
	}
	return string(r.Take(n))
}

// count reads the length of a list of least to most elements that take at least size bytes each.
func (r *reader) count(least, most, size int) int { return r.Count(int(r.U16()), least, most, size) }
