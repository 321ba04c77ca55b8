package engine

import (
	"errors"
	"math/bits"

	"github.com/synod-network/synod/daml/value"
)

// foldl calls a function with what it returned last and the next element.
func foldl(m *machine, f, start, list value.Value) (value.Value, error) {
	k := &foldlKont{f.(*function), list.(*value.List)}
	return k.resume(m, start)
}

type foldlKont struct {
	f    *function
	rest *value.List
}

func (k *foldlKont) resume(m *machine, acc value.Value) (value.Value, error) {
	if k.rest.Length == 0 {
		return acc, nil
	}
	next := k.rest.Head
	k.rest = k.rest.Tail // nothing else refers to k
	return nil, m.call(k, false, k.f, acc, next)
}

// foldr calls a function with elements from the last to the first.
func foldr(m *machine, f, start, list value.Value) (value.Value, error) {
	l := list.(*value.List)
	elements := make([]value.Value, 0, l.Length)
	for e := range l.All() {
		elements = append(elements, e)
	}
	m.alloc(int64(l.Length) * slotSize)
	m.tick -= int64(l.Length)
	return (&foldrKont{f.(*function), elements}).resume(m, start)
}

type foldrKont struct {
	f    *function
	rest []value.Value
}

func (k *foldrKont) resume(m *machine, acc value.Value) (value.Value, error) {
	last := len(k.rest) - 1
	if last < 0 {
		return acc, nil
	}
	next := k.rest[last]
	k.rest = k.rest[:last]
	return nil, m.call(k, false, k.f, next, acc)
}

// equalList compares lists by a function on elements.
func equalList(m *machine, f, a, b value.Value) (value.Value, error) {
	k := &equalListKont{f.(*function), a.(*value.List), b.(*value.List)}
	return k.resume(m, value.Bool(true))
}

type equalListKont struct {
	f    *function
	a, b *value.List
}

func (k *equalListKont) resume(m *machine, same value.Value) (value.Value, error) {
	switch {
	case !bool(same.(value.Bool)):
		return same, nil
	case k.a.Length == 0 || k.b.Length == 0:
		return value.Bool(k.a.Length == k.b.Length), nil
	}
	x, y := k.a.Head, k.b.Head
	k.a, k.b = k.a.Tail, k.b.Tail
	return nil, m.call(k, false, k.f, y, x)
}

func (m *machine) mapError(err error) error {
	if err == nil {
		return nil
	}
	return failure(err)
}

func mapInsert(m *machine, key, v, in value.Value) (value.Value, error) {
	result, err := in.(*value.Map).Insert(key, v)
	m.alloc(int64(bits.Len(uint(in.(*value.Map).Len()))+1) * mapNodeSize)
	m.tick -= int64(bits.Len(uint(in.(*value.Map).Len())))
	return result, m.mapError(err)
}

func mapLookup(m *machine, key, in value.Value) (value.Value, error) {
	v, err := in.(*value.Map).Get(key)
	m.tick -= int64(bits.Len(uint(in.(*value.Map).Len())))
	if v == nil {
		return value.None(), m.mapError(err)
	}
	return some(m, v), nil
}

func mapDelete(m *machine, key, in value.Value) (value.Value, error) {
	result, err := in.(*value.Map).Delete(key)
	m.alloc(int64(bits.Len(uint(in.(*value.Map).Len()))+1) * mapNodeSize)
	m.tick -= int64(bits.Len(uint(in.(*value.Map).Len())))
	return result, m.mapError(err)
}

func (m *machine) listOf(n int, each func(yield func(value.Value))) value.Value {
	all := make([]value.Value, 0, n)
	each(func(v value.Value) { all = append(all, v) })
	m.alloc(int64(n) * listSize)
	m.tick -= int64(n)
	return value.ListOf(all...)
}

func mapKeys(m *machine, a value.Value) (value.Value, error) {
	in := a.(*value.Map)
	return m.listOf(in.Len(), func(yield func(value.Value)) {
		for key := range in.All() {
			yield(key)
		}
	}), nil
}

func mapValues(m *machine, a value.Value) (value.Value, error) {
	in := a.(*value.Map)
	return m.listOf(in.Len(), func(yield func(value.Value)) {
		for _, v := range in.All() {
			yield(v)
		}
	}), nil
}

var entryNames = []string{"key", "value"}

func mapToList(m *machine, a value.Value) (value.Value, error) {
	in := a.(*value.Map)
	m.alloc(int64(in.Len()) * value.Size(2))
	return m.listOf(in.Len(), func(yield func(value.Value)) {
		for key, v := range in.All() {
			yield(&value.Struct{Names: entryNames, Fields: []value.Value{key, v}})
		}
	}), nil
}

func mapSize(_ *machine, a value.Value) (value.Value, error) {
	return value.Int64(a.(*value.Map).Len()), nil
}

func anyExceptionMessage(m *machine, a value.Value) (value.Value, error) {
	exception := a.(*value.Any)
	if *exception.Type.Con == arithmeticError {
		return exception.V.(*value.Record).Fields[0], nil
	}
	g, err := m.e.exceptionMessage(*exception.Type.Con)
	if err != nil {
		return nil, errors.New("exception of an unknown package: " + err.Error())
	}
	f, err := m.functionOf(g)
	if err != nil {
		return nil, err
	}
	return nil, m.call(same{}, false, f, exception.V)
}

func failWithStatus(_ *machine, id, category, message, metadata value.Value) (value.Value, error) {
	f := &Failure{
		Code: damlFailure, Category: int(category.(value.Int64)), StatusID: string(id.(value.Text)), Message: string(message.(value.Text)),
		Metadata: map[string]string{},
	}
	for key, v := range metadata.(*value.Map).All() {
		f.Metadata[string(key.(value.Text))] = string(v.(value.Text))
	}
	return nil, f
}
