package keys

import (
	"bytes"
	"encoding/hex"
	"fmt"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// PublicKey is the identity of a node: an Ed25519 public key in the encoding of RFC 8032 §5.1.2.
// Two keys are the same identity only if all 32 bytes are equal. It can be a map key.
type PublicKey [32]byte

// Signature is an Ed25519 signature, R followed by S as in RFC 8032 §5.1.6.
type Signature [64]byte

// zip215 is the network's one rule; the package comment says why it must stay the only one.
var zip215 = &voi.Options{Verify: voi.VerifyOptionsZIP_215}

// Verify reports whether signature is by key over message, under ZIP-215.
func Verify(key PublicKey, message []byte, signature Signature) bool {
	return voi.VerifyWithOptions(key[:], message, signature[:], zip215)
}

// ParsePublicKey reads the 64 hexadecimal digits that MarshalText writes, in either case.
func ParsePublicKey(text string) (PublicKey, error) {
	var k PublicKey
	if len(text) != hex.EncodedLen(len(k)) {
		return PublicKey{}, fmt.Errorf("public key %.80q has %d characters: want 64 hexadecimal digits", text, len(text))
	}
	if _, err := hex.Decode(k[:], []byte(text)); err != nil {
		return PublicKey{}, fmt.Errorf("public key %.80q: %w: want 64 hexadecimal digits", text, err)
	}
	return k, nil
}

// String is the first 16 hexadecimal digits of the key: enough to tell the nodes of a network apart in a log, and
// short enough to read. Whatever is parsed again is written by MarshalText.
func (k PublicKey) String() string { return hex.EncodeToString(k[:8]) }

// Compare orders keys by their bytes: -1, 0 or +1.
func (k PublicKey) Compare(other PublicKey) int { return bytes.Compare(k[:], other[:]) }

// MarshalText writes the whole key as 64 lower-case hexadecimal digits.
func (k PublicKey) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads what MarshalText writes; see [ParsePublicKey].
func (k *PublicKey) UnmarshalText(text []byte) error {
	parsed, err := ParsePublicKey(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// Ring verifies signatures by keys that sign often, such as the members of a committee, from tables prepared once for
// each. It answers exactly as [Verify] does, for any key; a nil one has prepared nothing. It is safe for concurrent use.
type Ring struct {
	known map[PublicKey]*voi.ExpandedPublicKey
}

// NewRing prepares a ring for keys.
func NewRing(known []PublicKey) *Ring {
	r := &Ring{known: make(map[PublicKey]*voi.ExpandedPublicKey, len(known))}
	for _, key := range known {
		if expanded, err := voi.NewExpandedPublicKey(key[:]); err == nil {
			r.known[key] = expanded
		}
	}
	return r
}

// Verify reports whether signature is by key over message, under ZIP-215.
func (r *Ring) Verify(key PublicKey, message []byte, signature Signature) bool {
	if r == nil {
		return Verify(key, message, signature)
	}
	if expanded, ok := r.known[key]; ok {
		return voi.VerifyExpandedWithOptions(expanded, message, signature[:], zip215)
	}
	return Verify(key, message, signature)
}
