// Package genesis reads and writes the file that founds a network: its name, when it began, who its first sequencers are and by
// which parameters they order.
//
// The file is the root of trust. Its canonical content digests to the network id, every signed message binds that id, and two
// networks that differ in one byte of it can never mistake each other's messages. Later committees and parameters are agreed in
// the network itself; the genesis never changes.
package genesis

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
)

// Genesis is the content of the file.
type Genesis struct {
	Name       string         `toml:"name" doc:"Name of the network, for people."`
	ID         ID             `toml:"id" doc:"Network id: the digest of everything else in this file. It is here so that an edited copy is noticed."`
	Time       config.Instant `toml:"time" doc:"When the network began; the agreed time starts here."`
	Parameters Parameters     `toml:"parameters" doc:"How the network orders, in the first epoch."`
	Members    []Member       `toml:"members" doc:"The first committee. The order counts."`
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
func DefaultParameters() Parameters {
	p := bft.DefaultParams()
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

// New returns a genesis with its id.
func New(name string, began config.Instant, parameters Parameters, members []Member) (*Genesis, error) {
	g := &Genesis{Name: name, Time: began, Parameters: parameters, Members: members}
	g.ID = g.digest()
	if err := g.Validate(); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	return g, nil
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
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	const header = "Genesis of a synod network. Every node needs this very file; it is public and never changes."
	if _, err = file.Write(config.Render(g, header)); err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	return nil
}

// Validate implements config.Validator.
func (g *Genesis) Validate() error {
	if !config.ValidName(g.Name) {
		return config.Keyf("name", "%q must begin with a lower-case letter and hold at most 63 lower-case letters, digits and dashes", g.Name)
	}
	if g.Time <= 0 {
		return config.Keyf("time", "is missing or before 1970; write it like 2026-11-21T09:00:00Z")
	}
	names := map[string]bool{}
	for _, m := range g.Members {
		if !config.ValidName(m.Name) || names[m.Name] {
			return config.Keyf("members", "name %q is used twice or holds more than lower-case letters, digits and dashes", m.Name)
		}
		names[m.Name] = true
	}
	if err := g.Parameters.validate(); err != nil {
		return err
	}
	if err := g.Committee().Validate(); err != nil {
		return config.Keyf("members", "%v", err)
	}
	if want := g.digest(); g.ID != want {
		return config.Keyf("id", "the content digests to %s, so this file was changed after it was made; fetch the original from another operator", want)
	}
	return nil
}

// validate keeps the narrowing to the engine's types exact and then asks the engine.
func (p Parameters) validate() error {
	const most = 1 << 31
	if p.PayloadLimit > most || p.RequestLimit > most || p.PayloadRequests > most {
		return config.Keyf("parameters", "payload_limit, request_limit and payload_requests must stay below 2GiB and 2147483648")
	}
	if err := p.engine().Validate(); err != nil {
		return config.Keyf("parameters", "%v", err)
	}
	return nil
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

// digest is SHA-256 over a domain tag and the content: integers as 8 bytes big-endian, texts behind their length.
func (g *Genesis) digest() ID {
	var content []byte
	number := func(n uint64) { content = binary.BigEndian.AppendUint64(content, n) }
	text := func(s string) {
		number(uint64(len(s)))
		content = append(content, s...)
	}
	text("synod/genesis/v1")
	text(g.Name)
	number(uint64(g.Time))
	p := g.Parameters
	for _, n := range []uint64{
		uint64(p.LeaderTimeout), uint64(p.IdleInterval), uint64(p.PayloadLimit), p.PayloadRequests,
		uint64(p.RequestLimit), uint64(p.EpochDuration), p.GCDepth, p.DemotionWindow,
	} {
		number(n)
	}
	number(uint64(len(g.Members)))
	for _, m := range g.Members {
		text(m.Name)
		content = append(content, m.Key[:]...)
	}
	return sha256.Sum256(content)
}
