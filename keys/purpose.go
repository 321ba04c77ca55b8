package keys

import "fmt"

// Purpose is what a key is for. A key has exactly one, from its birth on: whoever steals the key that authenticates a
// connection must not be able to found identities with it, and a signature asked for in one protocol must mean nothing
// in another. Numbers are part of encodings and never change.
type Purpose uint8

// The purposes. All but Encryption are of Ed25519 keys that sign.
const (
	// Namespace keys sign topology transactions: they say who somebody is.
	Namespace Purpose = iota + 1
	// SequencerAuthentication keys prove to a sequencer who connects.
	SequencerAuthentication
	// Protocol keys sign what members tell each other.
	Protocol
	// Ordering keys are the node keys of sequencers: they sign blocks and authenticate peer links.
	Ordering
	// Encryption keys open what others sealed; see [DecryptionKey].
	Encryption
)

var purposeNames = [...]string{
	Namespace: "namespace", SequencerAuthentication: "sequencer-authentication", Protocol: "protocol",
	Ordering: "ordering", Encryption: "encryption",
}

// Purposes lists all purposes in the order of their numbers.
func Purposes() []Purpose {
	return []Purpose{Namespace, SequencerAuthentication, Protocol, Ordering, Encryption}
}

// Valid reports whether p is one of the purposes.
func (p Purpose) Valid() bool { return p >= Namespace && p <= Encryption }

// Signs reports whether keys of the purpose sign.
func (p Purpose) Signs() bool { return p.Valid() && p != Encryption }

// String returns the name of the purpose, as [ParsePurpose] reads it.
func (p Purpose) String() string {
	if !p.Valid() {
		return fmt.Sprintf("purpose %d", uint8(p))
	}
	return purposeNames[p]
}

// ParsePurpose reads the name of a purpose.
func ParsePurpose(name string) (Purpose, error) {
	for _, p := range Purposes() {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%.80q is no purpose of a key: want one of %v", name, Purposes())
}
