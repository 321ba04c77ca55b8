package tx

import (
	"slices"

	"github.com/synod-network/synod/daml/value"
)

// keyState remembers what a transaction knows of contract keys: which contracts with a key it created, and what the ledger said.
type keyState struct {
	local map[Hash][]value.ContractID // oldest first
	asked map[Hash]*keyAnswers
}

type keyAnswers struct {
	byKey    []value.ContractID // that the ledger gave for the key, and were used, newest first
	overflow []value.ContractID // that it gave, not yet used
	byID     []value.ContractID // read by their id before the ledger gave them for the key
	token    []byte             // for the next page
	finished bool               // the ledger has no more
}

func (k *keyState) created(key Hash, id value.ContractID) {
	if k.local == nil {
		k.local = map[Hash][]value.ContractID{}
	}
	k.local[key] = append(k.local[key], id)
}

func (k *keyState) uncreated(key Hash) { k.local[key] = k.local[key][:len(k.local[key])-1] }

func (k *keyState) answers(key Hash) *keyAnswers {
	if k.asked == nil {
		k.asked = map[Hash]*keyAnswers{}
	}
	a := k.asked[key]
	if a == nil {
		a = &keyAnswers{}
		k.asked[key] = a
	}
	return a
}

func (k *keyState) readByID(key *Key, id value.ContractID) error {
	a := k.answers(key.Hash)
	switch {
	case slices.Contains(a.byKey, id) || slices.Contains(a.byID, id):
		return nil
	case a.finished:
		return &InconsistentKeyError{key}
	}
	a.byID = append(a.byID, id)
	return nil
}

// KeyQuery looks for the newest contracts with a key: first those created by this transaction, then those of the ledger.
type KeyQuery struct {
	b       *Builder
	key     *Key
	answers *keyAnswers
	found   []value.ContractID
	limit   int
}

// QueryKey starts a query for at most limit contracts.
func (b *Builder) QueryKey(key *Key, limit int) *KeyQuery {
	q := &KeyQuery{b: b, key: key, answers: b.keys.answers(key.Hash), limit: limit}
	for _, id := range slices.Backward(b.keys.local[key.Hash]) {
		q.add(id)
	}
	for _, id := range q.answers.byKey {
		q.add(id)
	}
	return q
}

func (q *KeyQuery) add(id value.ContractID) {
	if _, consumed := q.b.consumed[id]; !consumed && len(q.found) < q.limit {
		q.found = append(q.found, id)
	}
}

// Missing is how many contracts to ask the ledger for, and the token of the page before. It is 0 if the query is complete.
func (q *KeyQuery) Missing() (int, []byte, error) {
	a := q.answers
	for len(q.found) < q.limit && len(a.overflow) > 0 {
		id := a.overflow[0]
		a.overflow = a.overflow[1:]
		if slices.Contains(a.byKey, id) {
			continue
		}
		a.byKey = append(a.byKey, id)
		if i := slices.Index(a.byID, id); i >= 0 {
			a.byID = slices.Delete(a.byID, i, i+1)
		}
		q.add(id)
	}
	switch {
	case len(q.found) == q.limit:
		return 0, nil, nil
	case a.finished && len(a.byID) > 0:
		return 0, nil, &InconsistentKeyError{q.key}
	case a.finished:
		return 0, nil, nil
	}
	return q.limit - len(q.found), a.token, nil
}

// Answer continues with a page of the ledger. An empty token says that there is no more.
func (q *KeyQuery) Answer(page []value.ContractID, token []byte) {
	q.answers.overflow = append(q.answers.overflow, page...)
	q.answers.token = token
	q.answers.finished = len(token) == 0
}

// Result returns what was found, newest first, and whether there is no more.
func (q *KeyQuery) Result() ([]value.ContractID, bool) { return q.found, len(q.found) < q.limit }

// KeyAnswers returns for each key that was asked for which contracts of the ledger were used, and whether there are no others.
func (b *Builder) KeyAnswers() map[Hash]KeyAnswer {
	answers := map[Hash]KeyAnswer{}
	for key, a := range b.keys.asked {
		if len(a.byKey) > 0 || a.finished {
			answers[key] = KeyAnswer{a.byKey, a.finished && len(a.overflow) == 0}
		}
	}
	return answers
}

// KeyAnswer is what the ledger said of a key.
type KeyAnswer struct {
	Contracts  []value.ContractID // newest first
	Exhaustive bool
}
