package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/synod-network/synod/sidecar/event"
)

// IndexFile is sse_index, the file from which Casper's sidecar takes the number of its first event: four bytes, little-endian,
// the next number. The log does not need it, but whoever changes from one program to the other finds the numbers going on.
//
// While events flow it holds a number ahead of the next one, so that a kill leaves no number to be used again; an orderly stop
// writes the exact one.
type IndexFile struct {
	path     string
	found    uint32
	exists   bool
	reserved event.Seq // what the file says, or will be found to say
}

// indexAhead is how far ahead the file is written, in numbers.
const indexAhead = 1000

// OpenIndexFile reads the file in a storage directory. A file that is missing or has another length counts as missing, as it
// does for Casper's sidecar.
func OpenIndexFile(dir string) (*IndexFile, error) {
	f := &IndexFile{path: filepath.Join(dir, "sse_index")}
	content, err := os.ReadFile(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the number of the next event: %w", err)
	}
	if len(content) == 4 {
		f.found, f.exists = binary.LittleEndian.Uint32(content), true
	}
	return f, nil
}

// Merge returns the first number that neither the database nor the file has seen used, given the database's next. A number in
// the file that is ahead by less than half of all numbers counts as later; one that is behind is of an older run.
func (f *IndexFile) Merge(next event.Seq) event.Seq {
	if !f.exists {
		return next
	}
	ahead := f.found - next.ID() // modulo 2^32
	if ahead < 1<<31 || next == 0 {
		return next + event.Seq(ahead)
	}
	return next
}

// Reserve sees to it that the file is ahead of next.
func (f *IndexFile) Reserve(next event.Seq) error {
	if next < f.reserved {
		return nil
	}
	if err := f.write(next + indexAhead); err != nil {
		return err
	}
	f.reserved = next + indexAhead
	return nil
}

// Exact writes the next number itself.
func (f *IndexFile) Exact(next event.Seq) error {
	if err := f.write(next); err != nil {
		return err
	}
	f.reserved = next
	return nil
}

func (f *IndexFile) write(next event.Seq) error {
	draft := f.path + ".draft"
	if err := os.WriteFile(draft, binary.LittleEndian.AppendUint32(nil, next.ID()), 0o644); err != nil {
		return err
	}
	return os.Rename(draft, f.path)
}
