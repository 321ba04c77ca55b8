package keys

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Sealing is HPKE (RFC 9180) in base mode, one message for one key, by DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
// ChaCha20-Poly1305, which takes constant time on every processor. The domain and the network id are HPKE's info. Nothing
// in it says who sealed: whoever needs to know signs.
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.ChaCha20Poly1305() }

// SealOverhead is by how many bytes a sealed message is longer than the message.
const SealOverhead = 32 + 16

var errSealed = errors.New("not sealed for this key, network and domain, or changed since")

// EncryptionKey is the public part of a [DecryptionKey]: an X25519 point (RFC 7748 §5). It can be a map key.
type EncryptionKey [32]byte

// Fingerprint names the key.
func (k EncryptionKey) Fingerprint() Fingerprint { return fingerprint(algorithmX25519, k) }

// String is the first 16 hexadecimal digits of the key, for people.
func (k EncryptionKey) String() string { return hex.EncodeToString(k[:8]) }

// Compare orders keys by their bytes: -1, 0 or +1.
func (k EncryptionKey) Compare(other EncryptionKey) int { return bytes.Compare(k[:], other[:]) }

// Seal encrypts message so that only the owner of the key reads it, and only as something of this network and domain. It
// draws fresh randomness, so sealing twice gives different bytes. It fails for a key with which no secret can be agreed,
// such as a point of small order.
func (k EncryptionKey) Seal(network [32]byte, domain Domain, message []byte) ([]byte, error) {
	point, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(k[:])
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", k, err)
	}
	sealed, err := hpke.Seal(point, kdf(), aead(), domain.bind(network, nil), message)
	if err != nil {
		return nil, fmt.Errorf("seal for %s: %w", k, err)
	}
	return sealed, nil
}

// DecryptionKey is a secret that opens what was sealed for its public part. It prints as the public key, whatever the
// verb. The zero value is not a key.
type DecryptionKey struct {
	secret *ecdh.PrivateKey // never changes
}

// GenerateDecryption makes a key from the system's randomness.
func GenerateDecryption() (DecryptionKey, error) {
	secret, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return DecryptionKey{}, fmt.Errorf("generate an encryption key: %w", err)
	}
	return DecryptionKey{secret: secret}, nil
}

// DecryptionFromSeed derives the key of a seed (DeriveKeyPair of RFC 9180 §7.1.3). The same seed gives the same key, which
// simulations want.
func DecryptionFromSeed(seed [32]byte) DecryptionKey {
	derived, err := hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(seed[:])
	if err != nil {
		panic(err) // any 32 bytes are a seed
	}
	scalar, err := derived.Bytes()
	if err != nil {
		panic(err) // a derived key is made of bytes
	}
	secret, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		panic(err) // any 32 bytes are a scalar, RFC 7748 §5
	}
	return DecryptionKey{secret: secret}
}

// IsZero reports whether k is the zero value, which opens nothing.
func (k DecryptionKey) IsZero() bool { return k.secret == nil }

// Public is what others seal with.
func (k DecryptionKey) Public() EncryptionKey { return EncryptionKey(k.secret.PublicKey().Bytes()) }

// Open decrypts what was sealed for the key in this network and domain. Whatever is wrong with sealed, the error is the
// same: it must not help anybody who guesses.
func (k DecryptionKey) Open(network [32]byte, domain Domain, sealed []byte) ([]byte, error) {
	secret, err := hpke.NewDHKEMPrivateKey(k.secret)
	if err != nil {
		return nil, fmt.Errorf("open with %s: %w", k.Public(), err)
	}
	message, err := hpke.Open(secret, kdf(), aead(), domain.bind(network, nil), sealed)
	if err != nil {
		return nil, fmt.Errorf("open with %s: %w", k.Public(), errSealed)
	}
	return message, nil
}

// Format implements fmt.Formatter and prints no secret.
func (k DecryptionKey) Format(s fmt.State, _ rune) {
	if k.IsZero() {
		io.WriteString(s, "no decryption key")
		return
	}
	fmt.Fprintf(s, "decryption key of %s", k.Public())
}
