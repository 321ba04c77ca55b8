package instance

import (
	"errors"
	"io/fs"
	"log/slog"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// identity is what this sequencer is to the network: a node that orders, and a member that signs what
// it tells others.
type identity struct {
	node     keys.PrivateKey
	member   topology.Member
	protocol keys.PrivateKey
}

// loadIdentity reads the sequencer's keys.
func (i *Instance) loadIdentity() (id identity, err error) {
	c := i.Config
	if id.node, err = keys.Load(c.KeyFile); err != nil {
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
	entry, err := v.Newest(keys.Protocol)
	if err == nil {
		id.protocol, err = v.Signing(keys.Protocol, entry.Fingerprint)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = exit.With(exit.BadConfig, err)
	}
	return id, err
}

// place says what the topology makes of this sequencer, and refuses keys that are not those that it
// lists.
func (i *Instance) place(s *synchronizer.State) error {
	own := i.identity.node.Public()
	other := map[keys.PublicKey]bool{}
	found := false
	look := func(view topology.Snapshot) {
		for _, n := range view.Sequencers().Sequencers {
			switch {
			case n.Node == own && n.Member == i.identity.member:
				found = true
			case n.Node == own, n.Member == i.identity.member, n.Member.Name == i.Config.Name:
				other[n.Node] = true
			}
		}
	}
	s.Topology(look)
	s.ComingTopology(look)
	c := i.Config
	switch {
	case found:
		return nil
	case len(other) > 0:
		for key := range other {
			return exit.Errorf(exit.BadConfig, "%s holds key %s, but the network lists key %s for %s, or another identity than that of %s; use name, key file and keys that belong together",
				c.KeyFile, own, key, c.Name, c.KeysDir)
		}
	}
	i.Log.Info("this sequencer is not listed yet; it follows the order and waits for the owners to list it", slog.String("member", i.identity.member.String()))
	return nil
}
