package topology

import (
	"crypto/sha256"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// The tests' network: alice, bob and carol own it, any two of them act. Keys are called by names.

const began = Time(1_000_000_000)

var (
	network      = [32]byte{42}
	owners       = NewDecentralizedNamespace(2, space("alice"), space("bob"), space("carol"))
	synchronizer = UID{Name: "main", Namespace: owners.Namespace}
	seq1         = Member{Sequencer, UID{"seq1", space("alice")}}
	seq2         = Member{Sequencer, UID{"seq2", space("bob")}}
	med1         = Member{Mediator, UID{"med1", space("carol")}}
	par1         = Member{Participant, UID{"par1", space("dora")}}
	par2         = Member{Participant, UID{"par2", space("alice")}}
)

func key(name string) keys.PrivateKey     { return keys.FromSeed(sha256.Sum256([]byte(name))) }
func pub(name string) keys.PublicKey      { return key(name).Public() }
func finger(name string) keys.Fingerprint { return pub(name).Fingerprint() }
func space(name string) Namespace         { return NamespaceOf(pub(name)) }
func opener(name string) keys.EncryptionKey {
	return keys.DecryptionFromSeed(sha256.Sum256([]byte(name))).Public()
}

func root(name string) NamespaceDelegation {
	return NamespaceDelegation{Namespace: space(name), Target: pub(name), Kinds: AllKinds}
}

func delegate(of, to string, kinds ...Kind) NamespaceDelegation {
	return NamespaceDelegation{Namespace: space(of), Target: pub(to), Kinds: KindsOf(kinds...)}
}

// keysOf gives a member the keys that its role needs, called by a prefix.
func keysOf(m Member, prefix string) OwnerToKeys {
	var signing []SigningKey
	for _, p := range purposesOf(m.Role) {
		if p.Signs() {
			signing = append(signing, SigningKey{p, pub(prefix + "-" + p.String())})
		}
	}
	var encryption []keys.EncryptionKey
	if m.Role == Participant {
		encryption = []keys.EncryptionKey{opener(prefix)}
	}
	return NewOwnerToKeys(m, signing, encryption)
}

// ownKeys names the keys that must sign what keysOf makes.
func ownKeys(m Member, prefix string) []string {
	var names []string
	for _, p := range purposesOf(m.Role) {
		if p.Signs() {
			names = append(names, prefix+"-"+p.String())
		}
	}
	return names
}

func sequencers(threshold uint16, members ...Member) SequencerSet {
	set := SequencerSet{Synchronizer: synchronizer, Threshold: threshold}
	for _, m := range members {
		set.Sequencers = append(set.Sequencers, SequencerNode{m, pub("node of " + m.Name)})
	}
	return set
}

// nodes lists sequencers, each before the name of its node key.
func nodes(list ...any) SequencerSet {
	set := SequencerSet{Synchronizer: synchronizer, Threshold: 1}
	for i := 0; i < len(list); i += 2 {
		set.Sequencers = append(set.Sequencers, SequencerNode{list[i].(Member), pub(list[i+1].(string))})
	}
	return set
}

func mediators(group Group, threshold uint16, active ...Member) MediatorSet {
	return NewMediatorSet(synchronizer, group, threshold, active, nil)
}

func trust(m Member) MemberTrustCertificate {
	return MemberTrustCertificate{Synchronizer: synchronizer, Member: m}
}

func disabled(m Member) MemberDisabled { return MemberDisabled{Synchronizer: synchronizer, Member: m} }

func permit(name string, l Limits) NamespacePermission {
	return NamespacePermission{Synchronizer: synchronizer, Namespace: space(name), Limits: l}
}

func delay(d Time) SynchronizerParameters {
	p := DefaultParameters(synchronizer)
	p.TopologyChangeDelay = d
	return p
}

// signed makes a transaction, or a proposal; the statement may be absurd, which Sign would not have.
func signed(t Transaction, signers ...string) SignedTransaction {
	s := SignedTransaction{network: network, content: t, digest: t.Digest()}
	for _, name := range signers {
		s, _ = s.Sign(key(name))
	}
	return s
}

func founding() []SignedTransaction {
	list := []SignedTransaction{
		signed(Add(1, DefaultParameters(synchronizer)), "alice", "carol"),
		signed(Add(1, sequencers(1, seq1)), "alice", "bob", "node of seq1"),
		signed(Add(1, owners), "alice", "bob", "carol"),
		signed(Add(1, keysOf(seq1, "seq1")), append(ownKeys(seq1, "seq1"), "alice")...),
	}
	for _, name := range []string{"alice", "bob", "carol"} {
		list = append(list, signed(Add(1, root(name)), name))
	}
	return list
}

func newGenesis(t testing.TB) *Genesis {
	t.Helper()
	g, err := NewGenesis(network, synchronizer, began, founding()...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var theGenesis *Genesis

// newFounded returns the tests' network as it was founded, with bugs planted into it.
func newFounded(t testing.TB, bugs rules) *State {
	t.Helper()
	if theGenesis == nil {
		theGenesis = newGenesis(t)
	}
	s := &State{rules: bugs}
	if r := s.Load(theGenesis); r != nil {
		t.Fatal(r)
	}
	return s
}

// code is what became of a transaction: the code of its rejection, or "ok".
func code(r *Rejection) Code {
	if r == nil {
		return "ok"
	}
	return r.Code
}

const ms = bft.Millisecond
