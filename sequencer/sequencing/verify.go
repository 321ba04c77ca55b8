package sequencing

import "github.com/synod-network/synod/ordering"

// UnverifiedBlock is an ordered block taken apart: its requests are well formed
// or known not to be, and no signature was checked.
type UnverifiedBlock struct {
	height   ordering.Height
	time     Time // of the first request
	last     Time
	bytes    int // of all requests
	requests []placed
	signed   []SignedDigest
}

// placed is one request at its place in the order. A nil Body is malformed.
type placed struct {
	Request
	time  Time
	first int // index of its first signature in the block
}

// SignedDigest is a signature to be checked: it is said to be by Key over Digest.
// Whether that is so is a fact of the bytes alone. Whether the key may sign for
// a member at a time is decided later, in the order, so that signatures of many
// blocks can be checked at once and on every core before the order is applied.
type SignedDigest struct {
	Key       Key
	Digest    Digest
	Signature Signature
}

// Verifier reports for each signature whether it is valid, under the network's
// one rule of verification. It must be a function of its argument: an answer that differs between sequencers splits the network.
type Verifier func(signed []SignedDigest) []bool

// Parse takes a block apart and hashes what was signed. It keeps windows onto
// the block's payloads. It depends on nothing but its arguments and may run on
// any goroutine.
func Parse(network NetworkID, block ordering.Block) *UnverifiedBlock {
	count := block.RequestCount()
	u := &UnverifiedBlock{height: block.Height, time: Time(block.Time), last: Time(block.LastTime()),
		requests: make([]placed, 0, count), signed: make([]SignedDigest, 0, count)}
	h := newHasher()
	for ordered := range block.Requests() {
		p := placed{time: Time(ordered.Time), first: len(u.signed)}
		u.bytes += len(ordered.Data)
		if request, err := Decode(ordered.Data); err == nil {
			p.Request = request
			if digest := request.Body.digest(network, h); len(request.Signatures) > 0 {
				for _, s := range request.Signatures {
					u.signed = append(u.signed, SignedDigest{Key: s.Key, Digest: digest, Signature: s.Signature})
				}
			}
		}
		u.requests = append(u.requests, p)
	}
	return u
}

// Signed are the signatures that [UnverifiedBlock.Verify] will ask for. Do not
// modify them.
func (u *UnverifiedBlock) Signed() []SignedDigest { return u.signed }

// Verify checks all signatures and returns the block with the verdicts in it. A
// request with a bad signature stays in the block, to keep its place in time.
func (u *UnverifiedBlock) Verify(verifier Verifier) *Block {
	valid := verifier(u.signed)
	if len(valid) != len(u.signed) {
		panic("sequencing: the verifier gave another number of answers than there are signatures")
	}
	return &Block{checked: u, valid: valid}
}

// Block is a block whose signatures were checked: what a [Machine] applies.
type Block struct {
	checked *UnverifiedBlock
	valid   []bool
}

// genuine returns the keys that truly signed a request.
func (b *Block) genuine(p *placed, keys []Key) []Key {
	for i, s := range p.Signatures {
		if b.valid[p.first+i] {
			keys = append(keys, s.Key)
		}
	}
	return keys
}
