package keys

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Fingerprint names a key: the SHA-256 digest of its public part behind a tag. Tag and algorithm are the same whatever
// the key is used for, so a key has one fingerprint and no digest made elsewhere is mistaken for one. In text it is
// "1220", which says "SHA-256, 32 bytes" in the notation of multihashes (https://multiformats.io/multihash), and 64
// hexadecimal digits.
type Fingerprint [32]byte

const (
	fingerprintTag    = "synod/keys/fingerprint/1\x00"
	fingerprintPrefix = "1220"

	algorithmEd25519 = 1
	algorithmX25519  = 2
)

func fingerprint(algorithm byte, key [32]byte) Fingerprint {
	content := append([]byte(fingerprintTag), algorithm)
	return sha256.Sum256(append(content, key[:]...))
}

// Fingerprint names the key.
func (k PublicKey) Fingerprint() Fingerprint { return fingerprint(algorithmEd25519, k) }

// ParseFingerprint reads what MarshalText writes.
func ParseFingerprint(text string) (Fingerprint, error) {
	var f Fingerprint
	digits, ok := strings.CutPrefix(text, fingerprintPrefix)
	if !ok || len(digits) != hex.EncodedLen(len(f)) || digits != strings.ToLower(digits) {
		return Fingerprint{}, fmt.Errorf("fingerprint %.80q: want 1220 and 64 lower-case hexadecimal digits", text)
	}
	if _, err := hex.Decode(f[:], []byte(digits)); err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint %.80q: %w: want 1220 and 64 lower-case hexadecimal digits", text, err)
	}
	return f, nil
}

// String returns the whole fingerprint, 68 characters.
func (f Fingerprint) String() string { return fingerprintPrefix + hex.EncodeToString(f[:]) }

// Short returns the first 12 characters of the fingerprint, for people.
func (f Fingerprint) Short() string { return f.String()[:12] }

// Compare orders fingerprints by their bytes: -1, 0 or +1.
func (f Fingerprint) Compare(other Fingerprint) int { return bytes.Compare(f[:], other[:]) }

// MarshalText writes the whole fingerprint.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	parsed, err := ParseFingerprint(string(text))
	if err != nil {
		return err
	}
	*f = parsed
	return nil
}
