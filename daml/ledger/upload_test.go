package ledger_test

import (
	"strings"
	"testing"

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
		{"the same version twice", template + "};", "1.0.0", template + "};" + face, "1.0.0", "there is another package p 1.0.0 already"},
		{"the older after the newer", template + "};" + face, "2.0.0", template + "};", "1.0.0", ""},
		{"the older after the newer, which lacks a template", face, "2.0.0", template + "};" + face, "1.0.0", "[template-removed]"},
		{"an ill-typed one", template + "};", "1.0.0", "val x: Int64 = \"\";", "1.0.1", "is not valid"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := ledger.New(engine.New(engine.DefaultLimits()))
			upload := func(definitions, version string) error {
				dar, err := text.Assemble("language 2.2 metadata ('p' : '"+version+"') module M { "+definitions+" }", nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = l.Upload(dar)
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
