package genesis_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/genesis"
)

func example(t *testing.T) *genesis.Genesis {
	t.Helper()
	g, err := genesis.New("example", 1_700_000_000_000_000, genesis.DefaultParameters(), []genesis.Member{
		{Name: "sequencer1", Key: keys.PublicKey{1}}, {Name: "sequencer2", Key: keys.PublicKey{2}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "genesis.toml")
	want := example(t)
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := genesis.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("\ngot  %+v\nwant %+v", got, want)
	}
	if err := want.Save(path); err == nil {
		t.Fatal("a genesis was overwritten")
	}
}

// TestIDIsStable: networks live for years under their id, so its computation never changes.
func TestIDIsStable(t *testing.T) {
	const want = "86d9056bbb4260db26bef6006bb9a7b193d5bd7b66310fdadea0d7377efdc4bd"
	if got := example(t).ID.String(); got != want {
		t.Fatalf("id %s, want %s", got, want)
	}
}

func TestEveryFieldIsInTheID(t *testing.T) {
	seen := map[genesis.ID]string{example(t).ID: "unchanged"}
	for name, change := range map[string]func(*genesis.Genesis){
		"name":             func(g *genesis.Genesis) { g.Name = "other" },
		"time":             func(g *genesis.Genesis) { g.Time++ },
		"member name":      func(g *genesis.Genesis) { g.Members[0].Name = "b" },
		"member key":       func(g *genesis.Genesis) { g.Members[0].Key[31] = 9 },
		"member order":     func(g *genesis.Genesis) { g.Members[0], g.Members[1] = g.Members[1], g.Members[0] },
		"one member less":  func(g *genesis.Genesis) { g.Members = g.Members[:1] },
		"leader timeout":   func(g *genesis.Genesis) { g.Parameters.LeaderTimeout *= 2 },
		"idle interval":    func(g *genesis.Genesis) { g.Parameters.IdleInterval *= 2 },
		"payload limit":    func(g *genesis.Genesis) { g.Parameters.PayloadLimit *= 2 },
		"payload requests": func(g *genesis.Genesis) { g.Parameters.PayloadRequests *= 2 },
		"request limit":    func(g *genesis.Genesis) { g.Parameters.RequestLimit *= 2 },
		"epoch duration":   func(g *genesis.Genesis) { g.Parameters.EpochDuration *= 2 },
		"gc depth":         func(g *genesis.Genesis) { g.Parameters.GCDepth *= 2 },
		"demotion window":  func(g *genesis.Genesis) { g.Parameters.DemotionWindow *= 2 },
	} {
		g := example(t)
		change(g)
		changed, err := genesis.New(g.Name, g.Time, g.Parameters, g.Members)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, found := seen[changed.ID]; found {
			t.Errorf("%s has the id of %s", name, other)
		}
		seen[changed.ID] = name
	}
}

func TestAnEditedFileIsNoticed(t *testing.T) {
	text := string(config.Render(example(t), ""))
	for _, tc := range []struct{ old, new, want string }{
		{`leader_timeout = "500ms"`, `leader_timeout = "501ms"`, ":7: id: the content digests to"},
		{`leader_timeout = "500ms"`, `leader_timeout = "0s"`, "parameters: leader timeout must be"},
		{"request_limit", "request_limt", "unknown key parameters.request_limt; did you mean parameters.request_limit?"},
		{"name = \"sequencer2\"", "name = \"sequencer1\"", `members: name "sequencer1" is used twice`},
		{"02" + strings.Repeat("0", 62), "01" + strings.Repeat("0", 62), "listed twice"},
	} {
		path := filepath.Join(t.TempDir(), "genesis.toml")
		if err := os.WriteFile(path, []byte(strings.Replace(text, tc.old, tc.new, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := genesis.Load(path); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.new, err, tc.want)
		}
	}
}

func TestCommittee(t *testing.T) {
	g := example(t)
	c := g.Committee()
	if c.Network != bft.NetworkID(g.ID) || c.Members[1] != (bft.PublicKey{2}) || c.Start != bft.Time(g.Time) || c.Params != bft.DefaultParams() {
		t.Fatalf("committee %+v", c)
	}
}
