package tx

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/synod-network/synod/daml/value"
)

// Scheme is a version of the hash that external parties sign.
type Scheme uint8

// The schemes: SchemeV3 adds contract keys and the latest record time.
const (
	SchemeV2 Scheme = 2
	SchemeV3 Scheme = 3
)

// Prepared is a transaction ready to be signed by external parties, with all that their signature binds.
//
// Values of its nodes have their types, so that signers see the names of types and fields; contract ids have their final form.
type Prepared struct {
	Transaction   *Transaction
	ActAs         []value.Party // sorted
	CommandID     string
	UUID          string // of the transaction
	MediatorGroup uint32
	Synchronizer  string
	MinTime       *value.Timestamp
	MaxTime       *value.Timestamp
	Preparation   value.Timestamp
	MaxRecordTime *value.Timestamp // since SchemeV3
	Inputs        []Input          // sorted by contract id
}

// Input is a contract that a prepared transaction uses.
type Input struct {
	CreatedAt value.Timestamp
	Create    *Create
}

// purposePrepared keeps hashes for signing apart from all others.
const purposePrepared = 0x30

// SigningHash returns what external parties sign.
func SigningHash(p *Prepared, scheme Scheme) (Hash, error) {
	if scheme != SchemeV2 && scheme != SchemeV3 {
		return Hash{}, fmt.Errorf("hashing scheme %d is not known", scheme)
	}
	nodes, err := hashTransaction(p.Transaction, scheme)
	if err != nil {
		return Hash{}, err
	}
	metadata, err := hashMetadata(p, scheme)
	if err != nil {
		return Hash{}, err
	}
	e := encoder(nil).int32(purposePrepared).byte(byte(scheme))
	return sha256.Sum256(append(append(e, nodes[:]...), metadata[:]...)), nil
}

func hashMetadata(p *Prepared, scheme Scheme) (Hash, error) {
	e := encoder(nil).int32(purposePrepared)
	if scheme == SchemeV2 {
		e = e.byte(1) // of the metadata's encoding
	}
	e = e.parties(p.ActAs).text(p.CommandID).text(p.UUID).int32(int(p.MediatorGroup)).text(p.Synchronizer)
	e = e.time(p.MinTime).time(p.MaxTime).int64(int64(p.Preparation)).int32(len(p.Inputs))
	for _, input := range p.Inputs {
		h, err := hashCreate(input.Create, nil, scheme)
		if err != nil {
			return Hash{}, fmt.Errorf("input contract %s: %w", input.Create.ID, err)
		}
		e = append(e.int64(int64(input.CreatedAt)), h[:]...)
	}
	if scheme == SchemeV3 {
		e = e.time(p.MaxRecordTime)
	}
	return sha256.Sum256(e), nil
}

func (e encoder) time(t *value.Timestamp) encoder {
	if t == nil {
		return e.byte(0)
	}
	return e.byte(1).int64(int64(*t))
}

func hashTransaction(t *Transaction, scheme Scheme) (Hash, error) {
	hashes, err := hashNodes(t, scheme)
	if err != nil {
		return Hash{}, err
	}
	e := encoder(nil).int32(purposePrepared).text(t.Version().String()).int32(len(t.Roots))
	for _, root := range t.Roots {
		e = append(e, hashes[root][:]...)
	}
	return sha256.Sum256(e), nil
}

var errNoSeed = errors.New("node has no seed")

// hashNodes hashes children before parents: in the order of a transaction, children come after their parents.
func hashNodes(t *Transaction, scheme Scheme) ([]Hash, error) {
	hashes := make([]Hash, len(t.Nodes))
	for id := len(t.Nodes) - 1; id >= 0; id-- {
		for _, child := range Children(t.Nodes[id]) {
			if int(child) <= id || int(child) >= len(t.Nodes) {
				return nil, fmt.Errorf("node %d has the child %d, which does not come after it", id, child)
			}
		}
		var seed *Hash
		if id < len(t.Seeds) && t.Seeds[id] != (Hash{}) {
			seed = &t.Seeds[id]
		}
		var err error
		if hashes[id], err = hashNode(t.Nodes[id], seed, hashes, scheme); err != nil {
			return nil, fmt.Errorf("node %d: %w", id, err)
		}
	}
	return hashes, nil
}

func hashNode(n Node, seed *Hash, hashes []Hash, scheme Scheme) (Hash, error) {
	switch n := n.(type) {
	case *Create:
		if seed == nil {
			return Hash{}, errNoSeed
		}
		return hashCreate(n, seed, scheme)
	case *Fetch:
		return hashFetch(n, scheme)
	case *Exercise:
		if seed == nil {
			return Hash{}, errNoSeed
		}
		return hashExercise(n, *seed, hashes, scheme)
	case *Rollback:
		e := startNode(scheme).byte(3).children(n.Children, hashes)
		return sha256.Sum256(e), nil
	case *QueryByKey:
		return hashQuery(n, scheme)
	}
	return Hash{}, fmt.Errorf("nodes of type %T cannot be hashed", n)
}

func startNode(scheme Scheme) encoder {
	if scheme == SchemeV2 {
		return encoder{1} // of the node's encoding
	}
	return nil
}

func (e encoder) children(ids []NodeID, hashes []Hash) encoder {
	e = e.int32(len(ids))
	for _, id := range ids {
		e = append(e, hashes[id][:]...)
	}
	return e
}

// errScheme says that a node cannot be signed under a scheme.
var errScheme = errors.New("contract keys cannot be signed under hashing scheme 2; use scheme 3")

func checkScheme(c *Contract, byKey bool, scheme Scheme) error {
	if scheme == SchemeV2 && (c.Version > V1 || c.Key != nil || byKey) {
		return errScheme
	}
	return nil
}

func hashCreate(n *Create, seed *Hash, scheme Scheme) (Hash, error) {
	if err := checkScheme(&n.Contract, false, scheme); err != nil {
		return Hash{}, err
	}
	e := startNode(scheme).text(n.Version.String()).byte(0)
	if seed == nil {
		e = e.byte(0)
	} else {
		e = append(e.byte(1), seed[:]...)
	}
	e = e.text(string(n.ID)).text(n.PackageName).identifier(n.Template)
	e, err := e.signed(n.Arg, 0)
	if err != nil {
		return Hash{}, err
	}
	e = e.parties(n.Signatories).parties(n.Stakeholders)
	if scheme == SchemeV3 {
		e, err = e.key(n.Key)
	}
	return sha256.Sum256(e), err
}

func hashFetch(n *Fetch, scheme Scheme) (Hash, error) {
	if err := checkScheme(&n.Contract, n.ByKey, scheme); err != nil {
		return Hash{}, err
	}
	e := startNode(scheme).text(n.Version.String()).byte(2).text(string(n.ID)).text(n.PackageName).identifier(n.Template)
	e = e.parties(n.Signatories).parties(n.Stakeholders).optionalIdentifier(n.Interface).parties(n.Actors)
	var err error
	if scheme == SchemeV3 {
		e, err = e.bool(n.ByKey).key(n.Key)
	}
	return sha256.Sum256(e), err
}

func hashExercise(n *Exercise, seed Hash, hashes []Hash, scheme Scheme) (Hash, error) {
	if err := checkScheme(&n.Contract, n.ByKey, scheme); err != nil {
		return Hash{}, err
	}
	e := startNode(scheme).text(n.Version.String()).byte(1)
	e = append(e, seed[:]...)
	e = e.text(string(n.ID)).text(n.PackageName).identifier(n.Template)
	e = e.parties(n.Signatories).parties(n.Stakeholders).parties(n.Actors).optionalIdentifier(n.Interface).text(n.Choice)
	e, err := e.signed(n.Arg, 0)
	if err != nil {
		return Hash{}, err
	}
	e = e.bool(n.Consuming)
	if n.Result == nil {
		e = e.byte(0)
	} else if e, err = e.byte(1).signed(n.Result, 0); err != nil {
		return Hash{}, err
	}
	e = e.parties(n.Observers)
	if scheme == SchemeV3 {
		if e, err = e.bool(n.ByKey).key(n.Key); err != nil {
			return Hash{}, err
		}
	}
	return sha256.Sum256(e.children(n.Children, hashes)), nil
}

func hashQuery(n *QueryByKey, scheme Scheme) (Hash, error) {
	if scheme == SchemeV2 {
		return Hash{}, errScheme
	}
	e := startNode(scheme).text(n.Version.String()).byte(4).text(n.Key.PackageName).identifier(n.Key.Template).bool(n.Exhaustive)
	e, err := e.keyParts(&n.Key)
	e = e.int32(len(n.Result))
	for _, id := range n.Result {
		e = e.text(string(id))
	}
	return sha256.Sum256(e), err
}

func (e encoder) key(k *Key) (encoder, error) {
	if k == nil {
		return e.byte(0), nil
	}
	return e.byte(1).keyParts(k)
}

func (e encoder) keyParts(k *Key) (encoder, error) {
	e, err := e.text(k.PackageName).identifier(k.Template).signed(k.Value, 0)
	return append(e, k.Hash[:]...).parties(k.Maintainers), err
}

func (e encoder) identifier(id value.Identifier) encoder {
	return e.text(id.Package).dotted(id.Module).dotted(id.Entity)
}

func (e encoder) optionalIdentifier(id *value.Identifier) encoder {
	if id == nil {
		return e.byte(0)
	}
	return e.byte(1).identifier(*id)
}

func (e encoder) typeID(t *value.DataType) encoder {
	if t == nil {
		return e.byte(0)
	}
	return e.byte(1).identifier(t.ID)
}

// The tags of values in hashes for signing.
const (
	signUnit = iota
	signBool
	signInt64
	signNumeric
	signTimestamp
	signDate
	signParty
	signText
	signContractID
	signOptional
	signList
	signTextMap
	signRecord
	signVariant
	signEnum
	signGenMap
)

// signed appends a value as signers see it: with type and field names where the value has them, without trailing Nones.
func (e encoder) signed(v value.Value, depth int) (encoder, error) {
	if depth > value.MaxNesting {
		return e, value.ErrNesting
	}
	var err error
	switch v := v.(type) {
	case value.Unit:
		return e.byte(signUnit), nil
	case value.Bool:
		return e.byte(signBool).bool(bool(v)), nil
	case value.Int64:
		return e.byte(signInt64).int64(int64(v)), nil
	case value.Numeric:
		return e.byte(signNumeric).text(v.String()), nil
	case value.Timestamp:
		return e.byte(signTimestamp).int64(int64(v)), nil
	case value.Date:
		return e.byte(signDate).int32(int(v)), nil
	case value.Party:
		return e.byte(signParty).text(string(v)), nil
	case value.Text:
		return e.byte(signText).text(string(v)), nil
	case value.ContractID:
		return e.byte(signContractID).text(string(v)), nil
	case *value.Optional:
		if v.V == nil {
			return append(e, signOptional, 0), nil
		}
		return append(e, signOptional, 1).signed(v.V, depth+1)
	case *value.List:
		e = e.byte(signList).int32(v.Length)
		for ; v.Length > 0 && err == nil; v = v.Tail {
			e, err = e.signed(v.Head, depth+1)
		}
		return e, err
	case *value.Map:
		return e.signedMap(v, depth)
	case *value.Record:
		return e.signedRecord(v, depth)
	case *value.Variant:
		return e.byte(signVariant).typeID(v.Type).text(v.Con).signed(v.Arg, depth+1)
	case *value.Enum:
		return e.byte(signEnum).typeID(v.Type).text(v.Con), nil
	}
	return e, fmt.Errorf("values of kind %d cannot be signed", v.Kind())
}

func (e encoder) signedMap(m *value.Map, depth int) (encoder, error) {
	var err error
	text := m.Kind() == value.KindTextMap
	if e = e.byte(signGenMap); text {
		e[len(e)-1] = signTextMap
	}
	e = e.int32(m.Len())
	for key, part := range m.All() {
		if text {
			e = e.text(string(key.(value.Text)))
		} else if e, err = e.signed(key, depth+1); err != nil {
			return e, err
		}
		if e, err = e.signed(part, depth+1); err != nil {
			return e, err
		}
	}
	return e, nil
}

func (e encoder) signedRecord(r *value.Record, depth int) (encoder, error) {
	var err error
	fields := r.Fields[:r.Kept()]
	e = e.byte(signRecord).typeID(r.Type).int32(len(fields))
	for i, field := range fields {
		if r.Type == nil {
			e = e.byte(0)
		} else {
			e = e.byte(1).text(r.Type.Names[i])
		}
		if e, err = e.signed(field, depth+1); err != nil {
			return e, err
		}
	}
	return e, nil
}
