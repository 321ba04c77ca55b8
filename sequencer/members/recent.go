package members

import (
	"container/list"
	"sync"
)

// recent is a map that forgets what was used least recently when it is full.
type recent[K comparable, V any] struct {
	most int

	mu    sync.Mutex
	items map[K]*list.Element
	order list.List // of item, the last used in front
}

type item[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](most int) *recent[K, V] {
	return &recent[K, V]{most: most, items: map[K]*list.Element{}}
}

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.items[key]
	if !ok {
		return value, false
	}
	r.order.MoveToFront(e)
	return e.Value.(item[K, V]).value, true
}

// put adds a value, unless there is one already: that is returned then.
func (r *recent[K, V]) put(key K, value V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.items[key]; ok {
		r.order.MoveToFront(e)
		return e.Value.(item[K, V]).value
	}
	r.items[key] = r.order.PushFront(item[K, V]{key, value})
	if r.order.Len() > r.most {
		last := r.order.Back()
		delete(r.items, r.order.Remove(last).(item[K, V]).key)
	}
	return value
}

func (r *recent[K, V]) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order.Len()
}
