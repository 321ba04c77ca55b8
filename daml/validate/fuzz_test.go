package validate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/validate"
)

// FuzzCheck judges whatever can be parsed, and wants the same judgement of the same
// package after it went through an archive.
func FuzzCheck(f *testing.F) {
	paths, err := filepath.Glob("../text/testdata/*.lf")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no corpus: %v", err)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Add("language 2.3 metadata ('x' : '1') module M {" + basics + iface + tmpl + "}")
	f.Fuzz(func(t *testing.T, src string) {
		pkg, err := text.Parse(src)
		if err != nil {
			return
		}
		world := stable(t)
		world.Add(pkg)
		valid := validate.Check(pkg, world) == nil
		a, err := archive.Encode(pkg)
		if err != nil {
			if valid {
				t.Fatalf("a valid package cannot be encoded: %v", err)
			}
			return
		}
		decoded, err := a.Decode(archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		world.Add(decoded)
		if err := validate.Check(decoded, world); (err == nil) != valid {
			t.Fatalf("valid as text: %v; as an archive: %v", valid, err)
		}
	})
}
