package engine

import (
	"fmt"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// pureUpdate says whether evaluating an expression to an update can neither fail nor take long, because all that is evaluated
// before the update is run is a value already.
func (u *unit) pureUpdate(e lf.Expr) bool {
	switch x := strip(e).(type) {
	case *lf.EmbedExpr, *lf.TryCatch, *lf.GetTime, *lf.CreateInterface:
		return true
	case *lf.Pure:
		return u.isValue(x.Value)
	case *lf.Block:
		return u.pureUpdate(x.Bindings[0].Bound)
	case lf.Update:
		return u.areValues(updateOperands(x))
	}
	return false
}

func (u *unit) areValues(all []lf.Expr) bool {
	for _, e := range all {
		if !u.isValue(e) {
			return false
		}
	}
	return len(all) > 0
}

func (u *unit) isValue(e lf.Expr) bool {
	switch x := strip(e).(type) {
	case *lf.Var, *lf.Abs:
		return true
	case *lf.BuiltinFun:
		return true
	case *lf.Val:
		g, err := u.e.global(x.Ref)
		return err == nil && g.function
	default:
		_, ok, err := literal(x)
		return ok && err == nil
	}
}

// updateOperands returns what an update evaluates before it is run.
func updateOperands(x lf.Update) []lf.Expr {
	switch x := x.(type) {
	case *lf.Pure:
		return []lf.Expr{x.Value}
	case *lf.Create:
		return []lf.Expr{x.Arg}
	case *lf.Fetch:
		return []lf.Expr{x.ContractID}
	case *lf.FetchInterface:
		return []lf.Expr{x.ContractID}
	case *lf.Exercise:
		return []lf.Expr{x.ContractID, x.Arg}
	case *lf.ExerciseInterface:
		return []lf.Expr{x.ContractID, x.Arg}
	case *lf.ExerciseByKey:
		return []lf.Expr{x.Key, x.Arg}
	case *lf.LedgerTimeLT:
		return []lf.Expr{x.Time}
	}
	return nil
}

// update compiles an update that is not run yet: its operands are evaluated, and kept for when it is.
func (u *unit) update(x lf.Update) error {
	switch x := x.(type) {
	case *lf.FetchByKey:
		return u.keyFunction(x.Template, []string{"key", "\x00token"}, (*unit).fetchByKey)
	case *lf.QueryNByKey:
		return u.keyFunction(x.Template, []string{"n", "key", "\x00token"}, (*unit).queryNByKey)
	case *lf.Block:
		return u.block(x)
	case *lf.EmbedExpr:
		return u.delayed(func(inner *unit) error { return inner.run(x.Body, true) })
	case *lf.TryCatch, *lf.GetTime, *lf.CreateInterface:
		return u.delayed(func(inner *unit) error { return inner.run(x, true) })
	}
	operands := updateOperands(x)
	if operands == nil {
		return fmt.Errorf("updates of type %T cannot be run", x)
	}
	if err := u.operands(operands...); err != nil {
		return err
	}
	mark := u.mark()
	kept := make([]lf.Expr, len(operands))
	for i := range operands {
		name := u.hidden("kept")
		u.bind(name)
		kept[i] = &lf.Var{Name: name}
	}
	err := u.delayed(func(inner *unit) error { return inner.perform(x, kept, true) })
	u.release(mark)
	return err
}

// run compiles an expression of type Update together with running it.
func (u *unit) run(e lf.Expr, tail bool) error {
	switch x := strip(e).(type) {
	case *lf.App:
		return u.application(x, token, tail)
	case *lf.Let:
		return u.let(x, func(body lf.Expr) error { return u.run(body, tail) })
	case *lf.Case:
		return u.cases(x, tail, u.run)
	case *lf.EmbedExpr:
		return u.run(x.Body, tail)
	case *lf.Block:
		return u.runBlock(x, tail)
	case *lf.TryCatch:
		return u.runTry(x, tail)
	case *lf.GetTime:
		u.emit(opGetTime, 0, 0, 1)
	case *lf.CreateInterface:
		if err := u.apply(opCreateAny, 0, 0, x.Arg); err != nil {
			return err
		}
	case *lf.FetchByKey, *lf.QueryNByKey:
		return u.runValue(x, tail)
	case lf.Update:
		return u.perform(x, updateOperands(x), tail)
	default:
		return u.runValue(x, tail)
	}
	u.ret(tail)
	return nil
}

// runValue evaluates to an update, and applies it to the token.
func (u *unit) runValue(e lf.Expr, tail bool) error {
	u.constant(token)
	if err := u.expr(e, false); err != nil {
		return err
	}
	if tail {
		u.emit(opTailCall, 1, 0, -1)
	} else {
		u.emit(opCall, 1, 0, -1)
	}
	return nil
}

// perform compiles the running of an update with operands of its own, which are evaluated here.
func (u *unit) perform(x lf.Update, operands []lf.Expr, tail bool) error {
	var err error
	switch x := x.(type) {
	case *lf.Pure:
		return u.expr(operands[0], tail)
	case *lf.Create:
		err = u.withTemplate(opCreate, x.Template, 0, operands...)
	case *lf.Fetch:
		err = u.withTemplate(opFetch, x.Template, 0, operands...)
	case *lf.FetchInterface:
		err = u.apply(opFetchAny, addUnique(&u.proto.refs, x.Interface), 0, operands...)
	case *lf.LedgerTimeLT:
		err = u.apply(opTimeLess, 0, 0, operands...)
	case *lf.Exercise:
		return u.exercise(x.Template, x.Choice, false, operands, tail)
	case *lf.ExerciseByKey:
		return u.exercise(x.Template, x.Choice, true, operands, tail)
	case *lf.ExerciseInterface:
		if x.Guard != nil {
			return fmt.Errorf("guards of exercises cannot be run")
		}
		i, err := u.e.iface(x.Interface)
		if err != nil {
			return err
		}
		ch := i.choices[x.Choice]
		if ch == nil {
			return fmt.Errorf("interface %s has no choice %s", x.Interface, x.Choice)
		}
		return u.callChoice(ch.code, operands, tail)
	default:
		err = fmt.Errorf("updates of type %T cannot be run", x)
	}
	u.ret(tail)
	return err
}

func (u *unit) exercise(ref lf.Ref, name string, byKey bool, operands []lf.Expr, tail bool) error {
	t, err := u.e.template(ref)
	if err != nil {
		return err
	}
	ch := t.choices[name]
	if ch == nil {
		return fmt.Errorf("template %s has no choice %s", ref, name)
	}
	if byKey {
		return u.callChoice(ch.byKey, operands, tail)
	}
	return u.callChoice(ch.code, operands, tail)
}

// callChoice calls a choice through a top-level value of its own, so that it is compiled only when it is first exercised.
func (u *unit) callChoice(code *global, operands []lf.Expr, tail bool) error {
	u.constant(token)
	if err := u.operands(operands...); err != nil {
		return err
	}
	u.emit(opGlobal, addUnique(&u.proto.globals, code), 0, 1)
	if tail {
		u.emit(opTailCall, 3, 0, -3)
	} else {
		u.emit(opCall, 3, 0, -3)
	}
	return nil
}

// block compiles a block that is not run yet: its first update is evaluated.
func (u *unit) block(x *lf.Block) error {
	if u.pureUpdate(x) {
		return u.delayed(func(inner *unit) error { return inner.runBlock(x, true) })
	}
	if err := u.expr(x.Bindings[0].Bound, false); err != nil {
		return err
	}
	mark := u.mark()
	first := u.hidden("first")
	u.bind(first)
	rest := &lf.Block{Bindings: append([]lf.Binding{{Var: x.Bindings[0].Var, Bound: &lf.Var{Name: first}}}, x.Bindings[1:]...), Body: x.Body}
	err := u.delayed(func(inner *unit) error { return inner.runBlock(rest, true) })
	u.release(mark)
	return err
}

func (u *unit) runBlock(x *lf.Block, tail bool) error {
	mark := u.mark()
	for _, b := range x.Bindings {
		if err := u.run(b.Bound, false); err != nil {
			return err
		}
		u.bind(b.Var)
	}
	err := u.run(x.Body, tail)
	u.release(mark)
	return err
}

func (u *unit) runTry(x *lf.TryCatch, tail bool) error {
	err := u.function(u.proto.name+" catch", []string{x.Var}, func(inner *unit) error { return inner.expr(x.Handler, true) })
	if err != nil {
		return err
	}
	if err := u.delayed(func(inner *unit) error { return inner.run(x.Body, true) }); err != nil {
		return err
	}
	u.emit(opTry, 0, 0, -1)
	u.ret(tail)
	return nil
}

// uncatchable compiles an expression whose exceptions fail the transaction.
func (u *unit) uncatchable(compile func() error) error {
	u.emit(opPrevent, 1, 0, 0)
	err := compile()
	u.emit(opPrevent, 0, 0, 0)
	return err
}

// choiceBody compiles what exercising a choice does. The contract id is in the variable "\x00id", the argument in its own.
func (u *unit) choiceBody(ch *choice, param string, byKey int, readTarget func() error) error {
	if err := u.variable("\x00id"); err != nil {
		return err
	}
	if err := readTarget(); err != nil {
		return err
	}
	u.bind(param)
	u.bindAlias(ch.def.Arg.Name, "\x00arg")
	err := u.uncatchable(func() error { return u.expr(ch.def.Controllers, false) })
	if err != nil {
		return err
	}
	u.bind("\x00controllers")
	if ch.def.Observers == nil {
		u.constant(value.Empty())
	} else if err := u.uncatchable(func() error { return u.expr(ch.def.Observers, false) }); err != nil {
		return err
	}
	u.bind("\x00observers")
	if ch.def.Authorizers != nil {
		return fmt.Errorf("choice %s has authorizers, which are not stable", ch.def.Name)
	}
	for _, name := range []string{param, "\x00observers", "\x00controllers", "\x00arg", "\x00id"} {
		if err := u.variable(name); err != nil {
			return err
		}
	}
	u.emit(opBegin, addUnique(&u.proto.choices, ch), byKey, -5)
	u.bindAlias(ch.def.Self, "\x00id")
	if err := u.run(ch.def.Body, false); err != nil {
		return err
	}
	u.emit(opEnd, 0, 0, 0)
	u.ret(true)
	return nil
}

// bindAlias makes a variable known under another name too.
func (u *unit) bindAlias(name, of string) {
	for i := len(u.scope) - 1; i >= 0; i-- {
		if u.scope[i].name == of {
			u.scope = append(u.scope, binding{name, u.scope[i].slot})
			return
		}
	}
}

// compileChoice compiles a choice of a template.
func (e *Engine) compileChoice(t *template, ch *choice) (*proto, error) {
	u := e.newUnit(nil, t.id.Qualified()+"."+ch.def.Name, "\x00id", "\x00arg", "\x00token")
	err := u.choiceBody(ch, t.def.Param, 0, func() error {
		u.emit(opTarget, addUnique(&u.proto.templates, t), 0, 0)
		return nil
	})
	return u.done(), err
}

// compileChoiceByKey compiles a choice that is exercised on the contract with a key.
func (e *Engine) compileChoiceByKey(t *template, ch *choice) (*proto, error) {
	u := e.newUnit(nil, t.id.Qualified()+"."+ch.def.Name+" by key", "\x00key", "\x00arg", "\x00token")
	if err := u.findByKey(t); err != nil {
		return nil, err
	}
	u.bind("\x00id")
	err := u.choiceBody(ch, t.def.Param, 1, func() error {
		u.emit(opTarget, addUnique(&u.proto.templates, t), 0, 0)
		return nil
	})
	return u.done(), err
}

// findByKey pushes the id of the contract with the key in "\x00key".
func (u *unit) findByKey(t *template) error {
	if err := u.keyOperands(t); err != nil {
		return err
	}
	u.emit(opFetchKey, addUnique(&u.proto.templates, t), 0, -1)
	return nil
}

// keyOperands pushes the maintainers of a key, and the key.
func (u *unit) keyOperands(t *template) error {
	if t.def.Key == nil {
		return fmt.Errorf("template %s has no key", t.id)
	}
	err := u.uncatchable(func() error {
		if err := u.variable("\x00key"); err != nil {
			return err
		}
		u.emit(opGlobal, addUnique(&u.proto.globals, t.maintainers), 0, 1)
		u.emit(opCall, 1, 0, -1)
		return nil
	})
	if err != nil {
		return err
	}
	return u.variable("\x00key")
}

// compileInterfaceChoice compiles a choice of an interface.
func (e *Engine) compileInterfaceChoice(i *iface, ch *choice) (*proto, error) {
	u := e.newUnit(nil, i.ref.Qualified()+"."+ch.def.Name, "\x00id", "\x00arg", "\x00token")
	err := u.choiceBody(ch, i.def.Param, 0, func() error {
		u.emit(opTargetAny, addUnique(&u.proto.refs, i.ref), 0, 0)
		return nil
	})
	return u.done(), err
}

// keyFunction pushes a function that looks for contracts by key.
func (u *unit) keyFunction(ref lf.Ref, names []string, body func(*unit, *template) error) error {
	t, err := u.e.template(ref)
	if err != nil {
		return err
	}
	for i := range names {
		if names[i] == "key" {
			names[i] = "\x00key"
		}
	}
	return u.function(t.id.Qualified()+" by key", names, func(inner *unit) error { return body(inner, t) })
}

func (u *unit) fetchByKey(t *template) error {
	if err := u.findByKey(t); err != nil {
		return err
	}
	u.emit(opFetchByKey, addUnique(&u.proto.templates, t), 0, 0)
	u.ret(true)
	return nil
}

func (u *unit) queryNByKey(t *template) error {
	if err := u.variable("n"); err != nil {
		return err
	}
	if err := u.keyOperands(t); err != nil {
		return err
	}
	u.emit(opQueryKey, addUnique(&u.proto.templates, t), 0, -2)
	u.ret(true)
	return nil
}

// compileInfo compiles what a contract's argument says about the contract: whether its precondition holds, signatories, observers,
// key and maintainers, in this order.
func (e *Engine) compileInfo(t *template) (*proto, error) {
	u := e.newUnit(nil, t.id.Qualified(), t.def.Param)
	if t.def.Precond != nil {
		if err := u.expr(t.def.Precond, false); err != nil {
			return nil, err
		}
		u.emit(opLocal, 0, 0, 1)
		u.emit(opPrecondition, addUnique(&u.proto.templates, t), 0, -2)
	}
	for _, part := range []struct {
		name string
		expr lf.Expr
	}{{"\x00signatories", t.def.Signatories}, {"\x00observers", t.def.Observers}} {
		if part.expr == nil {
			u.constant(value.Empty())
		} else if err := u.expr(part.expr, false); err != nil {
			return nil, err
		}
		u.bind(part.name)
	}
	operands := []string{"\x00observers", "\x00signatories", "\x00this"}
	u.bindAlias("\x00this", t.def.Param)
	if t.def.Key != nil {
		if err := u.expr(t.def.Key.Body, false); err != nil {
			return nil, err
		}
		u.bind("\x00key")
		if err := u.variable("\x00key"); err != nil {
			return nil, err
		}
		u.emit(opGlobal, addUnique(&u.proto.globals, t.maintainers), 0, 1)
		u.emit(opCall, 1, 0, -1)
		u.bind("\x00maintainers")
		operands = append([]string{"\x00maintainers", "\x00key"}, operands...)
	}
	for _, name := range operands {
		if err := u.variable(name); err != nil {
			return nil, err
		}
	}
	u.emit(opInfo, addUnique(&u.proto.templates, t), len(operands), 1-len(operands))
	u.ret(true)
	return u.done(), nil
}

// compileFunction compiles an expression that depends on one variable.
func (e *Engine) compileFunction(name, param string, body lf.Expr) (*proto, error) {
	u := e.newUnit(nil, name, param)
	err := u.expr(body, true)
	return u.done(), err
}

// compileMaintainers compiles the function from a key to its maintainers.
func (e *Engine) compileMaintainers(t *template) (*proto, error) {
	u := e.newUnit(nil, t.id.Qualified()+" maintainers", "\x00key")
	err := u.application(&lf.App{Fun: t.def.Key.Maintainers, Args: []lf.Expr{&lf.Var{Name: "\x00key"}}}, nil, true)
	return u.done(), err
}
