package mocknode

import (
	"math"

	"github.com/synod-network/synod/sidecar/event"
)

// frame is an event as it goes over a stream.
type frame struct {
	filter event.Filter
	id     uint32
	hasID  bool
	bytes  []byte
}

// ring is what the node still has of what it sent, bounded by count and bytes. Positions count from 0 and never repeat, unlike
// the numbers of events.
type ring struct {
	frames   []frame
	first    uint64 // position of frames[0]
	bytes    int
	maxCount int
	maxBytes int
}

func (r *ring) end() uint64 { return r.first + uint64(len(r.frames)) }

func (r *ring) add(f frame) {
	r.frames = append(r.frames, f)
	r.bytes += len(f.bytes)
	drop := 0
	for drop < len(r.frames)-1 && (len(r.frames)-drop > r.maxCount || r.bytes > r.maxBytes) {
		r.bytes -= len(r.frames[drop].bytes)
		r.frames[drop] = frame{}
		drop++
	}
	r.frames = r.frames[drop:]
	r.first += uint64(drop)
}

// clear forgets everything, as a restart of the node does.
func (r *ring) clear() {
	r.first = r.end()
	r.frames, r.bytes = nil, 0
}

// from returns the position of the first event with this number or a later one. Numbers start again at 0 after 4294967295; while the
// ring is near that, those before it count as lower than those after it.
func (r *ring) from(id uint32) uint64 {
	shift := uint32(0)
	if capacity := uint32(min(r.maxCount, math.MaxUint32/2)); len(r.frames) > 0 {
		if oldest := r.frames[0].id; oldest < capacity || oldest > math.MaxUint32-capacity {
			shift = capacity
		}
	}
	for i, f := range r.frames {
		if f.hasID && f.id+shift >= id+shift {
			return r.first + uint64(i)
		}
	}
	return r.end()
}

// take appends frames of a stream from a position on, up to about a number of bytes or a number of frames, and returns where to go
// on. It returns false if the ring has already lost that position.
func (r *ring) take(to []byte, at uint64, filter event.Filter, bytes, count int) (_ []byte, next uint64, taken int, kept bool) {
	if at < r.first {
		return to, at, 0, false
	}
	for ; at < r.end() && len(to) < bytes && taken < count; at++ {
		if f := r.frames[at-r.first]; f.filter == filter {
			to = append(to, f.bytes...)
			taken++
		}
	}
	return to, at, taken, true
}
