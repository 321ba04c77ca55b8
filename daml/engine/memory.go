package engine

import (
	"fmt"

	"github.com/synod-network/synod/daml/value"
)

// The memory of values is counted as they are built, and forgotten by nobody: so when the count passes the budget, the machine
// finds out what is alive by walking all that it can reach. If that is much less, the count starts again from there. The count and
// the walk depend on the program alone, so that all participants end a program at the same step.

func (m *machine) outOfMemory(bytes int64) error {
	return &Failure{Code: "INTERPRETATION_BUDGET_EXCEEDED", Cause: ErrMemory,
		Message: fmt.Sprintf("%v: over %d MiB, %d calls deep", ErrMemory, bytes>>20, len(m.frames))}
}

// measure finds what is alive, and fails if it is more than the budget allows.
func (m *machine) measure() error {
	stacks := int64(len(m.frames))*frameSize + int64(len(m.stack))*slotSize
	if stacks > m.limits.Memory {
		return m.outOfMemory(stacks)
	}
	w := walk{seen: map[any]struct{}{}, limit: m.limits.Memory - stacks}
	for i := range m.sp {
		w.add(m.stack[i])
	}
	for i := range m.frames {
		for _, v := range m.frames[i].free {
			w.add(v)
		}
		w.addKont(m.frames[i].kont)
	}
	for _, i := range m.local {
		w.add(i.arg)
	}
	w.run()
	if w.size > w.limit {
		return m.outOfMemory(stacks + w.size)
	}
	m.total += m.allocated
	m.measured, m.allocated = w.size, 0
	// The next measurement comes when as much again was built as may be, at the latest.
	if free := w.limit - w.size; free < m.limits.Memory/8 {
		return m.outOfMemory(stacks + w.size)
	}
	return nil
}

// walk adds up the sizes of values, each once.
type walk struct {
	seen  map[any]struct{}
	todo  []value.Value
	size  int64
	limit int64
}

func (w *walk) add(v value.Value) {
	switch v := v.(type) {
	case nil, value.Unit, value.Bool, value.Int64, value.Timestamp, value.Date, *value.Enum, *value.TypeRep:
	case value.Numeric:
		w.size += numericSize
	case value.Text:
		w.size += int64(len(v)) + 16
	default:
		w.todo = append(w.todo, v)
	}
}

func (w *walk) addKont(k kont) {
	switch k := k.(type) {
	case *foldlKont:
		w.add(k.f)
		w.add(k.rest)
	case *foldrKont:
		w.add(k.f)
		for _, v := range k.rest {
			w.add(v)
		}
	case *equalListKont:
		w.add(k.f)
		w.add(k.a)
		w.add(k.b)
	case *try:
		if k.handler != nil {
			w.add(k.handler)
		}
	case *handle:
		w.add(k.exception)
	}
}

func (w *walk) run() {
	for len(w.todo) > 0 && w.size <= w.limit {
		v := w.todo[len(w.todo)-1]
		w.todo = w.todo[:len(w.todo)-1]
		if l, ok := v.(*value.List); ok {
			w.list(l)
			continue
		}
		if _, again := w.seen[v]; again {
			continue
		}
		w.seen[v] = struct{}{}
		w.parts(v)
	}
}

// listStride is how many cells of a list are walked without being remembered: so the walk itself needs little memory, and lists that
// share their ends are counted too high by less than a stride.
const listStride = 16

func (w *walk) list(l *value.List) {
	for ; l.Length > 0; l = l.Tail {
		if l.Length%listStride == 0 {
			if _, again := w.seen[l]; again {
				return
			}
			w.seen[l] = struct{}{}
		}
		w.size += listSize
		w.add(l.Head)
		if w.size > w.limit {
			return
		}
	}
}

func (w *walk) parts(v value.Value) {
	all := func(parts []value.Value) {
		w.size += value.Size(len(parts))
		for _, p := range parts {
			w.add(p)
		}
	}
	switch v := v.(type) {
	case *value.Optional:
		w.size += optionalSize
		w.add(v.V)
	case *value.Record:
		all(v.Fields)
	case *value.Struct:
		all(v.Fields)
	case *value.Variant:
		w.size += value.Size(3)
		w.add(v.Arg)
	case *value.Any:
		w.size += value.Size(1)
		w.add(v.V)
	case *value.Map:
		for key, part := range v.All() {
			w.size += mapNodeSize
			w.add(key)
			w.add(part)
		}
	case *function:
		w.size += functionSize
		all(v.free)
		all(v.args)
	}
}
