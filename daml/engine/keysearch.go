package engine

import (
	"fmt"

	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// maxKeyFetches is the most contracts that a query by key gives.
const maxKeyFetches = 1_000_000

// keySearch is a query by key that waits for pages of the ledger's answer.
type keySearch struct {
	key   *tx.Key
	query *tx.KeyQuery
	asked bool // a question is open
	paged bool // a first page came
}

// fetchKey finds the newest contract with a key. Operands: key, maintainers.
func (m *machine) fetchKey(t *template) (value.Value, error) {
	key, err := m.keyOperands(t)
	if err != nil {
		return nil, err
	}
	found, _, err := m.search(key, 1)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &Failure{Code: "CONTRACT_KEY_NOT_FOUND", Message: fmt.Sprintf(
			"dependency error: couldn't find key: templateId: %s, key: %s", t.id, Show(key.Value))}
	}
	return m.fetch(found[0], t, nil, takeID{})
}

func (m *machine) keyOperands(t *template) (*tx.Key, error) {
	v := m.pop()
	key, err := m.key(t, v, m.pop())
	if err != nil {
		return nil, err
	}
	if len(key.Maintainers) == 0 {
		return nil, failure(&tx.EmptyMaintainersError{Template: t.id})
	}
	return key, nil
}

// takeID gives the id of the contract.
type takeID struct{}

func (takeID) take(_ *machine, id value.ContractID, _ *info) (value.Value, error) { return id, nil }

// queryKey finds the newest contracts with a key. Operands: key, maintainers, how many.
func (m *machine) queryKey(t *template) (value.Value, error) {
	key, err := m.keyOperands(t)
	if err != nil {
		return nil, err
	}
	n := int64(m.pop().(value.Int64))
	if n < 1 {
		return nil, &Failure{Code: "DAML_INTERPRETATION_ERROR", Message: fmt.Sprintf("query by key for %d contracts; want at least 1", n)}
	}
	if err := m.builder.AuthorizeQuery(key); err != nil {
		return nil, failure(err)
	}
	found, exhaustive, err := m.search(key, int(min(n, maxKeyFetches)))
	if err != nil {
		return nil, err
	}
	return (&gather{template: t, node: &tx.QueryByKey{Key: *key, Result: found, Exhaustive: exhaustive, Version: tx.V2},
		args: make([]value.Value, len(found))}).next(m)
}

// search looks for contracts with a key, asking the ledger as often as needed.
func (m *machine) search(key *tx.Key, limit int) ([]value.ContractID, bool, error) {
	s := m.query
	if s == nil || s.key.Hash != key.Hash {
		s = &keySearch{key: key, query: m.builder.QueryKey(key, limit)}
		m.query = s
	}
	if s.asked && m.keyPage != nil {
		m.take(s, m.keyPage)
	}
	missing, token, err := s.query.Missing()
	if err != nil {
		return nil, false, failure(err)
	}
	if missing > 0 {
		s.asked = true
		return nil, false, &need{&NeedKeys{Key: key, Limit: missing, Token: token}}
	}
	m.query = nil
	found, exhaustive := s.query.Result()
	return found, exhaustive, nil
}

// take uses a page of the ledger's answer. Disclosed contracts come before those of the first page.
func (m *machine) take(s *keySearch, page *KeyPage) {
	m.keyPage, s.asked = nil, false
	var ids []value.ContractID
	if !s.paged {
		for _, c := range m.disclosed {
			if c.Key != nil && c.Key.Hash == s.key.Hash {
				ids = append(ids, c.ID)
			}
		}
	}
	s.paged = true
	for _, c := range page.Contracts {
		if c.Key == nil || c.Key.Hash != s.key.Hash {
			panic(fmt.Sprintf("the host answered a question for key %s with contract %s, which has another", s.key.Hash, c.ID))
		}
		ids = append(ids, c.ID)
		if m.contracts[c.ID] == nil {
			m.contracts[c.ID] = c
		}
	}
	s.query.Answer(ids, page.Token)
}

// gather reads all contracts that a query found.
type gather struct {
	template *template
	node     *tx.QueryByKey
	args     []value.Value
}

func (g *gather) take(m *machine, id value.ContractID, i *info) (value.Value, error) {
	for at, found := range g.node.Result {
		if found == id {
			g.args[at] = i.arg
		}
	}
	return g.next(m)
}

func (g *gather) next(m *machine) (value.Value, error) {
	for at, arg := range g.args {
		if arg == nil {
			return m.fetch(g.node.Result[at], g.template, nil, g)
		}
	}
	m.builder.Query(g.node)
	pairs := make([]value.Value, len(g.args))
	for at, arg := range g.args {
		pairs[at] = pair(g.node.Result[at], arg)
	}
	return value.Some(value.ListOf(pairs...)), m.checkNodes()
}

// tuple2 is the type of pairs in Daml's own library.
var tuple2 = &value.DataType{
	ID:    value.Identifier{Package: "5aee9b21b8e9a4c4975b5f4c4198e6e6e8469df49e2010820e792f393db870f4", Module: "DA.Types", Entity: "Tuple2"},
	Names: []string{"_1", "_2"},
}

func pair(a, b value.Value) value.Value {
	return &value.Record{Type: tuple2, Fields: []value.Value{a, b}}
}
