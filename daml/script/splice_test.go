package script_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/cache"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// open puts a real DAR on a ledger, which may have a cache. SYNOD_DAR_DIR says where DARs are, which are not part of this repository.
func open(t testing.TB, name string, folder ...*cache.Cache) *script.Runner {
	t.Helper()
	dir := os.Getenv("SYNOD_DAR_DIR")
	if dir == "" {
		t.Skip("SYNOD_DAR_DIR does not say where real DARs are")
	}
	dar, err := archive.OpenDAR(filepath.Join(dir, name), archive.Limits{})
	if err != nil {
		t.Skip(err)
	}
	l := ledger.New(engine.New(engine.DefaultLimits()))
	for _, c := range folder {
		l.Cache = c
	}
	main, err := l.Upload(dar)
	if err != nil {
		t.Fatal(err)
	}
	return &script.Runner{Ledger: l, Main: main}
}

func load(t testing.TB, name string) *script.Script {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	s, err := script.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestAmulet runs the life of a real token: rules, rounds, a tap, a transfer with fees, one without enough money, and a transfer in
// two steps through the interface of the token standard.
func TestAmulet(t *testing.T) {
	amulet(t, open(t, "splice-amulet-0.1.14.dar"))
	folder := openCache(t, t.TempDir())
	for _, state := range []string{"just compiled", "compiled before"} {
		t.Run(state, func(t *testing.T) { amulet(t, open(t, "splice-amulet-0.1.14.dar", folder)) })
	}
	if s := folder.Stats(); s != (cache.Stats{Hits: 37, Misses: 37, Written: 37}) {
		t.Errorf("the cache says %+v", s)
	}
}

func amulet(t *testing.T, r *script.Runner) {
	var commits []*ledger.Commit
	err := r.Run(t.Context(), load(t, "amulet.json"), func(o *script.Outcome) error {
		if o.Commit != nil {
			commits = append(commits, o.Commit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int{1, 4, 4, 8, 1, 14, 1, 13}
	if len(commits) != len(sizes) {
		t.Fatalf("%d transactions, want %d", len(commits), len(sizes))
	}
	for i, c := range commits {
		if len(c.Transaction.Nodes) != sizes[i] {
			t.Errorf("transaction %d has %d nodes, want %d", c.Number, len(c.Transaction.Nodes), sizes[i])
		}
	}
	// Of 1000 tapped, 100 went to Bob, and 13 were fees: 6 for each of two outputs, and 1 % of what was paid.
	holdings := map[value.Party]string{}
	for _, n := range commits[3].Transaction.Nodes {
		if c, ok := n.(*tx.Create); ok && c.Template.Entity == "Amulet" {
			fields := c.Arg.(*value.Record).Fields
			holdings[fields[1].(value.Party)] = fields[2].(*value.Record).Fields[0].(value.Numeric).Short()
		}
	}
	if holdings["Alice"] != "887.0" || holdings["Bob"] != "100.0" {
		t.Errorf("after the transfer the holdings are %v", holdings)
	}
	// Bob sees nothing of Alice's offer but the instruction which is for him.
	view, origin := tx.Project(commits[5].Transaction, commits[5].Blinding, "Bob")
	if len(view.Nodes) != 1 || origin[0] != 13 {
		t.Errorf("Bob sees nodes %v of the offer, want 13 only", origin)
	}
}
