package bft

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"strconv"
)

// Digest is a SHA-256 digest over a domain-separated canonical encoding.
type Digest [32]byte

// String returns the first eight hexadecimal digits: enough to tell digests
// apart in a log or a transcript.
func (d Digest) String() string { return hex.EncodeToString(d[:4]) }

// NetworkID names one network for ever: the digest of its genesis. Every
// signed message binds it, so that nothing signed for one network counts in
// another.
type NetworkID Digest

// String returns the network id in hexadecimal.
func (n NetworkID) String() string { return hex.EncodeToString(n[:]) }

// PublicKey is a member's Ed25519 verification key and its identity towards
// its peers: addresses may change, the key may not.
type PublicKey [32]byte

// String returns the first eight hexadecimal digits of the key.
func (k PublicKey) String() string { return hex.EncodeToString(k[:4]) }

// Signature is an Ed25519 signature.
type Signature [64]byte

// Epoch numbers the tenures of committees; the first epoch is 0.
type Epoch uint64

// Round numbers the layers of an epoch's DAG. Round 0 is derived, not sent;
// slots of leaders start at round 1.
type Round uint64

// Author is a member's index in the committee of its epoch.
type Author uint16

// String returns a letter for the first 26 members (A is member 0), as used in
// transcripts, and a number above.
func (a Author) String() string {
	if a < 26 {
		return string(rune('A' + a))
	}
	return strconv.Itoa(int(a))
}

// CommitIndex numbers commits 1, 2, 3 … without gap over the life of the
// network; 0 means none.
type CommitIndex uint64

// Time is a point in time in microseconds since the Unix epoch, UTC, or a
// duration in microseconds, as the context says.
type Time int64

// Units of Time.
const (
	Microsecond Time = 1
	Millisecond      = 1000 * Microsecond
	Second           = 1000 * Millisecond
)

// Ref names one block of an epoch. Two blocks by one author for one round
// differ in their digest.
type Ref struct {
	Round  Round
	Author Author
	Digest Digest
}

// String returns the reference as "B3·1f2e3d4c": author, round, digest.
func (r Ref) String() string {
	return r.Author.String() + strconv.FormatUint(uint64(r.Round), 10) + "·" + r.Digest.String()
}

// Compare orders references by round, author and digest: the order in which a
// commit lists its blocks.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Round, o.Round), cmp.Compare(r.Author, o.Author), bytes.Compare(r.Digest[:], o.Digest[:]))
}
