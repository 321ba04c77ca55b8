package instance

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/version"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/trustadmin"
)

// operatorsFile is where what operators set while the sequencer runs is kept.
func (i *Instance) operatorsFile(name string) string {
	return filepath.Join(i.Config.DataDir, "operators", name)
}

// serveOperators makes the service for operators, if there is a listener for it.
func (i *Instance) serveOperators(plain bool) (err error) {
	listener, ok := i.listeners["admin-grpc"]
	if !ok {
		return nil
	}
	i.pruner, err = admin.NewPruner(i.operatorsFile("pruning.json"), i.state, blocks{i}, i.Log)
	if err != nil {
		return err
	}
	own := i.identity.node.Public()
	peers := namedPeers{i.peers, own, i.Config.Name}
	c := i.Config.Admin
	i.operators, err = admin.New(listener, admin.Config{
		CertificateFile: c.Cert, KeyFile: c.Key, AuthorityFile: c.CA, Plain: plain, Ready: i.orderer.Ready,
		Services: []admin.Service{
			admin.NewNode(admin.NodeConfig{
				Name: i.Config.Name, Key: own, Network: i.Genesis.ID, NetworkName: i.Genesis.Name, Version: version.Read().String(), Started: time.Now(),
				Listeners: i.Ready().Listeners, Health: i.Health, Level: i.level, Orderer: i.orderer, Replica: i.replica, Peers: peers, Scores: i.scores, Subscribers: i.subscribers, Onboarding: i.onboard, Log: i.Log,
			}),
			admin.NewBft(own, i.replica, peers, i.Log),
			admin.NewMembers(admin.MembersConfig{
				Network: sequencing.NetworkID(i.Genesis.ID), State: i.state, Key: func() keys.PrivateKey { return i.identity.protocol }, Submit: i.orderer.Submit, Log: i.Log,
			}),
			i.pruner,
			trustadmin.New(i.warden, func() uint64 { return i.replica.Refused()[p2p.BannedPeer] }, i.Log),
		},
	})
	return err
}

// subscribers are the open subscriptions of members, and the members that have one.
func (i *Instance) subscribers() (subscriptions, members int) {
	subscriptions, _ = i.members.Subscribers()
	return subscriptions, i.members.Connected()
}

// scores are this sequencer's of its peers.
func (i *Instance) scores() map[keys.PublicKey]float64 {
	scores := map[keys.PublicKey]float64{}
	for _, o := range i.warden.Report().Peers {
		scores[keys.PublicKey(o.Peer)] = o.Score
	}
	return scores
}

// namedPeers are the peers as operators see them, this sequencer's own name included.
type namedPeers struct {
	*peers
	own  keys.PublicKey
	self string
}

// Name implements [admin.Peers].
func (p namedPeers) Name(key keys.PublicKey) string {
	if key == p.own {
		return p.self
	}
	if name := p.name(key); name != "" {
		return name
	}
	return key.String()
}

// List implements [admin.Peers].
func (p namedPeers) List() (list []admin.Peer) {
	said := p.said.All()
	p.mu.Lock()
	known, configured, listed := p.all(), maps.Clone(p.addresses), maps.Clone(p.listed)
	for old, heir := range p.heirs() {
		if address, ok := configured[old]; ok && configured[heir] == "" {
			configured[heir] = address
		}
		delete(configured, old)
		if word, ok := said[old]; ok {
			if _, own := said[heir]; !own {
				said[heir] = word
			}
			delete(said, old)
		}
	}
	p.mu.Unlock()
	for key := range said {
		known[key] = "" // also those that were removed
	}
	delete(known, p.own)
	for _, key := range slices.SortedFunc(maps.Keys(known), keys.PublicKey.Compare) {
		peer := admin.Peer{Key: key, Origin: "topology"}
		_, peer.Listed = listed[key]
		if address, ok := configured[key]; ok {
			peer.Origin, peer.Address = "configuration", address
		}
		if word, ok := said[key]; ok {
			peer.Origin, peer.Endpoint = "operator", word
		}
		peer.Endpoint.Name = p.Name(key)
		list = append(list, peer)
	}
	return list
}

// Set implements [admin.Peers].
func (p namedPeers) Set(key keys.PublicKey, word admin.Endpoint) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.said.Set(key, word); err != nil {
		return err
	}
	p.replica.SetPeers(p.all())
	return nil
}

// blocks are the ordered blocks, for pruning.
type blocks struct{ i *Instance }

// Status implements [admin.Blocks].
func (b blocks) Status() ordering.Status { return b.i.orderer.Status() }

// Prune implements [admin.Blocks].
func (b blocks) Prune(ctx context.Context, keep uint64) (uint64, error) {
	lowest, err := b.i.replica.Prune(ctx, bft.CommitIndex(keep))
	return uint64(lowest), err
}

// LowestEpoch implements [admin.Blocks].
func (b blocks) LowestEpoch() uint64 {
	s := b.i.orderer.Status()
	if c, ok := b.i.store.Commit(bft.CommitIndex(s.Lowest)); ok {
		return uint64(c.Epoch)
	}
	return s.Epoch // nothing is kept, or it is not on disk yet
}

// Bytes implements [admin.Blocks].
func (b blocks) Bytes() int64 {
	s := b.i.store.Stats()
	return s.LogBytes + int64(s.IndexBytes)
}
