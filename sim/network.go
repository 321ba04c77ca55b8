package sim

import (
	"bytes"

	"github.com/synod-network/synod/bft"
)

// network carries messages between members. A link is one way; like a stream
// it keeps the order of what it carries unless reordering is a fault.
type network struct {
	links     [maxMembers][maxMembers]link
	drop      float64
	duplicate float64
	corrupt   float64
	reorder   bool
}

type link struct {
	delay  bft.Time // the shortest time that a message takes
	jitter bft.Time // the mean of what comes on top
	cuts   int      // faults that cut the link at present
	slow   bft.Time // what a fault adds to the delay
	last   bft.Time // when the newest message arrives
}

// frame is a message on the wire. Members that receive the same bytes share
// the work of decoding and verifying them; validity is a function of the bytes
// and the committee.
type frame struct {
	bytes     []byte
	damaged   bool
	decoded   bool
	message   bft.Message
	err       error
	committee *bft.Committee
	block     *bft.Block
	blockErr  error
}

func encodeFrame(m bft.Message) *frame {
	return &frame{bytes: bytes.Join(bft.EncodeMessage(m), nil)}
}

func (f *frame) decode(network bft.NetworkID) (bft.Message, error) {
	if !f.decoded {
		f.message, f.err = bft.DecodeMessage(f.bytes, network)
		f.decoded = true
	}
	return f.message, f.err
}

func (f *frame) verify(u *bft.UnverifiedBlock, c *bft.Committee, verify bft.Verifier) (*bft.Block, error) {
	if f.committee != c {
		f.block, f.blockErr = u.Verify(c, verify)
		f.committee = c
	}
	return f.block, f.blockErr
}

// lay sets the delays of all links: members within one building, or around the
// world.
func (w *World) layLinks() {
	far := w.chance(0.3)
	for i := range w.network.links {
		for j := range w.network.links[i] {
			l := &w.network.links[i][j]
			l.delay = w.between(100, 800)
			l.jitter = w.between(20, 300)
			if far {
				l.delay = w.between(2*bft.Millisecond, 80*bft.Millisecond)
				l.jitter = w.between(100, 3*bft.Millisecond)
			}
		}
	}
}

// hurry makes all links of a member fast.
func (w *World) hurry(m *member) {
	for i := range w.network.links {
		w.network.links[i][m.number].delay, w.network.links[i][m.number].jitter = 50, 1
		w.network.links[m.number][i].delay, w.network.links[m.number][i].jitter = 50, 1
	}
}

// transmit puts a frame on a link.
func (w *World) transmit(from, to *member, f *frame) {
	n, l := &w.network, &w.network.links[from.number][to.number]
	if l.cuts > 0 || w.chance(n.drop) {
		w.report.Dropped++
		return
	}
	if w.chance(n.corrupt) {
		f = w.damage(f)
	}
	w.carry(from, to, l, f)
	if w.chance(n.duplicate) {
		w.carry(from, to, l, f)
	}
}

func (w *World) carry(from, to *member, l *link, f *frame) {
	at := w.now + l.delay + l.slow + bft.Time(w.random.ExpFloat64()*float64(l.jitter))
	// A gigabit link carries 125 bytes in a µs.
	at += bft.Time(len(f.bytes) / 125)
	if !w.network.reorder {
		at = max(at, l.last)
		l.last = at
	}
	w.report.Messages++
	w.kinds[f.bytes[0]]++
	w.agenda.plan(at, func() { to.arrive(from, f) })
}

// damage flips a few bits, or cuts the end off.
func (w *World) damage(f *frame) *frame {
	b := bytes.Clone(f.bytes)
	if w.chance(0.2) {
		return &frame{bytes: b[:1+w.random.IntN(len(b)-1)], damaged: true}
	}
	for range 1 + w.random.IntN(3) {
		b[w.random.IntN(len(b))] ^= 1 << w.random.IntN(8)
	}
	return &frame{bytes: b, damaged: true}
}

// cut breaks a link in one direction and returns what mends it. Members may
// notice, after a while, or not.
func (w *World) cut(from, to *member) (mend func()) {
	l := &w.network.links[from.number][to.number]
	l.cuts++
	w.later(w.between(0, bft.Second), func() {
		if l.cuts > 0 {
			to.noticeLink(from, false)
		}
	})
	return func() {
		l.cuts--
		w.later(w.between(0, 200*bft.Millisecond), func() {
			if l.cuts == 0 {
				to.noticeLink(from, true)
				from.noticeLink(to, true)
			}
		})
	}
}
