package archive_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
)

// using makes a package that refers to types of others.
func using(t testing.TB, name string, others ...archive.Archive) archive.Archive {
	t.Helper()
	record := &lf.Record{}
	for i, other := range others {
		record.Fields = append(record.Fields, lf.FieldType{
			Name: fmt.Sprintf("f%d", i),
			Type: &lf.TypeCon{Ref: lf.Ref{Package: other.ID, Module: "M", Name: "T"}},
		})
	}
	a, err := archive.Encode(&lf.Package{
		Version: lf.V2_1, Metadata: lf.Metadata{Name: name, Version: "1.0.0"},
		Modules: []*lf.Module{{Name: "M", DataTypes: []*lf.DataType{{Name: "T", Cons: record}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestInOrder sorts packages that refer to each other, in any order that they may come in.
func TestInOrder(t *testing.T) {
	far := using(t, "far")
	prim := using(t, "prim")
	stdlib := using(t, "stdlib", prim)
	types := using(t, "types", prim, far)
	app := using(t, "app", stdlib, types, far)
	packages := []archive.Archive{app, types, stdlib, prim} // far is elsewhere
	for range 50 {
		rand.Shuffle(len(packages), func(i, j int) { packages[i], packages[j] = packages[j], packages[i] })
		ordered := archive.InOrder(packages)
		before := map[lf.PackageID]bool{far.ID: true}
		for _, a := range ordered {
			pkg, err := a.Decode(archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range pkg.Uses {
				if !before[id] {
					t.Errorf("%s comes before %s, which it refers to", pkg.Metadata.Name, id)
				}
			}
			before[a.ID] = true
		}
		if len(ordered) != len(packages) {
			t.Fatalf("%d of %d packages are left", len(ordered), len(packages))
		}
	}
	// What need not move does not.
	ordered := archive.InOrder([]archive.Archive{prim, types, stdlib, app})
	for i, want := range []archive.Archive{prim, types, stdlib, app} {
		if ordered[i].ID != want.ID {
			t.Errorf("package %d is another", i)
		}
	}
}

// TestRealPackagesComeInOrder sorts the packages of the DARs in SYNOD_DAR_DIR, whose tables of strings a compiler wrote.
func TestRealPackagesComeInOrder(t *testing.T) {
	uses := map[lf.PackageID][]lf.PackageID{}
	for _, path := range realDARs(t) {
		dar, err := archive.OpenDAR(path, archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		missing := map[lf.PackageID]bool{}
		for _, a := range dar.Packages {
			missing[a.ID] = true
		}
		for _, a := range archive.InOrder(dar.Packages) {
			delete(missing, a.ID)
			if v, _ := a.Version(); !v.Stable() {
				continue // early 2.dev had forms that are gone
			}
			if _, known := uses[a.ID]; !known {
				pkg, err := a.Decode(archive.Limits{})
				if err != nil {
					t.Fatal(err)
				}
				uses[a.ID] = pkg.Uses
			}
			for _, id := range uses[a.ID] {
				if missing[id] {
					t.Errorf("%s: package %s comes before %s, which it refers to", path, a.ID, id)
				}
			}
		}
		if len(missing) > 0 {
			t.Errorf("%s: %d packages are lost", path, len(missing))
		}
	}
}
