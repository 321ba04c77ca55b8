package instance

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// peers are the sequencers with which this one keeps links: those that the topology lists, or listed
// last, and those of which an operator gave an address. Addresses are an operator's business; a
// listed sequencer without one is waited for.
type peers struct {
	replica *replica.Replica
	// said is what operators said of peers while this sequencer ran; it goes before addresses.
	said *admin.Endpoints

	mu        sync.Mutex
	addresses map[keys.PublicKey]string
	listed    map[keys.PublicKey]string // names, by the topology
	names     map[keys.PublicKey]string // by genesis and configuration
}

func newPeers(g *genesis.Genesis, configured []config.PeerAddress, said *admin.Endpoints) *peers {
	p := &peers{said: said, addresses: map[keys.PublicKey]string{}, listed: map[keys.PublicKey]string{}, names: map[keys.PublicKey]string{}}
	for _, m := range g.Members {
		p.names[m.Key] = m.Name
	}
	for _, c := range configured {
		p.names[c.Key], p.addresses[c.Key] = c.Name, c.Address
	}
	return p
}

// name is that of a peer, empty if nobody has named it.
func (p *peers) name(key keys.PublicKey) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if name, ok := p.listed[key]; ok {
		return name
	}
	if name, ok := p.names[key]; ok {
		return name
	}
	return p.said.All()[key].Name
}

// called returns the names of all peers.
func (p *peers) called() map[keys.PublicKey]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := maps.Clone(p.names)
	maps.Copy(names, p.listed)
	return names
}

// all returns the peers and their addresses. The caller holds the mutex.
func (p *peers) all() map[keys.PublicKey]string {
	all := maps.Clone(p.addresses)
	for key := range p.listed {
		if _, known := all[key]; !known {
			all[key] = ""
		}
	}
	for key, word := range p.said.All() {
		if word.Removed {
			delete(all, key)
		} else {
			all[key] = word.Address
		}
	}
	return all
}

// start returns the peers to begin with.
func (p *peers) start(s *synchronizer.State) map[keys.PublicKey]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed = listed(s)
	return p.all()
}

// setAddresses replaces the addresses that operators gave.
func (p *peers) setAddresses(addresses map[keys.PublicKey]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses = maps.Clone(addresses)
	p.replica.SetPeers(p.all())
}

// follow keeps to what the topology lists, until ctx ends.
func (p *peers) follow(ctx context.Context, s *synchronizer.State, changed <-chan struct{}) {
	look := time.NewTicker(lookAgain)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-look.C: // what was accepted may have come into force
		}
		now := listed(s)
		p.mu.Lock()
		if !maps.Equal(now, p.listed) {
			p.listed = now
			p.replica.SetPeers(p.all())
		}
		p.mu.Unlock()
	}
}

const lookAgain = 5 * time.Second

// listed returns the node keys of all sequencers that are listed now, or will be once everything that
// was accepted is in force: a newcomer connects before it is counted.
func listed(s *synchronizer.State) map[keys.PublicKey]string {
	names := map[keys.PublicKey]string{}
	note := func(view topology.Snapshot) {
		for _, n := range view.Sequencers().Sequencers {
			names[n.Node] = n.Member.Name
		}
	}
	s.Topology(note)
	s.ComingTopology(note)
	return names
}

// changes tells, without ever blocking, that the topology may have changed.
type changes chan struct{}

func (c changes) tell() {
	select {
	case c <- struct{}{}:
	default:
	}
}
