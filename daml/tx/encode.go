package tx

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/internal/wire"
	"github.com/synod-network/synod/daml/value"
)

// The stored form of a transaction has the messages and field numbers of the Daml ledger's own transaction.proto. Seeds are not
// part of it. Of parties it stores non-maintainer signatories and non-signatory stakeholders, since the sets include each other.
const (
	txVersion = 1
	txRoots   = 2
	txNodes   = 3

	nodeVersionField = 1
	nodeID           = 2
	nodeCreate       = 3
	nodeFetch        = 4
	nodeExercise     = 5
	nodeRollback     = 6
	nodeQuery        = 7

	createID           = 1
	createPackage      = 2
	createTemplate     = 3
	createArg          = 4
	createSignatories  = 5
	createStakeholders = 6
	createCreatedAt    = 7
	createAuth         = 8
	createKey          = 1001

	fetchID           = 1
	fetchPackage      = 2
	fetchTemplate     = 3
	fetchSignatories  = 4
	fetchStakeholders = 5
	fetchActors       = 6
	fetchInterface    = 7
	fetchKey          = 8
	fetchByKey        = 9

	exerciseFetch     = 1
	exerciseInterface = 2
	exerciseChoice    = 3
	exerciseArg       = 4
	exerciseConsuming = 5
	exerciseChildren  = 6
	exerciseResult    = 7
	exerciseObservers = 8

	queryPackage    = 1
	queryTemplate   = 2
	queryKey        = 3
	queryResult     = 4
	queryExhaustive = 5

	keyValue       = 1
	keyMaintainers = 2
	keyHash        = 3
)

// Encode returns the stored form of a transaction.
func Encode(t *Transaction) ([]byte, error) {
	b := wire.Text(nil, txVersion, t.Version().String())
	for _, root := range t.Roots {
		b = appendID(b, txRoots, root)
	}
	for id, n := range t.Nodes {
		var err error
		b, err = wire.Message(b, txNodes, func(b []byte) ([]byte, error) { return appendNode(b, NodeID(id), n) })
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", id, err)
		}
	}
	return b, nil
}

func appendID(b []byte, field protowire.Number, id NodeID) []byte {
	return wire.Text(b, field, strconv.Itoa(int(id)))
}

func appendNode(b []byte, id NodeID, n Node) ([]byte, error) {
	if _, rollback := n.(*Rollback); !rollback {
		b = wire.Text(b, nodeVersionField, nodeVersion(n).String())
	}
	b = appendID(b, nodeID, id)
	switch n := n.(type) {
	case *Create:
		return wire.Message(b, nodeCreate, func(b []byte) ([]byte, error) { return AppendContract(b, &StoredContract{Create: *n}) })
	case *Fetch:
		return wire.Message(b, nodeFetch, func(b []byte) ([]byte, error) { return appendFetch(b, n) })
	case *Exercise:
		return wire.Message(b, nodeExercise, func(b []byte) ([]byte, error) { return appendExercise(b, n) })
	case *Rollback:
		return wire.Message(b, nodeRollback, func(b []byte) ([]byte, error) {
			for _, child := range n.Children {
				b = appendID(b, 1, child)
			}
			return b, nil
		})
	case *QueryByKey:
		return wire.Message(b, nodeQuery, func(b []byte) ([]byte, error) { return appendQuery(b, n) })
	}
	return b, fmt.Errorf("nodes of type %T cannot be stored", n)
}

// StoredContract is a contract as ledgers keep it and clients disclose it.
type StoredContract struct {
	Create
	CreatedAt      value.Timestamp
	Authentication []byte // what proves that the id binds the contract
}

// AppendContract appends the stored form of a contract.
func AppendContract(b []byte, c *StoredContract) ([]byte, error) {
	b = wire.Text(b, createID, string(c.ID))
	b = wire.Text(b, createPackage, c.PackageName)
	b = appendIdentifier(b, createTemplate, c.Template)
	arg, err := value.Append(nil, c.Arg)
	if err != nil {
		return b, err
	}
	b = wire.Text(b, createArg, arg)
	b = appendContractParties(b, &c.Contract, createSignatories, createStakeholders)
	if c.CreatedAt != 0 {
		b = protowire.AppendFixed64(protowire.AppendTag(b, createCreatedAt, protowire.Fixed64Type), uint64(c.CreatedAt))
	}
	if len(c.Authentication) > 0 {
		b = wire.Text(b, createAuth, c.Authentication)
	}
	return appendKey(b, createKey, c.Key)
}

func appendIdentifier(b []byte, field protowire.Number, id value.Identifier) []byte {
	b, _ = wire.Message(b, field, func(b []byte) ([]byte, error) {
		b = wire.Text(b, 1, id.Package)
		for part := range strings.SplitSeq(id.Module, ".") {
			b = wire.Text(b, 2, part)
		}
		for part := range strings.SplitSeq(id.Entity, ".") {
			b = wire.Text(b, 3, part)
		}
		return b, nil
	})
	return b
}

func appendParties(b []byte, field protowire.Number, parties []value.Party) []byte {
	for _, p := range parties {
		b = wire.Text(b, field, string(p))
	}
	return b
}

func appendContractParties(b []byte, c *Contract, signatories, stakeholders protowire.Number) []byte {
	var maintainers []value.Party
	if c.Key != nil {
		maintainers = c.Key.Maintainers
	}
	b = appendParties(b, signatories, Minus(c.Signatories, maintainers))
	return appendParties(b, stakeholders, Minus(c.Stakeholders, c.Signatories))
}

func appendKey(b []byte, field protowire.Number, k *Key) ([]byte, error) {
	if k == nil {
		return b, nil
	}
	return wire.Message(b, field, func(b []byte) ([]byte, error) {
		content, err := value.Append(nil, k.Value)
		b = wire.Text(b, keyValue, content)
		b = appendParties(b, keyMaintainers, k.Maintainers)
		return wire.Text(b, keyHash, k.Hash[:]), err
	})
}

func appendFetch(b []byte, n *Fetch) ([]byte, error) {
	b = wire.Text(b, fetchID, string(n.ID))
	b = wire.Text(b, fetchPackage, n.PackageName)
	b = appendIdentifier(b, fetchTemplate, n.Template)
	b = appendContractParties(b, &n.Contract, fetchSignatories, fetchStakeholders)
	b = appendParties(b, fetchActors, n.Actors)
	if n.Interface != nil {
		b = appendIdentifier(b, fetchInterface, *n.Interface)
	}
	b, err := appendKey(b, fetchKey, n.Key)
	return wire.Flag(b, fetchByKey, n.ByKey), err
}

func appendExercise(b []byte, n *Exercise) ([]byte, error) {
	b, err := wire.Message(b, exerciseFetch, func(b []byte) ([]byte, error) {
		return appendFetch(b, &Fetch{Contract: n.Contract, Interface: n.Interface, Actors: n.Actors, ByKey: n.ByKey})
	})
	if err != nil {
		return b, err
	}
	if n.Interface != nil {
		b = appendIdentifier(b, exerciseInterface, *n.Interface)
	}
	b = wire.Text(b, exerciseChoice, n.Choice)
	arg, err := value.Append(nil, n.Arg)
	if err != nil {
		return b, err
	}
	b = wire.Flag(wire.Text(b, exerciseArg, arg), exerciseConsuming, n.Consuming)
	for _, child := range n.Children {
		b = appendID(b, exerciseChildren, child)
	}
	if n.Result != nil {
		result, err := value.Append(nil, n.Result)
		if err != nil {
			return b, err
		}
		b = wire.Text(b, exerciseResult, result)
	}
	return appendParties(b, exerciseObservers, n.Observers), nil
}

func appendQuery(b []byte, n *QueryByKey) ([]byte, error) {
	b = wire.Text(b, queryPackage, n.Key.PackageName)
	b = appendIdentifier(b, queryTemplate, n.Key.Template)
	b, err := appendKey(b, queryKey, &n.Key)
	for _, id := range n.Result {
		b = wire.Text(b, queryResult, string(id))
	}
	return wire.Flag(b, queryExhaustive, n.Exhaustive), err
}
