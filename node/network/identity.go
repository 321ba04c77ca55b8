package network

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/synod-network/synod/internal/wholefile"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/node/config"
	"github.com/synod-network/synod/node/exit"
	"github.com/synod-network/synod/node/genesis"
	"github.com/synod-network/synod/replica/store"
	"github.com/synod-network/synod/topology"
)

// Identity is what a newcomer gives to the owners of a network: who it is, and its own signatures under that. It
// holds no secret.
type Identity struct {
	Network      genesis.ID     `toml:"network" doc:"Id of the network that it was made for."`
	Member       string         `toml:"member" doc:"The sequencer as a member of the network."`
	NodeKey      keys.PublicKey `toml:"node_key" doc:"The key by which it orders."`
	NodeProof    config.Bytes   `toml:"node_proof" doc:"Signature by that key over network, member and key, base64: it agrees to be listed for the member."`
	Transactions []Signed       `toml:"transactions" doc:"Topology transactions that make its identity known, with its signatures."`
}

// Signed is a signed topology transaction in a file.
type Signed struct {
	Transaction config.Bytes `toml:"transaction" doc:"In the encoding of topology.SignedTransaction, base64."`
}

// Validate implements config.Validator.
func (i *Identity) Validate() error {
	m, err := topology.ParseMember(i.Member)
	if err != nil {
		return config.Keyf("member", "%v", err)
	}
	if len(i.NodeProof) != len(keys.Signature{}) {
		return config.Keyf("node_proof", "has %d bytes, want %d; make the file anew with synod sequencer join or rotate", len(i.NodeProof), len(keys.Signature{}))
	}
	if r := i.consent(m).Check([32]byte(i.Network)); r != nil {
		return config.Keyf("node_proof", "%s; make the file anew with synod sequencer join or rotate", r.Text)
	}
	if _, err := i.Signed(); err != nil {
		return config.Keyf("transactions", "%v", err)
	}
	return nil
}

// Consent is what the node key agrees to. The identity is valid.
func (i *Identity) Consent() topology.Consent {
	m, _ := topology.ParseMember(i.Member) // which Validate did
	return i.consent(m)
}

func (i *Identity) consent(m topology.Member) topology.Consent {
	return topology.Consent{SequencerNode: topology.SequencerNode{Member: m, Node: i.NodeKey}, Signature: keys.Signature(i.NodeProof)}
}

// newIdentity is what a sequencer tells the owners of a network by a node key, without transactions.
func newIdentity(g *genesis.Genesis, m topology.Member, node keys.PrivateKey) *Identity {
	c := topology.Agree(g.ID, m, node)
	return &Identity{Network: g.ID, Member: m.String(), NodeKey: c.Node, NodeProof: c.Signature[:]}
}

// write writes the file whole, or leaves what was there.
func (i *Identity) write(path, name string, g *genesis.Genesis) error {
	header := "Identity of the sequencer " + name + " for the owners of the network " + g.Name + ". It holds no secret."
	return wholefile.Replace(path, config.Render(i, header), 0o644)
}

// Signed returns the transactions, with their signatures checked.
func (i *Identity) Signed() (list []topology.SignedTransaction, err error) {
	for n, t := range i.Transactions {
		u, err := topology.DecodeTransaction(t.Transaction)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", n+1, err)
		}
		s, err := u.Verify(i.Network)
		if err != nil {
			return nil, fmt.Errorf("transaction %d: %w", n+1, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// LoadIdentity reads the file of a newcomer.
func LoadIdentity(path string) (*Identity, error) {
	i := &Identity{}
	if _, err := config.Load(i, config.Sources{File: path}); err != nil {
		return nil, fmt.Errorf("identity (the identity.toml that synod sequencer join or rotate writes): %w", err)
	}
	return i, nil
}

// Newcomer says what sequencer to make for a network that runs already.
type Newcomer struct {
	// Dir is the new sequencer's folder.
	Dir         string
	Name        string
	GenesisFile string
	// Adjust sets the listeners, the peers and where to announce itself. A listener for operators that it gives no certificate gets
	// one, from an authority of the newcomer's own.
	Adjust func(*config.Sequencer)
}

const (
	configFile   = "node.toml"
	identityFile = "identity.toml"
)

// Join makes the folder of a newcomer, unless it is there, and returns its configuration file and that of its
// identity. It takes no step in the network.
func Join(n Newcomer) (configPath, identityPath string, err error) {
	configPath, identityPath = filepath.Join(n.Dir, configFile), filepath.Join(n.Dir, identityFile)
	if n.Dir == "" {
		return "", "", exit.Errorf(exit.Usage, "the directory has no name; write one, as ./sequencer5")
	}
	if err := refuseFile(n.Dir); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(configPath); err == nil {
		return configPath, identityPath, nil
	}
	if !config.ValidName(n.Name) {
		return "", "", exit.Errorf(exit.Usage, "name %q must begin with a lower-case letter and hold at most 63 lower-case letters, digits and dashes", n.Name)
	}
	g, err := genesis.Load(n.GenesisFile)
	if err != nil {
		return "", "", exit.With(exit.BadConfig, err)
	}
	draft := n.Dir + draftDir
	if err := os.RemoveAll(draft); err != nil { // of an attempt that was interrupted
		return "", "", fmt.Errorf("join: %w", err)
	}
	if err := os.MkdirAll(draft, 0o755); err != nil {
		return "", "", fmt.Errorf("join: %w", err)
	}
	err = n.write(draft, g)
	if err == nil {
		err = os.Rename(draft, n.Dir)
	}
	if err != nil {
		_ = os.RemoveAll(draft) // the first error says more
		return "", "", fmt.Errorf("join: %w", err)
	}
	return configPath, identityPath, nil
}

func (n Newcomer) write(draft string, g *genesis.Genesis) error {
	node, err := keys.Create(filepath.Join(draft, "key.pem"))
	if err != nil {
		return err
	}
	s := founder{name: n.Name, node: node}
	if s.namespace, err = newKey(filepath.Join(draft, "keys"), keys.Namespace); err != nil {
		return err
	}
	if s.protocol, err = newKey(filepath.Join(draft, "keys"), keys.Protocol); err != nil {
		return err
	}
	if err := n.writeIdentity(draft, g, s); err != nil {
		return err
	}
	if err := g.Save(filepath.Join(draft, genesisFile)); err != nil {
		return err
	}
	c := config.DefaultSequencer()
	c.Name, c.GenesisFile, c.Peers = n.Name, genesisFile, nil
	n.Adjust(c)
	if c.Admin.GRPC != "" && c.Admin.Cert == "" {
		authority, err := newAuthority(draft, n.Name, time.Now())
		if err != nil {
			return err
		}
		hosts := []string{loopback, "::1", "localhost", n.Name}
		if err := authority.Server(n.Name, hosts, filepath.Join(draft, adminCert), filepath.Join(draft, adminKey), time.Now()); err != nil {
			return err
		}
		c.Admin.Cert, c.Admin.Key, c.Admin.CA = adminCert, adminKey, operatorsDir+"/"+filepath.Base(OperatorAt(draft).Authority)
	}
	if err := c.Validate(); err != nil {
		return exit.With(exit.Usage, err)
	}
	header := "Configuration of " + n.Name + ", a sequencer of the network " + g.Name + ". Every key is here with its value; a key that is left out has its default."
	if err := wholefile.Replace(filepath.Join(draft, configFile), config.Render(c, header), 0o644); err != nil {
		return err
	}
	// The key is new, so nothing can have been signed with it.
	return store.Create(store.Options{Dir: filepath.Join(draft, "data"), Network: g.Committee().Network}, store.Newborn)
}

func (n Newcomer) writeIdentity(draft string, g *genesis.Genesis, s founder) error {
	i := newIdentity(g, s.member(), s.node)
	for _, say := range s.identify() {
		signed, err := topology.Sign(g.ID, topology.Add(1, say.mapping), say.signers...)
		if err != nil {
			return err
		}
		i.Transactions = append(i.Transactions, Signed{signed.Encode()})
	}
	return i.write(filepath.Join(draft, identityFile), n.Name, g)
}

// identify makes a sequencer's identity known.
func (f founder) identify() []statement {
	root := f.namespace.Public()
	return []statement{
		{topology.NamespaceDelegation{Namespace: topology.NamespaceOf(root), Target: root, Kinds: topology.AllKinds}, []keys.PrivateKey{f.namespace}},
		{topology.NewOwnerToKeys(f.member(), []topology.SigningKey{{Purpose: keys.Protocol, Key: f.protocol.Public()}}, nil),
			[]keys.PrivateKey{f.namespace, f.protocol}},
	}
}
