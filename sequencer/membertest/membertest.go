// Package membertest founds networks for tests of what stands on the topology: their
// keys are derived from names, so that tests read as who signs what.
package membertest

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// Began is when every network here began, in µs.
const Began topology.Time = 1_000_000_000

// Network is a founded network. One owner, called "owner", decides.
type Network struct {
	ID           sequencing.NetworkID
	Synchronizer topology.UID
	Genesis      *topology.Genesis
	Sequencers   []topology.Member
}

// Plan says what to found. Zero fields take the default.
type Plan struct {
	// Network is the first byte of the network id.
	Network byte
	// Sequencers is their number. Default 1.
	Sequencers int
	// Participants are registered from the beginning.
	Participants []string
	// Parameters changes the defaults.
	Parameters func(*topology.SynchronizerParameters)
}

// Key derives a key from its name.
func Key(name string) keys.PrivateKey { return keys.FromSeed(sha256.Sum256([]byte(name))) }

// Participant is the participant of a name; its namespace has the root key
// "<name> root".
func Participant(name string) topology.Member { return member(topology.Participant, name) }

// Sequencer is the sequencer of a number, from 1.
func Sequencer(number int) topology.Member {
	return member(topology.Sequencer, fmt.Sprintf("sequencer%d", number))
}

func member(role topology.Role, name string) topology.Member {
	return topology.Member{Role: role, UID: topology.UID{Name: name, Namespace: topology.NamespaceOf(Key(name + " root").Public())}}
}

// ID is a member's name in requests.
func ID(m topology.Member) sequencing.MemberID { return sequencing.MemberID(m.String()) }

// Protocol is the key with which a member signs requests.
func Protocol(m topology.Member) keys.PrivateKey { return Key(m.Name + " protocol") }

// Authentication is the key with which a participant authenticates.
func Authentication(m topology.Member) keys.PrivateKey { return Key(m.Name + " authentication") }

// Node is the key by which a sequencer orders.
func Node(m topology.Member) keys.PrivateKey { return Key(nodeOf(m)) }

func nodeOf(m topology.Member) string { return m.Name + " node" }

// Found founds a network.
func Found(t testing.TB, plan Plan) *Network {
	t.Helper()
	n := &Network{ID: sequencing.NetworkID{plan.Network + 1}, Synchronizer: topology.UID{Name: "main", Namespace: topology.NamespaceOf(Key("owner").Public())}}
	parameters := topology.DefaultParameters(n.Synchronizer)
	parameters.Traffic = topology.Traffic{Window: parameters.Traffic.Window}
	if plan.Parameters != nil {
		plan.Parameters(&parameters)
	}
	founding := []topology.SignedTransaction{n.Sign(t, topology.Add(1, root("owner")), "owner")}
	set, signers := n.Listing(), []string{"owner"}
	for i := range max(1, plan.Sequencers) {
		s := Sequencer(i + 1)
		n.Sequencers = append(n.Sequencers, s)
		set.Sequencers = append(set.Sequencers, Orders(s, Node(s)))
		signers = append(signers, nodeOf(s))
		founding = append(founding, n.Registration(t, s)...)
	}
	for _, name := range plan.Participants {
		founding = append(founding, n.Registration(t, Participant(name))...)
	}
	founding = append(founding, n.Sign(t, topology.Add(1, parameters), "owner"), n.Sign(t, topology.Add(1, set), signers...))
	var err error
	if n.Genesis, err = topology.NewGenesis(n.ID, n.Synchronizer, Began, founding...); err != nil {
		t.Fatal(err)
	}
	return n
}

func root(key string) topology.NamespaceDelegation {
	public := Key(key).Public()
	return topology.NamespaceDelegation{Namespace: topology.NamespaceOf(public), Target: public, Kinds: topology.AllKinds}
}

// Registration is what makes a newcomer a member: root key, keys, certificate.
func (n *Network) Registration(t testing.TB, m topology.Member) []topology.SignedTransaction {
	t.Helper()
	certificate := topology.MemberTrustCertificate{Synchronizer: n.Synchronizer, Member: m}
	return []topology.SignedTransaction{
		n.Sign(t, topology.Add(1, root(m.Name+" root")), m.Name+" root"),
		n.Keys(t, m, 1),
		n.Sign(t, topology.Add(1, certificate), m.Name+" root"),
	}
}

// Keys gives a member its keys, with further keys for authentication by name.
func (n *Network) Keys(t testing.TB, m topology.Member, serial topology.Serial, authentication ...string) topology.SignedTransaction {
	t.Helper()
	if m.Role != topology.Sequencer && len(authentication) == 0 {
		authentication = []string{m.Name + " authentication"}
	}
	return n.KeysOf(t, m, serial, []string{m.Name + " protocol"}, authentication)
}

// KeysOf gives a member keys by name.
func (n *Network) KeysOf(t testing.TB, m topology.Member, serial topology.Serial, protocol, authentication []string) topology.SignedTransaction {
	t.Helper()
	signers := []string{m.Name + " root"}
	var signing []topology.SigningKey
	for _, name := range protocol {
		signing, signers = append(signing, topology.SigningKey{Purpose: keys.Protocol, Key: Key(name).Public()}), append(signers, name)
	}
	for _, name := range authentication {
		signing, signers = append(signing, topology.SigningKey{Purpose: keys.SequencerAuthentication, Key: Key(name).Public()}), append(signers, name)
	}
	var encryption []keys.EncryptionKey
	if m.Role == topology.Participant {
		encryption = append(encryption, keys.DecryptionFromSeed(sha256.Sum256([]byte(m.Name))).Public())
	}
	return n.Sign(t, topology.Add(serial, topology.NewOwnerToKeys(m, signing, encryption)), signers...)
}

// Listing lists sequencers; see [Orders].
func (n *Network) Listing(list ...topology.SequencerNode) topology.SequencerSet {
	return topology.SequencerSet{Synchronizer: n.Synchronizer, Sequencers: list, Threshold: 1}
}

// Orders is a sequencer that orders by a key.
func Orders(m topology.Member, by keys.PrivateKey) topology.SequencerNode {
	return topology.SequencerNode{Member: m, Node: by.Public()}
}

// Forged is a change of the sequencers that an owner signed, with a signature in the place of the consent of a node key.
func (n *Network) Forged(t testing.TB, tx topology.Transaction, node keys.PrivateKey, signature keys.Signature) []byte {
	t.Helper()
	listed := tx.Mapping.(topology.SequencerSet).Sequencers
	i := slices.IndexFunc(listed, func(s topology.SequencerNode) bool { return s.Node == node.Public() })
	if i < 0 {
		t.Fatal("the key is not listed")
	}
	genuine := topology.Agree(n.ID, listed[i].Member, node)
	signed, err := n.Sign(t, tx, "owner").WithConsents(genuine)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(signed.Encode(), genuine.Signature[:], signature[:], 1)
}

// Sign signs a transaction with keys by name.
func (n *Network) Sign(t testing.TB, tx topology.Transaction, names ...string) topology.SignedTransaction {
	t.Helper()
	var signers []keys.PrivateKey
	for _, name := range names {
		signers = append(signers, Key(name))
	}
	signed, err := topology.Sign(n.ID, tx, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Request signs a body with a member's protocol key.
func (n *Network) Request(body sequencing.Body, m topology.Member) []byte {
	return n.RequestBy(body, Protocol(m))
}

// RequestBy signs a body with any key.
func (n *Network) RequestBy(body sequencing.Body, key keys.PrivateKey) []byte {
	r := sequencing.Request{Body: body}
	digest := r.Digest(n.ID)
	r.Signatures = []sequencing.KeySignature{{Key: sequencing.Key(key.Public()), Signature: sequencing.Signature(key.Sign(digest[:]))}}
	return r.Encode()
}
