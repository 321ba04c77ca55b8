package stream

import (
	"strconv"
	"sync/atomic"

	"github.com/synod-network/synod/sidecar/event"
)

// node is one event in the list, or the start of it. All but next is written before the node is linked.
type node struct {
	next atomic.Pointer[node]

	index   uint64 // 1, 2, 3 … in the list
	bytes   uint64 // in memory, of this node and all before it
	seq     event.Seq
	kind    event.Kind
	inForce string // the API version to announce to whoever begins here

	to     [paths]*frame // what subscribers of each path are sent; nil for nothing
	weight uint64        // of its frames, in memory
}

// frame is one server-sent event, encoded for the wire as one chunk of an HTTP/1.1 body.
type frame struct {
	chunk []byte // nil if spilled
	body  int    // where the event itself begins; it ends two bytes before the end of the chunk
	spill *spilled
}

// size is the number of bytes that a subscriber is sent.
func (f *frame) size(plain bool) int {
	n := f.total()
	if plain {
		return n - f.body - 2
	}
	return n
}

func (f *frame) total() int {
	if f.spill != nil {
		return int(f.spill.size)
	}
	return len(f.chunk)
}

// pieces are the parts of a frame on the wire, in order: the chunk's length, the event and its number, the chunk's end.
type pieces struct {
	length, before string
	body           []byte
	after          string
}

// cut returns the pieces of an event's frame.
func cut(e *event.Numbered) pieces {
	before, body, after := e.Parts()
	before = "data:" + before
	if e.IsNumbered() {
		after += "\nid:" + strconv.FormatUint(uint64(e.Seq.ID()), 10)
	}
	after += "\n\n"
	return pieces{strconv.FormatInt(int64(len(before)+len(body)+len(after)), 16) + "\r\n", before, body, after + "\r\n"}
}

func (p *pieces) size() int { return len(p.length) + len(p.before) + len(p.body) + len(p.after) }

// encode makes the frame in memory.
func (p *pieces) encode() *frame {
	chunk := make([]byte, 0, p.size())
	chunk = append(append(chunk, p.length...), p.before...)
	chunk = append(append(chunk, p.body...), p.after...)
	return &frame{chunk: chunk, body: len(p.length)}
}

// encodeComment makes a frame of a line that clients skip.
func encodeComment(text string) *frame {
	size := len(text) + 3
	head := strconv.FormatInt(int64(size), 16) + "\r\n"
	return &frame{chunk: []byte(head + ":" + text + "\n\n\r\n"), body: len(head)}
}

// wire returns the bytes of a frame that is in memory.
func (f *frame) wire(plain bool) []byte {
	if plain {
		return f.chunk[f.body : len(f.chunk)-2]
	}
	return f.chunk
}

// encodeVersion makes the frame that announces a version, which has no number.
func encodeVersion(kind event.Kind, version string) *frame {
	p := cut(&event.Numbered{Event: event.Event{Kind: kind, Tag: kind.String(), Body: []byte(strconv.Quote(version))}})
	return p.encode()
}
