package validate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/validate"
)

// TestRealPackagesAreValid checks every package of the DARs in SYNOD_DAR_DIR, all
// of which a compiler wrote.
func TestRealPackagesAreValid(t *testing.T) {
	dir := os.Getenv("SYNOD_DAR_DIR")
	if dir == "" {
		t.Skip("SYNOD_DAR_DIR names no folder with .dar files")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.dar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is no .dar file in %s: %v", dir, err)
	}
	checked := map[lf.PackageID]bool{}
	for _, path := range paths {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		world := lf.NewPackages()
		var list []*lf.Package
		for _, a := range dar.Packages {
			if v, err := a.Version(); err == nil && !v.Stable() {
				continue // early 2.dev had forms that are gone
			}
			pkg, err := a.Decode(archive.Limits{})
			if err != nil {
				t.Error(err)
				continue
			}
			world.Add(pkg)
			list = append(list, pkg)
		}
		for _, pkg := range list {
			if checked[pkg.ID] {
				continue
			}
			checked[pkg.ID] = true
			if err := validate.Check(pkg, world); err != nil {
				t.Errorf("%s: %s: %v", path, pkg.Metadata.Name, err)
			}
		}
	}
	t.Logf("%d packages", len(checked))
}
