package value

import (
	"errors"
	"iter"
)

var errMapOrder = errors.New("keys of a map are not in strict order")

// Map is a persistent map ordered by [Compare]: a weight-balanced tree, of which an update copies one path.
type Map struct {
	text bool
	root *node
}

type node struct {
	key, value  Value
	left, right *node
	size        int
}

var emptyTextMap, emptyGenMap = &Map{text: true}, &Map{}

// EmptyTextMap returns the map without entries whose keys are texts.
func EmptyTextMap() *Map { return emptyTextMap }

// EmptyGenMap returns the map without entries.
func EmptyGenMap() *Map { return emptyGenMap }

// Len counts the entries.
func (m *Map) Len() int { return m.root.count() }

func (n *node) count() int {
	if n == nil {
		return 0
	}
	return n.size
}

// Get returns the value at a key, nil if there is none.
func (m *Map) Get(key Value) (Value, error) {
	for n := m.root; n != nil; {
		c, err := Compare(key, n.key)
		switch {
		case err != nil:
			return nil, err
		case c == 0:
			return n.value, nil
		case c < 0:
			n = n.left
		default:
			n = n.right
		}
	}
	return nil, checkKey(key, m)
}

// checkKey finds keys that hold functions even where an empty map compares them with nothing.
func checkKey(key Value, m *Map) error {
	if m.root != nil || m.text {
		return nil
	}
	_, err := Compare(key, key)
	return err
}

// Insert returns a map that has value at key.
func (m *Map) Insert(key, value Value) (*Map, error) {
	if err := checkKey(key, m); err != nil {
		return nil, err
	}
	root, err := m.root.insert(key, value)
	return &Map{m.text, root}, err
}

// Delete returns a map without key.
func (m *Map) Delete(key Value) (*Map, error) {
	if err := checkKey(key, m); err != nil {
		return nil, err
	}
	root, err := m.root.remove(key)
	return &Map{m.text, root}, err
}

// The tree is balanced if no side outweighs its sibling by more than delta; the depth stays below 3 log₂ n, so that recursion
// over it needs no bound. The constants are those proved sound by Hirai and Yamamoto (2011).
const (
	delta = 3
	ratio = 2
)

func newNode(key, value Value, left, right *node) *node {
	return &node{key, value, left, right, left.count() + right.count() + 1}
}

func (n *node) insert(key, value Value) (*node, error) {
	if n == nil {
		return newNode(key, value, nil, nil), nil
	}
	c, err := Compare(key, n.key)
	switch {
	case err != nil:
		return nil, err
	case c == 0:
		return &node{key, value, n.left, n.right, n.size}, nil
	case c < 0:
		left, err := n.left.insert(key, value)
		return balance(n.key, n.value, left, n.right), err
	}
	right, err := n.right.insert(key, value)
	return balance(n.key, n.value, n.left, right), err
}

func (n *node) remove(key Value) (*node, error) {
	if n == nil {
		return nil, nil
	}
	c, err := Compare(key, n.key)
	switch {
	case err != nil:
		return nil, err
	case c == 0:
		return join(n.left, n.right), nil
	case c < 0:
		left, err := n.left.remove(key)
		return balance(n.key, n.value, left, n.right), err
	}
	right, err := n.right.remove(key)
	return balance(n.key, n.value, n.left, right), err
}

// join makes a tree of two, all keys of the one below those of the other.
func join(left, right *node) *node {
	switch {
	case left == nil:
		return right
	case right == nil:
		return left
	}
	least := right
	for least.left != nil {
		least = least.left
	}
	return balance(least.key, least.value, left, right.withoutLeast())
}

func (n *node) withoutLeast() *node {
	if n.left == nil {
		return n.right
	}
	return balance(n.key, n.value, n.left.withoutLeast(), n.right)
}

func balance(key, value Value, left, right *node) *node {
	l, r := left.count()+1, right.count()+1
	switch {
	case l+r <= 3:
	case r > delta*l:
		if right.left.count()+1 < ratio*(right.right.count()+1) {
			return newNode(right.key, right.value, newNode(key, value, left, right.left), right.right)
		}
		mid := right.left
		return newNode(mid.key, mid.value, newNode(key, value, left, mid.left), newNode(right.key, right.value, mid.right, right.right))
	case l > delta*r:
		if left.right.count()+1 < ratio*(left.left.count()+1) {
			return newNode(left.key, left.value, left.left, newNode(key, value, left.right, right))
		}
		mid := left.right
		return newNode(mid.key, mid.value, newNode(left.key, left.value, left.left, mid.left), newNode(key, value, mid.right, right))
	}
	return newNode(key, value, left, right)
}

// All yields the entries in the order of their keys.
func (m *Map) All() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		for c := newMapCursor(m); ; {
			n := c.next()
			if n == nil || !yield(n.key, n.value) {
				return
			}
		}
	}
}

// mapCursor is a position in a map. It is a Value only so that Compare can keep it on its stack.
type mapCursor struct {
	path    []*node // whose keys are still to come
	pending *node   // whose value is still to come
}

// Kind is that of maps.
func (*mapCursor) Kind() Kind { return KindGenMap }

func newMapCursor(m *Map) *mapCursor {
	c := &mapCursor{}
	c.descend(m.root)
	return c
}

func (c *mapCursor) descend(n *node) {
	for ; n != nil; n = n.left {
		c.path = append(c.path, n)
	}
}

func (c *mapCursor) next() *node {
	if len(c.path) == 0 {
		return nil
	}
	n := c.path[len(c.path)-1]
	c.path = c.path[:len(c.path)-1]
	c.descend(n.right)
	return n
}

// advance returns keys and values in turn.
func (c *mapCursor) advance(d *mapCursor) (x, y Value, order int, err error) {
	if c.pending != nil {
		x, y = c.pending.value, d.pending.value
		c.pending, d.pending = nil, nil
		return x, y, 0, nil
	}
	n, m := c.next(), d.next()
	if n == nil || m == nil {
		return nil, nil, boolOrder(n != nil, m != nil), nil
	}
	c.pending, d.pending = n, m
	return n.key, m.key, 0, nil
}

// MapBuilder makes a map from entries that come in the strict order of their keys. Keys that have no types yet, whose order cannot
// be known, are taken as they come.
type MapBuilder struct{ entries []*node }

// Add adds an entry behind all others.
func (b *MapBuilder) Add(key, value Value) {
	b.entries = append(b.entries, &node{key: key, value: value})
}

// CheckOrder returns an error if keys are not in strict order.
func (b *MapBuilder) CheckOrder() error {
	for i := 1; i < len(b.entries); i++ {
		c, err := Compare(b.entries[i-1].key, b.entries[i].key)
		if err != nil {
			return err
		}
		if c >= 0 {
			return errMapOrder
		}
	}
	return nil
}

// Map returns the map; kind is a map of the wanted kind.
func (b *MapBuilder) Map(kind *Map) *Map {
	if len(b.entries) == 0 {
		return kind
	}
	return &Map{kind.text, build(b.entries)}
}

func build(entries []*node) *node {
	if len(entries) == 0 {
		return nil
	}
	mid := len(entries) / 2
	n := *entries[mid]
	n.left, n.right = build(entries[:mid]), build(entries[mid+1:])
	n.size = len(entries)
	return &n
}
