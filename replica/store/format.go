package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft"
)

// The format on disk. Integers are big-endian; offsets and lengths are bytes.
const (
	formatVersion = 1

	segmentMagic = 0x73796e6f_64736567 // "synodseg"
	groupMagic   = 0x73796e6f_64677270 // "synodgrp"

	// groupHeader: magic 8 · checksum 4 · table length 4 · body length 8 · salt 8 · number 8 · segment 8 · offset 8 ·
	// records 4 · zero 4. The checksum covers what follows it and the table; the table holds those of the bodies.
	groupHeader = 64
	// entrySize is the fixed part of an entry of the table: key length 2 · head length 4 · tail length 4 · checksums
	// of head and tail 4+4. The key follows.
	entrySize = 2 + 4 + 4 + 4 + 4

	// MaxGroup bounds one group: more than any sensible batch, less than what would not fit memory at recovery.
	MaxGroup = 1 << 30
)

// segmentHeader is the first page of a segment that is or was in use; one that waits for use has a page of zeros.
type segmentHeader struct {
	network bft.NetworkID
	number  uint64
	// salt is random, drawn at every activation of a file.
	salt uint64
	// first is the number of the segment's first group.
	first uint64
}

func (h *segmentHeader) encode() []byte {
	b := make([]byte, 0, pageSize)
	b = binary.BigEndian.AppendUint64(b, segmentMagic)
	b = binary.BigEndian.AppendUint32(b, formatVersion)
	b = append(b, h.network[:]...)
	b = binary.BigEndian.AppendUint64(b, h.number)
	b = binary.BigEndian.AppendUint64(b, h.salt)
	b = binary.BigEndian.AppendUint64(b, h.first)
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	return b[:pageSize]
}

// decodeSegmentHeader returns false for a page of zeros.
func decodeSegmentHeader(page []byte) (h segmentHeader, used bool, err error) {
	if isZero(page) {
		return h, false, nil
	}
	const size = 8 + 4 + 32 + 8 + 8 + 8
	if binary.BigEndian.Uint64(page) != segmentMagic || binary.BigEndian.Uint32(page[size:]) != checksum(page[:size]) {
		return h, false, fmt.Errorf("%w: segment header does not match its checksum", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(page[8:]); v != formatVersion {
		return h, false, fmt.Errorf("%w: segment has version %d, this program writes %d", ErrFormat, v, formatVersion)
	}
	copy(h.network[:], page[12:])
	h.number = binary.BigEndian.Uint64(page[44:])
	h.salt = binary.BigEndian.Uint64(page[52:])
	h.first = binary.BigEndian.Uint64(page[60:])
	return h, true, nil
}

func isZero(p []byte) bool {
	for _, c := range p {
		if c != 0 {
			return false
		}
	}
	return true
}

// location says where a block or a commit lies. It is the record's value in the index.
type location struct {
	segment          uint64
	offset           int64
	head, tail       uint32
	headSum, tailSum uint32
}

const locationSize = 8 + 8 + 4*4

func (l location) encode() []byte {
	b := make([]byte, 0, locationSize)
	b = binary.BigEndian.AppendUint64(b, l.segment)
	b = binary.BigEndian.AppendUint64(b, uint64(l.offset))
	b = binary.BigEndian.AppendUint32(b, l.head)
	b = binary.BigEndian.AppendUint32(b, l.tail)
	b = binary.BigEndian.AppendUint32(b, l.headSum)
	return binary.BigEndian.AppendUint32(b, l.tailSum)
}

func decodeLocation(b []byte) (location, error) {
	if len(b) != locationSize {
		return location{}, fmt.Errorf("%w: index entry has %d bytes, want %d", ErrCorrupt, len(b), locationSize)
	}
	return location{
		segment: binary.BigEndian.Uint64(b), offset: int64(binary.BigEndian.Uint64(b[8:])),
		head: binary.BigEndian.Uint32(b[16:]), tail: binary.BigEndian.Uint32(b[20:]),
		headSum: binary.BigEndian.Uint32(b[24:]), tailSum: binary.BigEndian.Uint32(b[28:]),
	}, nil
}

// group is a parsed or planned group: where it lies and what it holds.
type group struct {
	segment, salt, number uint64
	offset                int64
	// header is the encoded header and table.
	header  []byte
	body    int64
	entries []entry
}

type entry struct {
	key []byte
	at  location
}

// size is the number of bytes that the group takes in its segment.
func (g *group) size() int64 { return pages(int64(len(g.header)) + g.body) }

func pages(n int64) int64 { return (n + pageSize - 1) &^ (pageSize - 1) }

// groupSize returns what a batch will take, before it has a place.
func groupSize(b *Batch) int64 { return pages(groupHeader + b.bytes) }

// planGroup lays out a batch at a place in the log.
func planGroup(b *Batch, seg *segmentHeader, offset int64, number uint64) *group {
	g := &group{segment: seg.number, salt: seg.salt, number: number, offset: offset}
	table := 0
	for _, r := range b.records {
		table += entrySize + len(r.key)
	}
	g.body = b.bytes - int64(table)
	h := make([]byte, groupHeader, groupHeader+table)
	at := offset + int64(groupHeader+table)
	for _, r := range b.records {
		l := location{
			segment: seg.number, offset: at, head: uint32(len(r.head)), tail: uint32(len(r.tail)),
			headSum: checksum(r.head), tailSum: checksum(r.tail),
		}
		g.entries = append(g.entries, entry{key: r.key, at: l})
		h = binary.BigEndian.AppendUint16(h, uint16(len(r.key)))
		h = binary.BigEndian.AppendUint32(h, l.head)
		h = binary.BigEndian.AppendUint32(h, l.tail)
		h = binary.BigEndian.AppendUint32(h, l.headSum)
		h = binary.BigEndian.AppendUint32(h, l.tailSum)
		h = append(h, r.key...)
		at += int64(l.head) + int64(l.tail)
	}
	binary.BigEndian.PutUint64(h, groupMagic)
	binary.BigEndian.PutUint32(h[12:], uint32(table))
	binary.BigEndian.PutUint64(h[16:], uint64(g.body))
	binary.BigEndian.PutUint64(h[24:], g.salt)
	binary.BigEndian.PutUint64(h[32:], g.number)
	binary.BigEndian.PutUint64(h[40:], g.segment)
	binary.BigEndian.PutUint64(h[48:], uint64(g.offset))
	binary.BigEndian.PutUint32(h[56:], uint32(len(b.records)))
	binary.BigEndian.PutUint32(h[8:], checksum(h[12:]))
	g.header = h
	return g
}

// errNoGroup tells that the bytes at a place are not a group of the segment's present life.
var errNoGroup = errors.New("no group")

// parseGroupHeader reads the fixed part of a group's header; the result has no table yet. limit is the number of bytes
// from the group's offset to the end of the segment.
func parseGroupHeader(h []byte, seg *segmentHeader, offset, limit int64) (g *group, table int, err error) {
	if len(h) < groupHeader || binary.BigEndian.Uint64(h) != groupMagic {
		return nil, 0, errNoGroup
	}
	table = int(binary.BigEndian.Uint32(h[12:]))
	g = &group{
		segment: binary.BigEndian.Uint64(h[40:]), salt: binary.BigEndian.Uint64(h[24:]),
		number: binary.BigEndian.Uint64(h[32:]), offset: int64(binary.BigEndian.Uint64(h[48:])),
		body: int64(binary.BigEndian.Uint64(h[16:])),
	}
	if g.salt != seg.salt || g.segment != seg.number || g.offset != offset {
		return nil, 0, errNoGroup
	}
	if g.body < 0 || g.body > MaxGroup || int64(groupHeader+table)+g.body > limit {
		return nil, 0, errNoGroup
	}
	return g, table, nil
}

// parseTable completes a group from its header and table, and checks both.
func (g *group) parseTable(header []byte) error {
	if binary.BigEndian.Uint32(header[8:]) != checksum(header[12:]) {
		return errNoGroup
	}
	g.header = header
	at := g.offset + int64(len(header))
	rest := header[groupHeader:]
	for range binary.BigEndian.Uint32(header[56:]) {
		if len(rest) < entrySize {
			return errNoGroup
		}
		n := int(binary.BigEndian.Uint16(rest))
		l := location{
			segment: g.segment, offset: at,
			head: binary.BigEndian.Uint32(rest[2:]), tail: binary.BigEndian.Uint32(rest[6:]),
			headSum: binary.BigEndian.Uint32(rest[10:]), tailSum: binary.BigEndian.Uint32(rest[14:]),
		}
		if n == 0 || len(rest) < entrySize+n {
			return errNoGroup
		}
		g.entries = append(g.entries, entry{key: rest[entrySize : entrySize+n : entrySize+n], at: l})
		rest = rest[entrySize+n:]
		at += int64(l.head) + int64(l.tail)
	}
	if len(rest) != 0 || at != g.offset+int64(len(header))+g.body {
		return errNoGroup
	}
	return nil
}
