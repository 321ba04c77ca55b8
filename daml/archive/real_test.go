package archive_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
)

// realDARs gives the paths of the DARs in the folder that SYNOD_DAR_DIR names.
// Without it the test is skipped: DARs of other projects are not part of this one.
func realDARs(t testing.TB) []string {
	dir := os.Getenv("SYNOD_DAR_DIR")
	if dir == "" {
		t.Skip("SYNOD_DAR_DIR names no folder with .dar files")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.dar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("there is no .dar file in %s", dir)
	}
	return paths
}

func TestRealPackagesAreEncodedToTheSameBytes(t *testing.T) {
	seen := map[lf.PackageID]bool{}
	for _, path := range realDARs(t) {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		for _, a := range dar.Packages {
			if seen[a.ID] {
				continue
			}
			seen[a.ID] = true
			pkg, err := a.Decode(archive.Limits{})
			if v, _ := a.Version(); !v.Stable() {
				continue // early 2.dev had forms that are gone
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			again, err := archive.Encode(pkg)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if again.ID != a.ID {
				t.Errorf("%s: package %s %s of Daml-LF %s becomes %s when it is encoded again",
					path, pkg.Metadata.Name, a.ID, pkg.Version, again.ID)
				if dir := os.Getenv("SYNOD_DAR_DIFF"); dir != "" {
					os.WriteFile(filepath.Join(dir, pkg.Metadata.Name+".want"), a.Payload, 0o644)
					os.WriteFile(filepath.Join(dir, pkg.Metadata.Name+".got"), again.Payload, 0o644)
				}
			}
		}
	}
}
