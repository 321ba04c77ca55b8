package tx

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/synod-network/synod/daml/value"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads hexadecimal.
func ParseHash(text string) (h Hash, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(h) {
		return h, fmt.Errorf("not a hash of %d bytes in hexadecimal: %.80q", len(h), text)
	}
	return Hash(raw), nil
}

// ErrIDInKey says that a contract key holds a contract id, which keys must not.
var ErrIDInKey = errors.New("contract key holds a contract id")

// errUntyped says that a value was to be hashed before it was checked against its type.
var errUntyped = errors.New("value has no type yet, so that its typed normal form is not known")

// The typed normal form: every value behind the tag of its kind, records with the names of their type and fields but without
// trailing Nones, so that all versions of a contract which mean the same hash the same. The package id is left out on purpose.
const (
	typedNormalForm = 3

	purposeContract = 5
	purposeKey      = 9
	keyVersion      = 1
)

const (
	tagInt64 = iota
	tagNumeric
	tagText
	tagTimestamp
	tagParty
	tagBool
	tagUnit
	tagDate
	tagRecord
	tagVariant
	tagEnum
	tagList
	tagOptional
	tagTextMap
	tagGenMap
	tagContractID

	endOfRecord = 0xff
)

// HashContract returns the hash that binds a contract's argument to its id. The argument has its types.
func HashContract(packageName string, template value.Identifier, arg value.Value) (Hash, error) {
	var room [512]byte
	e := encoder(append(room[:0], typedNormalForm, purposeContract))
	e = e.text(packageName).dotted(template.Module).dotted(template.Entity)
	e, err := e.typed(arg, 0, true)
	return sha256.Sum256(e), err
}

// HashKey returns the hash by which contracts with the same key are found. The key has its types.
func HashKey(packageName string, template value.Identifier, key value.Value) (Hash, error) {
	var room [256]byte
	e := encoder(append(room[:0], typedNormalForm, purposeKey, keyVersion))
	e = e.text(packageName).dotted(template.Module).dotted(template.Entity)
	e, err := e.typed(key, 0, false)
	return sha256.Sum256(e), err
}

// encoder appends to the input of a hash. Lengths and numbers are big-endian.
type encoder []byte

func (e encoder) int32(n int) encoder   { return binary.BigEndian.AppendUint32(e, uint32(n)) }
func (e encoder) int64(n int64) encoder { return binary.BigEndian.AppendUint64(e, uint64(n)) }
func (e encoder) text(s string) encoder { return append(e.int32(len(s)), s...) }
func (e encoder) byte(b byte) encoder   { return append(e, b) }

func (e encoder) bool(b bool) encoder {
	if b {
		return append(e, 1)
	}
	return append(e, 0)
}

// dotted appends the parts of a name.
func (e encoder) dotted(name string) encoder {
	e = e.int32(strings.Count(name, ".") + 1)
	for part := range strings.SplitSeq(name, ".") {
		e = e.text(part)
	}
	return e
}

func (e encoder) parties(parties []value.Party) encoder {
	e = e.int32(len(parties))
	for _, p := range parties {
		e = e.text(string(p))
	}
	return e
}

// typed appends the typed normal form of a value that nests at most MaxNesting deep.
func (e encoder) typed(v value.Value, depth int, ids bool) (encoder, error) {
	if depth > value.MaxNesting {
		return e, value.ErrNesting
	}
	var err error
	switch v := v.(type) {
	case value.Unit:
		return append(e, tagUnit), nil
	case value.Bool:
		return e.byte(tagBool).bool(bool(v)), nil
	case value.Int64:
		return e.byte(tagInt64).int64(int64(v)), nil
	case value.Numeric:
		return e.byte(tagNumeric).text(string(v.UnscaledBytes())), nil
	case value.Text:
		return e.byte(tagText).text(string(v)), nil
	case value.Timestamp:
		return e.byte(tagTimestamp).int64(int64(v)), nil
	case value.Date:
		return e.byte(tagDate).int32(int(v)), nil
	case value.Party:
		return e.byte(tagParty).text(string(v)), nil
	case value.ContractID:
		if !ids {
			return e, ErrIDInKey
		}
		return e.byte(tagContractID).text(string(v)), nil
	case *value.Optional:
		if v.V == nil {
			return append(e, tagOptional, 0), nil
		}
		return append(e, tagOptional, 1).typed(v.V, depth+1, ids)
	case *value.List:
		e = e.byte(tagList).int32(v.Length)
		for ; v.Length > 0 && err == nil; v = v.Tail {
			e, err = e.typed(v.Head, depth+1, ids)
		}
		return e, err
	case *value.Map:
		return e.typedMap(v, depth, ids)
	case *value.Record:
		return e.typedRecord(v, depth, ids)
	case *value.Variant:
		if v.Type == nil {
			return e, errUntyped
		}
		e = e.byte(tagVariant).dotted(v.Type.ID.Module).dotted(v.Type.ID.Entity).text(v.Con).int32(v.Rank)
		return e.typed(v.Arg, depth+1, ids)
	case *value.Enum:
		if v.Type == nil {
			return e, errUntyped
		}
		return e.byte(tagEnum).dotted(v.Type.ID.Module).dotted(v.Type.ID.Entity).text(v.Con).int32(v.Rank), nil
	}
	return e, fmt.Errorf("values of kind %d cannot be hashed", v.Kind())
}

func (e encoder) typedMap(m *value.Map, depth int, ids bool) (encoder, error) {
	var err error
	text := m.Kind() == value.KindTextMap
	if e = e.byte(tagGenMap); text {
		e[len(e)-1] = tagTextMap
	}
	e = e.int32(m.Len())
	for key, part := range m.All() {
		if text {
			e = e.text(string(key.(value.Text)))
		} else if e, err = e.typed(key, depth+1, ids); err != nil {
			return e, err
		}
		if e, err = e.typed(part, depth+1, ids); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e encoder) typedRecord(r *value.Record, depth int, ids bool) (encoder, error) {
	if r.Type == nil {
		return e, errUntyped
	}
	var err error
	e = e.byte(tagRecord).dotted(r.Type.ID.Module).dotted(r.Type.ID.Entity)
	for i, field := range r.Fields[:r.Kept()] {
		if e, err = e.text(r.Type.Names[i]).typed(field, depth+1, ids); err != nil {
			return e, err
		}
	}
	return e.byte(endOfRecord), nil
}

// derive is HMAC-SHA256, written out because it is needed for every node and its input is short.
func derive(secret Hash, input []byte) Hash {
	const block = sha256.BlockSize
	var room [block + 192]byte
	inner := append(room[:0], secret[:]...)
	inner = append(inner, make([]byte, block-len(secret))...)
	var outer [block + sha256.Size]byte
	copy(outer[:], inner)
	for i := range block {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	digest := sha256.Sum256(append(inner, input...))
	copy(outer[block:], digest[:])
	return sha256.Sum256(outer[:])
}

// TransactionSeed derives from a submission's secret seed, the participant and the time that contract ids are made with the seed
// of a transaction.
func TransactionSeed(submission Hash, participant string, preparation value.Timestamp) Hash {
	return derive(submission, encoder(nil).text(participant).int64(int64(preparation)))
}

// NodeSeed derives the seed of a create or exercise from that of its parent (an exercise, or the transaction). Index counts the
// actions in the parent before it, also rolled-back ones.
func NodeSeed(parent Hash, index int) Hash {
	var room [4]byte
	return derive(parent, encoder(room[:0]).int32(index))
}

// LocalID is the id of a contract within the transaction that creates it.
func LocalID(seed Hash, preparation value.Timestamp, stakeholders []value.Party) value.ContractID {
	var room [256]byte
	discriminator := derive(seed, encoder(room[:0]).int64(int64(preparation)).parties(stakeholders))
	var id [1 + len(discriminator)]byte
	copy(id[1:], discriminator[:])
	return value.ContractID(id[:])
}
