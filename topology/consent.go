package topology

import (
	"slices"

	"github.com/synod-network/synod/keys"
)

// Owners say who orders, and by which key. So that they list nobody's key by mistake or in malice, each node key says itself that it
// is to be that of the sequencer. Its word stands among the signatures of the transaction that lists it first, and is for one
// sequencer of one network, not for one transaction: whoever makes the key does so once, before the owners decide anything. See
// docs/adr/0018-node-keys-agree.md.

// domainConsent is what a node key agrees in.
const domainConsent keys.Domain = "synod/sequencer/node/1"

// Consent is the word of a node key that a sequencer of one network is to order by it.
type Consent struct {
	SequencerNode
	Signature keys.Signature
}

// Agree makes the consent of a node key.
func Agree(network [32]byte, m Member, node keys.PrivateKey) Consent {
	n := SequencerNode{Member: m, Node: node.Public()}
	return Consent{n, node.SignDomain(network, domainConsent, n.statement())}
}

// statement is what the node key signs: the member, a NUL, which no member holds, and the key.
func (n SequencerNode) statement() []byte {
	return slices.Concat([]byte(n.Member.String()), []byte{0}, n.Node[:])
}

func (c Consent) signed(network [32]byte) keys.Signed {
	return domainConsent.Signed(c.Node, network, c.statement(), c.Signature)
}

// Check refuses, with CodeInvalidSignature, what the node key did not sign for this member in this network.
func (c Consent) Check(network [32]byte) *Rejection {
	if c.signed(network).Valid() {
		return nil
	}
	r := rejected(CodeInvalidSignature, "node key %s has not agreed to order for %s in this network: have whoever holds the key make its consent anew", c.Node.Fingerprint(), c.Member)
	r.Missing = []keys.Fingerprint{c.Node.Fingerprint()}
	return r
}

// WithConsents returns the transaction with the consents of node keys that it lists. It fails with the [*Rejection] of a consent that
// is none, or of another sequencer than the transaction lists with the key.
func (t SignedTransaction) WithConsents(consents ...Consent) (SignedTransaction, error) {
	added := t
	added.signatures = nil
	for _, c := range consents {
		if n, ok := t.content.nodeOf(c.Node); !ok || n != c.SequencerNode {
			return SignedTransaction{}, malformed("the transaction does not list %s with node key %s: propose another, or leave the consent out", c.Member, c.Node.Fingerprint()).about(t.key)
		}
		if r := c.Check(t.network); r != nil {
			return SignedTransaction{}, r.about(t.key)
		}
		added.signatures = append(added.signatures, KeySignature{c.Node, c.Signature})
	}
	return t.Merge(added)
}

// nodeOf returns the sequencer that a transaction lists with a node key.
func (t Transaction) nodeOf(k keys.PublicKey) (SequencerNode, bool) {
	set, _ := t.Mapping.(SequencerSet)
	i := slices.IndexFunc(set.Sequencers, func(n SequencerNode) bool { return n.Node == k })
	if i < 0 {
		return SequencerNode{}, false
	}
	return set.Sequencers[i], true
}

// nodes returns the sequencers that a transaction lists, by their node keys.
func (t Transaction) nodes() map[keys.PublicKey]SequencerNode {
	set, _ := t.Mapping.(SequencerSet)
	byKey := make(map[keys.PublicKey]SequencerNode, len(set.Sequencers))
	for _, n := range set.Sequencers {
		byKey[n.Node] = n
	}
	return byKey
}

// unasked returns the node keys of a change that the set before it does not list for the same sequencer: only they must agree, as the
// others have. The result is in the order of the set.
func (q SequencerSet) unasked(c change) (list []SequencerNode) {
	agreed := map[SequencerNode]bool{}
	if !c.first() {
		before, _ := c.old.mapping.(SequencerSet)
		for _, n := range before.Sequencers {
			agreed[n] = true
		}
	}
	for _, n := range q.Sequencers {
		if !agreed[n] {
			list = append(list, n)
		}
	}
	return list
}

// checkConsents judges whether all node keys agreed that must.
func (v *verdict) checkConsents(nodes []SequencerNode) *Rejection {
	var missing []SequencerNode
	for _, n := range nodes {
		if !v.signers.has(n.Node.Fingerprint()) && !v.state.rules.unasked {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	first := missing[0]
	r := rejected(CodeNoConsent, "node key %s has not agreed to order for %s: add the consent that whoever holds the key makes", first.Node.Fingerprint(), first.Member)
	for _, n := range missing {
		r.Missing = append(r.Missing, n.Node.Fingerprint())
	}
	slices.SortFunc(r.Missing, keys.Fingerprint.Compare)
	return r
}

// signed is what the signatures of a transaction are of: the consent of a node key that the transaction lists, for all other keys
// the digest of the transaction. A key has one purpose, so none signs both.
func (t Transaction) signed(network [32]byte, digest Digest, signatures []KeySignature) []keys.Signed {
	nodes := t.nodes()
	list := make([]keys.Signed, len(signatures))
	for i, s := range signatures {
		if n, isNode := nodes[s.Key]; isNode {
			list[i] = Consent{n, s.Signature}.signed(network)
		} else {
			list[i] = domainTransaction.Signed(s.Key, network, digest[:], s.Signature)
		}
	}
	return list
}

// maxSignatures bounds the signatures of the transaction: those that any may have, and the consents.
func (t Transaction) maxSignatures() int {
	set, _ := t.Mapping.(SequencerSet)
	return MaxSignatures + len(set.Sequencers)
}
