package topology

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// Time is a point in agreed time, or a duration, in microseconds; see [bft.Time].
type Time = bft.Time

// Digest is a SHA-256 digest over a tagged canonical encoding.
type Digest [32]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Namespace is the authority over names: the fingerprint of its root key, or the digest of the owners who founded it
// together. The two are made with different tags, so that no namespace is both.
type Namespace keys.Fingerprint

// NamespaceOf returns the namespace of a root key.
func NamespaceOf(root keys.PublicKey) Namespace { return Namespace(root.Fingerprint()) }

const tagOwners = "synod/topology/owners/1\x00"

// NamespaceOfOwners returns the namespace that owners found together. Their order does not matter.
func NamespaceOfOwners(owners []Namespace) Namespace {
	var w writer
	w.Bytes([]byte(tagOwners))
	for _, o := range slices.SortedFunc(slices.Values(owners), Namespace.Compare) {
		w.Bytes(o[:])
	}
	return sha256.Sum256(w.Buf)
}

// String returns the namespace as a fingerprint, 68 characters.
func (n Namespace) String() string { return keys.Fingerprint(n).String() }

// Compare orders namespaces by their bytes: -1, 0 or +1.
func (n Namespace) Compare(o Namespace) int { return keys.Fingerprint(n).Compare(keys.Fingerprint(o)) }

// UID is a name that is unique in the whole world: a name under a namespace. It can be a map key.
type UID struct {
	Name      string
	Namespace Namespace
}

// maxName bounds a name in bytes, so that a UID in text has at most 255.
const maxName = 185

const uidSeparator = "::"

// ParseUID reads name::fingerprint.
func ParseUID(text string) (UID, error) {
	name, fingerprint, _ := strings.Cut(text, uidSeparator)
	namespace, err := keys.ParseFingerprint(fingerprint)
	if err != nil {
		return UID{}, fmt.Errorf("%.300q is not of the form name::fingerprint: %w", text, err)
	}
	u := UID{Name: name, Namespace: Namespace(namespace)}
	if err := u.check(); err != nil {
		return UID{}, fmt.Errorf("%.300q: %w", text, err)
	}
	return u, nil
}

// String returns name::fingerprint.
func (u UID) String() string { return u.Name + uidSeparator + u.Namespace.String() }

// MarshalText writes name::fingerprint.
func (u UID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (u *UID) UnmarshalText(text []byte) (err error) {
	*u, err = ParseUID(string(text))
	return err
}

// Compare orders UIDs by name and namespace.
func (u UID) Compare(o UID) int {
	return cmp.Or(strings.Compare(u.Name, o.Name), u.Namespace.Compare(o.Namespace))
}

func (u UID) check() error {
	if u.Name == "" || len(u.Name) > maxName || strings.ContainsFunc(u.Name, notInName) {
		return errName
	}
	return nil
}

var errName = errors.New("a name has 1 to 185 letters, digits, dashes and underscores, without accents")

func notInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}

// Role is what a member does. Numbers are part of encodings and never change.
type Role uint8

// The roles.
const (
	Participant Role = iota + 1
	Sequencer
	Mediator
)

var rolePrefixes = [...]string{Participant: "PAR", Sequencer: "SEQ", Mediator: "MED"}

// String returns the three letters that stand in front of a member's name.
func (r Role) String() string {
	if r < Participant || r > Mediator {
		return fmt.Sprintf("role %d", uint8(r))
	}
	return rolePrefixes[r]
}

// Member is a node as the network knows it. Two nodes that share an identity for availability are one member. It can be a
// map key.
type Member struct {
	Role Role
	UID
}

// ParseMember reads PAR::name::fingerprint, or SEQ or MED in front.
func ParseMember(text string) (Member, error) {
	prefix, rest, _ := strings.Cut(text, uidSeparator)
	role := Role(slices.Index(rolePrefixes[Participant:], prefix) + 1)
	if role == 0 {
		return Member{}, fmt.Errorf("member %.300q must begin with PAR, SEQ or MED and two colons", text)
	}
	uid, err := ParseUID(rest)
	if err != nil {
		return Member{}, fmt.Errorf("member: %w", err)
	}
	return Member{Role: role, UID: uid}, nil
}

// String returns the member as [ParseMember] reads it.
func (m Member) String() string { return m.Role.String() + uidSeparator + m.UID.String() }

// MarshalText writes what String returns.
func (m Member) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (m *Member) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMember(string(text))
	return err
}

// Compare orders members by role, name and namespace.
func (m Member) Compare(o Member) int {
	return cmp.Or(cmp.Compare(m.Role, o.Role), m.UID.Compare(o.UID))
}

func (m Member) check() error {
	if m.Role < Participant || m.Role > Mediator {
		return fmt.Errorf("%s is none", m.Role)
	}
	return m.UID.check()
}
