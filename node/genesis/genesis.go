// Package genesis reads and writes the file that founds a network: its name, when it began, who its first sequencers are and by
// which parameters they order, and the signed topology transactions that say so.
//
// The file is the root of trust. Its name and the charter of its topology digest to the network id, every signed message binds that
// id, and two networks that differ in one byte of it can never mistake each other's messages. What people read in the file is a copy
// of what the topology says, and checked against it. Later committees and parameters are agreed in the network itself; the genesis
// never changes.
package genesis

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/topology"
)

// Genesis is the content of the file.
type Genesis struct {
	Name       string         `toml:"name" doc:"Name of the network, for people."`
	ID         ID             `toml:"id" doc:"Network id: the digest of everything else in this file but signatures. It is here so that an edited copy is noticed."`
	Time       config.Instant `toml:"time" doc:"When the network began; the agreed time starts here."`
	Parameters Parameters     `toml:"parameters" doc:"How the network orders, in the first epoch."`
	Members    []Member       `toml:"members" doc:"The first committee. The order counts."`
	Topology   config.Bytes   `toml:"topology" doc:"The topology transactions with which the owners found the network, with their signatures. What stands above is a copy of what they say."`
}

// Member is a sequencer of the first committee.
type Member struct {
	Name string         `toml:"name" doc:"The sequencer's name."`
	Key  keys.PublicKey `toml:"key" doc:"Its public key in hexadecimal."`
}

// Parameters are agreed by all members; docs/protocol/ordering.md says what each does.
type Parameters struct {
	LeaderTimeout   config.Duration `toml:"leader_timeout" doc:"How long a round waits for its leader before going on without."`
	IdleInterval    config.Duration `toml:"idle_interval" doc:"Time between empty rounds while there is nothing to order."`
	PayloadLimit    config.Size     `toml:"payload_limit" doc:"Largest payload of a block, unless it is a single request."`
	PayloadRequests uint64          `toml:"payload_requests" doc:"Most requests in a block."`
	RequestLimit    config.Size     `toml:"request_limit" doc:"Largest request."`
	EpochDuration   config.Duration `toml:"epoch_duration" doc:"Tenure of one committee; changes of members and parameters take effect between epochs."`
	GCDepth         uint64          `toml:"gc_depth" doc:"Rounds below a committed leader that are still looked at."`
	DemotionWindow  uint64          `toml:"demotion_window" doc:"Commits between two judgements of the leaders."`
}

// ID names a network: the SHA-256 digest of its genesis.
type ID = config.Digest

// DefaultParameters returns the parameters of a new network.
func DefaultParameters() Parameters { return parametersOf(bft.DefaultParams()) }

func parametersOf(p bft.Params) Parameters {
	return Parameters{
		LeaderTimeout:   config.Duration(p.LeaderTimeout * nanoseconds),
		IdleInterval:    config.Duration(p.IdleInterval * nanoseconds),
		PayloadLimit:    config.Size(p.PayloadLimit),
		PayloadRequests: uint64(p.PayloadRequests),
		RequestLimit:    config.Size(p.RequestLimit),
		EpochDuration:   config.Duration(p.EpochDuration * nanoseconds),
		GCDepth:         uint64(p.GCDepth),
		DemotionWindow:  uint64(p.DemotionWindow),
	}
}

// nanoseconds in a unit of bft.Time, which counts microseconds.
const nanoseconds = 1000

// IDOf returns the id of the network of a name that a charter founds.
func IDOf(name string, charter topology.Charter) ID {
	content := binary.BigEndian.AppendUint64(nil, uint64(len(name)))
	content = append(append([]byte(domain), content...), name...)
	digest := charter.Digest()
	return sha256.Sum256(append(content, digest[:]...))
}

const domain = "synod/genesis/1\x00"

// New returns the genesis of the network of a name, whose owners signed for the id that [IDOf] gives.
func New(name string, founding *topology.Genesis) (*Genesis, error) {
	charter := founding.Charter()
	g := &Genesis{Name: name, ID: IDOf(name, charter), Topology: founding.Encode()}
	g.Time, g.Parameters, g.Members = describe(charter)
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return g, nil
}

// Founding returns the founding topology, whose signatures are checked.
func (g *Genesis) Founding() (*topology.Genesis, error) {
	u, err := topology.DecodeGenesis(g.Topology)
	if err != nil {
		return nil, err
	}
	return u.Verify(g.ID)
}

// describe says what people want to know of a charter.
func describe(c topology.Charter) (began config.Instant, p Parameters, members []Member) {
	for _, t := range c.Transactions {
		switch m := t.Mapping.(type) {
		case topology.SynchronizerParameters:
			p = parametersOf(m.Ordering)
		case topology.SequencerSet:
			for _, n := range m.Sequencers {
				members = append(members, Member{Name: n.Member.Name, Key: n.Node})
			}
		}
	}
	return config.Instant(c.Began), p, members
}

// Load reads and checks a genesis file.
func Load(path string) (*Genesis, error) {
	g := &Genesis{Parameters: DefaultParameters()}
	if _, err := config.Load(g, config.Sources{File: path}); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return g, nil
}

// Save writes the file at path, which must not exist.
func (g *Genesis) Save(path string) error {
	const header = "Genesis of a synod network. Every node needs this very file; it is public and never changes."
	if err := wholefile.Create(path, config.Render(g, header), 0o644); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	return nil
}

// Validate implements config.Validator.
func (g *Genesis) Validate() error {
	if !config.ValidName(g.Name) {
		return config.Keyf("name", "%q must begin with a lower-case letter and hold at most 63 lower-case letters, digits and dashes", g.Name)
	}
	u, err := topology.DecodeGenesis(g.Topology)
	if err != nil {
		return config.Keyf("topology", "%v; fetch the original file from another operator", err)
	}
	charter := u.Charter()
	if want := IDOf(g.Name, charter); g.ID != want {
		return config.Keyf("id", "the content digests to %s, so this file was changed after it was made; fetch the original from another operator", want)
	}
	if _, err := u.Verify(g.ID); err != nil {
		return config.Keyf("topology", "%v; fetch the original file from another operator", err)
	}
	began, parameters, members := describe(charter)
	for key, same := range map[string]bool{"time": g.Time == began, "parameters": g.Parameters == parameters, "members": slices.Equal(g.Members, members)} {
		if !same {
			return config.Keyf(key, "is not what the topology says, so this file was changed after it was made; fetch the original from another operator")
		}
	}
	return g.validateNames()
}

func (g *Genesis) validateNames() error {
	names := map[string]bool{}
	for _, m := range g.Members {
		if !config.ValidName(m.Name) || names[m.Name] {
			return config.Keyf("members", "name %q is used twice or holds more than lower-case letters, digits and dashes", m.Name)
		}
		names[m.Name] = true
	}
	if err := g.Committee().Validate(); err != nil {
		return config.Keyf("members", "%v", err)
	}
	return nil
}

// Ordering returns the parameters in the words of the engine. The error says what is out of range.
func (p Parameters) Ordering() (bft.Params, error) {
	const most = 1 << 31
	if p.PayloadLimit > most || p.RequestLimit > most || p.PayloadRequests > most {
		return bft.Params{}, errors.New("payload_limit, request_limit and payload_requests must stay below 2GiB and 2147483648")
	}
	return p.engine(), p.engine().Validate()
}

func (p Parameters) engine() bft.Params {
	return bft.Params{
		LeaderTimeout:   bft.Time(p.LeaderTimeout / nanoseconds),
		IdleInterval:    bft.Time(p.IdleInterval / nanoseconds),
		PayloadLimit:    uint32(p.PayloadLimit),
		PayloadRequests: uint32(p.PayloadRequests),
		RequestLimit:    uint32(p.RequestLimit),
		EpochDuration:   bft.Time(p.EpochDuration / nanoseconds),
		GCDepth:         bft.Round(p.GCDepth),
		DemotionWindow:  bft.CommitIndex(p.DemotionWindow),
	}
}

// Committee returns the committee of the first epoch.
func (g *Genesis) Committee() *bft.Committee {
	members := make([]bft.PublicKey, len(g.Members))
	for i, m := range g.Members {
		members[i] = bft.PublicKey(m.Key)
	}
	return bft.Genesis(bft.NetworkID(g.ID), members, g.Parameters.engine(), bft.Time(g.Time))
}

// Find returns the member with the name.
func (g *Genesis) Find(name string) (Member, bool) {
	for _, m := range g.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}
