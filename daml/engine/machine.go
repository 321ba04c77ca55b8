package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/synod-network/synod/daml/value"
)

// machine runs compiled code. Its stacks are its own: how deep a program calls is bounded by the memory budget alone.
type machine struct {
	e      *Engine
	limits Limits

	stack  []value.Value // operands and variables of all frames
	sp     int           // where the next operand goes
	frames []frame
	// returning is a value that a continuation could not take yet, because something is missing.
	returning value.Value

	steps     int64 // still allowed after the next poll
	tick      int64 // until the next poll
	allocated int64 // since the last measurement
	total     int64 // ever
	measured  int64 // what was alive then

	ledger
}

// frame is a function that waits for a value, or a continuation of the engine's own.
type frame struct {
	code     *proto
	free     []value.Value
	kont     kont // if not nil, the frame runs no code
	pc       int32
	base     int32 // where its slots begin
	prevent  bool  // exceptions do not get past it
	exercise bool  // the choice that it runs has begun
}

// kont takes the value that the frame above it returned. It returns the value of its own frame, or nil after pushing more frames.
type kont interface {
	resume(m *machine, v value.Value) (value.Value, error)
}

// need says that the machine cannot go on without an answer. Whatever raised it is tried again when the answer is there.
type need struct{ question Question }

func (n *need) Error() string { return fmt.Sprintf("waiting for an answer to %T", n.question) }

const (
	frameSize = 80 // bytes of a frame
	slotSize  = 16 // bytes of a slot
	pollSteps = 4096
)

// enter calls a function with the n operands on top.
func (m *machine) enter(f *function, n int) error {
	missing := f.missing()
	switch {
	case n < missing:
		args := make([]value.Value, len(f.args), len(f.args)+n)
		copy(args, f.args)
		for range n {
			m.sp--
			args = append(args, m.stack[m.sp])
		}
		m.alloc(functionSize + int64(len(args))*slotSize)
		m.returning = &function{f.code, f.free, args}
		return nil
	case n > missing: // what it returns is a function, which takes the rest
		if err := m.pushFrame(frame{kont: restArgs(n - missing), base: int32(m.sp - n)}); err != nil {
			return err
		}
	}
	if err := m.reserve(f.code.room + 8); err != nil {
		return err
	}
	base := m.sp - missing
	for i := len(f.args) - 1; i >= 0; i-- {
		m.push(f.args[i])
	}
	if f.code.builtin != nil {
		v, err := m.callBuiltin(f.code.builtin)
		if v != nil { // else it calls a function, which may have returned already
			m.returning = v
		}
		return err
	}
	m.sp = base + f.code.slots
	return m.pushFrame(frame{code: f.code, free: f.free, base: int32(base)})
}

// restArgs applies the function that a call returned to the arguments that the call left.
type restArgs int

func (n restArgs) resume(m *machine, v value.Value) (value.Value, error) {
	m.sp += int(n) // they are above the base of the frame
	return nil, m.enter(v.(*function), int(n))
}

// call applies a function to arguments, with a continuation for its result.
func (m *machine) call(k kont, prevent bool, f *function, args ...value.Value) error {
	if err := m.pushFrame(frame{kont: k, base: int32(m.sp), prevent: prevent}); err != nil {
		return err
	}
	if err := m.reserve(len(args)); err != nil {
		return err
	}
	for i := len(args) - 1; i >= 0; i-- {
		m.push(args[i])
	}
	return m.enter(f, len(args))
}

// run works until the program has a result, fails, or needs an answer.
func (m *machine) run(ctx context.Context) (v value.Value, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = internalError(r)
		}
	}()
	for {
		v, err = m.work(ctx)
		var t *thrown
		if !errors.As(err, &t) {
			return v, err
		}
		if err := m.unwind(t.exception); err != nil {
			return nil, err
		}
	}
}

// work is the inner loop. An instruction whose error is a need can be run again: it changed nothing before.
func (m *machine) work(ctx context.Context) (value.Value, error) {
reload:
	for m.returning != nil { // hand a value to the frame below
		if len(m.frames) == 0 {
			return m.returning, nil
		}
		f := &m.frames[len(m.frames)-1]
		if f.kont == nil {
			m.push(m.returning)
			m.returning = nil
			break
		}
		saved, k := *f, f.kont
		v := m.returning
		m.returning = nil
		m.sp = int(f.base)
		m.frames = m.frames[:len(m.frames)-1]
		next, err := k.resume(m, v)
		if err != nil {
			var n *need
			if errors.As(err, &n) {
				m.frames = append(m.frames, saved)
				m.sp, m.returning = int(saved.base), v
			}
			return nil, err
		}
		if next != nil {
			m.returning = next
		}
	}
	at := len(m.frames) - 1
	if at < 0 {
		return nil, errors.New("no frame to run")
	}
	code, pc, base, free := m.frames[at].code, int(m.frames[at].pc), int(m.frames[at].base), m.frames[at].free
	instrs, stack, sp := code.code, m.stack, m.sp
	for {
		in := instrs[pc]
		pc++
		if m.tick--; m.tick < 0 {
			if err := m.poll(ctx); err != nil {
				return nil, err
			}
		}
		switch in.op {
		case opLocal:
			stack[sp] = stack[base+int(in.a)]
			sp++
		case opStore:
			sp--
			stack[base+int(in.a)] = stack[sp]
		case opFree:
			stack[sp] = free[in.a]
			sp++
		case opConst:
			stack[sp] = code.consts[in.a]
			sp++
		case opGlobal:
			g := code.globals[in.a]
			if v := g.value.Load(); v != nil {
				stack[sp] = *v
				sp++
				continue
			}
			m.sp = sp
			m.frames[at].pc = int32(pc)
			if err := m.force(g); err != nil {
				m.frames[at].pc--
				m.tick++
				return nil, err
			}
			goto reload
		case opClosure:
			spec := &code.closures[in.a]
			vars := make([]value.Value, len(spec.captures))
			for i, c := range spec.captures {
				if c.free {
					vars[i] = free[c.index]
				} else {
					vars[i] = stack[base+int(c.index)]
				}
			}
			m.allocated += functionSize + int64(len(vars))*slotSize
			stack[sp] = &function{code: spec.proto, free: vars}
			sp++
		case opCall:
			sp--
			f := stack[sp].(*function)
			m.frames[at].pc = int32(pc)
			if n := int(in.a); len(f.args) == 0 && n == f.code.arity && f.code.builtin == nil {
				if newBase := sp - n; newBase+f.code.room+8 <= len(stack) && len(m.frames) < cap(m.frames) {
					at++
					m.frames = m.frames[:at+1]
					m.frames[at] = frame{code: f.code, free: f.free, base: int32(newBase)}
					code, pc, base, free = f.code, 0, newBase, f.free
					instrs, sp = code.code, newBase+code.slots
					continue
				}
			}
			m.sp = sp
			if err := m.enter(f, int(in.a)); err != nil {
				return nil, err
			}
			goto reload
		case opTailCall:
			sp--
			f := stack[sp].(*function)
			n := int(in.a)
			copy(stack[base:], stack[sp-n:sp])
			m.sp = base + n
			m.frames = m.frames[:at]
			if err := m.enter(f, n); err != nil {
				return nil, err
			}
			goto reload
		case opReturn:
			v := stack[sp-1]
			m.frames = m.frames[:at]
			if at > 0 && m.frames[at-1].kont == nil { // the common case, without leaving the loop
				sp = base
				at--
				f := &m.frames[at]
				code, pc, base, free = f.code, int(f.pc), int(f.base), f.free
				instrs = code.code
				stack[sp] = v
				sp++
				continue
			}
			m.sp = base
			m.returning = v
			goto reload
		case opJump:
			pc = int(in.a)
		case opSwitch:
			sp--
			var err error
			if pc, sp, err = match(&code.tables[in.a], stack, sp); err != nil {
				return nil, err
			}
		case opRecord:
			n := int(in.b)
			fields := make([]value.Value, n)
			for i := range fields {
				sp--
				fields[i] = stack[sp]
			}
			m.allocated += value.Size(n)
			stack[sp] = &value.Record{Type: code.datas[in.a], Fields: fields}
			sp++
		case opProject:
			stack[sp-1] = stack[sp-1].(*value.Record).Fields[in.a]
		case opUpdate:
			sp--
			r := stack[sp].(*value.Record)
			fields := make([]value.Value, len(r.Fields))
			copy(fields, r.Fields)
			fields[in.a] = stack[sp-1]
			m.allocated += value.Size(len(fields))
			stack[sp-1] = &value.Record{Type: r.Type, Fields: fields}
		case opStruct:
			spec := &code.structs[in.a]
			fields := make([]value.Value, len(spec.names))
			sp -= len(fields)
			for i, source := range spec.source {
				fields[i] = stack[sp+len(fields)-1-source]
			}
			m.allocated += value.Size(len(fields))
			stack[sp] = &value.Struct{Names: spec.names, Fields: fields}
			sp++
		case opStructProj:
			s := stack[sp-1].(*value.Struct)
			stack[sp-1] = s.Fields[fieldOf(s, code.names[in.a])]
		case opStructUpd:
			sp--
			s := stack[sp].(*value.Struct)
			fields := make([]value.Value, len(s.Fields))
			copy(fields, s.Fields)
			fields[fieldOf(s, code.names[in.a])] = stack[sp-1]
			m.allocated += value.Size(len(fields))
			stack[sp-1] = &value.Struct{Names: s.Names, Fields: fields}
		case opVariant:
			spec := &code.variants[in.a]
			m.allocated += value.Size(3)
			stack[sp-1] = &value.Variant{Type: spec.data, Con: spec.con, Rank: spec.rank, Arg: stack[sp-1]}
		case opCons:
			n := int(in.a)
			list := stack[sp-n-1].(*value.List)
			for i := sp - n; i < sp; i++ { // the last element was pushed first
				list = value.Cons(stack[i], list)
			}
			m.allocated += int64(n) * listSize
			sp -= n
			stack[sp-1] = list
		case opSome:
			m.allocated += optionalSize
			stack[sp-1] = value.Some(stack[sp-1])
		case opBuiltin:
			b := code.builtins[in.a]
			m.sp = sp
			v, err := m.callBuiltin(b)
			if err != nil {
				m.frames[at].pc = int32(pc)
				return nil, err
			}
			sp = m.sp
			stack[sp] = v
			sp++
		case opToAny:
			m.allocated += value.Size(1)
			stack[sp-1] = &value.Any{Type: code.reps[in.a], V: stack[sp-1]}
		case opFromAny:
			if a := stack[sp-1].(*value.Any); a.Type == code.reps[in.a] {
				m.allocated += optionalSize
				stack[sp-1] = value.Some(a.V)
			} else {
				stack[sp-1] = value.None()
			}
		case opPrevent:
			m.frames[at].prevent = in.a == 1
		default:
			// The rest is slower, and may push frames or need answers.
			m.sp = sp
			m.frames[at].pc = int32(pc)
			v, err := m.perform(code, in)
			if err == errContinue {
				sp = m.sp
				continue
			}
			if err != nil {
				var n *need
				if errors.As(err, &n) {
					m.sp = sp
					m.frames[at].pc--
					m.tick++
				}
				return nil, err
			}
			if v == nil {
				goto reload
			}
			sp = m.sp
			stack = m.stack
			stack[sp] = v
			sp++
		}
	}
}

// fieldOf finds a field of a struct, of which there are few.
func fieldOf(s *value.Struct, name string) int {
	for i, n := range s.Names {
		if n == name {
			return i
		}
	}
	panic("struct has no field " + name)
}

var errNoMatch = errors.New("no alternative of a case matches")

// match finds the alternative for the value at sp, and puts what its pattern binds there.
func match(t *switchTable, stack []value.Value, sp int) (pc, newSP int, err error) {
	rank, parts := 0, 0
	switch v := stack[sp].(type) {
	case value.Bool:
		if v {
			rank = 1
		}
	case *value.Variant:
		rank, parts = v.Rank, 1
		stack[sp] = v.Arg
	case *value.Enum:
		rank = v.Rank
	case *value.Optional:
		if v.V != nil {
			rank, parts = 1, 1
			stack[sp] = v.V
		}
	case *value.List:
		if v.Length > 0 {
			rank, parts = 1, 2
			stack[sp], stack[sp+1] = v.Tail, v.Head
		}
	}
	if rank < len(t.targets) {
		if target := t.targets[rank]; target >= 0 {
			return int(target), sp + parts, nil
		}
	}
	if t.other < 0 {
		return 0, 0, errNoMatch
	}
	return int(t.other), sp, nil
}

// callBuiltin applies a builtin to the operands on top, and removes them.
func (m *machine) callBuiltin(b *builtin) (v value.Value, err error) {
	top := m.sp
	switch {
	case b.one != nil:
		m.sp -= 1
		return b.one(m, m.stack[top-1])
	case b.two != nil:
		m.sp -= 2
		return b.two(m, m.stack[top-1], m.stack[top-2])
	case b.three != nil:
		m.sp -= 3
		return b.three(m, m.stack[top-1], m.stack[top-2], m.stack[top-3])
	}
	m.sp -= 4
	return b.four(m, m.stack[top-1], m.stack[top-2], m.stack[top-3], m.stack[top-4])
}

// poll is called from time to time, to end programs that take too much.
func (m *machine) poll(ctx context.Context) error {
	if m.steps <= 0 {
		return &Failure{Code: "INTERPRETATION_BUDGET_EXCEEDED", Message: ErrSteps.Error(), Cause: ErrSteps}
	}
	next := min(m.steps, pollSteps)
	m.steps -= next
	m.tick += next
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("interpretation was interrupted: %w", err)
	}
	return m.checkMemory(int64(len(m.stack)) * slotSize)
}
