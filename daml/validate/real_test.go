package validate_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/validate"
)

// TestRealPackagesAreValid checks every package of the DARs in SYNOD_DAR_DIR, all
// of which a compiler wrote, and all pairs of versions of those that were released.
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
	outlines := lf.NewPackages()
	releases := map[string][]*lf.Package{} // of DARs that are named after their main package
	for _, path := range paths {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.ContainsFunc(dar.Packages, func(a archive.Archive) bool { return !checked[a.ID] }) {
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
			if a.ID == dar.Main().ID && filepath.Base(path) == pkg.Metadata.Name+"-"+pkg.Metadata.Version+".dar" {
				releases[pkg.Metadata.Name] = append(releases[pkg.Metadata.Name], pkg.Outline())
			}
		}
		for _, pkg := range list {
			if checked[pkg.ID] {
				continue
			}
			checked[pkg.ID] = true
			outlines.Add(pkg.Outline())
			if err := validate.Check(pkg, world); err != nil {
				t.Errorf("%s: %s: %v", path, pkg.Metadata.Name, err)
			}
		}
	}
	t.Logf("%d packages", len(checked))
	for name, versions := range releases {
		pairs := upgradePairs(t, versions, outlines)
		t.Logf("%s: %d pairs of versions", name, pairs)
	}
}

// upgradePairs checks that each version may replace each earlier one, as was released, but for what is advisory.
func upgradePairs(t *testing.T, versions []*lf.Package, world *lf.Packages) (pairs int) {
	slices.SortFunc(versions, func(a, b *lf.Package) int {
		return lf.ComparePackageVersions(a.Metadata.Version, b.Metadata.Version)
	})
	for i, present := range versions {
		for _, past := range versions[:i] {
			pairs++
			err := validate.Upgrade(past, present, world)
			var faults validate.UpgradeFaults
			if errors.As(err, &faults) && len(faults.Binding()) > 0 {
				t.Errorf("%s %s cannot replace %s: %v", present.Metadata.Name, present.Metadata.Version, past.Metadata.Version, faults.Binding())
			}
		}
	}
	return pairs
}
