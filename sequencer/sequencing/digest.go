package sequencing

import (
	"crypto/sha256"
	"hash"
)

func (s RecipientSet) digest(w *writer) Digest {
	w.buf = append(w.buf[:0], domainSet...)
	s.encode(w)
	return sha256.Sum256(w.buf)
}

func envelopeDigest(h hash.Hash, set Digest, payload []byte) (d Digest) {
	var head [len(domainEnvelope) + len(set)]byte
	copy(head[copy(head[:], domainEnvelope):], set[:])
	h.Reset()
	h.Write(head[:])
	h.Write(payload)
	h.Sum(d[:0])
	return d
}

// contentDigest stands for everything in a submission that senders of one
// aggregation have in common: it names the aggregation.
func contentDigest(w *writer, network NetworkID, maxTime, topologyTime Time, rule *Aggregation, envelopes []Digest) Digest {
	w.buf = append(w.buf[:0], domainContent...)
	w.bytes(network[:])
	w.time(maxTime)
	w.time(topologyTime)
	rule.encode(w)
	w.count(len(envelopes))
	for _, envelope := range envelopes {
		w.bytes(envelope[:])
	}
	return sha256.Sum256(w.buf)
}

func submissionDigest(w *writer, network NetworkID, sender MemberID, message MessageID, cost uint64, content Digest) Digest {
	w.buf = append(w.buf[:0], domainSubmission...)
	w.bytes(network[:])
	w.text(string(sender))
	w.text(string(message))
	w.u64(cost)
	w.bytes(content[:])
	return sha256.Sum256(w.buf)
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
	return submissionDigest(&writer{}, network, s.Sender, s.Message, s.Cost, content)
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
	w, h := &writer{}, sha256.New()
	for _, e := range received {
		if e.Number < 0 || e.Number >= len(p.Envelopes) || envelopeDigest(h, e.Recipients.digest(w), e.Payload) != p.Envelopes[e.Number] {
			return Digest{}, false
		}
	}
	return contentDigest(w, network, p.MaxTime, p.TopologyTime, p.Aggregation, p.Envelopes), true
}

// Received is one envelope as a recipient sees it.
type Received struct {
	Number     int // its place in the batch
	Recipients RecipientSet
	Payload    []byte
}
