package bft

import (
	"errors"
	"testing"
)

// Each row breaks one rule of UnverifiedBlock.Verify in a block that is valid
// otherwise, and is signed as it stands.
func TestValidity(t *testing.T) {
	c := testCommittee(4, func(p *Params) {
		p.PayloadLimit, p.RequestLimit, p.PayloadRequests = 1024, 4096, 3
	})
	g := newGrid(c)
	g.rounds(1, 2, membersOf(4)...)
	requests := func(sizes ...int) []byte {
		var w writer
		for _, n := range sizes {
			w.U32(uint32(n))
			w.Bytes(make([]byte, n))
		}
		return w.Buf
	}
	carry := func(h *Header, payload []byte, n uint32) []byte {
		h.Requests, h.PayloadSize, h.Payload = n, uint32(len(payload)), PayloadDigest(payload)
		return payload
	}
	for _, row := range []struct {
		rule   string
		change func(h *Header) []byte
		want   error
	}{
		{"a plain block", func(h *Header) []byte { return nil }, nil},
		{"a weak link to an older round", func(h *Header) []byte { h.Parents[3] = g.ref(3, 1); return nil }, nil},
		{"a quorum of parents", func(h *Header) []byte { h.Parents = h.Parents[:3]; return nil }, nil},
		{"three requests", func(h *Header) []byte { return carry(h, requests(0, 1, 9), 3) }, nil},
		{"several requests at the payload limit", func(h *Header) []byte { return carry(h, requests(508, 508), 2) }, nil},
		{"one request at the request limit", func(h *Header) []byte { return carry(h, requests(4096), 1) }, nil},

		{"network", func(h *Header) []byte { h.Network[0]++; return nil }, ErrWrongNetwork},
		{"epoch below", func(h *Header) []byte { h.Epoch--; return nil }, ErrWrongEpoch},
		{"epoch above", func(h *Header) []byte { h.Epoch++; return nil }, ErrWrongEpoch},
		{"author", func(h *Header) []byte { h.Author = 4; return nil }, ErrMalformed},
		{"round 0", func(h *Header) []byte { h.Round = 0; return nil }, ErrMalformed},
		{"timestamp zero", func(h *Header) []byte { h.Timestamp = 0; return nil }, ErrMalformed},
		{"timestamp negative", func(h *Header) []byte { h.Timestamp = -1; return nil }, ErrMalformed},
		{"timestamp huge", func(h *Header) []byte { h.Timestamp = maxTimestamp + 1; return nil }, ErrMalformed},
		{"no parents", func(h *Header) []byte { h.Parents = nil; return nil }, ErrMalformed},
		{"own parent not first", func(h *Header) []byte {
			h.Parents[0], h.Parents[1] = h.Parents[1], h.Parents[0]
			return nil
		}, ErrMalformed},
		{"parent by a stranger", func(h *Header) []byte { h.Parents[3].Author = 4; return nil }, ErrMalformed},
		{"two parents by one author", func(h *Header) []byte { h.Parents[3].Author = 2; return nil }, ErrMalformed},
		{"parent as new as the block", func(h *Header) []byte { h.Parents[3].Round = h.Round; return nil }, ErrMalformed},
		{"parent of round 2^64-1", func(h *Header) []byte { h.Parents[3].Round = ^Round(0); return nil }, ErrMalformed},
		{"false root", func(h *Header) []byte { h.Parents[3] = Ref{Author: 3, Digest: Digest{1}}; return nil }, ErrMalformed},
		{"quorum of parents", func(h *Header) []byte { h.Parents = h.Parents[:2]; return nil }, ErrMalformed},
		{"quorum of parents of the round before", func(h *Header) []byte {
			h.Parents[2], h.Parents[3] = g.ref(2, 1), g.ref(3, 1)
			return nil
		}, ErrMalformed},
		{"round 2^64-1 on parents of round 2", func(h *Header) []byte { h.Round = ^Round(0); return nil }, ErrMalformed},

		{"number of requests", func(h *Header) []byte { return carry(h, requests(1, 1, 1, 1), 4) }, ErrMalformed},
		{"bytes without a request", func(h *Header) []byte { return carry(h, requests(1), 0) }, ErrMalformed},
		{"requests without a byte", func(h *Header) []byte { return carry(h, nil, 1) }, ErrMalformed},
		{"one request above the request limit", func(h *Header) []byte { return carry(h, requests(4097), 1) }, ErrMalformed},
		{"several requests above the payload limit", func(h *Header) []byte { return carry(h, requests(509, 508), 2) }, ErrMalformed},
		{"fewer requests than said", func(h *Header) []byte { return carry(h, requests(1), 2) }, ErrMalformed},
		{"more requests than said", func(h *Header) []byte { return carry(h, requests(1, 1), 1) }, ErrMalformed},
		{"length of a request", func(h *Header) []byte { return carry(h, []byte{255, 255, 255, 255, 0}, 1) }, ErrMalformed},
		{"payload digest", func(h *Header) []byte {
			p := carry(h, requests(1), 1)
			h.Payload[0]++
			return p
		}, ErrMalformed},
		{"digest of an empty payload", func(h *Header) []byte { h.Payload[0] = 1; return nil }, ErrMalformed},
	} {
		t.Run(row.rule, func(t *testing.T) {
			h := Header{Network: c.Network, Round: 3, Author: 0, Timestamp: c.Start + Second,
				Parents: []Ref{g.ref(0, 2), g.ref(1, 2), g.ref(2, 2), g.ref(3, 2)}}
			payload := row.change(&h)
			b := build(h, payload, testSign(c.Members[0]))
			u := UnverifiedBlock{Header: h, Signature: b.Signature, Payload: payload}
			if _, err := u.Verify(c, testVerify); !errors.Is(err, row.want) {
				t.Errorf("got %v, want %v", err, row.want)
			}
		})
	}
	t.Run("signature", func(t *testing.T) {
		b := g.blocks["A2"]
		for name, sig := range map[string]Signature{"none": {}, "another member's": testSign(c.Members[1])(signedBytes(c.Network, b.digest))} {
			u := UnverifiedBlock{Header: b.Header, Signature: sig}
			if _, err := u.Verify(c, testVerify); !errors.Is(err, ErrBadSignature) {
				t.Errorf("%s: got %v, want %v", name, err, ErrBadSignature)
			}
		}
	})
}
