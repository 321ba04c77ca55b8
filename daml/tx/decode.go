package tx

import (
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/internal/wire"
	"github.com/synod-network/synod/daml/value"
)

// Decode reads the stored form of a transaction, and checks that it is a forest in depth-first order. Its values have no types yet.
func Decode(b []byte) (*Transaction, error) {
	t := &Transaction{}
	version := ""
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) error {
		switch {
		case kind != protowire.BytesType:
			return wire.ErrMalformed
		case field == txVersion:
			version = string(bytes)
		case field == txRoots:
			return decodeID(bytes, &t.Roots)
		case field == txNodes:
			n, id, err := decodeNode(bytes)
			if err == nil && int(id) != len(t.Nodes) {
				err = fmt.Errorf("node %d comes at position %d", id, len(t.Nodes))
			}
			t.Nodes = append(t.Nodes, n)
			return err
		default:
			return wire.ErrMalformed
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("stored transaction: %w", err)
	}
	if version != t.Version().String() {
		return nil, fmt.Errorf("stored transaction says version %q, but its nodes %q", version, t.Version())
	}
	return t, checkForest(t)
}

// checkForest checks that walking from the roots meets the ids in order, each once.
func checkForest(t *Transaction) error {
	next := NodeID(0)
	stack := [][]NodeID{t.Roots}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(*top) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		id := (*top)[0]
		*top = (*top)[1:]
		if id != next || int(id) >= len(t.Nodes) {
			return fmt.Errorf("stored transaction: found node %d where node %d should come", id, next)
		}
		next++
		if children := Children(t.Nodes[id]); len(children) > 0 {
			stack = append(stack, children)
		}
	}
	if int(next) != len(t.Nodes) {
		return fmt.Errorf("stored transaction: node %d is not reached", next)
	}
	return nil
}

func decodeID(b []byte, to *[]NodeID) error {
	n, err := strconv.ParseInt(string(b), 10, 32)
	if err != nil || n < 0 {
		return fmt.Errorf("node id %.20q is not a number", b)
	}
	*to = append(*to, NodeID(n))
	return nil
}

func decodeNode(b []byte) (n Node, id NodeID, err error) {
	var ids []NodeID
	version := V1
	var content []byte
	var kind protowire.Number
	err = wire.Each(b, func(field protowire.Number, wireType protowire.Type, bytes []byte, _ uint64) error {
		switch {
		case wireType != protowire.BytesType:
			return wire.ErrMalformed
		case field == nodeVersionField:
			version, err = ParseVersion(string(bytes))
			return err
		case field == nodeID:
			return decodeID(bytes, &ids)
		case kind != 0:
			return wire.ErrMalformed
		}
		kind, content = field, bytes
		return nil
	})
	if err == nil && len(ids) != 1 {
		err = wire.ErrMalformed
	}
	if err != nil {
		return nil, 0, err
	}
	n, err = decodeContent(kind, content, version)
	if err == nil && nodeVersion(n) != version {
		err = fmt.Errorf("a node of version %s cannot have a key", version)
	}
	return n, ids[0], err
}

// ParseVersion reads what Version.String writes.
func ParseVersion(text string) (Version, error) {
	for _, v := range []Version{V1, V2} {
		if text == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("serialization version %.20q is not known", text)
}

func decodeContent(kind protowire.Number, content []byte, version Version) (Node, error) {
	switch kind {
	case nodeCreate:
		c, err := DecodeContract(content)
		if err != nil {
			return nil, err
		}
		return &c.Create, nil
	case nodeFetch:
		return decodeFetch(content, version)
	case nodeExercise:
		return decodeExercise(content, version)
	case nodeRollback:
		n := &Rollback{}
		return n, wire.Each(content, func(field protowire.Number, _ protowire.Type, bytes []byte, _ uint64) error {
			if field != 1 {
				return wire.ErrMalformed
			}
			return decodeID(bytes, &n.Children)
		})
	case nodeQuery:
		return decodeQuery(content, version)
	}
	return nil, fmt.Errorf("node of unknown kind %d", kind)
}

// DecodeContract reads the stored form of a contract. Its argument has no types yet.
func DecodeContract(b []byte) (*StoredContract, error) {
	c := &StoredContract{}
	var key []byte
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, n uint64) (err error) {
		if (kind == protowire.Fixed64Type) != (field == createCreatedAt) || kind == protowire.VarintType {
			return wire.ErrMalformed
		}
		switch field {
		case createID:
			c.ID, err = value.MakeContractID(bytes)
		case createPackage:
			c.PackageName = string(bytes)
		case createTemplate:
			c.Template, err = decodeIdentifier(bytes)
		case createArg:
			c.Arg, err = value.Decode(bytes)
		case createSignatories:
			err = decodeParty(bytes, &c.Signatories)
		case createStakeholders:
			err = decodeParty(bytes, &c.Stakeholders)
		case createCreatedAt:
			c.CreatedAt, err = value.MakeTimestamp(int64(n))
		case createAuth:
			c.Authentication = bytes
		case createKey:
			key = bytes
		default:
			err = wire.ErrMalformed
		}
		return err
	})
	if err == nil && c.Arg == nil {
		err = wire.ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	c.Version = V1
	return c, c.complete(key)
}

// complete reads the key of a contract, and makes the sets of its parties whole.
func (c *Contract) complete(key []byte) error {
	if c.ID == "" || c.PackageName == "" || c.Template == (value.Identifier{}) {
		return wire.ErrMalformed
	}
	if key != nil {
		k, err := decodeKey(key)
		if err != nil {
			return err
		}
		k.Template, k.PackageName = c.Template, c.PackageName
		c.Key, c.Version = k, V2
		c.Signatories = append(c.Signatories, k.Maintainers...)
	}
	SortParties(c.Signatories)
	c.Stakeholders = SortParties(append(c.Stakeholders, c.Signatories...))
	return nil
}

func decodeKey(b []byte) (*Key, error) {
	k := &Key{}
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) (err error) {
		switch {
		case kind != protowire.BytesType:
			return wire.ErrMalformed
		case field == keyValue:
			k.Value, err = value.Decode(bytes)
		case field == keyMaintainers:
			err = decodeParty(bytes, &k.Maintainers)
		case field == keyHash && len(bytes) == len(k.Hash):
			copy(k.Hash[:], bytes)
		default:
			err = wire.ErrMalformed
		}
		return err
	})
	if err == nil && (k.Value == nil || k.Hash == Hash{}) {
		err = wire.ErrMalformed
	}
	SortParties(k.Maintainers)
	return k, err
}

func decodeParty(b []byte, to *[]value.Party) error {
	p, err := value.ParseParty(string(b))
	*to = append(*to, p)
	return err
}

func decodeIdentifier(b []byte) (id value.Identifier, err error) {
	var module, entity []string
	err = wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, _ uint64) error {
		switch {
		case kind != protowire.BytesType || len(bytes) == 0:
			return wire.ErrMalformed
		case field == 1:
			id.Package = string(bytes)
		case field == 2:
			module = append(module, string(bytes))
		case field == 3:
			entity = append(entity, string(bytes))
		default:
			return wire.ErrMalformed
		}
		return nil
	})
	id.Module, id.Entity = strings.Join(module, "."), strings.Join(entity, ".")
	if err == nil && (id.Package == "" || id.Module == "" || id.Entity == "") {
		err = wire.ErrMalformed
	}
	return id, err
}

func decodeFetch(b []byte, version Version) (*Fetch, error) {
	n := &Fetch{Contract: Contract{Version: version}}
	var key []byte
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, flag uint64) (err error) {
		if (kind == protowire.VarintType) != (field == fetchByKey) || kind == protowire.Fixed64Type {
			return wire.ErrMalformed
		}
		switch field {
		case fetchID:
			n.ID, err = value.MakeContractID(bytes)
		case fetchPackage:
			n.PackageName = string(bytes)
		case fetchTemplate:
			n.Template, err = decodeIdentifier(bytes)
		case fetchSignatories:
			err = decodeParty(bytes, &n.Signatories)
		case fetchStakeholders:
			err = decodeParty(bytes, &n.Stakeholders)
		case fetchActors:
			err = decodeParty(bytes, &n.Actors)
		case fetchInterface:
			var id value.Identifier
			id, err = decodeIdentifier(bytes)
			n.Interface = &id
		case fetchKey:
			key = bytes
		case fetchByKey:
			n.ByKey = flag != 0
		default:
			err = wire.ErrMalformed
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	SortParties(n.Actors)
	return n, n.complete(key)
}

func decodeExercise(b []byte, version Version) (*Exercise, error) {
	n := &Exercise{}
	found := false
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, flag uint64) (err error) {
		if (kind == protowire.VarintType) != (field == exerciseConsuming) || kind == protowire.Fixed64Type {
			return wire.ErrMalformed
		}
		switch field {
		case exerciseFetch:
			var f *Fetch
			if f, err = decodeFetch(bytes, version); err == nil {
				found = true
				n.Contract, n.Interface, n.Actors, n.ByKey = f.Contract, f.Interface, f.Actors, f.ByKey
			}
		case exerciseInterface: // it is in the fetch too
		case exerciseChoice:
			n.Choice = string(bytes)
		case exerciseArg:
			n.Arg, err = value.Decode(bytes)
		case exerciseConsuming:
			n.Consuming = flag != 0
		case exerciseChildren:
			err = decodeID(bytes, &n.Children)
		case exerciseResult:
			n.Result, err = value.Decode(bytes)
		case exerciseObservers:
			err = decodeParty(bytes, &n.Observers)
		default:
			err = wire.ErrMalformed
		}
		return err
	})
	if err == nil && (!found || n.Arg == nil) {
		err = wire.ErrMalformed
	}
	SortParties(n.Observers)
	return n, err
}

func decodeQuery(b []byte, version Version) (*QueryByKey, error) {
	n := &QueryByKey{Version: version}
	var c Contract
	err := wire.Each(b, func(field protowire.Number, kind protowire.Type, bytes []byte, flag uint64) (err error) {
		switch {
		case (kind == protowire.VarintType) != (field == queryExhaustive) || kind == protowire.Fixed64Type:
			return wire.ErrMalformed
		case field == queryPackage:
			c.PackageName = string(bytes)
		case field == queryTemplate:
			c.Template, err = decodeIdentifier(bytes)
		case field == queryKey:
			c.Key, err = decodeKey(bytes)
		case field == queryResult:
			var id value.ContractID
			id, err = value.MakeContractID(bytes)
			n.Result = append(n.Result, id)
		case field == queryExhaustive:
			n.Exhaustive = flag != 0
		default:
			err = wire.ErrMalformed
		}
		return err
	})
	if err == nil && (c.Key == nil || version < V2 || !n.Exhaustive && len(n.Result) == 0) {
		err = wire.ErrMalformed
	}
	if err != nil {
		return nil, err
	}
	n.Key = *c.Key
	n.Key.Template, n.Key.PackageName = c.Template, c.PackageName
	return n, nil
}
