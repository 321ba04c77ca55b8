package topology

// table is a map; or what differs from another table, which it lies over and leaves as it is.
type table[K comparable, V any] struct {
	below *table[K, V] // nil if it stands alone
	rows  map[K]V
	gone  map[K]struct{} // rows below that are deleted
}

func newTable[K comparable, V any]() table[K, V] { return table[K, V]{rows: map[K]V{}} }

// over returns a table that has what t has. t must not change while it is used.
func (t *table[K, V]) over() table[K, V] {
	return table[K, V]{below: t, rows: map[K]V{}, gone: map[K]struct{}{}}
}

func (t *table[K, V]) get(k K) (v V, ok bool) {
	v, ok = t.rows[k]
	if ok || t.below == nil {
		return v, ok
	}
	if _, gone := t.gone[k]; gone {
		return v, false
	}
	return t.below.get(k)
}

func (t *table[K, V]) set(k K, v V) { t.rows[k] = v }

func (t *table[K, V]) delete(k K) {
	delete(t.rows, k)
	if t.below != nil {
		t.gone[k] = struct{}{}
	}
}

// at is get for whoever takes nothing for the zero value.
func (t *table[K, V]) at(k K) V {
	v, _ := t.get(k)
	return v
}
