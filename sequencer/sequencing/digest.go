package sequencing

import (
	"crypto/sha256"
	"hash"
)

// hasher hashes what is encoded into it, and reuses its memory.
type hasher struct {
	writer
	long hash.Hash // for payloads, which are not copied
}

func newHasher() *hasher {
	return &hasher{writer: newWriter(make([]byte, 0, 512)), long: sha256.New()}
}

func (h *hasher) begin(domain string) { h.Buf = append(h.Buf[:0], domain...) }
func (h *hasher) end() Digest         { return sha256.Sum256(h.Buf) }

func (h *hasher) set(s RecipientSet) Digest {
	h.begin(domainSet)
	s.encode(&h.writer)
	return h.end()
}

// encodedSet is set of an encoding, which it does not copy.
func (h *hasher) encodedSet(encoded []byte) (d Digest) {
	h.begin(domainSet)
	h.long.Reset()
	h.long.Write(h.Buf)
	h.long.Write(encoded)
	h.Buf = h.long.Sum(h.Buf[:0])
	copy(d[:], h.Buf)
	return d
}

// sealedSet is set with the size of what was hashed.
func (h *hasher) sealedSet(s RecipientSet) sealedSet {
	d := h.set(s)
	return sealedSet{digest: d, size: len(h.Buf) - len(domainSet)}
}

func (h *hasher) envelope(set Digest, payload []byte) (d Digest) {
	h.begin(domainEnvelope)
	h.Bytes(set[:])
	h.long.Reset()
	h.long.Write(h.Buf)
	h.long.Write(payload)
	h.Buf = h.long.Sum(h.Buf[:0])
	copy(d[:], h.Buf)
	return d
}

// content stands for everything in a submission that senders of one aggregation
// have in common: it names the aggregation.
func (h *hasher) content(network NetworkID, maxTime, topologyTime Time, rule *Aggregation, envelopes []Digest) Digest {
	h.begin(domainContent)
	h.Bytes(network[:])
	h.time(maxTime)
	h.time(topologyTime)
	rule.encode(&h.writer)
	h.count(len(envelopes))
	for i := range envelopes {
		h.Bytes(envelopes[i][:])
	}
	return h.end()
}

func (h *hasher) submission(network NetworkID, sender MemberID, message MessageID, cost uint64, content Digest) Digest {
	h.begin(domainSubmission)
	h.Bytes(network[:])
	h.text(string(sender))
	h.text(string(message))
	h.U64(cost)
	h.Bytes(content[:])
	return h.end()
}

// message is the key under which (sender, message id) is remembered.
func (h *hasher) message(sender MemberID, message MessageID) (k inflightKey) {
	h.begin(domainMessage)
	h.text(string(sender))
	h.text(string(message))
	d := h.end()
	copy(k[:], d[:])
	return k
}

// Signer is one sender of a delivered batch with its signature.
type Signer struct {
	Sender    MemberID
	Message   MessageID
	Cost      uint64
	Key       Key
	Signature Signature
}

// Digest is what the signer signed, given the digest of the content.
func (s Signer) Digest(network NetworkID, content Digest) Digest {
	return newHasher().submission(network, s.Sender, s.Message, s.Cost, content)
}

// Proof is what a recipient needs besides its own envelopes to check the
// signatures on a batch. It tells nothing of the envelopes of others but how
// many there are.
type Proof struct {
	MaxTime, TopologyTime Time
	Aggregation           *Aggregation
	// Envelopes has the digest of every envelope of the batch.
	Envelopes []Digest
}

// Content returns the digest of the content of which the received envelopes
// are part, or false when one of them is not.
func (p Proof) Content(network NetworkID, received []Received) (Digest, bool) {
	h := newHasher()
	for _, e := range received {
		if e.Number < 0 || e.Number >= len(p.Envelopes) || h.envelope(e.Set, e.Payload) != p.Envelopes[e.Number] {
			return Digest{}, false
		}
		if e.Recipients != nil && h.set(e.Recipients) != e.Set {
			return Digest{}, false
		}
	}
	return h.content(network, p.MaxTime, p.TopologyTime, p.Aggregation, p.Envelopes), true
}

// Received is one envelope as a recipient sees it.
type Received struct {
	Number int // its place in the batch
	// Set is the digest of those who got it. Recipients are they, or nil if their
	// encoding is larger than [MaxShownSet]: [History.Recipients] then tells them, and
	// their digest whether that is true.
	Set        Digest
	Recipients RecipientSet
	Payload    []byte
}
