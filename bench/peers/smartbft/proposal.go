package smartbft

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/hyperledger-labs/SmartBFT/pkg/types"
)

// A proposal's payload is its requests, each after its length (4 bytes,
// little-endian); its header is the SHA-256 of the payload.

func assemble(metadata []byte, requests [][]byte) types.Proposal {
	size := 0
	for _, r := range requests {
		size += 4 + len(r)
	}
	payload := make([]byte, 0, size)
	for _, r := range requests {
		payload = binary.LittleEndian.AppendUint32(payload, uint32(len(r)))
		payload = append(payload, r...)
	}
	digest := sha256.Sum256(payload)
	return types.Proposal{Header: digest[:], Payload: payload, Metadata: metadata}
}

var errProposal = errors.New("proposal is malformed")

// requestsOf splits a payload without copying it.
func requestsOf(payload []byte) ([][]byte, error) {
	var requests [][]byte
	for len(payload) > 0 {
		if len(payload) < 4 {
			return nil, errProposal
		}
		size := int(binary.LittleEndian.Uint32(payload))
		if size < 8 || size > len(payload)-4 {
			return nil, errProposal
		}
		requests = append(requests, payload[4:4+size])
		payload = payload[4+size:]
	}
	return requests, nil
}

// checkHeader reports whether the header commits to the payload.
func checkHeader(p types.Proposal) error {
	digest := sha256.Sum256(p.Payload)
	if !bytes.Equal(digest[:], p.Header) {
		return errProposal
	}
	return nil
}

// infoOf names a request by the number it begins with.
func infoOf(request []byte) types.RequestInfo {
	return types.RequestInfo{ID: string(request[:min(8, len(request))])}
}

func infosOf(payload []byte) ([]types.RequestInfo, error) {
	requests, err := requestsOf(payload)
	if err != nil {
		return nil, err
	}
	infos := make([]types.RequestInfo, len(requests))
	for i, r := range requests {
		infos[i] = infoOf(r)
	}
	return infos, nil
}
