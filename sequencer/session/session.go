// Package session is what a member and a sequencer sign to each other outside
// the order: that the member is who it says when it connects, and what the
// sequencer told it.
//
// Both bind the network, so that nothing counts in another, and both sides by
// name, so that no third can use them.
package session

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Nonce is what a member signs to authenticate: random, and good for once.
type Nonce [32]byte

const (
	domainLogin  keys.Domain = "synod/sequencer/login/1"
	domainEvents keys.Domain = "synod/sequencer/events/1"
)

// Login is a member's answer to the challenge of a sequencer.
type Login struct {
	Member    sequencing.MemberID
	Sequencer sequencing.MemberID
	Nonce     Nonce
}

// Sign signs with a key of the member for authentication.
func (l Login) Sign(network sequencing.NetworkID, key keys.PrivateKey) keys.Signature {
	return key.SignDomain(network, domainLogin, l.message())
}

// Signed reports whether the signature is by key over this login.
func (l Login) Signed(network sequencing.NetworkID, key keys.PublicKey, signature keys.Signature) bool {
	return keys.VerifyDomain(key, network, domainLogin, l.message(), signature)
}

func (l Login) message() []byte {
	b := appendText(nil, string(l.Member))
	b = appendText(b, string(l.Sequencer))
	return append(b, l.Nonce[:]...)
}

// Events is what a sequencer tells a member at a time: the next events in the
// member's stream, and up to when the member then knows everything.
type Events struct {
	Member sequencing.MemberID
	// After is the time after which the events follow: Known of what was told before
	// on the same stream, at its beginning what the member asked for.
	After sequencing.Time
	// Encoded are the events, each as [sequencing.Delivery.Encode] gives it.
	Encoded [][]byte
	Known   sequencing.Time
}

// Sign signs with a protocol key of the sequencer.
func (e Events) Sign(network sequencing.NetworkID, key keys.PrivateKey) keys.Signature {
	return key.SignDomain(network, domainEvents, e.message())
}

// Signed reports whether the signature is by key over these events. It is quicker for keys that the ring has; there need be none.
func (e Events) Signed(ring *keys.Ring, network sequencing.NetworkID, key keys.PublicKey, signature keys.Signature) bool {
	return ring.VerifyDomain(key, network, domainEvents, e.message(), signature)
}

// message is a digest, so that it is short however long the events are.
func (e Events) message() []byte {
	b := appendText(nil, string(e.Member))
	b = binary.BigEndian.AppendUint64(b, uint64(e.After))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Known))
	for _, event := range e.Encoded {
		digest := sha256.Sum256(event)
		b = append(b, digest[:]...)
	}
	digest := sha256.Sum256(b)
	return digest[:]
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}
