package ledger_test

import (
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/text"
)

// TestVersionsThatALedgerTakes uploads pairs of versions. What is advisory only does not keep a version off a ledger: packages in
// use define exceptions in version after version.
func TestVersionsThatALedgerTakes(t *testing.T) {
	const (
		exception = "record @serializable X = {}; exception X = { message \\(x: M:X) -> \"\" };"
		face      = "record @serializable V = {}; interface (this: I) = { viewtype M:V; };"
		template  = "record @serializable T = { p: Party }; template (this: T) = { signatories Cons @Party [M:T {p} this] (Nil @Party); "
		instance  = "implements M:I { view = M:V {}; }; "
	)
	for _, tc := range []struct {
		name, first, firstVersion, second, secondVersion string
		refused                                          string // "" if both are taken
	}{
		{"an exception in both", template + "};" + exception, "1.0.0", template + "};" + exception, "1.0.1", ""},
		{"an interface in both", template + "};" + face, "1.0.0", template + "};" + face, "1.0.1", ""},
		{"an interface in both, with an instance", template + instance + "};" + face, "1.0.0", template + instance + "};" + face, "1.0.1", "[instance-removed]"},
		{"the same version twice", template + "};", "1.0.0", template + "};" + face, "1.0.0", "there cannot be two packages p 1.0.0"},
		{"the older after the newer", template + "};" + face, "2.0.0", template + "};", "1.0.0", ""},
		{"the older after the newer, which lacks a template", face, "2.0.0", template + "};" + face, "1.0.0", "[template-removed]"},
		{"an ill-typed one", template + "};", "1.0.0", "val x: Int64 = \"\";", "1.0.1", "is not valid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := ledger.New(engine.New(engine.DefaultLimits()))
			upload := func(definitions, version string) error {
				_, err := l.Upload(assemble(t, "p", version, definitions))
				return err
			}
			if err := upload(tc.first, tc.firstVersion); err != nil {
				t.Fatal(err)
			}
			err := upload(tc.second, tc.secondVersion)
			if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("got %v, want %q", err, tc.refused)
			}
		})
	}
}

// TestVersionsFitBetweenVersions uploads the versions of a package in an order that is not theirs: each has to fit between its
// neighbours, not only below or above the highest.
func TestVersionsFitBetweenVersions(t *testing.T) {
	record := func(fields string) string {
		return "record @serializable R = { p: Party" + fields + " };"
	}
	first, second, third := record(""), record(", a: Optional Text"), record(", a: Optional Text, b: Optional Text")
	for _, tc := range []struct {
		name    string
		uploads []string // version, then definitions
		refused string   // of the last one
	}{
		{"the middle one last", []string{"1.0.0", first, "3.0.0", third, "2.0.0", second}, ""},
		{"a middle one that goes beyond the one above", []string{"1.0.0", first, "3.0.0", second, "2.0.0", third}, "[field-removed]"},
		{"a middle one that lacks what is below", []string{"1.0.0", second, "3.0.0", third, "2.0.0", first}, "package p 2.0.0 cannot replace version 1.0.0"},
		{"numbers, not text", []string{"1.9.0", first, "1.10.0", second}, ""},
		{"numbers, not text, the other way", []string{"1.9.0", second, "1.10.0", first}, "[field-removed]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := ledger.New(engine.New(engine.DefaultLimits()))
			for i := 0; i < len(tc.uploads); i += 2 {
				_, err := l.Upload(assemble(t, "p", tc.uploads[i], tc.uploads[i+1]))
				last := i == len(tc.uploads)-2
				if refused := last && tc.refused != ""; refused && (err == nil || !strings.Contains(err.Error(), tc.refused)) || !refused && err != nil {
					t.Errorf("version %s: got %v, want %q", tc.uploads[i], err, tc.refused)
				}
			}
		})
	}
}

// TestVersionsInOneDAR has two versions of a package in one DAR, which are compared too; and two that store nothing, which need not be.
func TestVersionsInOneDAR(t *testing.T) {
	together := func(dars ...*archive.DAR) error {
		all := &archive.DAR{}
		for _, dar := range dars {
			all.Packages = append(all.Packages, dar.Packages...)
		}
		_, err := ledger.New(engine.New(engine.DefaultLimits())).Upload(all)
		return err
	}
	const one, two = "record @serializable R = { p: Party };", "record @serializable R = { q: Party };"
	if err := together(assemble(t, "p", "1.0.0", one), assemble(t, "p", "1.0.1", two)); err == nil || !strings.Contains(err.Error(), "[field-removed]") {
		t.Errorf("got %v", err)
	}
	if err := together(assemble(t, "p", "1.0.0", "val x: Int64 = 1;"), assemble(t, "p", "1.0.0", "val x: Text = \"\";")); err != nil {
		t.Error(err)
	}
}

func assemble(t testing.TB, name, version, definitions string) *archive.DAR {
	t.Helper()
	dar, err := text.Assemble("language 2.2 metadata ('"+name+"' : '"+version+"') module M { "+definitions+" }", nil)
	if err != nil {
		t.Fatal(err)
	}
	return dar
}
