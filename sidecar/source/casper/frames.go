package casper

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// frame is one server-sent event.
type frame struct {
	data  []byte // its own; lines are separated by \n
	id    uint32
	hasID bool
}

// errTooLarge is returned for an event beyond the bound, which has been skipped: reading may go on.
var errTooLarge = errors.New("an event larger than a sidecar takes")

// frames reads server-sent events as the standard says, except that a carriage return alone does not end a line. Only the fields
// data and id are kept; an id counts for the event in which it is given, since nodes send events without number.
type frames struct {
	in       *bufio.Reader
	maxBytes int // of one event's data

	data    []byte
	hasData bool
	id      uint32
	hasID   bool
	tooLong bool
}

func newFrames(in io.Reader, maxBytes int) *frames {
	return &frames{in: bufio.NewReaderSize(in, 64<<10), maxBytes: maxBytes}
}

// next returns the next event that has data.
func (f *frames) next() (frame, error) {
	for {
		field, value, err := f.line()
		switch {
		case err != nil:
			return frame{}, err
		case field == "":
			if made, ok := f.dispatch(); ok {
				return made, nil
			}
			if f.skipped() {
				return frame{}, fmt.Errorf("%w (%d bytes)", errTooLarge, f.maxBytes)
			}
		case field == "id":
			f.setID(value)
		}
	}
}

func (f *frames) dispatch() (frame, bool) {
	made, ok := frame{data: f.data, id: f.id, hasID: f.hasID}, f.hasData && !f.tooLong
	if ok {
		if cap(made.data) > 2*len(made.data) || cap(made.data) <= keptBuffer {
			made.data = bytes.Clone(made.data) // the buffer is used again
			f.data = f.data[:0]
		} else {
			f.data = nil
		}
	}
	f.data = f.data[:0]
	f.hasData, f.id, f.hasID = false, 0, false
	return made, ok
}

// keptBuffer is the size in bytes up to which the buffer of an event's data is used for the next one.
const keptBuffer = 256 << 10

func (f *frames) skipped() bool {
	skipped := f.tooLong
	if skipped {
		f.tooLong, f.data = false, nil
	}
	return skipped
}

func (f *frames) setID(value []byte) {
	id, err := strconv.ParseUint(string(value), 10, 32)
	f.id, f.hasID = uint32(id), err == nil
}

// line reads one line. It returns "id" with a value that is valid until the next call; "data" after adding its value to f.data; "" for
// an empty line; and "comment" for all that is to be ignored.
func (f *frames) line() (field string, value []byte, err error) {
	chunk, err := f.in.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return "", nil, ended(err)
	}
	whole := err == nil
	if whole {
		chunk = trimLine(chunk)
		if len(chunk) == 0 {
			return "", nil, nil
		}
	}
	name, rest, _ := bytes.Cut(chunk, []byte(":"))
	rest = bytes.TrimPrefix(rest, []byte(" "))
	if string(name) != "data" {
		switch {
		case !whole:
			return "comment", nil, f.skipLine()
		case string(name) == "id":
			return "id", rest, nil
		default:
			return "comment", nil, nil
		}
	}
	if f.hasData {
		f.add([]byte("\n"))
	}
	f.hasData = true
	f.add(rest)
	for !whole {
		chunk, err = f.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", nil, ended(err)
		}
		if whole = err == nil; whole {
			f.dropCR(chunk)
			chunk = trimLine(chunk)
		}
		f.add(chunk)
	}
	return "data", nil, nil
}

// dropCR removes a carriage return that came in the chunk before its line feed.
func (f *frames) dropCR(chunk []byte) {
	if len(chunk) == 1 && bytes.HasSuffix(f.data, []byte("\r")) {
		f.data = f.data[:len(f.data)-1]
	}
}

func (f *frames) add(part []byte) {
	if f.tooLong || len(f.data)+len(part) > f.maxBytes {
		f.tooLong, f.data = true, nil
		return
	}
	f.data = append(f.data, part...)
}

func (f *frames) skipLine() error {
	for {
		_, err := f.in.ReadSlice('\n')
		if err == nil {
			return nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return ended(err)
		}
	}
}

func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// ended makes the end of a stream an error with a meaning.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return err
}
