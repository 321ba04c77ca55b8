package history_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// disk is a file system in memory that can lose power at any operation, of the log
// and of the index, or begin to fail.
type disk struct {
	mem *vfs.MemFS
	rng *rand.Rand

	mu sync.Mutex // guards all that follows
	// ops counts operations. At operation powerAt the power goes: image is then what
	// the next start finds. From operation failAt on, writes fail with failure.
	ops, powerAt, failAt int
	image                *vfs.MemFS
	failure              error
	lie                  lie
}

// lie is what a disk only pretends to do.
type lie uint8

const (
	honest lie = iota
	logsNotSynced
	directoryNotSynced
	indexNotSynced
)

func newDisk(rng *rand.Rand) *disk { return &disk{mem: vfs.NewCrashableMem(), rng: rng} }

func (d *disk) fs() vfs.FS {
	return liar{errorfs.Wrap(d.mem, errorfs.InjectorFunc(d.step)), d}
}

// step begins an operation.
func (d *disk) step(op errorfs.Op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ops++; d.ops == d.powerAt {
		d.image = d.crash()
	}
	if d.failure != nil && d.ops >= d.failAt && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		return d.failure
	}
	return nil
}

// crash is what is found after the power went now: what was synced, or with luck all
// that was written. In between, the clone would reorder names in a directory, which
// journaling file systems do not and Pebble does not expect.
func (d *disk) crash() *vfs.MemFS {
	return d.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * d.rng.IntN(2), RNG: d.rng})
}

func (d *disk) dark() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.image != nil
}

// next is the disk after the crash.
func (d *disk) next() *disk { return &disk{mem: d.image, rng: d.rng, lie: d.lie} }

var errBroken = errors.New("the disk is broken")

// liar leaves out syncs.
type liar struct {
	vfs.FS
	d *disk
}

type lyingFile struct{ vfs.File }

func (lyingFile) Sync() error                { return nil }
func (lyingFile) SyncData() error            { return nil }
func (lyingFile) SyncTo(int64) (bool, error) { return true, nil }
func (l liar) lies(name string, of lie) bool {
	return l.d.lie == of && inIndex(name) == (of == indexNotSynced)
}
func inIndex(name string) bool { return filepath.Base(filepath.Dir(name)) == "index" }
func pretend(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return lyingFile{f}, nil
}

func (l liar) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, c)
	if l.lies(name, logsNotSynced) || l.lies(name, indexNotSynced) && filepath.Ext(name) == ".log" {
		return pretend(f, err)
	}
	return f, err
}

func (l liar) OpenDir(name string) (vfs.File, error) {
	f, err := l.FS.OpenDir(name)
	if l.d.lie == directoryNotSynced && filepath.Base(name) != "index" {
		return pretend(f, err)
	}
	return f, err
}
