package instance

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/replica"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/topology"
)

// peers are the sequencers with which this one keeps links: those that the topology lists now or will list, those that order in the
// running epoch, and those of which an operator gave an address. Addresses are an operator's business; a listed sequencer without one
// is waited for.
type peers struct {
	replica *replica.Replica
	// said is what operators said of peers while this sequencer ran; it goes before addresses.
	said *admin.Endpoints

	// self reports whether a key is this sequencer's own, which has two while it exchanges one.
	self func(keys.PublicKey) bool

	mu        sync.Mutex
	addresses map[keys.PublicKey]string
	listed    map[keys.PublicKey]string // names, by the topology
	ordering  map[keys.PublicKey]string // names of the committee: one that is taken out orders until its epoch ends
	names     map[keys.PublicKey]string // by genesis and configuration
}

func newPeers(g *genesis.Genesis, configured []config.PeerAddress, said *admin.Endpoints, self func(keys.PublicKey) bool) *peers {
	p := &peers{said: said, self: self, addresses: map[keys.PublicKey]string{}, listed: map[keys.PublicKey]string{}, names: map[keys.PublicKey]string{}}
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
	if name := p.ordering[key]; name != "" {
		return name // it was listed when the epoch began
	}
	return p.said.All()[key].Name
}

// called returns the names of all peers. A key that nobody lists any more has none, if another of its name is listed: its sequencer
// has exchanged it.
func (p *peers) called() map[keys.PublicKey]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	current := map[string]bool{}
	for _, name := range p.listed {
		current[name] = true
	}
	names := maps.Clone(p.names)
	maps.DeleteFunc(names, func(_ keys.PublicKey, name string) bool { return current[name] })
	for key, name := range p.ordering {
		if name != "" {
			names[key] = name
		}
	}
	maps.Copy(names, p.listed)
	return names
}

// all returns the peers and their addresses. The caller holds the mutex.
func (p *peers) all() map[keys.PublicKey]string {
	heirs := p.heirs()
	all := map[keys.PublicKey]string{}
	for _, known := range []map[keys.PublicKey]string{p.listed, p.ordering} {
		for key := range known {
			all[key] = ""
		}
	}
	for key, address := range p.addresses {
		heir, replaced := heirs[key]
		switch {
		case !replaced:
			all[key] = address
		case p.addresses[heir] == "":
			all[heir] = address
		}
	}
	said := p.said.All()
	for key, word := range said {
		if heir, replaced := heirs[key]; replaced {
			if _, own := said[heir]; own {
				continue
			}
			key = heir
		}
		if word.Removed {
			delete(all, key)
		} else {
			all[key] = word.Address
		}
	}
	maps.DeleteFunc(all, func(key keys.PublicKey, _ string) bool { return p.self(key) })
	return all
}

// heirs are the new keys of sequencers that exchanged theirs, by the old ones: what operators said of an old key, here or in the
// configuration, holds for the new one, and the old one is no longer a peer's. A key has an heir if neither the topology nor the
// committee lists it any more, and one sequencer of its name is listed. The caller holds the mutex.
func (p *peers) heirs() map[keys.PublicKey]keys.PublicKey {
	byName, several := map[string]keys.PublicKey{}, map[string]bool{}
	for key, name := range p.listed {
		if _, taken := byName[name]; taken {
			several[name] = true
		}
		byName[name] = key
	}
	heirs := map[keys.PublicKey]keys.PublicKey{}
	add := func(key keys.PublicKey, name string) {
		_, listed := p.listed[key]
		_, orders := p.ordering[key]
		if heir, found := byName[name]; found && !several[name] && !listed && !orders && name != "" {
			heirs[key] = heir
		}
	}
	for key := range p.addresses {
		add(key, p.names[key])
	}
	for key, word := range p.said.All() {
		name := p.names[key]
		if name == "" {
			name = word.Name
		}
		add(key, name)
	}
	return heirs
}

// named returns the members of a committee with their names.
func (p *peers) named(c *bft.Committee) map[keys.PublicKey]string {
	members := map[keys.PublicKey]string{}
	if c != nil {
		for _, k := range c.Members {
			members[keys.PublicKey(k)] = p.name(keys.PublicKey(k))
		}
	}
	return members
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
		now, ordering := listed(s), p.named(p.replica.Committee())
		p.mu.Lock()
		if !maps.Equal(now, p.listed) || len(ordering) > 0 && !maps.Equal(ordering, p.ordering) {
			p.listed, p.ordering = now, ordering
			p.replica.SetPeers(p.all())
		}
		p.mu.Unlock()
	}
}

const lookAgain = time.Second

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
