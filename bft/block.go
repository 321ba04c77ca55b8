package bft

import (
	"crypto/sha256"
	"errors"
	"fmt"
)

// Vote names the newest commit that a block's author had made durable when it
// built the block. Votes of f+1 members certify a commit to a member that is
// catching up.
type Vote struct {
	Index  CommitIndex
	Digest Digest
}

// Header is what a block's digest covers and its author signs.
type Header struct {
	Network   NetworkID
	Epoch     Epoch
	Round     Round
	Author    Author
	Timestamp Time
	// Parents are the blocks built upon: the author's own previous block
	// first, at most one of each author.
	Parents []Ref
	// Requests and PayloadSize describe the payload, Payload is its digest.
	Requests    uint32
	PayloadSize uint32
	Payload     Digest
	Vote        Vote
}

const refSize = 8 + 2 + 32

func (h *Header) encode(w *writer) {
	w.Bytes(h.Network[:])
	w.U64(uint64(h.Epoch))
	w.U64(uint64(h.Round))
	w.U16(uint16(h.Author))
	w.U64(uint64(h.Timestamp))
	w.U32(uint32(len(h.Parents)))
	for _, p := range h.Parents {
		w.ref(p)
	}
	w.U32(h.Requests)
	w.U32(h.PayloadSize)
	w.Bytes(h.Payload[:])
	w.U64(uint64(h.Vote.Index))
	w.Bytes(h.Vote.Digest[:])
}

func decodeHeader(r *reader) (h Header) {
	h.Network = NetworkID(r.digest())
	h.Epoch = Epoch(r.U64())
	h.Round = Round(r.U64())
	h.Author = Author(r.U16())
	h.Timestamp = Time(r.U64())
	n := r.count(MaxMembers, refSize)
	h.Parents = make([]Ref, 0, n)
	for range n {
		h.Parents = append(h.Parents, r.ref())
	}
	h.Requests = r.U32()
	h.PayloadSize = r.U32()
	h.Payload = r.digest()
	h.Vote.Index = CommitIndex(r.U64())
	h.Vote.Digest = r.digest()
	return h
}

// PayloadDigest returns the digest of a payload, hashed as one range.
func PayloadDigest(payload []byte) (d Digest) {
	h := sha256.New()
	h.Write([]byte(domainPayload))
	h.Write(payload)
	h.Sum(d[:0])
	return d
}

// Head is a verified header with its signature: a block without its payload,
// which is all that the engine keeps of it.
type Head struct {
	Header
	Signature Signature
	digest    Digest
}

// Ref returns the reference that names the block.
func (h *Head) Ref() Ref { return Ref{Round: h.Round, Author: h.Author, Digest: h.digest} }

// Encode returns the canonical encoding of the head, which precedes the
// payload on the wire and on disk.
func (h *Head) Encode() []byte {
	w := newWriter(make([]byte, 0, 256+refSize*len(h.Parents)))
	h.encode(&w)
	w.Bytes(h.Signature[:])
	return w.Buf
}

// Block is a block that was verified, or that this member built itself. Only
// blocks reach the engine.
type Block struct {
	*Head
	// Payload is the concatenation of the requests, each preceded by its
	// length as a big-endian uint32. It is immutable and shared.
	Payload []byte
}

// UnverifiedBlock is what arrives from a peer or a disk: well formed, not yet
// believed.
type UnverifiedBlock struct {
	Header    Header
	Signature Signature
	// Payload aliases the bytes that were decoded.
	Payload []byte
}

// DecodeBlock takes a block apart. The payload aliases b, which must not be
// modified afterwards.
func DecodeBlock(b []byte) (UnverifiedBlock, error) {
	r := newReader(b)
	u := UnverifiedBlock{Header: decodeHeader(&r), Signature: r.signature()}
	if r.Err != nil {
		return UnverifiedBlock{}, fmt.Errorf("decode block: %w", r.Err)
	}
	if len(r.Buf) != int(u.Header.PayloadSize) {
		return UnverifiedBlock{}, fmt.Errorf("decode block: payload has %d bytes, header says %d", len(r.Buf), u.Header.PayloadSize)
	}
	u.Payload = r.Buf
	return u, nil
}

// Digest returns the digest of the header. It never covers the signature,
// because signatures are malleable.
func (u *UnverifiedBlock) Digest() Digest { return headerDigest(&u.Header) }

func headerDigest(h *Header) Digest {
	w := newWriter(make([]byte, 0, 256+refSize*len(h.Parents)))
	w.Bytes([]byte(domainBlock))
	h.encode(&w)
	return sha256.Sum256(w.Buf)
}

// signedBytes is what the author of a block signs: the digest under a domain
// of its own, with the network id.
func signedBytes(network NetworkID, digest Digest) []byte {
	b := make([]byte, 0, len(domainSign)+64)
	b = append(b, domainSign...)
	b = append(b, network[:]...)
	return append(b, digest[:]...)
}

// Verifier reports whether a signature is a key's over a message. It must be
// the same function at every member.
type Verifier func(key PublicKey, message []byte, sig Signature) bool

// Signer signs a message with this member's key. Ed25519 signatures are
// deterministic, so a signer is a pure function.
type Signer func(message []byte) Signature

// Verify checks a block against the committee of its epoch. Validity is a pure
// function of the block's bytes and the committee: what one honest member
// accepts every honest member accepts.
func (u *UnverifiedBlock) Verify(c *Committee, verify Verifier) (*Block, error) {
	if err := u.checkHeader(c); err != nil {
		return nil, err
	}
	if err := u.checkPayload(c); err != nil {
		return nil, err
	}
	return u.checkSignature(c, verify)
}

// VerifyHead checks everything but the payload: enough for evidence and for
// commit votes, which name blocks whose payload does not matter.
func (u *UnverifiedBlock) VerifyHead(c *Committee, verify Verifier) (*Head, error) {
	if err := u.checkHeader(c); err != nil {
		return nil, err
	}
	b, err := u.checkSignature(c, verify)
	if err != nil {
		return nil, err
	}
	return b.Head, nil
}

func (u *UnverifiedBlock) checkSignature(c *Committee, verify Verifier) (*Block, error) {
	digest := u.Digest()
	if !verify(c.Members[u.Header.Author], signedBytes(c.Network, digest), u.Signature) {
		return nil, ErrBadSignature
	}
	return &Block{Head: &Head{Header: u.Header, Signature: u.Signature, digest: digest}, Payload: u.Payload}, nil
}

// Reasons for which a block is refused, each counted by the runtime. A block
// for another epoch is not a fault: the sender may be ahead or behind.
var (
	ErrWrongNetwork = errors.New("block of another network")
	ErrWrongEpoch   = errors.New("block of another epoch")
	ErrBadSignature = errors.New("block signature does not verify")
	ErrMalformed    = errors.New("block breaks a rule of its epoch")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// maxTimestamp keeps sums of timestamps far from overflow: the year 148 000.
const maxTimestamp = Time(1) << 62

func (u *UnverifiedBlock) checkHeader(c *Committee) error {
	h := &u.Header
	switch {
	case h.Network != c.Network:
		return ErrWrongNetwork
	case h.Epoch != c.Epoch:
		return fmt.Errorf("%w: %d, want %d", ErrWrongEpoch, h.Epoch, c.Epoch)
	case int(h.Author) >= c.Size():
		return malformed("author %d is not a member", h.Author)
	case h.Round == 0:
		return malformed("round 0 is derived, not sent")
	case h.Timestamp <= 0 || h.Timestamp > maxTimestamp:
		return malformed("timestamp %d is out of range", h.Timestamp)
	case len(h.Parents) == 0 || h.Parents[0].Author != h.Author:
		return malformed("the first parent must be the author's own previous block")
	}
	seen := make([]bool, c.Size())
	previous := 0
	for _, p := range h.Parents {
		switch {
		case int(p.Author) >= c.Size():
			return malformed("parent by %d, who is not a member", p.Author)
		case seen[p.Author]:
			return malformed("two parents by %s", p.Author)
		case p.Round >= h.Round:
			return malformed("parent %s is not older", p)
		case p.Round == 0 && p != c.Root(p.Author):
			return malformed("parent %s is not a root of the epoch", p)
		}
		seen[p.Author] = true
		if p.Round == h.Round-1 {
			previous++
		}
	}
	if previous < c.Quorum() {
		return malformed("%d parents of round %d, want %d", previous, h.Round-1, c.Quorum())
	}
	return nil
}

func (u *UnverifiedBlock) checkPayload(c *Committee) error {
	h := &u.Header
	switch {
	case int(h.PayloadSize) != len(u.Payload):
		return malformed("payload has %d bytes, header says %d", len(u.Payload), h.PayloadSize)
	case h.Requests > c.Params.PayloadRequests:
		return malformed("%d requests, limit %d", h.Requests, c.Params.PayloadRequests)
	case h.Requests == 0 && h.PayloadSize != 0:
		return malformed("%d bytes of payload without a request", h.PayloadSize)
	case h.Requests == 1 && h.PayloadSize > c.Params.RequestLimit+4 && h.PayloadSize > c.Params.PayloadLimit:
		return malformed("request of %d bytes, limit %d", h.PayloadSize-4, c.Params.RequestLimit)
	case h.Requests > 1 && h.PayloadSize > c.Params.PayloadLimit:
		return malformed("payload of %d bytes, limit %d", h.PayloadSize, c.Params.PayloadLimit)
	}
	r := newReader(u.Payload)
	for range h.Requests {
		size := int(r.U32())
		if r.Err == nil && size > int(c.Params.RequestLimit) {
			return malformed("request of %d bytes, limit %d", size, c.Params.RequestLimit)
		}
		r.Take(size)
	}
	if r.Done() != nil {
		return malformed("payload is not a list of %d requests", h.Requests)
	}
	if h.Requests == 0 {
		if h.Payload != (Digest{}) {
			return malformed("an empty payload has a zero digest")
		}
		return nil
	}
	if PayloadDigest(u.Payload) != h.Payload {
		return malformed("payload does not match its digest")
	}
	return nil
}

// build signs a header that this member made and joins it with its payload.
func build(h Header, payload []byte, sign Signer) *Block {
	digest := headerDigest(&h)
	return &Block{Head: &Head{Header: h, Signature: sign(signedBytes(h.Network, digest)), digest: digest}, Payload: payload}
}

// EncodeBlock returns the block's head and payload; concatenated they are what
// DecodeBlock reads. The payload is not copied.
func EncodeBlock(b *Block) (head, payload []byte) { return b.Encode(), b.Payload }
