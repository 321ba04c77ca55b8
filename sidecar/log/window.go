package log

import (
	"encoding/binary"
	"hash/maphash"
	"strconv"
)

// Identity names an event among those of its type, as event_log does.
type Identity struct {
	Type int // as in event_log; the two generations share numbers for what never occurs together
	Key  string
}

// window remembers the identities of the events accepted last, so that the copies that other nodes send cost no question to the
// database, and are found without one. It is owned by the log's goroutine.
//
// It keeps 128 bits of a keyed hash of each identity: two of them are equal by chance once in 10^28.
type window struct {
	seeds [2]maphash.Seed
	seen  map[fingerprint]struct{}
	order []fingerprint // a ring: the oldest is at next once it is full
	next  int
}

type fingerprint [16]byte

func newWindow(size int) *window {
	return &window{
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		seen:  make(map[fingerprint]struct{}),
		order: make([]fingerprint, 0, size),
	}
}

func (w *window) has(id Identity) bool {
	_, seen := w.seen[w.fingerprint(id)]
	return seen
}

func (w *window) add(id Identity) {
	f := w.fingerprint(id)
	if _, seen := w.seen[f]; seen {
		return
	}
	w.seen[f] = struct{}{}
	if len(w.order) < cap(w.order) {
		w.order = append(w.order, f)
		return
	}
	delete(w.seen, w.order[w.next])
	w.order[w.next] = f
	w.next = (w.next + 1) % len(w.order)
}

func (w *window) fingerprint(id Identity) (f fingerprint) {
	for i, seed := range w.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		_ = h.WriteByte(byte(id.Type))
		_, _ = h.WriteString(id.Key)
		binary.LittleEndian.PutUint64(f[8*i:], h.Sum64())
	}
	return f
}

// identity names an entry. What has no key is named by the node's own number, so that it is at least not taken twice from the
// same node.
func identity(e *Entry) Identity {
	number := typesV1[e.Kind]
	if number == 0 {
		number = typesV2[e.Kind]
	}
	if e.Keyed {
		return Identity{number, eventKey(e.Kind, e.Key)}
	}
	return Identity{-1, e.Origin.Node + " " + string(e.Origin.Filter) + " " + strconv.FormatUint(uint64(e.ID), 10) + " " + e.Tag}
}
