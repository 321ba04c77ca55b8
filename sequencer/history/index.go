package history

import (
	"encoding/binary"
	"fmt"

	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Prefixes of keys in the index.
const (
	prefixChunk    = 'c'
	prefixEvents   = 'e'
	prefixMember   = 'm'
	prefixName     = 'n'
	prefixSegment  = 's'
	prefixState    = 'a'
	prefixSnapshot = 'z'
)

// format is the first byte of the state.
const format = 2

func stateKey() []byte    { return []byte{prefixState} }
func snapshotKey() []byte { return []byte{prefixSnapshot} }
func besideKey() []byte   { return []byte{prefixSnapshot, 1} }

func chunkKey(d sequencing.Digest) []byte { return append([]byte{prefixChunk}, d[:]...) }

func memberKey(prefix byte, member sequencing.Index) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefix}, uint32(member))
}

func segmentKey(prefix byte, segment uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, segment)
}

// runKey is that of a run by the time of its first event.
func runKey(buf []byte, segment uint64, member sequencing.Index, first sequencing.Time) []byte {
	buf = binary.BigEndian.AppendUint64(append(buf[:0], prefixEvents), segment)
	buf = binary.BigEndian.AppendUint32(buf, uint32(member))
	return binary.BigEndian.AppendUint64(buf, uint64(first))
}

const runKeySize = 1 + 8 + 4 + 8

// state is what the index knows of the history as a whole. It is written with every
// batch.
type state struct {
	network  sequencing.NetworkID
	position sequencing.Position
	// pruned is the time up to which nothing can be read.
	pruned sequencing.Time
	// first is the oldest segment, next the number of the one that is not begun.
	first, next uint64
}

func (s state) encode() []byte {
	b := append([]byte{format}, s.network[:]...)
	for _, v := range []uint64{uint64(s.position.Height), uint64(s.position.Time), uint64(s.pruned), s.first, s.next} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return append(b, s.position.Chain[:]...)
}

func decodeState(b []byte) (s state, err error) {
	if len(b) == 0 || b[0] != format {
		return s, fmt.Errorf("%w: the index begins with % x; install the version that wrote it", ErrFormat, b[:min(1, len(b))])
	}
	if len(b) != 1+32+5*8+32 {
		return s, fmt.Errorf("%w: the state in the index has %d bytes", ErrCorrupt, len(b))
	}
	copy(s.network[:], b[1:])
	v := func(i int) uint64 { return binary.BigEndian.Uint64(b[33+8*i:]) }
	s.position = sequencing.Position{Height: ordering.Height(v(0)), Time: sequencing.Time(v(1))}
	s.pruned, s.first, s.next = sequencing.Time(v(2)), v(3), v(4)
	copy(s.position.Chain[:], b[73:])
	return s, nil
}

// segment is what the index knows of one log file.
type segment struct {
	number uint64
	// first and last are the times of records.
	first, last sequencing.Time
}

func (s segment) encode() []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(s.first)), uint64(s.last))
}

func decodeSegment(key, value []byte) (segment, error) {
	if len(key) != 9 || len(value) != 16 {
		return segment{}, fmt.Errorf("%w: row %x of the index has %d bytes", ErrCorrupt, key, len(value))
	}
	return segment{number: binary.BigEndian.Uint64(key[1:]), first: sequencing.Time(binary.BigEndian.Uint64(value)),
		last: sequencing.Time(binary.BigEndian.Uint64(value[8:]))}, nil
}

// place is where an event's record begins.
type place struct {
	time    sequencing.Time
	segment uint64
	offset  uint64
}

// run is a sequence of events of one member in one segment.
type run struct {
	previous sequencing.Time // of the event before, 0 for none
	places   []place
}

// maxRun bounds the events of one row.
const maxRun = 256

// appendRun encodes a run of at most maxRun places: the previous time, the offset of
// the first record, and what is added to time and offset from one to the next.
func appendRun(b []byte, previous sequencing.Time, places []place) []byte {
	b = binary.AppendUvarint(b, uint64(places[0].time-previous))
	b = binary.AppendUvarint(b, places[0].offset)
	for i := 1; i < len(places); i++ {
		b = binary.AppendUvarint(b, uint64(places[i].time-places[i-1].time))
		b = binary.AppendUvarint(b, places[i].offset-places[i-1].offset)
	}
	return b
}

// decodeRun reads a row of events. It appends to places.
func decodeRun(key, value []byte, places []place) (run, error) {
	bad := func() (run, error) { return run{}, fmt.Errorf("%w: row %x of the index", ErrCorrupt, key) }
	if len(key) != runKeySize {
		return bad()
	}
	segment, at := binary.BigEndian.Uint64(key[1:]), binary.BigEndian.Uint64(key[13:])
	var previous, offset uint64
	for n := 0; len(value) > 0; n++ {
		time, a := binary.Uvarint(value)
		if a <= 0 {
			return bad()
		}
		step, b := binary.Uvarint(value[a:])
		if b <= 0 || n == maxRun || time == 0 || step == 0 || step > maxSegment || offset > maxSegment {
			return bad()
		}
		value = value[a+b:]
		if n == 0 {
			if time > at {
				return bad()
			}
			previous = at - time
		} else if at += time; at >= 1<<63 {
			return bad()
		}
		offset += step
		places = append(places, place{time: sequencing.Time(at), segment: segment, offset: offset})
	}
	if len(places) == 0 {
		return bad()
	}
	return run{previous: sequencing.Time(previous), places: places}, nil
}
