package stories

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/network"
)

// TestASequencerExchangesItsKeys: under load, a sequencer gets a new key to order by and a new one to sign events with, in place: one
// command at the sequencer and one of the owners. It is killed right after the owners have listed the new key, and goes on where it was.
// From then on the others know only the new key, over restarts too, and refuse whoever comes with the old one.
func TestASequencerExchangesItsKeys(t *testing.T) {
	c := found(t, 4)
	c.start()
	traffic := driveMembers(t, c.nodes)
	c.orders(c.nodes...)
	changing, other := c.nodes[1], c.nodes[2]
	old, err := keys.Load(changing.at.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	oldSigning := c.signs(changing)
	run(t, "sequencer", "rotate", "--config", changing.at.ConfigFile, "--node-key", "--protocol-key")
	next, err := keys.Load(network.NextKeyFile(changing.at.KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(changing.at.KeysDir)
	if err != nil {
		t.Fatal(err)
	}
	signing, err := v.Newest(keys.Protocol)
	if err != nil {
		t.Fatal(err)
	}
	within(t, patience, "it signs events with the new protocol key", func() error {
		if now := c.signs(changing); now == oldSigning || now.Fingerprint() != signing.Fingerprint {
			return fmt.Errorf("it signs with %s", now)
		}
		return nil
	})
	c.ready(changing)

	arguments := []string{"network", "add-sequencer", "--identity", filepath.Join(changing.at.Dir, "identity.toml"), "--genesis", filepath.Join(c.net.Dir, "genesis.toml"),
		"--owner-keys", filepath.Join(c.net.Dir, "owners", "owner1")}
	for _, n := range c.nodes {
		arguments = append(arguments, "--endpoint", n.config.Public.Listen)
	}
	run(t, arguments...)
	changing.kill()
	c.handOver(other) // the others go over to the new key while it is away
	c.handOver(other)
	changing.start()
	within(t, 2*patience, "it orders by the new key", func() error {
		if _, err := os.Stat(network.NextKeyFile(changing.at.KeyFile)); !errors.Is(err, fs.ErrNotExist) {
			return errors.New("the new key is not in place")
		}
		return changing.health()
	})
	if now, err := keys.Load(changing.at.KeyFile); err != nil || now.Public() != next.Public() {
		t.Errorf("the key file holds another key: %v", err)
	}
	c.orders(c.nodes...)

	if code := other.stop(); code != 0 {
		t.Fatalf("exit code %d after TERM", code)
	}
	other.start() // its configuration still has the old key
	c.ready(other)
	for _, n := range c.others(changing) {
		within(t, patience, n.name+" knows the new key alone, at the old address", func() error {
			out, err := c.ask(n, "bft", "peer", "list", "--json")
			if err != nil || strings.Contains(out, old.Public().String()) || !strings.Contains(out, next.Public().String()) || !strings.Contains(out, changing.config.Peer.Listen) {
				return fmt.Errorf("%v: %s", err, out)
			}
			return nil
		})
	}
	thief := c.connect(old, bft.NetworkID(c.net.Genesis.ID), "127.0.0.1:0")
	for _, n := range []*sequencer{c.nodes[0], other} {
		counted(t, n, unknownPeer, "unknown_peer", func() {})
	}
	thief.leave()
	traffic.finish()
	c.agree()
}

// signs is the key with which a node says that it signs events; the zero key if it does not answer.
func (c *cluster) signs(n *sequencer) (key keys.PublicKey) {
	answer, err := sequencerv1.NewSequencerServiceClient(c.public(n)).Handshake(c.t.Context(), &sequencerv1.HandshakeRequest{ClientVersions: []uint32{1}})
	if err == nil {
		copy(key[:], answer.GetSigningKey())
	}
	return key
}
