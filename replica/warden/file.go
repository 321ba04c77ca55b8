package warden

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/synod-network/synod/replica/trust"
)

// On disk: a line with the format and the SHA-256 of what follows it, then JSON.
const (
	fileHead  = "synod-trust 1 "
	fileLimit = 64 << 20
	// damagedSuffix is for the newest file that could not be read; an older one gives way.
	damagedSuffix = ".damaged"
	// unfinished is what the name of a file goes on with while it is written.
	unfinished = ".new-"
)

// stored is the content of the file.
type stored struct {
	// Saved is the time of day of the state's Now, in µs since the epoch: how long the node was away is told by it.
	Saved int64       `json:"saved"`
	State trust.State `json:"state"`
}

var errDamaged = errors.New("damaged")

func encode(s stored) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return append([]byte(fileHead+hex.EncodeToString(sum[:])+"\n"), append(body, '\n')...), nil
}

func decode(text []byte) (s stored, err error) {
	head, body, found := bytes.Cut(text, []byte("\n"))
	sum, is := bytes.CutPrefix(head, []byte(fileHead))
	if !found || !is {
		return s, fmt.Errorf("%w: it does not begin with %q", errDamaged, fileHead)
	}
	body = bytes.TrimSuffix(body, []byte("\n"))
	if want := sha256.Sum256(body); string(sum) != hex.EncodeToString(want[:]) {
		return s, fmt.Errorf("%w: its checksum does not match", errDamaged)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if s.Saved < 0 {
		return s, fmt.Errorf("%w: saved at %d", errDamaged, s.Saved)
	}
	return s, nil
}

// read returns the content of a file; errors.Is(err, errDamaged) if there is one that makes no sense, fs.ErrNotExist if
// there is none.
func read(path string) (stored, error) {
	f, err := os.Open(path)
	if err != nil {
		return stored{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	switch {
	case err != nil:
		return stored{}, err
	case len(text) > fileLimit:
		return stored{}, fmt.Errorf("%w: larger than %d bytes", errDamaged, fileLimit)
	}
	return decode(text)
}

// write replaces a file, so that after a crash there is the old one or the new one, whole.
func write(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+unfinished+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(f.Name())))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// sweep removes what a crash in the middle of write left.
func sweep(path string) error {
	dir, begin := filepath.Dir(path), filepath.Base(path)+unfinished
	files, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	var errs []error
	for _, file := range files {
		if strings.HasPrefix(file.Name(), begin) {
			errs = append(errs, ignoreMissing(os.Remove(filepath.Join(dir, file.Name()))))
		}
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
