package keys

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"

	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// PrivateKey is a node's secret. It prints as the public key that it belongs to, whatever the verb, so that it cannot
// slip into a log. The zero value is not a key.
type PrivateKey struct {
	secret ed25519.PrivateKey // seed and public key; never changes
}

// Generate makes a key from 32 bytes of rand, which must be a source fit for secrets such as crypto/rand.Reader.
func Generate(rand io.Reader) (PrivateKey, error) {
	var seed [32]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return PrivateKey{}, fmt.Errorf("generate a key: read randomness: %w", err)
	}
	return FromSeed(seed), nil
}

// FromSeed derives the key of a seed (RFC 8032 §5.1.5). The same seed gives the same key, which simulations want.
func FromSeed(seed [32]byte) PrivateKey {
	return PrivateKey{secret: ed25519.NewKeyFromSeed(seed[:])}
}

// IsZero reports whether k is the zero value, with which nothing can be signed.
func (k PrivateKey) IsZero() bool { return k.secret == nil }

// Public is the identity that belongs to the secret.
func (k PrivateKey) Public() PublicKey { return PublicKey(k.secret[ed25519.SeedSize:]) }

// Sign signs message as it is (no prehash). Signing is deterministic. The caller puts the purpose and the network id
// into message, so that a signature means one thing in one network.
func (k PrivateKey) Sign(message []byte) Signature {
	return Signature(voi.Sign(voi.PrivateKey(k.secret), message))
}

// Signer is the key in the standard library's terms, for TLS.
func (k PrivateKey) Signer() crypto.Signer { return k.secret }

// Format implements fmt.Formatter and prints no secret.
func (k PrivateKey) Format(s fmt.State, _ rune) {
	if k.IsZero() {
		io.WriteString(s, "no private key")
		return
	}
	fmt.Fprintf(s, "private key of %s", k.Public())
}
