package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/tx"
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

// thrown is an exception of the program on its way to a handler.
type thrown struct{ exception *value.Any }

func (t *thrown) Error() string { return "exception " + t.exception.Type.Name }

// need says that the machine cannot go on without an answer. Whatever raised it is tried again when the answer is there.
type need struct{ question Question }

func (n *need) Error() string { return fmt.Sprintf("waiting for an answer to %T", n.question) }

const (
	frameSize = 80 // bytes of a frame
	slotSize  = 16 // bytes of a slot
	pollSteps = 4096
)

// stacks are what most runs need, kept between runs.
type stacks struct {
	values []value.Value
	frames []frame
}

const (
	firstSlots  = 512
	firstFrames = 64
	keepSlots   = 8192 // larger stacks are given back to the system
)

func (m *machine) takeStacks() {
	kept, ok := m.e.stacks.Get().(*stacks)
	if !ok {
		kept = &stacks{make([]value.Value, firstSlots), make([]frame, 0, firstFrames)}
	}
	m.stack, m.frames = kept.values, kept.frames
}

func (m *machine) giveStacks() {
	if len(m.stack) <= keepSlots && cap(m.frames) <= keepSlots {
		clear(m.stack)
		clear(m.frames[:cap(m.frames)])
		m.e.stacks.Put(&stacks{m.stack, m.frames[:0]})
	}
	m.stack, m.frames = nil, nil
}

// push puts an operand on the stack, which has room for it.
func (m *machine) push(v value.Value) {
	m.stack[m.sp] = v
	m.sp++
}

// reserve makes room for more operands.
func (m *machine) reserve(room int) error {
	if m.sp+room <= len(m.stack) {
		return nil
	}
	size := max(2*len(m.stack), m.sp+room, 1024)
	if err := m.checkMemory(int64(size) * slotSize); err != nil {
		if size = m.sp + room + 1024; m.checkMemory(int64(size)*slotSize) != nil {
			return err
		}
	}
	grown := make([]value.Value, size)
	copy(grown, m.stack[:m.sp])
	m.stack = grown
	return nil
}

func (m *machine) checkMemory(stack int64) error {
	if used := stack + int64(len(m.frames))*frameSize + m.measured + m.allocated; used > m.limits.Memory {
		return m.measure()
	}
	return nil
}

func (m *machine) pushFrame(f frame) error {
	if len(m.frames) == cap(m.frames) {
		stacks := int64(2*cap(m.frames))*frameSize + int64(len(m.stack))*slotSize
		if stacks > m.limits.Memory {
			return m.outOfMemory(stacks)
		}
	}
	m.frames = append(m.frames, f)
	return nil
}

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

// force evaluates a top-level value, and puts it into returning, or pushes the frame that computes it.
func (m *machine) force(g *global) error {
	p, err := m.e.compiled(&g.code)
	if err != nil {
		return m.missing(err)
	}
	if g.function {
		var v value.Value = &function{code: p}
		g.value.Store(&v)
		m.returning = v
		return nil
	}
	// What a top-level value costs is charged to nobody, since it is computed once for all runs; but it has to be within limits.
	if err := m.pushFrame(frame{kont: &store{g, m.steps + m.tick}, base: int32(m.sp)}); err != nil {
		return err
	}
	m.steps, m.tick = m.limits.Steps, 0
	return m.enter(&function{code: p}, 0)
}

// store keeps a top-level value.
type store struct {
	g     *global
	steps int64 // that the program had left
}

func (s *store) resume(m *machine, v value.Value) (value.Value, error) {
	s.g.value.Store(&v)
	m.steps, m.tick = s.steps, 0
	return v, nil
}

// failed charges a top-level value that could not be computed to the program, which will compute it again the next time.
func (s *store) failed(m *machine) { m.steps, m.tick = s.steps-(m.limits.Steps-m.steps-m.tick), 0 }

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

// functionOf returns the function that a global is.
func (m *machine) functionOf(g *global) (*function, error) {
	if v := g.value.Load(); v != nil {
		return (*v).(*function), nil
	}
	p, err := m.e.compiled(&g.code)
	if err != nil {
		return nil, m.missing(err)
	}
	var v value.Value = &function{code: p}
	g.value.Store(&v)
	return v.(*function), nil
}

// unwind looks for a handler for an exception, closing what it passes.
func (m *machine) unwind(exception *value.Any) error {
	m.returning = nil
	for len(m.frames) > 0 {
		f := m.frames[len(m.frames)-1]
		if f.prevent {
			break
		}
		m.frames = m.frames[:len(m.frames)-1]
		m.sp = int(f.base)
		if f.exercise {
			m.builder.EndExercise(nil)
		}
		switch k := f.kont.(type) {
		case *try:
			if err := m.builder.RollbackTry(); err != nil {
				return failure(err)
			}
			if k.handler == nil { // everything is caught
				m.returning = value.Unit{}
				return nil
			}
			return m.call(&handle{exception}, false, k.handler, exception)
		case *store:
			k.failed(m)
		case *converting:
			return &Failure{Code: damlFailure, Category: stateOther, StatusID: unhandled(k.exception),
				Message: fmt.Sprintf("<Failed to calculate message as %s was thrown during conversion>", exception.Type.Con.Qualified())}
		}
	}
	return m.unhandled(exception)
}

// try waits for an update that may throw.
type try struct{ handler *function }

func (*try) resume(m *machine, v value.Value) (value.Value, error) {
	m.builder.EndTry()
	return v, nil
}

// handle waits for what a handler makes of an exception: an update, or nothing.
type handle struct{ exception *value.Any }

func (h *handle) resume(m *machine, v value.Value) (value.Value, error) {
	o := v.(*value.Optional)
	if o.V == nil {
		return nil, &thrown{h.exception}
	}
	m.push(token)
	return nil, m.enter(o.V.(*function), 1)
}

func unhandled(exception value.Identifier) string {
	return "UNHANDLED_EXCEPTION/" + exception.Qualified()
}

// unhandled turns an exception that nothing caught into a failure of the transaction, whose message the exception computes.
func (m *machine) unhandled(exception *value.Any) error {
	m.frames, m.sp = m.frames[:0], 0
	id := *exception.Type.Con
	if id == arithmeticError {
		text := exception.V.(*value.Record).Fields[0].(value.Text)
		return &Failure{Code: damlFailure, Category: stateOther, StatusID: unhandled(id), Message: string(text)}
	}
	message, err := m.e.exceptionMessage(id)
	if err != nil {
		return err
	}
	f, err := m.functionOf(message)
	if err != nil {
		return err
	}
	return m.call(&converting{id}, false, f, exception.V)
}

// converting waits for the message of an exception that nothing caught.
type converting struct{ exception value.Identifier }

func (c *converting) resume(_ *machine, v value.Value) (value.Value, error) {
	return nil, &Failure{Code: damlFailure, Category: stateOther, StatusID: unhandled(c.exception), Message: string(v.(value.Text))}
}

// missing turns the lack of a package into a question.
func (m *machine) missing(err error) error { return asNeed(err) }

func (m *machine) throwArithmetic(operation string, operands ...value.Value) error {
	text := "ArithmeticError while evaluating (" + operation
	for _, v := range operands {
		text += " " + literalText(v)
	}
	text += ")."
	return &thrown{&value.Any{Type: m.e.arithmeticRep, V: &value.Record{Type: m.e.arithmeticData, Fields: []value.Value{value.Text(text)}}}}
}

var arithmeticRef = lf.Ref{
	Package: "ee33fb70918e7aaa3d3fc44d64a399fb2bf5bcefc54201b1690ecd448551ba88", Module: "DA.Exception.ArithmeticError", Name: "ArithmeticError",
}

var arithmeticError = value.Identifier{
	Package: string(arithmeticRef.Package), Module: string(arithmeticRef.Module), Entity: string(arithmeticRef.Name),
}

// ledger is what a run knows of the ledger.
type ledger struct {
	builder    *tx.Builder
	bounds     tx.TimeBounds
	usedTime   bool
	ledgerTime value.Timestamp
	resolution map[string]string
	contracts  map[value.ContractID]*Contract // that the host or the submission gave
	local      map[value.ContractID]*info     // that were created
	infos      map[infoKey]*info
	inputs     []value.ContractID
	notFound   map[value.ContractID]bool
	keyPage    *KeyPage // the answer to the last question for keys
	query      *keySearch
	disclosed  []*Contract
	traces     []string
	last       value.Value // what the last command returned
}

type infoKey struct {
	id  value.ContractID
	pkg string
}
