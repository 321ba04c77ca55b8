package network

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/synod-network/synod/bft/quorum"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/keys/vault"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/topology"
)

// founders are those who found the network, with the keys that they have right now.
type founders struct {
	owners     []keys.PrivateKey // of their namespaces
	sequencers []founder
}

// founder is a sequencer of the first committee.
type founder struct {
	name                      string
	node, namespace, protocol keys.PrivateKey
}

func (f founder) member() topology.Member {
	return topology.Member{Role: topology.Sequencer, UID: topology.UID{Name: f.name, Namespace: topology.NamespaceOf(f.namespace.Public())}}
}

// makeFounders makes all keys in the draft directory.
func (p Plan) makeFounders(draft string) (f founders, err error) {
	for i := range p.Owners {
		key, err := newKey(ownerDir(draft, i), keys.Namespace)
		if err != nil {
			return f, err
		}
		f.owners = append(f.owners, key)
	}
	for i := range p.Sequencers {
		at := NodeAt(draft, i)
		s := founder{name: at.Name}
		if s.node, err = keys.Create(at.KeyFile); err != nil {
			return f, err
		}
		if s.namespace, err = newKey(at.KeysDir, keys.Namespace); err != nil {
			return f, err
		}
		if s.protocol, err = newKey(at.KeysDir, keys.Protocol); err != nil {
			return f, err
		}
		f.sequencers = append(f.sequencers, s)
	}
	return f, nil
}

// ownerDir is where the keys of the i-th owner are, from 0.
func ownerDir(dir string, i int) string {
	return filepath.Join(dir, ownersDir, "owner"+strconv.Itoa(i+1))
}

// newKey makes a key in the vault of a directory.
func newKey(dir string, purpose keys.Purpose) (keys.PrivateKey, error) {
	v, err := vault.Create(dir)
	if err != nil {
		return keys.PrivateKey{}, err
	}
	entry, err := v.Generate(purpose)
	if err != nil {
		return keys.PrivateKey{}, err
	}
	return v.Signing(purpose, entry.Fingerprint)
}

// statement is a topology transaction and the keys that sign it.
type statement struct {
	mapping topology.Mapping
	signers []keys.PrivateKey
}

// found makes the genesis.
func (p Plan) found(f founders) (*genesis.Genesis, error) {
	ordering, err := p.Parameters.Ordering()
	if err != nil {
		return nil, fmt.Errorf("parameters: %w", err)
	}
	var statements []statement
	say := func(m topology.Mapping, signers ...keys.PrivateKey) {
		statements = append(statements, statement{m, signers})
	}
	root := func(key keys.PrivateKey) topology.Namespace {
		n := topology.NamespaceOf(key.Public())
		say(topology.NamespaceDelegation{Namespace: n, Target: key.Public(), Kinds: topology.AllKinds}, key)
		return n
	}
	var owners []topology.Namespace
	for _, key := range f.owners {
		owners = append(owners, root(key))
	}
	synchronizer := topology.UID{Name: p.Name, Namespace: owners[0]}
	if len(owners) > 1 {
		d := topology.NewDecentralizedNamespace(uint16(p.OwnerThreshold), owners...)
		synchronizer.Namespace = d.Namespace
		say(d, f.owners...)
	}
	parameters := topology.DefaultParameters(synchronizer)
	parameters.Ordering = ordering
	parameters.MaxRequestSize = min(parameters.MaxRequestSize, ordering.RequestLimit)
	parameters.Traffic, parameters.Onboarding = p.Traffic, p.Onboarding
	set := topology.SequencerSet{Synchronizer: synchronizer, Threshold: uint16(quorum.Witness(p.Sequencers))}
	agreeing := slices.Clone(f.owners) // to the set
	for _, s := range f.sequencers {
		statements = append(statements, s.identify()...)
		say(topology.MemberTrustCertificate{Synchronizer: synchronizer, Member: s.member()}, s.namespace)
		set.Sequencers = append(set.Sequencers, topology.SequencerNode{Member: s.member(), Node: s.node.Public()})
		agreeing = append(agreeing, s.node)
	}
	say(parameters, f.owners...)
	say(set, agreeing...)

	began := topology.Time(config.InstantOf(p.Now))
	charter := topology.Charter{Synchronizer: synchronizer, Began: began}
	for _, s := range statements {
		charter.Transactions = append(charter.Transactions, topology.Add(1, s.mapping))
	}
	id := genesis.IDOf(p.Name, charter)
	var signed []topology.SignedTransaction
	for i, t := range charter.Transactions {
		s, err := topology.Sign(id, t, statements[i].signers...)
		if err != nil {
			return nil, fmt.Errorf("found the network: %w", err)
		}
		signed = append(signed, s)
	}
	founding, err := topology.NewGenesis(id, synchronizer, began, signed...)
	if err != nil {
		return nil, fmt.Errorf("found the network: %w", err)
	}
	return genesis.New(p.Name, founding)
}
