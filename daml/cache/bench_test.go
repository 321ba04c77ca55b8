package cache

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
)

// amulet compiles the 37 packages of a real DAR of 1.2 MB into a cache.
func amulet(b *testing.B) (*Cache, []lf.PackageID) {
	path := filepath.Join(os.Getenv("SYNOD_DAR_DIR"), "splice-amulet-0.1.14.dar")
	if _, err := os.Stat(path); err != nil {
		b.Skip("SYNOD_DAR_DIR has no splice-amulet-0.1.14.dar")
	}
	dar, err := archive.OpenDAR(path, archive.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	e := engine.New(engine.DefaultLimits())
	var packages []*engine.Compiled
	var ids []lf.PackageID
	for _, a := range archive.InOrder(dar.Packages) {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		compiled, err := e.Compile(pkg)
		if err != nil {
			b.Fatal(err)
		}
		e.AddCompiled(compiled)
		packages, ids = append(packages, compiled), append(ids, a.ID)
	}
	c := open(b, b.TempDir(), Options{})
	for _, p := range packages {
		c.Put(p)
	}
	return c, ids
}

func load(b *testing.B, c *Cache, ids []lf.PackageID) (*engine.Engine, int) {
	e := engine.New(engine.DefaultLimits())
	bytes := 0
	for _, id := range ids {
		p := c.Get(id)
		if p == nil {
			b.Fatalf("package %s is not in the cache", id)
		}
		e.AddCompiled(p)
		bytes += len(p.Bytes())
	}
	return e, bytes
}

// BenchmarkLoad makes an engine with the 37 packages from the cache: it is ready for commands then.
func BenchmarkLoad(b *testing.B) {
	c, ids := amulet(b)
	b.ReportAllocs()
	bytes := 0
	for b.Loop() {
		_, bytes = load(b, c, ids)
	}
	b.ReportMetric(float64(bytes), "file-B")
}

// BenchmarkLoadAll also reads the code of every definition, as if all of it were used.
func BenchmarkLoadAll(b *testing.B) {
	c, ids := amulet(b)
	b.ReportAllocs()
	for b.Loop() {
		e, _ := load(b, c, ids)
		if err := e.ReadAll(); err != nil {
			b.Fatal(err)
		}
	}
}
