// Package wholefile writes files that are there whole or not at all, whatever fails on the way: a disk that is full, a crash, a power
// cut. The content is written to a draft beside the file and synced before it gets the file's name.
package wholefile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Create writes a file that must not exist yet; if it does, the error matches [fs.ErrExist] and nothing is changed, also when two
// create it at once.
func Create(path string, content []byte, mode fs.FileMode) error {
	// A link, unlike a rename, fails when there is a file.
	return write(path, mode, func(w io.Writer) error { _, err := w.Write(content); return err }, os.Link)
}

// Replace writes a file, in the place of the one that is there if there is one. What is no file, such as a pipe, is written to.
func Replace(path string, content []byte, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, content, mode)
	}
	return write(path, mode, func(w io.Writer) error { _, err := w.Write(content); return err }, os.Rename)
}

func write(path string, mode fs.FileMode, fill func(io.Writer) error, name func(draft, path string) error) error {
	dir := filepath.Dir(path)
	draft, err := os.CreateTemp(dir, ".draft-*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // of a rename nothing is left to remove
	err = fill(draft)
	if err == nil {
		err = draft.Chmod(mode)
	}
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := name(draft.Name(), path); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
