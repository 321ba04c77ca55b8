package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/synod-network/synod/sidecar/event"
)

// Spool keeps accepted events on disk while the database is away: a queue of synced records in files of bounded size.
//
// A record is a group of entries: its length and CRC-32C, then the entries (spoolcode.go). Files are named by a rising number and
// removed once all their records were dropped. What was dropped from the first file is not written down: after a crash its
// records come again, and their numbers say that the database has them.
type Spool struct {
	dir      string
	maxBytes int64
	open     func(path string) (spoolFile, error)

	mu       sync.Mutex
	segments []*segment // oldest first; the last one is written to
	events   int64
	bytes    int64
}

// spoolFile is what a Spool needs of a file; tests make it fail.
type spoolFile interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

type segment struct {
	path    string
	number  int
	file    spoolFile
	size    int64    // of whole, synced records
	records []record // not yet dropped
	broken  bool     // nothing more is written to it
}

type record struct {
	offset, length int64 // of the payload
	events         int64
	first, last    event.Seq // numbers of what subscribers see of it
	shown          bool      // there is something of it that they see
}

func newRecord(offset, length int64, entries []*Entry) record {
	r := record{offset: offset, length: length, events: int64(len(entries))}
	for _, e := range entries {
		if e.Duplicate || !e.IsNumbered() {
			continue
		}
		if !r.shown {
			r.first, r.shown = e.Seq, true
		}
		r.last = e.Seq
	}
	return r
}

const (
	recordHeader    = 8
	segmentBytes    = 16 << 20
	maxRecordBytes  = 1 << 30
	spoolFileSuffix = ".spool"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrSpoolFull is returned by [Spool.Append] when the bound is reached.
var ErrSpoolFull = errors.New("the spool is full")

// OpenSpool opens the spool in a directory, which is made if need be. It holds at most maxBytes.
func OpenSpool(dir string, maxBytes int64) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of the spool: %w", err)
	}
	return &Spool{dir: dir, maxBytes: maxBytes, open: openSpoolFile}, nil
}

func openSpoolFile(path string) (spoolFile, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
}

// Size returns how many events the spool holds, and in how many bytes.
func (s *Spool) Size() (events, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events, s.bytes
}

// Recover reads what an earlier run left. It calls keep for each entry in order, and forgets the records none of whose entries
// is kept. A record torn by a crash ends the last file; a broken record anywhere else is an error.
func (s *Spool) Recover(keep func(*Entry) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := os.ReadDir(s.dir) // sorted, and numbers have a fixed width
	if err != nil {
		return fmt.Errorf("read the directory of the spool: %w", err)
	}
	var paths []string
	for _, file := range found {
		if strings.HasSuffix(file.Name(), spoolFileSuffix) {
			paths = append(paths, filepath.Join(s.dir, file.Name()))
		}
	}
	for i, path := range paths {
		if err := s.recoverSegment(path, i == len(paths)-1, keep); err != nil {
			return err
		}
	}
	return s.dropEmpty()
}

func (s *Spool) recoverSegment(path string, last bool, keep func(*Entry) bool) error {
	var number int
	if _, err := fmt.Sscanf(filepath.Base(path), "%d"+spoolFileSuffix, &number); err != nil {
		return fmt.Errorf("%s is not a spool file: move it away", path)
	}
	file, err := s.open(path)
	if err != nil {
		return err
	}
	seg := &segment{path: path, number: number, file: file, broken: true}
	s.segments = append(s.segments, seg)
	for {
		payload, err := readRecord(file, seg.size)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var entries []*Entry
		if err == nil {
			entries, err = decodeEntries(payload)
		}
		if err != nil {
			if last {
				return file.Truncate(seg.size) // it was being written when the end came, and never acknowledged
			}
			return fmt.Errorf("%s is damaged at byte %d: %w; nothing was removed, move the file away to start without its events", path, seg.size, err)
		}
		kept := int64(0)
		for _, e := range entries {
			if keep(e) {
				kept++
			}
		}
		if kept > 0 {
			seg.records = append(seg.records, newRecord(seg.size+recordHeader, int64(len(payload)), entries))
			s.events += int64(len(entries))
			s.bytes += int64(len(payload)) + recordHeader
		}
		seg.size += recordHeader + int64(len(payload))
	}
}

// readRecord returns the payload of the record at an offset, io.EOF at the end of the file, and another error for anything else
// than a whole record.
func readRecord(file io.ReaderAt, offset int64) ([]byte, error) {
	var header [recordHeader]byte
	n, err := file.ReadAt(header[:], offset)
	if n == 0 && errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	if n < recordHeader {
		return nil, io.ErrUnexpectedEOF
	}
	length := binary.LittleEndian.Uint32(header[:4])
	if length == 0 || length > maxRecordBytes {
		return nil, fmt.Errorf("a record of %d bytes", length)
	}
	payload, err := io.ReadAll(io.NewSectionReader(file, offset+recordHeader, int64(length)))
	if err != nil {
		return nil, err
	}
	if len(payload) < int(length) {
		return nil, io.ErrUnexpectedEOF
	}
	if crc32.Checksum(payload, castagnoli) != binary.LittleEndian.Uint32(header[4:]) {
		return nil, errors.New("checksum does not match")
	}
	return payload, nil
}

// Append makes entries durable as one record. An error means that they are not in the spool.
func (s *Spool) Append(entries []*Entry) error {
	if len(entries) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data := encodeEntries(make([]byte, recordHeader), entries)
	payload := data[recordHeader:]
	if len(payload) > maxRecordBytes {
		return fmt.Errorf("a group of %d bytes is too large for the spool", len(payload))
	}
	if s.bytes+int64(len(data)) > s.maxBytes && s.bytes > 0 {
		return fmt.Errorf("%w: it holds %d of %d bytes", ErrSpoolFull, s.bytes, s.maxBytes)
	}
	binary.LittleEndian.PutUint32(data, uint32(len(payload)))
	binary.LittleEndian.PutUint32(data[4:], crc32.Checksum(payload, castagnoli))
	seg, err := s.writable()
	if err != nil {
		return err
	}
	if _, err = seg.file.WriteAt(data, seg.size); err == nil {
		err = seg.file.Sync()
	}
	if err != nil {
		seg.broken = true // what a failed write or sync left in it is unknown
		_ = seg.file.Truncate(seg.size)
		s.discardEmpty()
		return fmt.Errorf("append to the spool: %w", err)
	}
	seg.records = append(seg.records, newRecord(seg.size+recordHeader, int64(len(payload)), entries))
	seg.size += int64(len(data))
	s.events += int64(len(entries))
	s.bytes += int64(len(data))
	return nil
}

// discardEmpty removes the last segment if nothing was ever written to it whole: a disk that is full for long does not fill with files.
func (s *Spool) discardEmpty() {
	last := s.segments[len(s.segments)-1]
	if last.size > 0 {
		return
	}
	_ = last.file.Close()
	if err := os.Remove(last.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // its number is not used again
	}
	s.segments = s.segments[:len(s.segments)-1]
}

// writable returns the segment to write to, a new one if the last is full or broken.
func (s *Spool) writable() (*segment, error) {
	number := 1
	if len(s.segments) > 0 {
		last := s.segments[len(s.segments)-1]
		if !last.broken && last.size < segmentBytes {
			return last, nil
		}
		if err := last.file.Truncate(last.size); err != nil {
			return nil, err
		}
		number = last.number + 1
	}
	path := filepath.Join(s.dir, fmt.Sprintf("%010d%s", number, spoolFileSuffix))
	file, err := s.open(path)
	if err != nil {
		return nil, err
	}
	if err := syncDir(s.dir); err != nil {
		_ = file.Close()
		return nil, err
	}
	seg := &segment{path: path, number: number, file: file}
	s.segments = append(s.segments, seg)
	return seg, nil
}

// Peek returns the entries of the oldest records, at least one record and not much more than asked for, and how many records
// they are.
func (s *Spool) Peek(maxEvents, maxBytes int) (entries []*Entry, records int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(0)
	for _, seg := range s.segments {
		for _, r := range seg.records {
			if records > 0 && (len(entries)+int(r.events) > maxEvents || size+r.length > int64(maxBytes)) {
				return entries, records, nil
			}
			more, err := seg.read(r)
			if err != nil {
				return nil, 0, err
			}
			entries = append(entries, more...)
			size += r.length
			records++
		}
	}
	return entries, records, nil
}

func (seg *segment) read(r record) ([]*Entry, error) {
	payload, err := readRecord(seg.file, r.offset-recordHeader)
	var entries []*Entry
	if err == nil {
		entries, err = decodeEntries(payload)
	}
	if err != nil {
		return nil, fmt.Errorf("%s at byte %d: %w", seg.path, r.offset, err)
	}
	return entries, nil
}

// First returns the lowest number in the spool that subscribers see, and false if there is none.
func (s *Spool) First() (event.Seq, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first()
}

// first is First. The caller holds mu.
func (s *Spool) first() (event.Seq, bool) {
	for _, seg := range s.segments {
		for _, r := range seg.records {
			if r.shown {
				return r.first, true
			}
		}
	}
	return 0, false
}

// After returns up to limit events of the spool that subscribers see, from a number on, at least one if there is one and then not
// more than maxBytes of bodies. It reports false if what lies at that number has left the spool, and is in the database.
func (s *Spool) After(from event.Seq, limit, maxBytes int) (events []event.Numbered, there bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first, some := s.first(); !some || from < first {
		return nil, false, nil
	}
	size := 0
	for _, seg := range s.segments {
		for _, r := range seg.records {
			if !r.shown || r.last < from {
				continue
			}
			entries, err := seg.read(r)
			if err != nil {
				return nil, true, err
			}
			for _, e := range entries {
				if e.Duplicate || !e.IsNumbered() || e.Seq < from {
					continue
				}
				if size += len(e.Body); len(events) == limit || size > maxBytes && len(events) > 0 {
					return events, true, nil
				}
				events = append(events, e.Numbered)
			}
		}
	}
	return events, true, nil
}

// Drop forgets the oldest records.
func (s *Spool) Drop(records int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		n := min(records, len(seg.records))
		for _, r := range seg.records[:n] {
			s.events -= r.events
			s.bytes -= r.length + recordHeader
		}
		seg.records = seg.records[n:]
		records -= n
	}
	return s.dropEmpty()
}

// dropEmpty removes the files of segments without records, from the oldest on.
func (s *Spool) dropEmpty() error {
	for len(s.segments) > 0 && len(s.segments[0].records) == 0 {
		seg := s.segments[0]
		if err := seg.file.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			return err
		}
		if err := os.Remove(seg.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.segments = s.segments[1:]
	}
	return nil
}

// Close closes the files; what they hold stays.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var first error
	for _, seg := range s.segments {
		if err := seg.file.Close(); err != nil && first == nil {
			first = err
		}
	}
	s.segments = nil
	return first
}

// syncDir makes the creation of files in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
