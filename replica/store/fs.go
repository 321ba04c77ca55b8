package store

import (
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is the part of a file system that the store needs; [OS] is the real one. Tests put a disk in its place that loses
// what was not synced.
type FS interface {
	MkdirAll(dir string) error
	// List returns the names in a directory.
	List(dir string) ([]string, error)
	// Create makes an empty file, or empties an existing one. The name is durable after SyncDir of its directory.
	Create(path string) (File, error)
	// Open opens an existing file; its error is fs.ErrNotExist if there is none.
	Open(path string) (File, error)
	// Rename gives a file another name, atomically; Remove deletes it. Both are durable after SyncDir.
	Rename(from, to string) error
	Remove(path string) error
	SyncDir(dir string) error
	// Lock takes an exclusive lock that ends with the process; its error is ErrLocked if another process has it.
	Lock(path string) (io.Closer, error)
	// Index is the same file system as the index sees it.
	Index() vfs.FS
}

// File is one file of an FS. Readers may read what was written before while one goroutine writes elsewhere in the file.
type File interface {
	io.ReaderAt
	// WriteAt writes whole pages: length, offset, and the address of p are multiples of pageSize.
	io.WriterAt
	// Sync makes the file's data and size durable.
	Sync() error
	Size() (int64, error)
	io.Closer
}

// pageSize is the unit in which the log is written: no write touches a page that holds an acknowledged group, and direct
// I/O is possible on disks with sectors of 512 and of 4096 bytes.
const pageSize = 4096
