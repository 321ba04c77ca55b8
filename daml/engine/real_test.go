package engine

import (
	"iter"
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
)

// realDARs opens the DARs in the folder that SYNOD_DAR_DIR names, one after the other; they are not part of this repository.
func realDARs(t testing.TB, pattern string) iter.Seq[*archive.DAR] {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(os.Getenv("SYNOD_DAR_DIR"), pattern))
	if err != nil || os.Getenv("SYNOD_DAR_DIR") == "" || len(paths) == 0 {
		t.Skip("SYNOD_DAR_DIR does not say where real DARs are")
	}
	return func(yield func(*archive.DAR) bool) {
		for _, path := range paths {
			dar, err := archive.OpenDAR(path, archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if !yield(dar) {
				return
			}
		}
	}
}

// amulet opens a real DAR of 1.2 MB with 37 packages.
func amulet(t testing.TB) *archive.DAR {
	for dar := range realDARs(t, "splice-amulet-0.1.14.dar") {
		return dar
	}
	return nil
}

func decodeAll(t testing.TB, dar *archive.DAR) []*lf.Package {
	t.Helper()
	var all []*lf.Package
	for _, a := range archive.InOrder(dar.Packages) {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, pkg)
	}
	return all
}

func compileAll(t testing.TB, packages []*lf.Package) []*Compiled {
	t.Helper()
	e := New(DefaultLimits())
	var all []*Compiled
	for _, pkg := range packages {
		c, err := e.Compile(pkg)
		if err != nil {
			t.Fatal(err)
		}
		e.AddCompiled(c)
		all = append(all, c)
	}
	return all
}

// TestRealPackagesCompile compiles every definition of every stable package at hand, each once.
func TestRealPackagesCompile(t *testing.T) {
	e := New(DefaultLimits())
	for dar := range realDARs(t, "*.dar") {
		if v, err := dar.Main().Version(); err != nil || !v.Stable() {
			continue
		}
		for _, a := range archive.InOrder(dar.Packages) {
			if e.Knows(a.ID) {
				continue
			}
			pkg, err := a.Decode(archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := e.Compile(pkg)
			if err != nil {
				t.Fatal(err)
			}
			e.AddCompiled(c)
		}
	}
}

// BenchmarkDecodeAndCompile reads the 37 packages of a real DAR of 1.2 MB and compiles all of them.
func BenchmarkDecodeAndCompile(b *testing.B) {
	dar := amulet(b)
	b.ReportAllocs()
	for b.Loop() {
		compileAll(b, decodeAll(b, dar))
	}
}

// BenchmarkCompile compiles the same packages once they are decoded.
func BenchmarkCompile(b *testing.B) {
	packages := decodeAll(b, amulet(b))
	b.ReportAllocs()
	for b.Loop() {
		compileAll(b, packages)
	}
}
