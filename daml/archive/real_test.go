package archive_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
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

func TestRealPackagesDecode(t *testing.T) {
	for _, path := range realDARs(t) {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		for _, a := range dar.Packages {
			if _, err := a.Decode(archive.Limits{}); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}
