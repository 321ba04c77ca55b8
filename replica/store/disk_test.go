package store_test

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/synod-network/synod/replica/store"
)

const sector = 512

var errPower = errors.New("the power is off")

// disk is a file system in memory that can lose power at any operation, also those of the index. What is left then is
// what was synced, any subset of the sectors written since, and any prefix of the changes to directories since.
type disk struct {
	mu    sync.Mutex // guards all that follows
	rng   *rand.Rand
	files map[string]*inode
	// durable holds the names as of the last SyncDir, changes what they were after each operation since.
	durable map[string]*inode
	changes []map[string]*inode
	index   *vfs.MemFS
	locked  map[string]bool

	// ops counts operations. At operation powerAt the power goes: image is then the disk that the next start finds.
	ops, powerAt int
	image        *disk
	// At operation failAt one log operation fails with failure. full is the number of bytes that files may take
	// together; 0 means any.
	failAt  int
	failure error
	full    int
	// indexFailure fails every write of the index.
	indexFailure error
	// Planted lies.
	ignoreSync, ignoreSyncDir bool
}

type inode struct {
	data    []byte
	durable []byte
	dirty   map[int]bool // sectors
}

func newDisk(seed uint64) *disk {
	return &disk{
		rng: rand.New(rand.NewPCG(seed, 1)), files: map[string]*inode{}, durable: map[string]*inode{}, index: vfs.NewCrashableMem(), locked: map[string]bool{},
	}
}

// step begins an operation on the log.
func (d *disk) step() error {
	if d.image != nil {
		return errPower
	}
	d.ops++
	if d.ops == d.powerAt {
		d.image = d.crash()
		return errPower
	}
	if d.failure != nil && d.ops == d.failAt {
		return d.failure
	}
	return nil
}

// crash makes the disk that is found after the power went now.
func (d *disk) crash() *disk {
	// Of the index all or nothing survives that it did not sync: in between, this clone would reorder names in a directory,
	// which journaling file systems do not and Pebble does not expect.
	index := d.index.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * d.rng.IntN(2), RNG: d.rng})
	n := newDisk(d.rng.Uint64())
	n.index = index
	n.ignoreSync, n.ignoreSyncDir = d.ignoreSync, d.ignoreSyncDir
	names := d.durable
	if len(d.changes) > 0 {
		if k := d.rng.IntN(len(d.changes) + 1); k > 0 {
			names = d.changes[k-1]
		}
	}
	survivors := d.rng.IntN(101)
	for name, f := range names {
		g := &inode{data: slices.Clone(f.durable), dirty: map[int]bool{}}
		for _, s := range slices.Sorted(maps.Keys(f.dirty)) {
			if d.rng.IntN(100) >= survivors {
				continue
			}
			from, to := s*sector, min((s+1)*sector, len(f.data))
			if len(g.data) < to {
				g.data = append(g.data, make([]byte, to-len(g.data))...)
			}
			copy(g.data[from:to], f.data[from:to])
		}
		g.durable = slices.Clone(g.data)
		n.files[name] = g
	}
	n.durable = maps.Clone(n.files)
	return n
}

func (d *disk) changed() { d.changes = append(d.changes, maps.Clone(d.files)) }

func (d *disk) MkdirAll(dir string) error { return d.index.MkdirAll(dir, 0o700) }

func (d *disk) List(dir string) (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	for name := range d.files {
		if filepath.Dir(name) == dir {
			names = append(names, filepath.Base(name))
		}
	}
	return names, nil
}

func (d *disk) Create(path string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	f := &inode{dirty: map[int]bool{}}
	d.files[path] = f
	d.changed()
	return &diskFile{d, f}, nil
}

func (d *disk) Open(path string) (store.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return nil, err
	}
	f := d.files[path]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return &diskFile{d, f}, nil
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	f := d.files[from]
	if f == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(d.files, from)
	d.files[to] = f
	d.changed()
	return nil
}

func (d *disk) Remove(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	delete(d.files, path)
	d.changed()
	return nil
}

func (d *disk) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.step(); err != nil {
		return err
	}
	if !d.ignoreSyncDir {
		d.durable, d.changes = maps.Clone(d.files), nil
	}
	f, err := d.index.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *disk) Lock(path string) (io.Closer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.locked[path] {
		return nil, store.ErrLocked
	}
	d.locked[path] = true
	return unlock(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.locked, path)
	}), nil
}

type unlock func()

func (u unlock) Close() error { u(); return nil }

// Index counts the index's operations among those at which the power can go. It does not fail them then: what
// the index does afterwards happens to a disk that nobody will see.
func (d *disk) Index() vfs.FS {
	return errorfs.Wrap(d.index, errorfs.InjectorFunc(func(op errorfs.Op) error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.indexFailure != nil && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return d.indexFailure
		}
		if d.image == nil {
			if d.ops++; d.ops == d.powerAt {
				d.image = d.crash()
			}
		}
		return nil
	}))
}

type diskFile struct {
	d *disk
	f *inode
}

func (f *diskFile) ReadAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if off >= int64(len(f.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if len(p)%4096 != 0 || off%4096 != 0 {
		return 0, errors.New("write is not aligned")
	}
	err := f.d.room(off + int64(len(p)) - int64(len(f.f.data)))
	if err != nil {
		return 0, err
	}
	// The power may go during the write: its sectors are then among those that may survive.
	if grow := int(off) + len(p) - len(f.f.data); grow > 0 {
		f.f.data = append(f.f.data, make([]byte, grow)...)
	}
	copy(f.f.data[off:], p)
	for s := int(off) / sector; s < (int(off)+len(p))/sector; s++ {
		f.f.dirty[s] = true
	}
	if err := f.d.step(); err != nil {
		return len(p) / 2, err
	}
	return len(p), nil
}

// room refuses to let files grow beyond what the disk holds.
func (d *disk) room(grow int64) error {
	if d.full == 0 || grow <= 0 {
		return nil
	}
	used := grow
	for _, f := range d.files {
		used += int64(len(f.data))
	}
	if used > int64(d.full) {
		return syscall.ENOSPC
	}
	return nil
}

func (f *diskFile) Sync() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if err := f.d.step(); err != nil {
		return err
	}
	if f.d.ignoreSync {
		return nil
	}
	if n := len(f.f.data) - len(f.f.durable); n > 0 {
		f.f.durable = append(f.f.durable, make([]byte, n)...)
	}
	for s := range f.f.dirty {
		copy(f.f.durable[s*sector:], f.f.data[s*sector:min((s+1)*sector, len(f.f.data))])
	}
	clear(f.f.dirty)
	return nil
}

func (f *diskFile) Size() (int64, error) {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	return int64(len(f.f.data)), nil
}

func (f *diskFile) Close() error { return nil }
