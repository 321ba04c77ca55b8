package network_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/node/pki"
)

// TestANewcomerHasAllItNeeds: its folder is whole, its identity proves its key, its operator can be known by its listener; and a second
// time nothing changes.
func TestANewcomerHasAllItNeeds(t *testing.T) {
	founded, err := network.Create(network.DefaultPlan(filepath.Join(t.TempDir(), "net")))
	if err != nil {
		t.Fatal(err)
	}
	n := network.Newcomer{Dir: filepath.Join(t.TempDir(), "sequencer5"), Name: "sequencer5", GenesisFile: filepath.Join(founded.Dir, "genesis.toml"),
		Adjust: func(c *config.Sequencer) { c.Admin.GRPC = "127.0.0.1:7155" }}
	file, identity, err := network.Join(n)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := config.LoadSequencer(config.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	key, err := keys.Load(c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	i, err := network.LoadIdentity(identity)
	if err != nil || i.NodeKey != key.Public() || i.Network != founded.Genesis.ID || len(i.Transactions) != 2 {
		t.Errorf("identity %+v: %v", i, err)
	}
	operator := network.OperatorAt(n.Dir)
	if _, err := pki.OpenAuthority(operator.Authority, filepath.Join(filepath.Dir(operator.Authority), "ca-key.pem")); err != nil || c.Admin.CA != operator.Authority {
		t.Errorf("authority %s: %v", c.Admin.CA, err)
	}
	below, err := network.NodesBelow(n.Dir)
	if err != nil || len(below) != 1 || below[0].Name != "sequencer5" || below[0].ConfigFile != file {
		t.Errorf("below its folder is %v: %v", below, err)
	}
	if below, err := network.NodesBelow(founded.Dir); err != nil || len(below) != 4 || below[3].Name != "sequencer4" {
		t.Errorf("below the network is %v: %v", below, err)
	}
	if _, _, err := network.Join(n); err != nil {
		t.Error(err)
	}
	if again, err := keys.Load(c.KeyFile); err != nil || again.Public() != key.Public() {
		t.Errorf("joining again changed the key: %v", err)
	}
}

// TestRotatingMakesKeysBesideThoseInUse: and only whoever holds a key can write an identity for it.
func TestRotatingMakesKeysBesideThoseInUse(t *testing.T) {
	founded, err := network.Create(network.DefaultPlan(filepath.Join(t.TempDir(), "net")))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := config.LoadSequencer(config.Sources{File: founded.Nodes[0].ConfigFile})
	if err != nil {
		t.Fatal(err)
	}
	before, err := keys.Load(c.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	identity, next, err := network.RotateNodeKey(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := network.RotateNodeKey(c); err != nil || again != next {
		t.Errorf("a second time the key is %s, was %s: %v", again, next, err)
	}
	if now, err := keys.Load(c.KeyFile); err != nil || now.Public() != before.Public() || next == before.Public() {
		t.Errorf("the key in use changed: %v", err)
	}
	if i, err := network.LoadIdentity(identity); err != nil || i.NodeKey != next || len(i.Transactions) != 0 {
		t.Errorf("identity %+v: %v", i, err)
	}
	v, err := vault.Open(c.KeysDir)
	if err != nil {
		t.Fatal(err)
	}
	old, err := v.Newest(keys.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	made, err := network.RotateProtocolKey(c)
	if newest, _ := v.Newest(keys.Protocol); err != nil || made != newest.Fingerprint || made == old.Fingerprint {
		t.Errorf("protocol key %s: %v", made.Short(), err)
	}
	if _, err := v.Signing(keys.Protocol, old.Fingerprint); err != nil {
		t.Errorf("the old one is gone: %v", err)
	}

	text, err := os.ReadFile(identity)
	if err != nil {
		t.Fatal(err)
	}
	mallory, err := network.Create(network.DefaultPlan(filepath.Join(t.TempDir(), "net")))
	if err != nil {
		t.Fatal(err)
	}
	hex := func(k keys.PublicKey) string { b, _ := k.MarshalText(); return string(b) }
	for name, change := range map[string][2]string{
		"another's key":     {hex(next), hex(before.Public())},
		"another's member":  {"sequencer1::", "sequencer2::"},
		"another network":   {founded.Genesis.ID.String(), mallory.Genesis.ID.String()},
		"no proof":          {"node_proof = \"", "node_proof = \"\" # "},
		"proof of the rest": {"node_proof = \"", "node_proof = \"AA"},
	} {
		altered := strings.Replace(string(text), change[0], change[1], 1)
		if altered == string(text) {
			t.Errorf("%s: nothing to alter", name)
		}
		path := filepath.Join(t.TempDir(), "identity.toml")
		if err := os.WriteFile(path, []byte(altered), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := network.LoadIdentity(path); err == nil || !strings.Contains(err.Error(), "node_proof") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWhatCannotBeRotated leaves nothing behind.
func TestWhatCannotBeRotated(t *testing.T) {
	founded, err := network.Create(network.DefaultPlan(filepath.Join(t.TempDir(), "net")))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*config.Sequencer){
		"no key":     func(c *config.Sequencer) { c.KeyFile += ".gone" },
		"no vault":   func(c *config.Sequencer) { c.KeysDir += ".gone" },
		"no genesis": func(c *config.Sequencer) { c.GenesisFile += ".gone" },
	} {
		c, _, err := config.LoadSequencer(config.Sources{File: founded.Nodes[0].ConfigFile})
		if err != nil {
			t.Fatal(err)
		}
		change(c)
		if _, _, err := network.RotateNodeKey(c); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
		for _, left := range []string{network.NextKeyFile(c.KeyFile), c.KeysDir + "/retired.gone"} {
			if _, err := os.Stat(left); err == nil {
				t.Errorf("%s: %s was left behind", name, left)
			}
		}
	}
}
