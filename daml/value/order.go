package value

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
)

// ErrNotComparable says that a comparison met a function.
var ErrNotComparable = errors.New("functions cannot be compared")

// IncomparableIDError says that a comparison met two contract ids which may or may not become the same: one has its suffix, the
// other has not, and the rest is equal.
type IncomparableIDError struct{ ID ContractID }

func (e *IncomparableIDError) Error() string {
	return fmt.Sprintf("contract id %s cannot be compared with the local contract id of the same prefix", e.ID)
}

// Compare is the total order of the values of one type, which contracts observe through comparisons and maps.
func Compare(x, y Value) (int, error) {
	if c, done, err := compareLeaves(x, y); done || err != nil {
		return c, err
	}
	return compareParts(x, y)
}

// Equal says whether two values of one type are the same.
func Equal(x, y Value) (bool, error) {
	c, err := Compare(x, y)
	return c == 0, err
}

// pair is a position in two values of the same shape: the parts from next on are still to be compared.
type pair struct {
	x, y Value // lists are replaced by their tails
	next int
}

// compareParts compares values with parts, keeping what is left to do on its own stack.
func compareParts(x, y Value) (int, error) {
	var first [16]pair
	stack := append(first[:0], pair{x, y, 0})
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		px, py, c, err := top.advance()
		if c != 0 || err != nil {
			return c, err
		}
		if px == nil {
			stack = stack[:len(stack)-1]
			continue
		}
		switch c, done, err := compareLeaves(px, py); {
		case c != 0 || err != nil:
			return c, err
		case !done:
			stack = append(stack, pair{px, py, 0})
		}
	}
	return 0, nil
}

// advance returns the next parts of a pair to compare: nil if there are none. If already the shapes differ it returns the order.
func (p *pair) advance() (x, y Value, c int, err error) {
	i := p.next
	p.next++
	switch a := p.x.(type) {
	case *Optional:
		b := p.y.(*Optional)
		if i > 0 || a.V == nil && b.V == nil {
			return nil, nil, 0, nil
		}
		if a.V == nil || b.V == nil {
			return nil, nil, boolOrder(a.V != nil, b.V != nil), nil
		}
		return a.V, b.V, 0, nil
	case *List:
		b := p.y.(*List)
		if a.Length == 0 || b.Length == 0 {
			return nil, nil, boolOrder(a.Length > 0, b.Length > 0), nil
		}
		p.x, p.y = a.Tail, b.Tail
		return a.Head, b.Head, 0, nil
	case *Record:
		return fieldAt(a.Fields, p.y.(*Record).Fields, i)
	case *Struct:
		return fieldAt(a.Fields, p.y.(*Struct).Fields, i)
	case *Variant:
		b := p.y.(*Variant)
		if c := cmp.Compare(a.Rank, b.Rank); c != 0 || i > 0 {
			return nil, nil, c, nil
		}
		return a.Arg, b.Arg, 0, nil
	case *Any:
		b := p.y.(*Any)
		if c := strings.Compare(a.Type.Order, b.Type.Order); c != 0 || i > 0 {
			return nil, nil, c, nil
		}
		return a.V, b.V, 0, nil
	case *mapCursor:
		return a.advance(p.y.(*mapCursor))
	case *Map:
		p.x, p.y = newMapCursor(a), newMapCursor(p.y.(*Map))
		return p.advance()
	}
	return nil, nil, 0, fmt.Errorf("cannot compare values of kind %d", p.x.Kind())
}

func fieldAt(a, b []Value, i int) (x, y Value, c int, err error) {
	if i >= len(a) || i >= len(b) {
		return nil, nil, boolOrder(i < len(a), i < len(b)), nil
	}
	return a[i], b[i], 0, nil
}

// compareLeaves compares values without parts; done is false if x and y have parts.
func compareLeaves(x, y Value) (c int, done bool, err error) {
	switch a := x.(type) {
	case Unit:
		if _, ok := y.(Unit); ok {
			return 0, true, nil
		}
	case Bool:
		if b, ok := y.(Bool); ok {
			return boolOrder(bool(a), bool(b)), true, nil
		}
	case Int64:
		if b, ok := y.(Int64); ok {
			return cmp.Compare(a, b), true, nil
		}
	case Numeric:
		if b, ok := y.(Numeric); ok {
			return a.Cmp(b), true, nil
		}
	case Text:
		if b, ok := y.(Text); ok {
			return strings.Compare(string(a), string(b)), true, nil
		}
	case Timestamp:
		if b, ok := y.(Timestamp); ok {
			return cmp.Compare(a, b), true, nil
		}
	case Date:
		if b, ok := y.(Date); ok {
			return cmp.Compare(a, b), true, nil
		}
	case Party:
		if b, ok := y.(Party); ok {
			return strings.Compare(string(a), string(b)), true, nil
		}
	case ContractID:
		if b, ok := y.(ContractID); ok {
			c, err := compareIDs(a, b)
			return c, true, err
		}
	case *Enum:
		if b, ok := y.(*Enum); ok {
			return cmp.Compare(a.Rank, b.Rank), true, nil
		}
	case *TypeRep:
		if b, ok := y.(*TypeRep); ok {
			return strings.Compare(a.Order, b.Order), true, nil
		}
	default:
		if x.Kind() == KindFunction && y.Kind() == KindFunction {
			return 0, true, ErrNotComparable
		}
		if x.Kind() == y.Kind() {
			return 0, false, nil
		}
	}
	return 0, true, fmt.Errorf("cannot compare values of kinds %d and %d", x.Kind(), y.Kind())
}

func compareIDs(a, b ContractID) (int, error) {
	if c := strings.Compare(a.Local(), b.Local()); c != 0 {
		return c, nil
	}
	x, y := a.Suffix(), b.Suffix()
	if (x == "") != (y == "") {
		return 0, &IncomparableIDError{max(a, b)} // the longer of two that begin alike is the greater
	}
	return strings.Compare(x, y), nil
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
