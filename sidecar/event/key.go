package event

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Key is what makes an event the same event, whichever node it came from. Two events with equal Kind and Key are duplicates.
// Which fields are set depends on the kind.
type Key struct {
	Hash      string // of the block (BlockAdded, FinalitySignature), deploy or transaction; lower-case hexadecimal
	Variant   string // of a transaction: "Deploy" or "Version1"
	PublicKey string // of the validator (Fault, FinalitySignature)
	Era       uint64 // Fault, FinalitySignature, Step
	Height    uint64 // BlockAdded
}

// ErrNoKey is what [Event.Key] returns for an event that lacks the fields of its kind's key, or whose kind has none.
var ErrNoKey = errors.New("event has no key")

// Key reads the fields that identify the event. Kinds without identity (Unknown, APIVersion, SidecarVersion, Shutdown) and
// bodies that do not have the expected fields give [ErrNoKey].
func (e *Event) Key() (Key, error) {
	read, found := keyOf[e.Kind]
	if !found {
		return Key{}, fmt.Errorf("%w: kind %s", ErrNoKey, e.Kind)
	}
	var key Key
	if err := read(e.Body, &key); err != nil {
		return Key{}, fmt.Errorf("%w: %s: %w", ErrNoKey, e.Kind, err)
	}
	return key, nil
}

var keyOf = map[Kind]func(body []byte, key *Key) error{
	BlockAdded:           blockKey,
	DeployAccepted:       deployAcceptedKey,
	DeployProcessed:      deployKey,
	DeployExpired:        deployKey,
	TransactionAccepted:  transactionAcceptedKey,
	TransactionProcessed: transactionKey,
	TransactionExpired:   transactionKey,
	FinalitySignature:    signatureKey,
	Fault:                faultKey,
	Step:                 stepKey,
}

func blockKey(body []byte, key *Key) error {
	var block []byte
	if err := read(body, "block_hash", &key.Hash, "block", &block); err != nil {
		return err
	}
	var header []byte
	if err := read(unversioned(block), "header", &header); err != nil {
		return err
	}
	return read(header, "height", &key.Height)
}

func deployAcceptedKey(body []byte, key *Key) error { return read(body, "hash", &key.Hash) }

func deployKey(body []byte, key *Key) error { return read(body, "deploy_hash", &key.Hash) }

func transactionAcceptedKey(body []byte, key *Key) error {
	variant, inner, err := only(body)
	if err != nil {
		return err
	}
	key.Variant = variant
	return read(inner, "hash", &key.Hash)
}

func transactionKey(body []byte, key *Key) error {
	var hash []byte
	if err := read(body, "transaction_hash", &hash); err != nil {
		return err
	}
	variant, inner, err := only(hash)
	if err != nil {
		return err
	}
	key.Variant = variant
	return assign(inner, &key.Hash)
}

func signatureKey(body []byte, key *Key) error {
	return read(unversioned(body), "block_hash", &key.Hash, "public_key", &key.PublicKey, "era_id", &key.Era)
}

func faultKey(body []byte, key *Key) error {
	return read(body, "era_id", &key.Era, "public_key", &key.PublicKey)
}

func stepKey(body []byte, key *Key) error { return read(body, "era_id", &key.Era) }

// unversioned returns what is inside {"V1":…}, {"V2":…}, {"Version1":…} and {"Version2":…}, else the value itself.
func unversioned(value []byte) []byte {
	switch name, inner, err := only(value); {
	case err != nil:
		return value
	case name == "V1", name == "V2", name == "Version1", name == "Version2":
		return inner
	default:
		return value
	}
}

// only returns the name and value of an object's single field.
func only(object []byte) (name string, value []byte, err error) {
	count := 0
	err = eachField(object, func(n, v []byte) bool {
		name, value = string(n), v
		count++
		return count < 2
	})
	if err == nil && count != 1 {
		err = errors.New("not an object with one field")
	}
	return name, value, err
}

// read assigns fields of an object: pairs of a name and a *string, *uint64 or *[]byte (the JSON itself). All must be there.
func read(object []byte, pairs ...any) error {
	missing := len(pairs) / 2
	var wrong error
	err := eachField(object, func(name, value []byte) bool {
		for i := 0; i < len(pairs); i += 2 {
			if string(name) == pairs[i].(string) {
				wrong = assign(value, pairs[i+1])
				missing--
			}
		}
		return missing > 0 && wrong == nil
	})
	switch {
	case wrong != nil:
		return wrong
	case err != nil:
		return err
	case missing > 0:
		return fmt.Errorf("lacks one of the fields %v", names(pairs))
	}
	return nil
}

func names(pairs []any) []any {
	var all []any
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i])
	}
	return all
}

func assign(value []byte, to any) error {
	switch to := to.(type) {
	case *[]byte:
		*to = value
	case *uint64:
		n, err := strconv.ParseUint(string(value), 10, 64)
		if err != nil {
			return fmt.Errorf("%.40q is not a number", value)
		}
		*to = n
	case *string:
		if len(value) < 2 || value[0] != '"' || bytes.IndexByte(value, '\\') >= 0 || len(value) > maxKeyField {
			return fmt.Errorf("%.40q is not a plain short string", value)
		}
		*to = string(value[1 : len(value)-1])
	}
	return nil
}

// maxKeyField bounds the strings of a key, in bytes. The longest real ones are public keys, 68 characters.
const maxKeyField = 256
