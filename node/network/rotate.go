package network

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/topology"
)

// NextKeyFile is where the key lies that is to take the place of a node's key. The sequencer moves it there itself, once it orders by it.
func NextKeyFile(keyFile string) string { return keyFile + ".next" }

// RotateNodeKey makes the key by which a sequencer is to order next, unless one is there, and writes the identity file that tells the
// owners of it, beside the key. It takes no step in the network.
func RotateNodeKey(c *config.Sequencer) (identityPath string, next keys.PublicKey, err error) {
	fail := func(err error) (string, keys.PublicKey, error) {
		return "", next, fmt.Errorf("rotate the node key: %w", err)
	}
	g, err := genesis.Load(c.GenesisFile)
	if err != nil {
		return fail(exit.With(exit.BadConfig, err))
	}
	current, err := keys.Load(c.KeyFile)
	if err != nil {
		return fail(exit.With(exit.BadConfig, err))
	}
	member, err := memberOf(c)
	if err != nil {
		return fail(err)
	}
	file := NextKeyFile(c.KeyFile)
	key, err := keys.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		key, err = keys.Create(file)
	}
	if err != nil {
		return fail(err)
	}
	if next = key.Public(); next == current.Public() {
		return fail(fmt.Errorf("%s holds the key that is in use; remove it", file))
	}
	identityPath = filepath.Join(filepath.Dir(c.KeyFile), identityFile)
	return identityPath, next, newIdentity(g, member, key).write(identityPath, c.Name, g)
}

// RotateProtocolKey makes the key with which a sequencer is to sign for members next. The running sequencer announces it, and signs with it
// once that is in force.
func RotateProtocolKey(c *config.Sequencer) (keys.Fingerprint, error) {
	if _, err := memberOf(c); err != nil {
		return keys.Fingerprint{}, fmt.Errorf("rotate the protocol key: %w", err)
	}
	v, err := vault.Open(c.KeysDir)
	if err != nil {
		return keys.Fingerprint{}, exit.With(exit.BadConfig, err)
	}
	entry, err := v.Rotate(keys.Protocol)
	if err != nil {
		return keys.Fingerprint{}, exit.With(exit.BadConfig, err)
	}
	return entry.Fingerprint, nil
}

// memberOf is who a sequencer is in the network.
func memberOf(c *config.Sequencer) (topology.Member, error) {
	v, err := vault.Open(c.KeysDir)
	if err != nil {
		return topology.Member{}, exit.With(exit.BadConfig, err)
	}
	root, err := v.Newest(keys.Namespace)
	if err != nil {
		return topology.Member{}, exit.With(exit.BadConfig, err)
	}
	return topology.Member{Role: topology.Sequencer, UID: topology.UID{Name: c.Name, Namespace: topology.Namespace(root.Fingerprint)}}, nil
}
