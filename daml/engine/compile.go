package engine

import (
	"fmt"
	"sort"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// unit compiles one function. Types are erased: type abstractions and applications vanish.
type unit struct {
	e      *Engine
	parent *unit
	proto  *proto
	scope  []binding
	free   []capture // what the function captures of parent
	height int       // of operands at this point of the code
}

// binding says where a variable is. Inner ones hide outer ones.
type binding struct {
	name string
	slot int32
}

func (e *Engine) newUnit(parent *unit, name string, params ...string) *unit {
	u := &unit{e: e, parent: parent, proto: &proto{name: name, arity: len(params), slots: len(params)}}
	for i, p := range params {
		u.scope = append(u.scope, binding{p, int32(len(params) - 1 - i)})
	}
	return u
}

// done ends the function and returns its code.
func (u *unit) done() *proto {
	u.proto.room += u.proto.slots
	return u.proto
}

// emit appends an instruction that changes the number of operands by effect, and returns its position.
func (u *unit) emit(o op, a, b int, effect int) int {
	u.proto.code = append(u.proto.code, instr{o, int32(a), int32(b)})
	u.height += effect
	u.proto.room = max(u.proto.room, u.height+2)
	return len(u.proto.code) - 1
}

func (u *unit) here() int { return len(u.proto.code) }

// patch makes the jump at a position go to here.
func (u *unit) patch(at int) { u.proto.code[at].a = int32(u.here()) }

func add[T any](pool *[]T, item T) int {
	*pool = append(*pool, item)
	return len(*pool) - 1
}

func addUnique[T comparable](pool *[]T, item T) int {
	for i, known := range *pool {
		if known == item {
			return i
		}
	}
	return add(pool, item)
}

func (u *unit) constant(v value.Value) { u.emit(opConst, add(&u.proto.consts, v), 0, 1) }

// bind gives a variable a slot of its own, and stores the operand on top in it.
func (u *unit) bind(name string) {
	slot := u.declare(name)
	u.emit(opStore, int(slot), 0, -1)
}

func (u *unit) declare(name string) int32 {
	slot := int32(u.proto.slots)
	u.proto.slots++
	u.scope = append(u.scope, binding{name, slot})
	return slot
}

// hidden is a name for a variable that programs cannot use.
func (u *unit) hidden(what string) string { return fmt.Sprintf("\x00%s%d", what, len(u.scope)) }

func (u *unit) mark() int        { return len(u.scope) }
func (u *unit) release(mark int) { u.scope = u.scope[:mark] }

// lookup finds a variable in this function or around it.
func (u *unit) lookup(name string) (capture, error) {
	for i := len(u.scope) - 1; i >= 0; i-- {
		if u.scope[i].name == name {
			return capture{false, u.scope[i].slot}, nil
		}
	}
	if u.parent == nil {
		return capture{}, fmt.Errorf("variable %s is not bound", name)
	}
	outer, err := u.parent.lookup(name)
	if err != nil {
		return capture{}, err
	}
	return capture{true, int32(addUnique(&u.free, outer))}, nil
}

func (u *unit) variable(name string) error {
	c, err := u.lookup(name)
	if err != nil {
		return err
	}
	if c.free {
		u.emit(opFree, int(c.index), 0, 1)
	} else {
		u.emit(opLocal, int(c.index), 0, 1)
	}
	return nil
}

// strip removes what does not matter at run time.
func strip(e lf.Expr) lf.Expr {
	for {
		switch x := e.(type) {
		case *lf.Located:
			e = x.Body
		case *lf.TyAbs:
			e = x.Body
		case *lf.TyApp:
			e = x.Expr
		case *lf.ToRequiredInterface:
			e = x.Value
		default:
			return e
		}
	}
}

// function compiles a nested function, and pushes it.
func (u *unit) function(name string, params []string, body func(*unit) error) error {
	inner := u.e.newUnit(u, name, params...)
	if err := body(inner); err != nil {
		return err
	}
	p := inner.done()
	if len(inner.free) == 0 { // the same function each time
		u.constant(&function{code: p})
		return nil
	}
	u.emit(opClosure, add(&u.proto.closures, closureSpec{p, inner.free}), 0, 1)
	return nil
}

// delayed pushes an update: a function that does something when it gets the token.
func (u *unit) delayed(body func(*unit) error) error {
	return u.function(u.proto.name, []string{"\x00token"}, body)
}

// params collects the parameters of nested abstractions.
func params(abs *lf.Abs) (names []string, body lf.Expr) {
	for {
		for _, p := range abs.Params {
			names = append(names, p.Name)
		}
		body = strip(abs.Body)
		next, ok := body.(*lf.Abs)
		if !ok {
			return names, body
		}
		abs = next
	}
}

// abstraction compiles a function. Where evaluating the body to an update has no effect that could be seen, the function takes the
// token too, so that running the update is one call.
func (u *unit) abstraction(abs *lf.Abs) error {
	names, body := params(abs)
	if u.pureUpdate(body) {
		return u.function(u.proto.name, append(names, "\x00token"), func(inner *unit) error { return inner.run(body, true) })
	}
	return u.function(u.proto.name, names, func(inner *unit) error { return inner.expr(body, true) })
}

// ret ends a tail position.
func (u *unit) ret(tail bool) {
	if tail {
		u.emit(opReturn, 0, 0, -1)
		u.height++ // the code behind is reached in other ways
	}
}

// operands evaluates from right to left, leaving the first on top.
func (u *unit) operands(all ...lf.Expr) error {
	for i := len(all) - 1; i >= 0; i-- {
		if err := u.expr(all[i], false); err != nil {
			return err
		}
	}
	return nil
}

// apply evaluates operands and applies an instruction to them.
func (u *unit) apply(o op, a, b int, all ...lf.Expr) error {
	if err := u.operands(all...); err != nil {
		return err
	}
	u.emit(o, a, b, 1-len(all))
	return nil
}

// expr compiles an expression. In tail position the function ends with it; else its value is left on top.
func (u *unit) expr(e lf.Expr, tail bool) error {
	switch x := strip(e).(type) {
	case *lf.App:
		return u.application(x, nil, tail)
	case *lf.Let:
		return u.let(x, func(body lf.Expr) error { return u.expr(body, tail) })
	case *lf.Case:
		return u.cases(x, tail, u.expr)
	default:
		if err := u.simple(x); err != nil {
			return err
		}
	}
	u.ret(tail)
	return nil
}

// application compiles a call with the arguments of x, and one more that was pushed already if extra is not nil.
func (u *unit) application(x *lf.App, extra value.Value, tail bool) error {
	args, fun := x.Args, strip(x.Fun)
	for {
		inner, ok := fun.(*lf.App)
		if !ok {
			break
		}
		args, fun = append(inner.Args[:len(inner.Args):len(inner.Args)], args...), strip(inner.Fun)
	}
	n := len(args)
	if extra != nil {
		u.constant(extra)
		n++
	}
	if err := u.operands(args...); err != nil {
		return err
	}
	if f, ok := fun.(*lf.BuiltinFun); ok {
		b, err := u.e.builtin(f.Fun)
		if err != nil {
			return err
		}
		if b.arity == n && b.direct() {
			u.emit(opBuiltin, addUnique(&u.proto.builtins, b), 0, 1-n)
			u.ret(tail)
			return nil
		}
	}
	if err := u.expr(fun, false); err != nil {
		return err
	}
	if tail {
		u.emit(opTailCall, n, 0, -n)
	} else {
		u.emit(opCall, n, 0, -n)
	}
	return nil
}

func (u *unit) let(x *lf.Let, body func(lf.Expr) error) error {
	mark := u.mark()
	for _, b := range x.Bindings {
		if err := u.expr(b.Bound, false); err != nil {
			return err
		}
		u.bind(b.Var)
	}
	err := body(x.Body)
	u.release(mark)
	return err
}

// cases compiles a case; part compiles its alternatives.
func (u *unit) cases(x *lf.Case, tail bool, part func(lf.Expr, bool) error) error {
	if err := u.expr(x.Scrutinee, false); err != nil {
		return err
	}
	table := switchTable{other: -1}
	index := add(&u.proto.tables, table)
	u.emit(opSwitch, index, 0, -1)
	height := u.height
	var ends []int
	for _, alt := range x.Alts {
		if table.other >= 0 {
			break // nothing gets past a default
		}
		u.height = height
		mark := u.mark()
		rank, vars, err := u.pattern(alt.Pattern)
		if err != nil {
			return err
		}
		at := int32(u.here())
		if rank < 0 {
			table.other = at
		} else {
			for len(table.targets) <= rank {
				table.targets = append(table.targets, -1)
			}
			if table.targets[rank] >= 0 {
				continue // an alternative before takes it
			}
			table.targets[rank] = at
		}
		u.height += len(vars)
		u.proto.room = max(u.proto.room, u.height+2)
		for _, name := range vars {
			u.bind(name)
		}
		if err := part(alt.Body, tail); err != nil {
			return err
		}
		u.release(mark)
		if !tail {
			ends = append(ends, u.emit(opJump, 0, 0, 0))
		}
	}
	u.proto.tables[index] = table
	for _, at := range ends {
		u.patch(at)
	}
	u.height = height + 1
	return nil
}

// pattern returns the rank that a pattern matches (-1 for all), and the variables it binds, first the one whose value is on top.
func (u *unit) pattern(p lf.Pattern) (rank int, vars []string, err error) {
	switch p := p.(type) {
	case lf.PatDefault:
		return -1, nil, nil
	case *lf.PatVariant:
		rank, _, err = u.e.constructor(p.Con, p.Constructor)
		return rank, []string{p.Var}, err
	case *lf.PatEnum:
		rank, _, err = u.e.constructor(p.Con, p.Constructor)
		return rank, nil, err
	case lf.PatCon:
		return map[lf.Con]int{lf.ConUnit: 0, lf.ConFalse: 0, lf.ConTrue: 1}[p.Con], nil, nil
	case lf.PatNil, lf.PatNone:
		return 0, nil, nil
	case *lf.PatCons:
		return 1, []string{p.Head, p.Tail}, nil
	case *lf.PatSome:
		return 1, []string{p.Var}, nil
	}
	return 0, nil, fmt.Errorf("pattern %T is not known", p)
}

// constructor finds the rank of a constructor.
func (e *Engine) constructor(ref lf.Ref, con string) (int, *value.DataType, error) {
	data, err := e.types.Data(ref)
	if err != nil {
		return 0, nil, err
	}
	for rank, name := range data.Names {
		if name == con {
			return rank, data, nil
		}
	}
	return 0, nil, fmt.Errorf("type %s has no constructor or field %s", ref, con)
}

// simple compiles an expression that ends with pushing its value.
func (u *unit) simple(e lf.Expr) error {
	switch x := e.(type) {
	case lf.Update:
		return u.update(x)
	case *lf.Var:
		return u.variable(x.Name)
	case *lf.Val:
		return u.global(x.Ref)
	case *lf.BuiltinFun:
		return u.builtinFunction(x.Fun)
	case *lf.Abs:
		return u.abstraction(x)
	case *lf.RecordCon:
		return u.record(x)
	case *lf.RecordProj:
		rank, _, err := u.e.constructor(x.Type.Con, x.Field)
		if err != nil {
			return err
		}
		return u.apply(opProject, rank, 0, x.Record)
	case *lf.RecordUpd:
		rank, _, err := u.e.constructor(x.Type.Con, x.Field)
		if err != nil {
			return err
		}
		return u.apply(opUpdate, rank, 0, x.Record, x.Update)
	case *lf.VariantCon:
		rank, data, err := u.e.constructor(x.Type.Con, x.Constructor)
		if err != nil {
			return err
		}
		return u.apply(opVariant, add(&u.proto.variants, variantSpec{data, x.Constructor, rank}), 0, x.Arg)
	case *lf.EnumCon:
		rank, data, err := u.e.constructor(x.Con, x.Constructor)
		if err != nil {
			return err
		}
		u.constant(&value.Enum{Type: data, Con: x.Constructor, Rank: rank})
		return nil
	case *lf.StructCon:
		return u.structCon(x)
	case *lf.StructProj:
		return u.apply(opStructProj, addUnique(&u.proto.names, x.Field), 0, x.Struct)
	case *lf.StructUpd:
		return u.apply(opStructUpd, addUnique(&u.proto.names, x.Field), 0, x.Struct, x.Update)
	case *lf.Cons:
		return u.apply(opCons, len(x.Front), 0, append(x.Front[:len(x.Front):len(x.Front)], x.Tail)...)
	case *lf.Some:
		return u.apply(opSome, 0, 0, x.Value)
	}
	if v, ok, err := literal(e); ok || err != nil {
		u.constant(v)
		return err
	}
	return u.typed(e)
}

// literal returns the value of expressions that are values already.
func literal(e lf.Expr) (v value.Value, ok bool, err error) {
	switch x := e.(type) {
	case *lf.BuiltinCon:
		if x.Con == lf.ConUnit {
			return value.Unit{}, true, nil
		}
		return value.Bool(x.Con == lf.ConTrue), true, nil
	case *lf.LitInt64:
		return value.Int64(x.Value), true, nil
	case *lf.LitNumeric:
		text := x.Value
		if text != "" && text[0] == '+' {
			text = text[1:]
		}
		n, err := value.ParseNumeric(text)
		return n, true, err
	case *lf.LitText:
		return value.Text(x.Value), true, nil
	case *lf.LitTimestamp:
		return value.Timestamp(x.Micros), true, nil
	case *lf.LitDate:
		return value.Date(x.Days), true, nil
	case *lf.LitFailureCategory:
		return value.Int64(x.Category.ErrorCategory()), true, nil
	case *lf.Nil:
		return value.Empty(), true, nil
	case *lf.None:
		return value.None(), true, nil
	}
	return nil, false, nil
}

// typed compiles expressions that look at types, and those of interfaces.
func (u *unit) typed(e lf.Expr) error {
	switch x := e.(type) {
	case *lf.TypeRep:
		rep, err := u.e.types.Rep(x.Type)
		if err != nil {
			return err
		}
		u.constant(rep)
		return nil
	case *lf.ToAny:
		return u.withRep(opToAny, x.Type, x.Value)
	case *lf.ToAnyException:
		return u.withRep(opToAny, x.Type, x.Value)
	case *lf.FromAny:
		return u.withRep(opFromAny, x.Type, x.Value)
	case *lf.FromAnyException:
		return u.withRep(opFromAny, x.Type, x.Value)
	case *lf.Throw:
		if err := u.withRep(opToAny, x.Exception, x.Value); err != nil {
			return err
		}
		u.emit(opThrow, 0, 0, 0)
		return nil
	case *lf.ToInterface:
		return u.withRep(opToAny, &lf.TypeCon{Ref: x.Template}, x.Value)
	case *lf.FromInterface:
		return u.withTemplate(opFromInterface, x.Template, 0, x.Value)
	case *lf.UnsafeFromInterface:
		return u.withTemplate(opUnsafeFromInterface, x.Template, 0, x.ContractID, x.Value)
	case *lf.FromRequiredInterface:
		return u.apply(opFromRequired, addUnique(&u.proto.refs, x.Requiring), 0, x.Value)
	case *lf.UnsafeFromRequiredInterface:
		requiring, required := addUnique(&u.proto.refs, x.Requiring), addUnique(&u.proto.refs, x.Required)
		return u.apply(opUnsafeFromRequired, requiring, required, x.ContractID, x.Value)
	case *lf.CallInterface:
		return u.apply(opCallInterface, addUnique(&u.proto.refs, x.Interface), addUnique(&u.proto.names, x.Method), x.Value)
	case *lf.ViewInterface:
		return u.apply(opView, addUnique(&u.proto.refs, x.Interface), 0, x.Value)
	case *lf.SignatoryInterface:
		return u.apply(opInterfaceSignatories, 0, 0, x.Value)
	case *lf.ObserverInterface:
		return u.apply(opInterfaceObservers, 0, 0, x.Value)
	case *lf.InterfaceTemplateTypeRep:
		return u.apply(opInterfaceRep, 0, 0, x.Value)
	}
	return fmt.Errorf("expressions of type %T cannot be run", e)
}

func (u *unit) withRep(o op, ty lf.Type, operand lf.Expr) error {
	rep, err := u.e.types.Rep(ty)
	if err != nil {
		return err
	}
	return u.apply(o, addUnique(&u.proto.reps, rep), 0, operand)
}

func (u *unit) withTemplate(o op, ref lf.Ref, b int, operands ...lf.Expr) error {
	t, err := u.e.template(ref)
	if err != nil {
		return err
	}
	return u.apply(o, addUnique(&u.proto.templates, t), b, operands...)
}

func (u *unit) global(ref lf.Ref) error {
	g, err := u.e.global(ref)
	if err != nil {
		return err
	}
	u.emit(opGlobal, addUnique(&u.proto.globals, g), 0, 1)
	return nil
}

// builtinFunction pushes a builtin as a value.
func (u *unit) builtinFunction(f lf.Function) error {
	b, err := u.e.builtin(f)
	if err != nil {
		return err
	}
	if b.arity == 0 {
		u.constant(b.constant)
		return nil
	}
	u.constant(&function{code: b.proto})
	return nil
}

func (u *unit) record(x *lf.RecordCon) error {
	data, err := u.e.types.Data(x.Type.Con)
	if err != nil {
		return err
	}
	if len(x.Fields) == 0 {
		u.constant(&value.Record{Type: data})
		return nil
	}
	fields := make([]lf.Expr, len(x.Fields))
	for i, f := range x.Fields {
		if i >= len(data.Names) || data.Names[i] != f.Name {
			return fmt.Errorf("field %s of %s is not at its place", f.Name, x.Type.Con)
		}
		fields[i] = f.Value
	}
	return u.apply(opRecord, addUnique(&u.proto.datas, data), len(fields), fields...)
}

func (u *unit) structCon(x *lf.StructCon) error {
	spec := structSpec{}
	fields := make([]lf.Expr, len(x.Fields))
	for i, f := range x.Fields {
		spec.names = append(spec.names, f.Name)
		spec.source = append(spec.source, i)
		fields[i] = f.Value
	}
	sort.Sort(byName(spec))
	return u.apply(opStruct, add(&u.proto.structs, spec), len(fields), fields...)
}

type byName structSpec

func (s byName) Len() int           { return len(s.names) }
func (s byName) Less(i, j int) bool { return s.names[i] < s.names[j] }
func (s byName) Swap(i, j int) {
	s.names[i], s.names[j] = s.names[j], s.names[i]
	s.source[i], s.source[j] = s.source[j], s.source[i]
}
