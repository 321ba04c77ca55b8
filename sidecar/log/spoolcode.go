package log

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// An entry in the spool is, in this order: the kind, a byte of flags, the numbers as varints, the texts and the body each after
// its length. The key is not kept: it is read from the body again.
const (
	flagHasID = 1 << iota
	flagDuplicate
	flagFixed
	flagBody // distinguishes an empty body from none
)

func encodeEntries(to []byte, entries []*Entry) []byte {
	for _, e := range entries {
		to = encodeEntry(to, e)
	}
	return to
}

func encodeEntry(to []byte, e *Entry) []byte {
	flags := byte(0)
	for flag, set := range map[byte]bool{flagHasID: e.HasID, flagDuplicate: e.Duplicate, flagFixed: e.Fixed, flagBody: e.Body != nil} {
		if set {
			flags |= flag
		}
	}
	to = append(to, byte(e.Kind), flags)
	to = binary.AppendUvarint(to, uint64(e.Seq))
	to = binary.AppendUvarint(to, uint64(e.ID))
	to = binary.AppendVarint(to, e.Received.UnixMicro())
	for _, text := range []string{e.Tag, e.Origin.Node, string(e.Origin.Filter), e.APIVersion, e.Network, e.Build, e.InForce} {
		to = binary.AppendUvarint(to, uint64(len(text)))
		to = append(to, text...)
	}
	to = binary.AppendUvarint(to, uint64(len(e.Body)))
	return append(to, e.Body...)
}

var errTorn = errors.New("an entry of the spool is cut short")

func decodeEntries(data []byte) ([]*Entry, error) {
	var entries []*Entry
	for len(data) > 0 {
		r := reader{data: data}
		e := r.entry()
		if r.failed {
			return nil, errTorn
		}
		entries = append(entries, e)
		data = r.data
	}
	return entries, nil
}

// reader takes fields off the front of data until one is not there.
type reader struct {
	data   []byte
	failed bool
}

func (r *reader) entry() *Entry {
	e := &Entry{}
	e.Kind = event.Kind(r.byte())
	if int(e.Kind) >= len(event.Kinds()) {
		r.failed = true
		return e
	}
	flags := r.byte()
	e.HasID, e.Duplicate, e.Fixed = flags&flagHasID != 0, flags&flagDuplicate != 0, flags&flagFixed != 0
	e.Seq = event.Seq(r.uvarint())
	e.ID = uint32(r.uvarint())
	e.Received = time.UnixMicro(r.varint()).UTC()
	filter := ""
	for _, text := range []*string{&e.Tag, &e.Origin.Node, &filter, &e.APIVersion, &e.Network, &e.Build, &e.InForce} {
		*text = string(r.bytes())
	}
	e.Origin.Filter = event.Filter(filter)
	if body := r.bytes(); flags&flagBody != 0 {
		e.Body = append([]byte{}, body...)
	}
	key, err := e.Event.Key()
	e.Key, e.Keyed = key, err == nil
	return e
}

func (r *reader) byte() byte {
	if len(r.data) == 0 {
		r.failed = true
		return 0
	}
	b := r.data[0]
	r.data = r.data[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	return take(r, v, n)
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.data)
	return take(r, v, n)
}

func take[T any](r *reader, v T, n int) T {
	if n <= 0 {
		r.failed = true
		r.data = nil
		return v
	}
	r.data = r.data[n:]
	return v
}

func (r *reader) bytes() []byte {
	length := r.uvarint()
	if length > uint64(len(r.data)) {
		r.failed = true
		r.data = nil
		return nil
	}
	b := r.data[:length]
	r.data = r.data[length:]
	return b
}
