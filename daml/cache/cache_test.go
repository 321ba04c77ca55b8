package cache

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/daml"
	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
)

func open(t testing.TB, dir string, o Options) *Cache {
	t.Helper()
	c, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compiled compiles a package with one value.
func compiled(t testing.TB, n int) *engine.Compiled {
	t.Helper()
	written, err := archive.Encode(&lf.Package{
		Version: lf.V2_1, Metadata: lf.Metadata{Name: "p", Version: fmt.Sprintf("1.0.%d", n)},
		Modules: []*lf.Module{{Name: "M", Values: []*lf.Value{{
			Name: "one", Type: &lf.TypeBuiltin{Builtin: lf.TypeInt64}, Body: &lf.LitInt64{Value: 1},
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := written.Decode(archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.DefaultLimits())
	if err := e.Validate(pkg); err != nil {
		t.Fatal(err)
	}
	c, err := e.Compile(pkg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// file is what the cache writes of a compiled form.
func file(t testing.TB, id lf.PackageID, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := seal(&b, daml.Source(), id, data); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// clock is a time that goes on when it is told.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newClock() *clock { return &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func TestPackagesAreFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	p, other := compiled(t, 1), compiled(t, 2)
	open(t, dir, Options{}).Put(p)
	c := open(t, dir, Options{})
	if got := c.Get(p.ID); got == nil || got.Bytes() != p.Bytes() || got.Outline.Metadata != p.Outline.Metadata {
		t.Errorf("got %v", got)
	}
	if got := c.Get(other.ID); got != nil {
		t.Errorf("got a package that was not put: %s", got.ID)
	}
	if got := c.Get(lf.PackageID("../../" + string(p.ID))); got != nil {
		t.Error("an id that is none led out of the folder")
	}
	if s := c.Stats(); s != (Stats{Hits: 1, Misses: 2}) {
		t.Errorf("the cache says %+v", s)
	}
}

// TestDamagedFilesAreMadeAgain cuts a file at every length, and flips each byte.
func TestDamagedFilesAreMadeAgain(t *testing.T) {
	var log bytes.Buffer
	c := open(t, t.TempDir(), Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	p, other := compiled(t, 1), compiled(t, 2)
	path := c.path(p.ID)
	c.Put(p)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := 0
	for at := range sound {
		flipped := bytes.Clone(sound)
		flipped[at] ^= 1 << (at % 8)
		if at%5 > 0 && at > len(magic) && at < len(sound)-32 {
			continue // much of the same
		}
		for what, content := range map[string][]byte{"cut off": sound[:at], "flipped": flipped} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			bad++
			if c.Get(p.ID) != nil {
				t.Fatalf("%s at byte %d the file is accepted", what, at)
			}
			if _, err := os.Stat(path); err == nil {
				t.Fatalf("%s at byte %d the file is still there", what, at)
			}
		}
	}
	var otherCode bytes.Buffer
	if err := seal(&otherCode, [32]byte{1}, p.ID, p.Bytes()); err != nil {
		t.Fatal(err)
	}
	foreign := map[string][]byte{
		"of another package": file(t, other.ID, other.Bytes()),
		"of other code":      otherCode.Bytes(),
		"of something else":  []byte("PK\x03\x04 a zip"),
		"with more behind":   append(bytes.Clone(sound), 0),
		"of no package":      file(t, p.ID, "no compiled form"),
	}
	for what, content := range foreign {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if c.Get(p.ID) != nil {
			t.Errorf("a file %s is accepted", what)
		}
	}
	s := c.Stats()
	if want := bad + len(foreign); s.Rejected != want || s.Misses != want || strings.Count(log.String(), "rejected") != want {
		t.Errorf("of %d bad files, the cache says %+v", want, s)
	}
	c.Put(p)
	if c.Get(p.ID) == nil {
		t.Error("the package is not made again")
	}
}

// TestWhatIsInTheWayIsNoPackage has a folder and a link where a file should be.
func TestWhatIsInTheWayIsNoPackage(t *testing.T) {
	c := open(t, t.TempDir(), Options{})
	p, other := compiled(t, 1), compiled(t, 2)
	if err := os.Mkdir(c.path(p.ID), 0o700); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, file(t, other.ID, other.Bytes()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, c.path(other.ID)); err != nil {
		t.Fatal(err)
	}
	if c.Get(p.ID) != nil || c.Get(other.ID) != nil {
		t.Error("a folder or a link is taken for a package")
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Errorf("what the link leads to is gone: %v", err)
	}
	c.Put(p)
	if c.Get(p.ID) == nil {
		t.Error("the empty folder is still in the way")
	}
}

// TestWhatWasUsedLongestAgoGoes fills a folder over its limit.
func TestWhatWasUsedLongestAgoGoes(t *testing.T) {
	dir, time := t.TempDir(), newClock()
	first := compiled(t, 0)
	size := sealed(first.ID, first.Bytes())
	limit := 16 * size
	c := open(t, dir, Options{Bytes: limit, Now: time.now})
	for name, content := range map[string]string{"notes.txt": "mine", "half-1" + suffix: "given up", string(first.ID) + ".txt": "also mine"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.at.Add(-2*stale), time.at.Add(-2*stale)); err != nil {
			t.Fatal(err)
		}
	}
	c.Put(first)
	const many = 30
	var ids []lf.PackageID
	for n := range many {
		time.at = time.at.Add(2 * freshly)
		p := compiled(t, n+1)
		c.Put(p)
		ids = append(ids, p.ID)
		if c.Get(first.ID) == nil { // which keeps it
			t.Fatalf("the package in use is gone after %d more", n+1)
		}
		if total := kept(t, dir); total > limit {
			t.Fatalf("after %d packages the folder holds %d bytes, over %d", n+2, total, limit)
		}
	}
	if c.Get(ids[0]) != nil || c.Get(ids[many-1]) == nil {
		t.Error("not the oldest went")
	}
	if s := c.Stats(); s.Evicted < many-16 || s.Rejected+s.Failed > 0 {
		t.Errorf("the cache says %+v", s)
	}
	for _, name := range []string{"notes.txt", string(first.ID) + ".txt"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("a file of somebody else is gone: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "half-1"+suffix)); err == nil {
		t.Error("what was half written is still there")
	}
	// A smaller limit, and files of other code, which count too and go first.
	old := filepath.Join(dir, string(first.ID)+"-0123456789abcdef"+suffix)
	if err := os.WriteFile(old, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(old, time.at.Add(-10000*freshly), time.at.Add(-10000*freshly)); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{Bytes: 8 * size, Now: time.now})
	if total := kept(t, dir); total > 8*size {
		t.Errorf("opened with a limit of %d, the folder holds %d bytes", 8*size, total)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the file of other code is still there")
	}
}

// kept adds up what belongs to the cache.
func kept(t *testing.T, dir string) (total int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*-*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	return total
}

// TestOtherCodeCompilesAgain opens a folder by code that validates or compiles otherwise: it finds nothing, and takes nothing away.
func TestOtherCodeCompilesAgain(t *testing.T) {
	dir := t.TempDir()
	now, then := open(t, dir, Options{}), open(t, dir, Options{})
	then.code[0] ^= 1
	p := compiled(t, 1)
	then.Put(p)
	if now.Get(p.ID) != nil {
		t.Fatal("what other code compiled is taken")
	}
	now.Put(p)
	if now.Get(p.ID) == nil || then.Get(p.ID) == nil {
		t.Error("one takes away what the other keeps")
	}
	if s := now.Stats(); s.Rejected > 0 {
		t.Errorf("the cache says %+v", s)
	}
}

// TestTooLargeAPackageIsNotKept has a cache that would have to forget everything else for one package.
func TestTooLargeAPackageIsNotKept(t *testing.T) {
	c := open(t, t.TempDir(), Options{Bytes: 1000})
	p := compiled(t, 1)
	c.Put(p)
	if s := c.Stats(); s.Failed != 1 || c.Get(p.ID) != nil {
		t.Errorf("the cache says %+v", s)
	}
}

// TestAFolderThatVanishesIsNoError loses the folder while the cache is open.
func TestAFolderThatVanishesIsNoError(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	c := open(t, dir, Options{})
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	p := compiled(t, 1)
	c.Put(p)
	if s := c.Stats(); s.Failed != 1 || c.Get(p.ID) != nil {
		t.Errorf("the cache says %+v", s)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Options{}); err == nil || !strings.Contains(err.Error(), "name another") {
		t.Errorf("a file as a folder: %v", err)
	}
}

// TestManyWritersOfOneFolder lets caches, as different processes would have, put and get the same packages while files are evicted.
func TestManyWritersOfOneFolder(t *testing.T) {
	dir := t.TempDir()
	var packages []*engine.Compiled
	for n := range 12 {
		packages = append(packages, compiled(t, n))
	}
	limit := 9 * sealed(packages[0].ID, packages[0].Bytes())
	var wait sync.WaitGroup
	for writer := range 6 {
		c := open(t, dir, Options{Bytes: limit})
		wait.Go(func() {
			for round := range 5 {
				for i := range packages {
					p := packages[(i*(writer+1)+round)%len(packages)]
					if got := c.Get(p.ID); got == nil {
						c.Put(p)
					} else if got.Bytes() != p.Bytes() {
						t.Errorf("package %s is another", p.ID)
					}
				}
			}
			if s := c.Stats(); s.Rejected+s.Failed > 0 {
				t.Errorf("writer %d: %+v", writer, s)
			}
		})
	}
	wait.Wait()
	c := open(t, dir, Options{Bytes: limit})
	if total := kept(t, dir); total > limit {
		t.Errorf("the folder holds %d bytes, over %d", total, limit)
	}
	if halves, err := filepath.Glob(filepath.Join(dir, "half-*")); err != nil || len(halves) > 0 {
		t.Errorf("half written: %v, %v", halves, err)
	}
	c.Put(packages[0])
	if c.Get(packages[0].ID) == nil {
		t.Error("the folder does not take packages any more")
	}
}
