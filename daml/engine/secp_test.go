package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// secpVector signs a message; all results are hexadecimal.
func secpVector(t *testing.T) (key, message, signature string) {
	t.Helper()
	secret := secp256k1.PrivKeyFromBytes([]byte("a secret key for a test, 32 byte"))
	x509 := append([]byte{0x30, 0x56, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a,
		0x03, 0x42, 0x00}, secret.PubKey().SerializeUncompressed()...)
	digest := sha256.Sum256([]byte("hello"))
	return hex.EncodeToString(x509), hex.EncodeToString([]byte("hello")), hex.EncodeToString(ecdsa.Sign(secret, digest[:]).Serialize())
}
