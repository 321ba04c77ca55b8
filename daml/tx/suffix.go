package tx

import (
	"fmt"
	"slices"

	"github.com/synod-network/synod/daml/value"
)

// Suffix returns a copy of a transaction in which the ids of created contracts have their final form. The suffix of each binds the
// hash of the contract's argument, which in turn may name contracts created before. Values have their types.
func Suffix(t *Transaction, suffix func(local value.ContractID, contract Hash) []byte) (*Transaction, error) {
	final := map[value.ContractID]value.ContractID{}
	rename := func(id value.ContractID) value.ContractID {
		if renamed, ok := final[id]; ok {
			return renamed
		}
		return id
	}
	result := &Transaction{Nodes: slices.Clone(t.Nodes), Roots: t.Roots, Seeds: t.Seeds}
	for id, n := range result.Nodes {
		c, ok := n.(*Create)
		if !ok {
			continue
		}
		clone := *c
		clone.Arg = value.MapIDs(c.Arg, rename)
		hash, err := HashContract(c.PackageName, c.Template, clone.Arg)
		if err != nil {
			return nil, fmt.Errorf("contract %s: %w", c.ID, err)
		}
		clone.ID = c.ID + value.ContractID(suffix(c.ID, hash))
		final[c.ID] = clone.ID
		result.Nodes[id] = &clone
	}
	for id, n := range result.Nodes {
		switch n := n.(type) {
		case *Fetch:
			clone := *n
			clone.ID = rename(n.ID)
			result.Nodes[id] = &clone
		case *Exercise:
			clone := *n
			clone.ID, clone.Arg = rename(n.ID), value.MapIDs(n.Arg, rename)
			if n.Result != nil {
				clone.Result = value.MapIDs(n.Result, rename)
			}
			result.Nodes[id] = &clone
		case *QueryByKey:
			clone := *n
			clone.Result = make([]value.ContractID, len(n.Result))
			for i, c := range n.Result {
				clone.Result[i] = rename(c)
			}
			result.Nodes[id] = &clone
		}
	}
	return result, nil
}
