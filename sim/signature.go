package sim

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/synod-network/synod/bft"
)

// keyring signs and verifies for all members of a world with keyed hashes,
// which cost a fiftieth of an Ed25519 signature. A member is handed its own
// signer only, so that not even a lying member can sign for another.
type keyring struct{ secrets map[bft.PublicKey][32]byte }

// mint makes the key of the member with the given number.
func (k *keyring) mint(seed uint64, number int) bft.PublicKey {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], seed)
	binary.BigEndian.PutUint64(b[8:], uint64(number))
	secret := sha256.Sum256(b[:])
	key := bft.PublicKey(sha256.Sum256(secret[:]))
	k.secrets[key] = secret
	return key
}

func (k *keyring) signer(key bft.PublicKey) bft.Signer {
	secret := k.secrets[key]
	return func(message []byte) bft.Signature { return sign(secret, message) }
}

func (k *keyring) verify(key bft.PublicKey, message []byte, sig bft.Signature) bool {
	secret, known := k.secrets[key]
	return known && sig == sign(secret, message)
}

// sign fills the second half with the complement of the first, so that damage
// to any bit of a signature is noticed.
func sign(secret [32]byte, message []byte) (sig bft.Signature) {
	var room [256]byte
	b := append(append(room[:0], secret[:]...), message...)
	sum := sha256.Sum256(b)
	for i, v := range sum {
		sig[i], sig[32+i] = v, ^v
	}
	return sig
}
