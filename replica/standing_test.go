package replica

import (
	"errors"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// A verifier that has gone bad makes nobody look bad: the second one finds the block right, and the first one wrong.
func TestDefectiveVerifierBlamesNobody(t *testing.T) {
	key := keys.FromSeed([32]byte{1})
	c := bft.Genesis(bft.NetworkID{1}, []bft.PublicKey{bft.PublicKey(key.Public())}, bft.DefaultParams(), 1)
	u := &bft.UnverifiedBlock{Header: bft.Header{Network: c.Network, Epoch: c.Epoch, Round: 1, Timestamp: 2, Parents: []bft.Ref{c.Root(0)}}}
	sign := func(_ bft.PublicKey, message []byte, _ bft.Signature) bool {
		u.Signature = bft.Signature(key.Sign(message))
		return true
	}
	if _, err := u.Verify(c, sign); err != nil {
		t.Fatal(err)
	}
	broken := func(bft.PublicKey, []byte, bft.Signature) bool { return false }
	if b, defect, err := verifyTwice(u, c, broken, verifySlowly); b == nil || !defect || err != nil {
		t.Errorf("a broken verifier: %v, %t, %v", b, defect, err)
	}
	if b, defect, err := verifyTwice(u, c, verifySlowly, broken); b == nil || defect || err != nil {
		t.Errorf("a sound one: %v, %t, %v", b, defect, err)
	}
	u.Signature[0] ^= 1
	if b, defect, err := verifyTwice(u, c, verifySlowly, verifySlowly); b != nil || defect || !errors.Is(err, bft.ErrBadSignature) {
		t.Errorf("a wrong signature: %v, %t, %v", b, defect, err)
	}
	u.Header.Epoch++
	if _, defect, err := verifyTwice(u, c, broken, verifySlowly); defect || !errors.Is(err, bft.ErrWrongEpoch) {
		t.Errorf("another epoch: %t, %v", defect, err)
	}
}
