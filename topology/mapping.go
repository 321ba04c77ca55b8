package topology

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/synod-network/synod/keys"
)

// Kind is a kind of mapping. Numbers are part of encodings and never change; they grow in the order in which kinds build
// on each other, and later versions add more.
type Kind uint8

// The kinds.
const (
	KindNamespaceDelegation Kind = iota + 1
	KindDecentralizedNamespace
	KindOwnerToKeys
	KindSynchronizerParameters
	KindSequencerSet
	KindMediatorSet
	KindMemberTrustCertificate
	KindMemberDisabled
	KindNamespacePermission
)

var kindNames = [...]string{
	KindNamespaceDelegation: "namespace-delegation", KindDecentralizedNamespace: "decentralized-namespace",
	KindOwnerToKeys: "owner-to-keys", KindSynchronizerParameters: "synchronizer-parameters",
	KindSequencerSet: "sequencer-set", KindMediatorSet: "mediator-set",
	KindMemberTrustCertificate: "member-trust-certificate", KindMemberDisabled: "member-disabled",
	KindNamespacePermission: "namespace-permission",
}

// String returns the name of the kind.
func (k Kind) String() string {
	if k < KindNamespaceDelegation || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// Kinds is a set of kinds, one bit each.
type Kinds uint64

// AllKinds holds every kind, also those that later versions add.
const AllKinds Kinds = math.MaxUint64

// KindsOf returns the set of the kinds.
func KindsOf(kinds ...Kind) (set Kinds) {
	for _, k := range kinds {
		set |= 1 << (k % 64)
	}
	return set
}

// Has reports whether the set holds the kind.
func (s Kinds) Has(k Kind) bool { return k < 64 && s&(1<<k) != 0 }

// Mapping is one statement about the network. There is at most one of a [Key] at a time.
type Mapping interface {
	Kind() Kind
	// Key says what the mapping is about: a new one replaces that of the same key.
	Key() Key
	// check judges the mapping by itself.
	check() *Rejection
	// encode writes what follows the kind.
	encode(w *writer)
	// needs says who must sign, for a mapping that replaces another or is the first of its key.
	needs(c change) authority
	// admit judges the change by what was accepted before it.
	admit(s *State, c change) *Rejection
	// answers is the namespace to which the mapping is counted: one that must sign it.
	answers() Namespace
	// uses are the keys that the mapping gives a purpose.
	uses() []use
	// lists are the members that serve in a group by this mapping.
	lists() []Member
}

// plain is for mappings that give no key a purpose and put no member into service.
type plain struct{}

func (plain) uses() []use     { return nil }
func (plain) lists() []Member { return nil }

// Key names what a mapping is about. It can be a map key.
type Key struct {
	Kind    Kind
	Subject string
}

// keyOf makes the key of a kind for the parts that the mapping is about.
func keyOf(kind Kind, parts ...fmt.Stringer) Key {
	texts := make([]string, len(parts))
	for i, p := range parts {
		texts[i] = p.String()
	}
	return Key{Kind: kind, Subject: strings.Join(texts, "/")}
}

// String returns the kind and what the mapping is about.
func (k Key) String() string { return k.Kind.String() + " " + k.Subject }

// Compare orders keys by kind and subject.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Kind, o.Kind), strings.Compare(k.Subject, o.Subject))
}

// authority is who must sign: each namespace by its rules, each root and listed key itself, and each node its consent.
type authority struct {
	namespaces []Namespace
	roots      []Namespace // their root keys, no delegate
	keys       []keys.PublicKey
	nodes      []SequencerNode
}

// use is a key's purpose by a mapping.
type use struct {
	key     keys.Fingerprint
	purpose keys.Purpose
}

func encodeMapping(w *writer, m Mapping) {
	w.U8(uint8(m.Kind()))
	m.encode(w)
}

// decodeMapping returns nil after an error, which the reader remembers.
func decodeMapping(r *reader) (m Mapping) {
	switch Kind(r.U8()) {
	case KindNamespaceDelegation:
		m = decodeNamespaceDelegation(r)
	case KindDecentralizedNamespace:
		m = decodeDecentralizedNamespace(r)
	case KindOwnerToKeys:
		m = decodeOwnerToKeys(r)
	case KindSynchronizerParameters:
		m = decodeSynchronizerParameters(r)
	case KindSequencerSet:
		m = decodeSequencerSet(r)
	case KindMediatorSet:
		m = decodeMediatorSet(r)
	case KindMemberTrustCertificate:
		m = MemberTrustCertificate{Synchronizer: r.uid(), Member: r.member()}
	case KindMemberDisabled:
		m = MemberDisabled{Synchronizer: r.uid(), Member: r.member()}
	case KindNamespacePermission:
		m = decodeNamespacePermission(r)
	default:
		r.Fail(errUnknown)
	}
	if r.Err != nil {
		return nil
	}
	return m
}
