package network_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
)

func TestCreateWritesAWholeNetwork(t *testing.T) {
	made, err := network.Create(network.DefaultPlan(filepath.Join(t.TempDir(), "net")))
	if err != nil {
		t.Fatal(err)
	}
	ports := map[string]string{}
	for i, node := range made.Nodes {
		c, _, err := config.LoadSequencer(config.Sources{File: node.ConfigFile})
		if err != nil {
			t.Fatal(err)
		}
		key, err := keys.Load(c.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		if member, found := made.Genesis.Find(c.Name); !found || member.Key != key.Public() {
			t.Errorf("%s: the genesis does not hold the key of the file", c.Name)
		}
		if len(c.Peers) != len(made.Nodes)-1 || c.GenesisFile != filepath.Join(made.Dir, "genesis.toml") || c.DataDir != network.NodeAt(made.Dir, i).DataDir {
			t.Errorf("%s: %d peers, genesis %s, data %s", c.Name, len(c.Peers), c.GenesisFile, c.DataDir)
		}
		for _, address := range []string{c.Public.Listen, c.Peer.Listen, c.Admin.Listen, c.Admin.Pprof} {
			if other := ports[address]; other != "" {
				t.Errorf("%s and %s share %s", c.Name, other, address)
			}
			ports[address] = c.Name
		}
	}
}

func TestCreateOverwritesNothing(t *testing.T) {
	plan := network.DefaultPlan(t.TempDir())
	if _, err := network.Create(plan); err != nil {
		t.Fatal(err)
	}
	key := network.NodeAt(plan.Dir, 0).KeyFile
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := network.Create(plan); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v, want ErrExist", err)
	}
	if err := os.Remove(filepath.Join(plan.Dir, "genesis.toml")); err != nil {
		t.Fatal(err)
	}
	if _, err := network.Create(plan); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("keys without a genesis: got %v, want ErrExist", err)
	}
	after, err := os.ReadFile(key)
	if err != nil || string(after) != string(before) {
		t.Fatalf("the key changed: %v", err)
	}
}

func TestEnsureMakesOnceAndThenFinds(t *testing.T) {
	plan := network.DefaultPlan(t.TempDir())
	plan.BasePort = 0
	made, err := network.Ensure(plan)
	if err != nil {
		t.Fatal(err)
	}
	found, err := network.Ensure(plan)
	if err != nil || found.Genesis.ID != made.Genesis.ID {
		t.Fatalf("found another network: %v", err)
	}
	plan.Sequencers = 7
	if _, err := network.Ensure(plan); err == nil || !strings.Contains(err.Error(), "4 sequencers, not 7") {
		t.Fatalf("another size: got %v", err)
	}
}

func TestAnInterruptedCreateIsNoObstacle(t *testing.T) {
	plan := network.DefaultPlan(t.TempDir())
	if err := os.MkdirAll(filepath.Join(plan.Dir, ".draft", "sequencer1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := network.Create(plan); err != nil {
		t.Fatal(err)
	}
}

func TestBadPlans(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*network.Plan)
		want   string
	}{
		{"none", func(p *network.Plan) { p.Sequencers = 0 }, "1 to 64 sequencers"},
		{"name", func(p *network.Plan) { p.Name = "My Net" }, "network name"},
		{"ports", func(p *network.Plan) { p.BasePort = 65530 }, "no room"},
		{"host", func(p *network.Plan) { p.Host = "" }, "host is empty"},
	} {
		plan := network.DefaultPlan(filepath.Join(t.TempDir(), "net"))
		tc.change(&plan)
		if _, err := network.Create(plan); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
		if _, err := os.Stat(plan.Dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: something was written", tc.name)
		}
	}
}
