package stream

import (
	"fmt"
	"io"
	"os"
)

// spilled is a frame in a file that has no name any more: it is gone once nobody holds it, or the process has ended.
type spilled struct {
	file *os.File // closed by its finalizer when the last node that holds it is garbage
	size int64
}

// spill writes a frame to a file.
func spill(dir string, p pieces) (_ *frame, failed error) {
	file, err := os.CreateTemp(dir, "large-event-*")
	if err != nil {
		return nil, fmt.Errorf("keep a large event on disk: %w", err)
	}
	defer func() {
		if failed != nil {
			_ = file.Close()
			failed = fmt.Errorf("keep a large event on disk: %w", failed)
		}
	}()
	if err := os.Remove(file.Name()); err != nil {
		return nil, err
	}
	for _, piece := range [][]byte{[]byte(p.length + p.before), p.body, []byte(p.after)} {
		if _, err := file.Write(piece); err != nil {
			return nil, err
		}
	}
	return &frame{body: len(p.length), spill: &spilled{file, int64(p.size())}}, nil
}

// read copies bytes of the frame, from an offset within what the subscriber is sent, and returns how many.
func (f *frame) read(into []byte, offset int, plain bool) (int, error) {
	rest := f.size(plain) - offset
	if plain {
		offset += f.body
	}
	into = into[:min(len(into), rest)]
	if f.spill == nil {
		return copy(into, f.chunk[offset:]), nil
	}
	return f.spill.file.ReadAt(into, int64(offset))
}

// copyTo writes what a subscriber is sent, a spilled frame in pieces.
func (f *frame) copyTo(w io.Writer, plain bool) error {
	if f.spill == nil {
		_, err := w.Write(f.wire(plain))
		return err
	}
	from := 0
	if plain {
		from = f.body
	}
	_, err := io.Copy(w, io.NewSectionReader(f.spill.file, int64(from), int64(f.size(plain))))
	return err
}
