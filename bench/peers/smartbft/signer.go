package smartbft

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
)

// A signer signs and verifies with ECDSA over P-256. What is signed for a
// proposal is the hash of its header and metadata, followed by the auxiliary
// data that the library wants to have signed along.
type signer struct {
	id     uint64
	key    *ecdsa.PrivateKey
	public map[uint64]*ecdsa.PublicKey
}

var errSignature = errors.New("signature does not verify")

func (s signer) sign(message []byte) []byte {
	digest := sha256.Sum256(message)
	signature, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	if err != nil {
		panic(fmt.Sprintf("signing with a fresh P-256 key: %v", err))
	}
	return signature
}

func (s signer) verify(sig types.Signature) error {
	key, ok := s.public[sig.ID]
	if !ok {
		return fmt.Errorf("%w: unknown node %d", errSignature, sig.ID)
	}
	digest := sha256.Sum256(sig.Msg)
	if !ecdsa.VerifyASN1(key, digest[:], sig.Value) {
		return errSignature
	}
	return nil
}

func (s signer) signProposal(p types.Proposal, auxiliary []byte) *types.Signature {
	bound := binding(p)
	message := append(bound[:], auxiliary...)
	return &types.Signature{ID: s.id, Value: s.sign(message), Msg: message}
}

// verifyProposal returns the auxiliary data that was signed along.
func (s signer) verifyProposal(sig types.Signature, p types.Proposal) ([]byte, error) {
	bound := binding(p)
	if !bytes.HasPrefix(sig.Msg, bound[:]) {
		return nil, fmt.Errorf("%w: it is for another proposal", errSignature)
	}
	if err := s.verify(sig); err != nil {
		return nil, err
	}
	return auxiliaryOf(sig.Msg), nil
}

func auxiliaryOf(message []byte) []byte {
	return message[min(sha256.Size, len(message)):]
}

func binding(p types.Proposal) [sha256.Size]byte {
	h := sha256.New()
	h.Write(p.Header)
	h.Write(p.Metadata)
	return [sha256.Size]byte(h.Sum(nil))
}
