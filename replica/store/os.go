package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// OS is the operating system's file system.
type OS struct{}

// MkdirAll implements FS.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o700) }

// List implements FS.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Create implements FS.
func (OS) Create(path string) (File, error) { return openFile(path, os.O_CREATE|os.O_TRUNC) }

// Open implements FS.
func (OS) Open(path string) (File, error) { return openFile(path, 0) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir implements FS.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock implements FS.
func (OS) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrLocked
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// Index implements FS.
func (OS) Index() vfs.FS { return vfs.Default }

// osFile writes directly to the disk, if the file system can, and reads through the page cache: the writer then does not
// pay for cache pages that are rarely read, while repeated readers (peers that catch up) share them.
type osFile struct{ read, write *os.File }

func openFile(path string, flags int) (File, error) {
	read, err := os.OpenFile(path, os.O_RDWR|flags, 0o600)
	if err != nil {
		return nil, err
	}
	write, err := os.OpenFile(path, os.O_RDWR|unix.O_DIRECT, 0o600)
	if err != nil {
		// Not every file system knows direct I/O (some in-memory and network ones do not).
		write = read
	}
	return &osFile{read: read, write: write}, nil
}

func (f *osFile) ReadAt(p []byte, off int64) (int, error)  { return f.read.ReadAt(p, off) }
func (f *osFile) WriteAt(p []byte, off int64) (int, error) { return f.write.WriteAt(p, off) }

func (f *osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.write.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (f *osFile) Size() (int64, error) {
	info, err := f.read.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f *osFile) Close() error {
	if f.write == f.read {
		return f.read.Close()
	}
	return errors.Join(f.write.Close(), f.read.Close())
}

// alignedBuffer returns n bytes that begin on a page, as direct I/O needs them. Go's collector does not move them.
func alignedBuffer(n int) []byte {
	b := make([]byte, n+pageSize)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (pageSize - 1)
	return b[skip : skip+n : skip+n]
}
