package topology

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/synod-network/synod/keys"
)

// Operation is what a transaction does with its mapping.
type Operation uint8

// The operations.
const (
	// AddReplace puts the mapping in force, in place of the one of the same key.
	AddReplace Operation = iota + 1
	// Remove takes the mapping out of force, which must be the one that the key has.
	Remove
)

// Serial counts the changes of a key: 1, 2, 3 … without a gap.
type Serial uint32

// Transaction is a statement, not yet anybody's.
type Transaction struct {
	Operation Operation
	Serial    Serial
	Mapping   Mapping
}

const (
	// MaxTransactionSize bounds an encoded transaction with its signatures, in bytes: a set of the most sequencers with the
	// longest names fits.
	MaxTransactionSize = 256 << 10
	// MaxSignatures bounds the signatures of a transaction: all owners of a namespace and all keys of a member. One that lists
	// sequencers may have the consent of each beside them.
	MaxSignatures = MaxOwners + MaxKeys

	formatVersion  = 1
	tagTransaction = "synod/topology/transaction-content/1\x00"

	// domainTransaction is what the signatures of a transaction are made in; the signed message is its digest.
	domainTransaction keys.Domain = "synod/topology/transaction/1"
)

// Add returns a transaction that puts a mapping in force.
func Add(serial Serial, m Mapping) Transaction { return Transaction{AddReplace, serial, m} }

// Removal returns a transaction that takes a mapping out of force.
func Removal(serial Serial, m Mapping) Transaction { return Transaction{Remove, serial, m} }

// Digest identifies the statement whoever signs it; it is what they sign.
func (t Transaction) Digest() Digest {
	w := newWriter([]byte(tagTransaction))
	t.encode(&w)
	return sha256.Sum256(w.Buf)
}

func (t Transaction) encode(w *writer) {
	w.U8(formatVersion)
	w.U8(uint8(t.Operation))
	w.U32(uint32(t.Serial))
	encodeMapping(w, t.Mapping)
}

func decodeContent(r *reader) Transaction {
	if r.U8() != formatVersion {
		r.Fail(errUnknown)
	}
	return Transaction{Operation: Operation(r.U8()), Serial: Serial(r.U32()), Mapping: decodeMapping(r)}
}

// check judges the statement by itself.
func (t Transaction) check() *Rejection {
	switch {
	case t.Mapping == nil:
		return malformed("there is no mapping: say what to change")
	case t.Operation != AddReplace && t.Operation != Remove:
		return malformed("operation %d is neither add-replace nor remove", t.Operation)
	}
	return t.Mapping.check().about(t.Mapping.Key)
}

// about adds what a rejection is about.
func (r *Rejection) about(key func() Key) *Rejection {
	if r != nil {
		r.Key = key()
	}
	return r
}

// KeySignature is a signature with the key that made it.
type KeySignature struct {
	Key       keys.PublicKey
	Signature keys.Signature
}

const sizeKeySignature = 32 + 64

func (s KeySignature) byKey(o KeySignature) int { return s.Key.Compare(o.Key) }

// UnverifiedTransaction is well formed; anybody may have made it.
type UnverifiedTransaction struct {
	Transaction
	Signatures []KeySignature // ascending by key
}

// DecodeTransaction reads what [SignedTransaction.Encode] writes. It shares no memory with b.
func DecodeTransaction(b []byte) (UnverifiedTransaction, error) {
	if len(b) > MaxTransactionSize {
		return UnverifiedTransaction{}, fmt.Errorf("decode topology transaction: %d bytes are more than the limit of %d", len(b), MaxTransactionSize)
	}
	r := newReader(b)
	u := decodeUnverified(&r)
	if err := r.Done(); err != nil {
		return UnverifiedTransaction{}, fmt.Errorf("decode topology transaction: %w", err)
	}
	return u, nil
}

func decodeUnverified(r *reader) UnverifiedTransaction {
	u := UnverifiedTransaction{Transaction: decodeContent(r)}
	u.Signatures = readList(r, u.maxSignatures(), sizeKeySignature, func() KeySignature {
		return KeySignature{Key: r.bytes32(), Signature: r.signature()}
	})
	if !ascending(u.Signatures, KeySignature.byKey) {
		r.Fail(errUnsorted)
	}
	return u
}

// Verify checks that the statement makes sense and that each signature is by the key that it names, for this network: over the
// statement, or where it lists the key as that of a sequencer, over its [Consent].
// Whether these keys have the authority is for [State.Apply] to say. The error is a [*Rejection].
func (u UnverifiedTransaction) Verify(network [32]byte) (SignedTransaction, error) {
	if r := u.Transaction.check(); r != nil {
		return SignedTransaction{}, r
	}
	digest := u.Transaction.Digest()
	for _, s := range u.Transaction.signed(network, digest, u.Signatures) {
		if !s.Valid() {
			if n, isNode := u.nodeOf(s.Key); isNode {
				return SignedTransaction{}, Consent{n, s.Signature}.Check(network).about(u.Mapping.Key)
			}
			r := rejected(CodeInvalidSignature, "the signature by key %s is not over this transaction in this network: have it signed again", s.Key.Fingerprint())
			r.Missing = []keys.Fingerprint{s.Key.Fingerprint()}
			return SignedTransaction{}, r.about(u.Mapping.Key)
		}
	}
	return SignedTransaction{network: network, content: u.Transaction, digest: digest, signatures: u.Signatures}, nil
}

// VerifyAll reports whether Verify would accept every transaction of a list, and returns them if so. It hands all their
// signatures to valid, which reports whether each is valid as [keys.Verify] says.
func VerifyAll(network [32]byte, valid func([]keys.Signed) bool, list ...UnverifiedTransaction) ([]SignedTransaction, bool) {
	verified := make([]SignedTransaction, len(list))
	var signatures []keys.Signed
	for i, u := range list {
		if u.Transaction.check() != nil {
			return nil, false
		}
		digest := u.Transaction.Digest()
		verified[i] = SignedTransaction{network: network, content: u.Transaction, digest: digest, signatures: u.Signatures}
		signatures = append(signatures, u.Transaction.signed(network, digest, u.Signatures)...)
	}
	if !valid(signatures) {
		return nil, false
	}
	return verified, true
}

// SignedTransaction is a statement that the keys did sign. With all signatures that it needs it is a transaction, until
// then a proposal. It is immutable.
type SignedTransaction struct {
	network    [32]byte
	content    Transaction
	digest     Digest
	signatures []KeySignature // ascending by key
}

// Sign makes a proposal, or with all keys that it needs a transaction. The error is a [*Rejection] if the statement makes
// no sense.
func Sign(network [32]byte, t Transaction, signers ...keys.PrivateKey) (SignedTransaction, error) {
	if r := t.check(); r != nil {
		return SignedTransaction{}, r
	}
	signed := SignedTransaction{network: network, content: t, digest: t.Digest()}
	return signed.Sign(signers...)
}

// Sign returns the transaction with further signatures. A node key that the transaction lists gives its [Consent].
func (t SignedTransaction) Sign(signers ...keys.PrivateKey) (SignedTransaction, error) {
	added := t
	added.signatures = nil
	nodes := t.content.nodes()
	for _, k := range signers {
		signature := KeySignature{Key: k.Public()}
		if n, isNode := nodes[k.Public()]; isNode {
			signature.Signature = Agree(t.network, n.Member, k).Signature
		} else {
			signature.Signature = k.SignDomain(t.network, domainTransaction, t.digest[:])
		}
		added.signatures = append(added.signatures, signature)
	}
	return t.Merge(added)
}

// Merge returns the transaction with the signatures of both. The result is the same in any order of merging, also if a key
// made two signatures, which malice can. It fails if the two are not about the same statement in the same network, or if
// there are too many, see [MaxSignatures].
func (t SignedTransaction) Merge(o SignedTransaction) (SignedTransaction, error) {
	if t.digest != o.digest || t.network != o.network {
		return SignedTransaction{}, fmt.Errorf("merge signatures: transactions %s and %s are not the same", t.digest, o.digest)
	}
	merged := t
	merged.signatures = slices.Concat(t.signatures, o.signatures)
	slices.SortFunc(merged.signatures, func(a, b KeySignature) int {
		return cmp.Or(a.byKey(b), bytes.Compare(a.Signature[:], b.Signature[:]))
	})
	merged.signatures = slices.CompactFunc(merged.signatures, func(a, b KeySignature) bool { return a.Key == b.Key })
	if n, most := len(merged.signatures), t.content.maxSignatures(); n > most {
		return SignedTransaction{}, fmt.Errorf("merge signatures: %d are more than the limit of %d", n, most)
	}
	return merged, nil
}

// Content returns what is signed.
func (t SignedTransaction) Content() Transaction { return t.content }

// Digest identifies what is signed, whoever signed it.
func (t SignedTransaction) Digest() Digest { return t.digest }

// Signers returns who signed, in the order of keys.
func (t SignedTransaction) Signers() []keys.PublicKey {
	signers := make([]keys.PublicKey, len(t.signatures))
	for i, s := range t.signatures {
		signers[i] = s.Key
	}
	return signers
}

// Encode returns the encoding that is sent and stored.
func (t SignedTransaction) Encode() []byte {
	var w writer
	t.encode(&w)
	return w.Buf
}

func (t SignedTransaction) encode(w *writer) {
	t.content.encode(w)
	writeList(w, t.signatures, func(s KeySignature) {
		w.Bytes(s.Key[:])
		w.Bytes(s.Signature[:])
	})
}
