package text_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/text"
)

// TestRealPackagesSurviveTheTextualForm prints every package of the DARs in
// SYNOD_DAR_DIR, parses the text and encodes it: the id must be the same.
func TestRealPackagesSurviveTheTextualForm(t *testing.T) {
	dir := os.Getenv("SYNOD_DAR_DIR")
	if dir == "" {
		t.Skip("SYNOD_DAR_DIR names no folder with .dar files")
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*.dar"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("there is no .dar file in %s: %v", dir, err)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		for _, a := range dar.Packages {
			if seen[string(a.ID)] {
				continue
			}
			seen[string(a.ID)] = true
			if v, _ := a.Version(); !v.Stable() {
				continue // early 2.dev had forms that are gone
			}
			pkg, err := a.Decode(archive.Limits{})
			if err != nil {
				t.Error(err)
				continue
			}
			printed := text.Print(pkg)
			parsed, err := text.Parse(printed)
			if err != nil {
				t.Errorf("%s %s: %v", path, pkg.Metadata.Name, err)
				continue
			}
			if again := text.Print(parsed); again != printed {
				t.Errorf("%s %s: the text is printed differently after parsing", path, pkg.Metadata.Name)
			}
			encoded, err := archive.Encode(parsed)
			if err != nil {
				t.Errorf("%s %s: %v", path, pkg.Metadata.Name, err)
				continue
			}
			if encoded.ID != a.ID {
				t.Errorf("%s: package %s %s of Daml-LF %s becomes %s by way of its text",
					path, pkg.Metadata.Name, a.ID, pkg.Version, encoded.ID)
			}
		}
	}
	t.Logf("%d packages", len(seen))
}
