package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/network"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// identity is what this sequencer is to the network: a node that orders, and a member that signs what
// it tells others.
type identity struct {
	node keys.PrivateKey
	// other is a second node key while one takes the place of another, zero otherwise: the next one, or, in an instance that tries
	// the next one, that which the key file holds.
	other    keys.PrivateKey
	member   topology.Member
	protocol keys.PrivateKey
}

// holds reports whether a node key is this sequencer's.
func (id identity) holds(key keys.PublicKey) bool {
	return key == id.node.Public() || !id.other.IsZero() && key == id.other.Public()
}

// loadIdentity reads who this sequencer is, and its node keys. Which of them orders is for chooseNodeKey to say, which protocol key
// signs for chooseProtocolKey.
func (i *Instance) loadIdentity() (id identity, err error) {
	c := i.Config
	if id.node, err = keys.Load(c.KeyFile); err != nil {
		return id, exit.With(exit.BadConfig, err)
	}
	if id.other, err = loadNext(c.KeyFile); err != nil {
		return id, exit.With(exit.BadConfig, err)
	}
	v, err := vault.Open(c.KeysDir)
	if err != nil {
		return id, exit.With(exit.BadConfig, err)
	}
	root, err := v.Newest(keys.Namespace)
	if err != nil {
		return id, exit.With(exit.BadConfig, err)
	}
	id.member = topology.Member{Role: topology.Sequencer, UID: topology.UID{Name: c.Name, Namespace: topology.Namespace(root.Fingerprint)}}
	return id, nil
}

// loadNext reads the key that is to take the place of a key file's; zero if there is none.
func loadNext(keyFile string) (keys.PrivateKey, error) {
	next, err := keys.Load(network.NextKeyFile(keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return keys.PrivateKey{}, nil
	}
	return next, err
}

// chooseNodeKey picks the node key to begin with. If the committee of the epoch in which the store ends lists the next one, it takes the
// place of the old one for good. Else the next one is only taken to try it: the others may have gone over to it while this sequencer
// was away.
func (i *Instance) chooseNodeKey(tryNext bool) error {
	id := &i.identity
	if id.other.IsZero() {
		return nil
	}
	committee, err := i.storedCommittee()
	if err != nil {
		return err
	}
	listed := func(k keys.PrivateKey) bool { return slices.Contains(committee.Members, bft.PublicKey(k.Public())) }
	switch {
	case listed(id.other):
		if err := promote(i.Config.KeyFile); err != nil {
			return err
		}
		i.Log.Info("this sequencer orders by its new key from now on; the old one is gone", slog.String("key", id.other.Public().String()))
		id.node, id.other = id.other, keys.PrivateKey{}
	case tryNext:
		id.node, id.other = id.other, id.node
	}
	return nil
}

// storedCommittee is that of the epoch in which the store ends.
func (i *Instance) storedCommittee() (*bft.Committee, error) {
	h, err := i.store.LastHandover()
	if errors.Is(err, store.ErrNotFound) {
		return i.Genesis.Committee(), nil
	}
	if err != nil {
		return nil, err
	}
	return h.Next(), nil
}

// promote moves the next key into the place of the key file, durably. A crash leaves one or the other there.
func promote(keyFile string) error {
	if err := os.Rename(network.NextKeyFile(keyFile), keyFile); err != nil {
		return fmt.Errorf("put the new node key into place: %w", err)
	}
	dir, err := os.Open(filepath.Dir(keyFile))
	if err != nil {
		return fmt.Errorf("put the new node key into place: %w", err)
	}
	err = dir.Sync()
	if closed := dir.Close(); err == nil {
		err = closed
	}
	return err
}

// chooseProtocolKey picks the newest of the protocol keys that the topology lists, or the newest of all where it lists none, as for a
// newcomer.
func (i *Instance) chooseProtocolKey() error {
	v, err := vault.Open(i.Config.KeysDir)
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	entry, err := v.Newest(keys.Protocol)
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	if in := i.newestListed(v); in != nil {
		entry = *in
	}
	i.identity.protocol, err = v.Signing(keys.Protocol, entry.Fingerprint)
	if err != nil {
		return exit.With(exit.BadConfig, err)
	}
	return nil
}

// newestListed is the newest protocol key of the vault that is in force; nil if none is.
func (i *Instance) newestListed(v *vault.Vault) (newest *vault.Entry) {
	entries, err := v.List()
	if err != nil {
		return nil
	}
	var listed []keys.PublicKey
	i.state.Topology(func(view topology.Snapshot) {
		listed = slices.Clone(view.SigningKeys(i.identity.member, keys.Protocol))
	})
	for _, e := range entries {
		lists := func(k keys.PublicKey) bool { return k.Fingerprint() == e.Fingerprint }
		if e.Purpose == keys.Protocol && slices.ContainsFunc(listed, lists) && (newest == nil || e.Number > newest.Number) {
			newest = &e
		}
	}
	return newest
}

// place says what the topology makes of this sequencer, and refuses keys that are not those that it
// lists.
func (i *Instance) place(s *synchronizer.State) error {
	id := i.identity
	var other *topology.SequencerNode
	found := false
	look := func(view topology.Snapshot) {
		for _, n := range view.Sequencers().Sequencers {
			switch {
			case id.holds(n.Node) && n.Member == id.member:
				found = true
			case n.Member == id.member, other == nil && (id.holds(n.Node) || n.Member.Name == i.Config.Name):
				other = &n
			}
		}
	}
	s.Topology(look)
	s.ComingTopology(look)
	c := i.Config
	switch {
	case found:
		return nil
	case other != nil && other.Member != id.member:
		return exit.Errorf(exit.BadConfig, "the network lists %s, but name %s and the keys in %s are those of %s; use name, key_file and keys_dir that belong together",
			other.Member, c.Name, c.KeysDir, id.member)
	case other != nil:
		return exit.Errorf(exit.BadConfig, "%s holds key %s, but the network lists key %s for %s; use name, key_file and keys_dir that belong together",
			c.KeyFile, id.node.Public(), other.Node, c.Name)
	}
	i.Log.Info("this sequencer is not listed yet; it follows the order and waits for the owners to list it", slog.String("member", id.member.String()))
	return nil
}
