package members

import (
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Verifier is the network's rule for signatures, in batches: what every sequencer
// applies after ordering.
func Verifier(batch *keys.BatchVerifier) sequencing.Verifier {
	return func(signed []sequencing.SignedDigest) []bool {
		list := make([]keys.Signed, len(signed))
		for i := range signed {
			list[i] = keys.Signed{Key: keys.PublicKey(signed[i].Key), Message: signed[i].Digest[:], Signature: keys.Signature(signed[i].Signature)}
		}
		return batch.Verify(list)
	}
}
