// Package cache keeps compiled packages in a folder, so that a process that starts again need not decode, validate and compile them
// again. One file holds one package. It is found by the id of the package, which is the hash of its content, and the hash of the code
// that compiled it: what a file holds never changes, so files are written once, by rename, and any number of processes may share a folder.
//
// Nothing in the folder is needed. A file that is damaged, cut off or of something else does not pass its checksum; it is removed,
// counted and logged, and the package compiled again. Whoever may write to the folder decides what programs do, however: the checksum
// finds accidents, not forgers, and a compiled package counts as validated. So the folder belongs to one user.
package cache

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/synod-network/synod/daml"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
)

// Options say how a cache is kept.
type Options struct {
	// Bytes is how much the folder may hold: 256 MiB if 0. When it is full, what was used longest ago goes. Processes that write at
	// the same time may exceed it by an eighth each for a while.
	Bytes int64
	// Log hears of files that were rejected or could not be written; nil for nobody.
	Log *slog.Logger
	// Now is the time; nil for time.Now. It orders files by use.
	Now func() time.Time
}

// Cache is a folder of compiled packages. It may be used by many goroutines.
type Cache struct {
	dir  string
	code [sha256.Size]byte // what compiles and validates
	Options

	mu      sync.Mutex
	written int64 // bytes since the folder was last looked through
	stats   Stats
}

// Stats count since Open.
type Stats struct {
	Hits     int // packages found
	Misses   int // packages not found, Rejected included
	Rejected int // files that were there, and no good
	Written  int
	Failed   int // files that could not be written
	Evicted  int
}

const (
	magic   = "synod compiled Daml package\n"
	suffix  = ".damlc"
	stale   = time.Hour // after which a file half written is given up
	freshly = time.Hour // since its last use a file is not touched again
)

// names are those of files that belong to the cache, made by any code (once by a number). Others are left alone.
var (
	names     = regexp.MustCompile(`^[0-9a-f]{64}-(v[0-9]+|[0-9a-f]{16})\` + suffix + `$`)
	halfNames = regexp.MustCompile(`^half-[0-9]+\` + suffix + `$`)
)

// Open makes the folder if it is not there, and removes what is too much.
func Open(dir string, o Options) (*Cache, error) {
	o.Bytes = cmp.Or(o.Bytes, 256<<20)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder for compiled packages: %w; name another, or none", err)
	}
	c := &Cache{dir: dir, code: daml.Source(), Options: o}
	if err := c.evict(); err != nil {
		return nil, fmt.Errorf("folder for compiled packages: %w; name another, or none", err)
	}
	return c, nil
}

func (c *Cache) path(id lf.PackageID) string {
	return filepath.Join(c.dir, fmt.Sprintf("%s-%x%s", id, c.code[:8], suffix))
}

// Get returns a package, nil if the folder has none that can be used.
func (c *Cache) Get(id lf.PackageID) *engine.Compiled {
	path := c.path(id)
	compiled, err := c.read(path, id)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.stats.Hits++
		return compiled
	case errors.Is(err, fs.ErrNotExist):
	default:
		c.stats.Rejected++
		c.Log.Warn("compiled package rejected; it will be compiled again", "file", path, "reason", err)
		_ = os.Remove(path) // if that fails, it is replaced
	}
	c.stats.Misses++
	return nil
}

func (c *Cache) read(path string, id lf.PackageID) (*engine.Compiled, error) {
	if !lf.IsPackageID(string(id)) { // else it could name a file elsewhere
		return nil, fs.ErrNotExist
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if info.Size() > c.Bytes {
		return nil, fmt.Errorf("it is larger than the cache may be, %d bytes", c.Bytes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := unseal(c.code, id, f, info.Size())
	if err != nil {
		return nil, err
	}
	compiled, err := engine.ParseCompiled(id, data)
	if err != nil {
		return nil, err
	}
	if now := c.Now(); now.Sub(info.ModTime()) > freshly {
		_ = os.Chtimes(path, now, now) // else it may go earlier than it should
	}
	return compiled, nil
}

// Put keeps a package. If that fails, it is logged, and the package will be compiled again some day.
func (c *Cache) Put(p *engine.Compiled) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size, err := c.write(p)
	if err != nil {
		c.stats.Failed++
		c.Log.Warn("compiled package not kept", "package", p.ID, "reason", err)
		return
	}
	c.stats.Written++
	if c.written += size; c.written <= c.Bytes/8 {
		return
	}
	if err := c.evict(); err != nil {
		c.Log.Warn("folder for compiled packages not tidied", "folder", c.dir, "reason", err)
	}
}

func (c *Cache) write(p *engine.Compiled) (int64, error) {
	size := sealed(p.ID, p.Bytes())
	if size > c.Bytes/8 {
		return 0, fmt.Errorf("it has %d bytes, more than an eighth of the cache", size)
	}
	// No fsync: after a crash the checksum finds what is missing.
	f, err := os.CreateTemp(c.dir, "half-*"+suffix)
	if err != nil {
		return 0, err
	}
	err = seal(f, c.code, p.ID, p.Bytes())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		now := c.Now()
		err = os.Chtimes(f.Name(), now, now)
	}
	if err == nil {
		err = os.Rename(f.Name(), c.path(p.ID))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return 0, err
	}
	return size, nil
}

// evict removes what was used longest ago until a margin is free, and what was left half written.
func (c *Cache) evict() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	var total int64
	for _, entry := range entries {
		half := halfNames.MatchString(entry.Name())
		if !half && !names.MatchString(entry.Name()) {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			continue // another process removed it
		}
		if half && c.Now().Sub(info.ModTime()) < stale {
			total += info.Size()
			continue
		}
		if half {
			_ = os.Remove(filepath.Join(c.dir, entry.Name())) // the next time, then
			continue
		}
		files, total = append(files, info), total+info.Size()
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	// What may be written before the next look still fits.
	for _, info := range files {
		if total <= c.Bytes-c.Bytes/8 {
			break
		}
		if err := os.Remove(filepath.Join(c.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= info.Size()
		c.stats.Evicted++
	}
	c.written = 0
	return nil
}

// Stats returns what happened since Open.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// seal writes a compiled form with what a file has to say of itself around it:
//
//	magic, hash of the code (32), package id (64), length (u64), data, SHA-256 of all before
func seal(file io.Writer, code [sha256.Size]byte, id lf.PackageID, data string) error {
	h := sha256.New()
	both := io.MultiWriter(file, h)
	if _, err := both.Write(header(code, id, uint64(len(data)))); err != nil {
		return err
	}
	// A piece at a time, so that a large package is not copied as a whole.
	if _, err := io.Copy(both, struct{ io.Reader }{strings.NewReader(data)}); err != nil {
		return err
	}
	_, err := file.Write(h.Sum(nil))
	return err
}

// sealed is how many bytes a file has.
func sealed(id lf.PackageID, data string) int64 {
	return int64(len(header([sha256.Size]byte{}, id, 0))+len(data)) + sha256.Size
}

func header(code [sha256.Size]byte, id lf.PackageID, size uint64) []byte {
	h := append([]byte(magic), code[:]...)
	return binary.LittleEndian.AppendUint64(append(h, id...), size)
}

// unseal returns the data of a file that is sound, and of this package as the code compiles it.
func unseal(code [sha256.Size]byte, id lf.PackageID, file io.Reader, size int64) (string, error) {
	if size -= sealed(id, ""); size < 0 {
		return "", errors.New("it is shorter than any is")
	}
	want := header(code, id, uint64(size))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(file, got); err != nil {
		return "", err
	}
	if !bytes.Equal(got, want) {
		return "", errors.New("it is no compiled form of this package by this code of synod, or was cut off")
	}
	h := sha256.New()
	h.Write(want)
	var data strings.Builder // so that a large file is not copied once more
	data.Grow(int(size))
	if _, err := io.CopyN(io.MultiWriter(&data, h), file, size); err != nil {
		return "", err
	}
	sum := make([]byte, sha256.Size)
	if _, err := io.ReadFull(file, sum); err != nil {
		return "", err
	}
	if !bytes.Equal(h.Sum(nil), sum) {
		return "", errors.New("it is damaged: its checksum is not that of its content")
	}
	return data.String(), nil
}
