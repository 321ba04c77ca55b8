package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/synod-network/synod/sequencer/sequencing"
)

const (
	// headerSize is that of a segment: magic, number, checksum.
	headerSize = 8 + 8 + 4
	magic      = "synodhis"
	// frameSize is what precedes a record: length of head, length of payloads,
	// checksum over both and the head.
	frameSize = 4 + 4 + 4
	// maxHead and maxPayloads bound one record, in bytes.
	maxHead     = 1 << 28
	maxPayloads = 1 << 30
	// maxSegment bounds offsets that the index may hold.
	maxSegment = 1 << 40
	// maxOpen bounds the log files that readers keep open.
	maxOpen = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func segmentName(number uint64) string { return fmt.Sprintf("%016x.log", number) }

// parseName returns the number of a log file.
func parseName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, ok && err == nil && segmentName(number) == name
}

func header(number uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte(magic), number)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// appendFrame appends one record with its frame.
func appendFrame(buf []byte, r *sequencing.Record) ([]byte, error) {
	start := len(buf)
	buf, head := sequencing.AppendRecord(append(buf, make([]byte, frameSize)...), r)
	payloads := len(buf) - start - frameSize - head
	if head > maxHead || payloads > maxPayloads {
		return nil, fmt.Errorf("store record at %d with a head of %d and payloads of %d bytes: %w", r.Time, head, payloads, ErrTooLarge)
	}
	frame := buf[start : start+frameSize]
	binary.BigEndian.PutUint32(frame, uint32(head))
	binary.BigEndian.PutUint32(frame[4:], uint32(payloads))
	binary.BigEndian.PutUint32(frame[8:], frameSum(frame, buf[start+frameSize:start+frameSize+head]))
	return buf, nil
}

func frameSum(frame, head []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:8], castagnoli), castagnoli, head)
}

// files are the log files open for reading, at most maxOpen but those in use.
type files struct {
	fs   vfs.FS
	path func(number uint64) string

	mu    sync.Mutex // guards all that follows
	open  map[uint64]*file
	clock uint64
}

// file is one open log file. It stays readable after it was removed.
type file struct {
	vfs.File
	path string
	// Guarded by files.mu:
	users int
	gone  bool   // close it after its last user
	used  uint64 // when it was wanted last
}

// get opens a log file, until put.
func (f *files) get(number uint64) (*file, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	if h := f.open[number]; h != nil {
		h.users, h.used = h.users+1, f.clock
		return h, nil
	}
	path := f.path(number)
	raw, err := f.fs.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	var begin [headerSize]byte
	if _, err := raw.ReadAt(begin[:], 0); err != nil || string(begin[:]) != string(header(number)) {
		return nil, errors.Join(damaged(path, 0, "its header is % x, %v", begin, err), raw.Close())
	}
	f.shrink()
	h := &file{File: raw, path: path, users: 1, used: f.clock}
	f.open[number] = h
	return h, nil
}

// shrink closes the file that was not wanted for longest, if there are too many.
func (f *files) shrink() {
	oldest, found := uint64(0), false
	for number, h := range f.open {
		if h.users == 0 && (!found || h.used < f.open[oldest].used) {
			oldest, found = number, true
		}
	}
	if found && len(f.open) >= maxOpen {
		_ = f.open[oldest].Close() // nothing was written
		delete(f.open, oldest)
	}
}

func (f *files) put(h *file) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.users--; h.users == 0 && h.gone {
		_ = h.Close()
	}
}

// forget closes a file that was removed, or all, once nobody reads them.
func (f *files) forget(which func(number uint64) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for number, h := range f.open {
		if !which(number) {
			continue
		}
		delete(f.open, number)
		if h.gone = true; h.users == 0 {
			_ = h.Close()
		}
	}
}

func damaged(path string, offset uint64, format string, args ...any) error {
	return fmt.Errorf("%w: %s at byte %d: %s", ErrCorrupt, path, offset, fmt.Sprintf(format, args...))
}

// readAhead is how much of a record is read at once, in bytes: all of most.
const readAhead = 4 << 10

// opened is a record of which the head was read.
type opened struct {
	*sequencing.StoredRecord
	// part reads a part of what follows the head.
	part func(from, size int) ([]byte, error)
}

// record reads the head of a record from where it begins. buf is scratch memory that is
// returned, perhaps larger; parts are read before it is used again, and keep none of it.
func (h *file) record(at place, buf []byte) (o opened, _ []byte, err error) {
	n, err := h.ReadAt(buf[:readAhead], int64(at.offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return o, buf, fmt.Errorf("read %s at byte %d: %w", h.path, at.offset, err)
	}
	if n < frameSize {
		return o, buf, damaged(h.path, at.offset, "the file ends")
	}
	head, payloads := int(binary.BigEndian.Uint32(buf)), int(binary.BigEndian.Uint32(buf[4:]))
	if head > maxHead || payloads > maxPayloads {
		return o, buf, damaged(h.path, at.offset, "a head of %d and payloads of %d bytes", head, payloads)
	}
	if begin := frameSize + head; begin > n {
		if begin > len(buf) {
			buf = append(buf, make([]byte, begin-len(buf))...)
		}
		if err := h.fill(buf[n:begin], at.offset+uint64(n)); err != nil {
			return o, buf, err
		}
		n = begin
	}
	if frameSum(buf, buf[frameSize:frameSize+head]) != binary.BigEndian.Uint32(buf[8:]) {
		return o, buf, damaged(h.path, at.offset, "wrong checksum")
	}
	stored, err := sequencing.DecodeHead(buf[frameSize : frameSize+head])
	if err != nil {
		return o, buf, damaged(h.path, at.offset, "%v", err)
	}
	if stored.Time() != at.time {
		return o, buf, damaged(h.path, at.offset, "the record is that of %d, the index says %d", stored.Time(), at.time)
	}
	return opened{stored, func(from, size int) ([]byte, error) {
		if from+size > payloads {
			return nil, damaged(h.path, at.offset, "payloads end at %d of %d bytes", payloads, from+size)
		}
		part := make([]byte, size)
		begin := frameSize + head + from
		known := copy(part, buf[min(begin, n):min(begin+size, n)])
		return part, h.fill(part[known:], at.offset+uint64(begin+known))
	}}, buf, nil
}

// deliver reads the event of one member from where its record begins. buf is as for record.
func (h *file) deliver(member sequencing.Index, at place, buf []byte) (d sequencing.Delivery, _ []byte, err error) {
	o, buf, err := h.record(at, buf)
	if err != nil {
		return d, buf, err
	}
	d, err = o.Deliver(member, o.part)
	return d, buf, h.genuine(at, err)
}

// recipients reads a recipient set that a record tells a member of.
func (h *file) recipients(member sequencing.Index, at place, set sequencing.Digest) ([]byte, error) {
	o, _, err := h.record(at, make([]byte, readAhead))
	if err != nil {
		return nil, err
	}
	encoded, err := o.Recipients(member, set, o.part)
	return encoded, h.genuine(at, err)
}

// genuine says where what does not match its digest lies.
func (h *file) genuine(at place, err error) error {
	if errors.Is(err, sequencing.ErrPayload) {
		return damaged(h.path, at.offset, "%v", err)
	}
	return err
}

// fill reads bytes that must be there.
func (h *file) fill(p []byte, offset uint64) error {
	if len(p) == 0 {
		return nil
	}
	_, err := h.ReadAt(p, int64(offset))
	if errors.Is(err, io.EOF) {
		return damaged(h.path, offset, "the file ends")
	}
	if err != nil {
		return fmt.Errorf("read %s at byte %d: %w", h.path, offset, err)
	}
	return nil
}
