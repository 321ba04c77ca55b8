package ledger_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/value"
)

// darDir is where real DARs are, which are not part of this repository.
func darDir(t testing.TB) string {
	dir := os.Getenv("SYNOD_DAR_DIR")
	if dir == "" {
		t.Skip("SYNOD_DAR_DIR does not say where real DARs are")
	}
	return dir
}

func upload(t testing.TB, l *ledger.Ledger, name string) string {
	t.Helper()
	dar, err := archive.OpenDAR(filepath.Join(darDir(t), name), archive.Limits{})
	if err != nil {
		t.Skip(err)
	}
	pkg, err := l.Upload(dar)
	if err != nil {
		t.Fatal(err)
	}
	return string(pkg.ID)
}

func TestPing(t *testing.T) {
	l := ledger.New(engine.New(engine.DefaultLimits()))
	pkg := upload(t, l, "canton-builtin-admin-workflow-ping.dar")
	ping := engine.TypeRef{Package: pkg, Module: "Canton.Internal.Ping", Entity: "Ping"}
	alice, bob := value.Party("Alice"), value.Party("Bob")
	created, err := l.Submit(t.Context(), ledger.Submission{ActAs: []value.Party{alice}, Commands: []engine.Command{
		&engine.CreateCommand{Template: ping, Arg: &value.Record{Fields: []value.Value{value.Text("1"), alice, bob}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(engine.Show(created.Result))
	respond := func(as value.Party) error {
		_, err := l.Submit(t.Context(), ledger.Submission{ActAs: []value.Party{as}, Commands: []engine.Command{
			&engine.ExerciseCommand{Type: ping, ID: created.Result.(value.ContractID), Choice: "Respond", Arg: &value.Record{}},
		}})
		return err
	}
	t.Log(respond(alice))
	t.Log(respond(bob))
	t.Log(respond(bob))
}
