package archive

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

// expr encodes an expression: from 2.2 on as a reference to the table, with its
// location beside the reference.
func (e *encoder) expr(x lf.Expr) []byte {
	if l, ok := x.(*lf.Located); ok {
		if _, twice := l.Body.(*lf.Located); twice {
			e.failf("an expression has two locations")
		}
		body := e.expr(l.Body) // first: it comes first in the tables
		return append(appendMessage(nil, 1, e.location(&l.Location)), body...)
	}
	if !e.version.Flat() {
		e.enter()
		b := e.exprForm(x)
		e.leave()
		return b
	}
	i, ok := e.exprAt[x]
	if !ok {
		e.enter()
		b := e.exprForm(x)
		e.leave()
		i = len(e.exprs)
		e.exprs = append(e.exprs, b)
		if _, one := x.(*lf.GetTime); !one { // has no identity
			e.exprAt[x] = i
		}
	}
	return appendChoice(nil, 44, uint64(i))
}

// optional encodes an expression that may be nil.
func (e *encoder) optional(x lf.Expr) []byte {
	if x == nil {
		return nil
	}
	return e.expr(x)
}

func (e *encoder) exprForm(x lf.Expr) []byte {
	message := func(num protowire.Number, f form, values ...any) []byte {
		return appendMessage(nil, num, e.form(f, values...))
	}
	switch x := x.(type) {
	case *lf.Var:
		return appendChoice(nil, 2, uint64(e.name(x.Name)))
	case *lf.Val:
		return appendMessage(nil, 3, e.ref(x.Ref))
	case *lf.BuiltinFun:
		if x.Fun.Since() > e.version || x.Fun.String() == "" {
			e.failf("Daml-LF %s has no builtin function %s (%d)", e.version, x.Fun, uint16(x.Fun))
		}
		return appendChoice(nil, 4, uint64(x.Fun))
	case *lf.BuiltinCon:
		return appendChoice(nil, 5, uint64(x.Con))
	case *lf.RecordCon:
		b := appendMessage(nil, 1, e.typeConApp(x.Type))
		return appendMessage(nil, 7, e.appendFieldExprs(b, 2, x.Fields))
	case *lf.RecordProj:
		return message(8, formRecordProj, x.Type, x.Field, x.Record)
	case *lf.RecordUpd:
		return message(9, formRecordUpd, x.Type, x.Field, x.Record, x.Update)
	case *lf.VariantCon:
		return message(10, formVariantCon, x.Type, x.Constructor, x.Arg)
	case *lf.EnumCon:
		return message(11, formEnumCon, x.Con, x.Constructor)
	case *lf.StructCon:
		return appendMessage(nil, 12, e.appendFieldExprs(nil, 1, x.Fields))
	case *lf.StructProj:
		return message(13, formStructProj, x.Field, x.Struct)
	case *lf.StructUpd:
		return message(14, formStructUpd, x.Field, x.Struct, x.Update)
	case *lf.App:
		b := appendMessage(nil, 1, e.expr(x.Fun))
		return appendMessage(nil, 15, e.appendExprs(b, 2, x.Args))
	case *lf.TyApp:
		return appendMessage(nil, 16, e.tyApp(x))
	case *lf.Abs:
		return appendMessage(nil, 17, e.abs(x))
	case *lf.TyAbs:
		return appendMessage(nil, 18, e.tyAbs(x))
	case *lf.Case:
		b := appendMessage(nil, 1, e.expr(x.Scrutinee))
		for _, a := range x.Alts {
			pattern := e.pattern(a.Pattern)
			b = appendMessage(b, 2, append(pattern, appendMessage(nil, 1, e.expr(a.Body))...))
		}
		return appendMessage(nil, 19, b)
	case *lf.Let:
		return appendMessage(nil, 20, e.block(x.Bindings, x.Body))
	case *lf.Nil:
		return message(21, formNil, x.Elem)
	case *lf.Cons:
		b := appendMessage(nil, 1, e.typ(x.Elem))
		b = e.appendExprs(b, 2, x.Front)
		return appendMessage(nil, 22, appendMessage(b, 3, e.expr(x.Tail)))
	case lf.Update:
		return appendMessage(nil, 23, e.update(x))
	case *lf.None:
		return message(25, formNone, x.Elem)
	case *lf.Some:
		return message(26, formSome, x.Elem, x.Value)
	case *lf.ToAny:
		return message(27, formToAny, x.Type, x.Value)
	case *lf.FromAny:
		return message(28, formFromAny, x.Type, x.Value)
	case *lf.TypeRep:
		return appendMessage(nil, 29, e.typ(x.Type))
	case *lf.ToAnyException:
		return message(30, formToAnyException, x.Type, x.Value)
	case *lf.FromAnyException:
		return message(31, formFromAnyException, x.Type, x.Value)
	case *lf.Throw:
		return message(32, formThrow, x.Result, x.Exception, x.Value)
	}
	if b := e.interfaceForm(x); b != nil {
		return b
	}
	if b := e.literal(x); b != nil {
		return appendMessage(nil, 6, b)
	}
	return e.devForm(x)
}

func (e *encoder) interfaceForm(x lf.Expr) []byte {
	message := func(num protowire.Number, f form, values ...any) []byte {
		return appendMessage(nil, num, e.form(f, values...))
	}
	switch x := x.(type) {
	case *lf.ToInterface:
		return message(33, formToInterface, x.Interface, x.Template, x.Value)
	case *lf.FromInterface:
		return message(34, formFromInterface, x.Interface, x.Template, x.Value)
	case *lf.CallInterface:
		return message(35, formCallInterface, x.Interface, x.Method, x.Value)
	case *lf.SignatoryInterface:
		return message(36, formSignatoryInterface, x.Interface, x.Value)
	case *lf.ObserverInterface:
		return message(37, formObserverInterface, x.Interface, x.Value)
	case *lf.ViewInterface:
		return message(38, formViewInterface, x.Interface, x.Value)
	case *lf.UnsafeFromInterface:
		return message(39, formUnsafeFromInterface, x.Interface, x.Template, x.ContractID, x.Value)
	case *lf.InterfaceTemplateTypeRep:
		return message(40, formInterfaceTemplateTypeRep, x.Interface, x.Value)
	case *lf.ToRequiredInterface:
		return message(41, formToRequiredInterface, x.Required, x.Requiring, x.Value)
	case *lf.FromRequiredInterface:
		return message(42, formFromRequiredInterface, x.Required, x.Requiring, x.Value)
	case *lf.UnsafeFromRequiredInterface:
		return message(43, formUnsafeFromRequiredInterface, x.Required, x.Requiring, x.ContractID, x.Value)
	}
	return nil
}

func (e *encoder) devForm(x lf.Expr) []byte {
	if e.version.Stable() {
		e.failf("Daml-LF %s has no expression of the form %T", e.version, x)
	}
	switch x := x.(type) {
	case *lf.ChoiceController:
		return appendMessage(nil, 1001, e.form(formChoiceController, x.Template, x.Choice, x.Contract, x.Argument))
	case *lf.ChoiceObserver:
		return appendMessage(nil, 1002, e.form(formChoiceObserver, x.Template, x.Choice, x.Contract, x.Argument))
	case *lf.Experimental:
		var b []byte
		if x.Name != "" {
			b = appendMessage(b, 1, []byte(x.Name))
		}
		return appendMessage(nil, 9999, appendMessage(b, 2, e.typ(x.Type)))
	}
	e.failf("%T is no expression", x)
	return nil
}

// literal encodes BuiltinLit; nil if x is none.
func (e *encoder) literal(x lf.Expr) []byte {
	switch x := x.(type) {
	case *lf.LitInt64:
		return appendChoice(nil, 1, protowire.EncodeZigZag(x.Value))
	case *lf.LitTimestamp:
		if !lf.IsTimestamp(x.Micros) {
			e.failf("%d µs is no time between the years 1 and 9999", x.Micros)
		}
		b := protowire.AppendTag(nil, 2, protowire.Fixed64Type)
		return protowire.AppendFixed64(b, uint64(x.Micros))
	case *lf.LitNumeric:
		if !lf.IsNumeric(x.Value) {
			e.failf("%q is no numeric", x.Value)
		}
		return appendChoice(nil, 3, uint64(e.str(x.Value)))
	case *lf.LitText:
		return appendChoice(nil, 4, uint64(e.str(x.Value)))
	case *lf.LitDate:
		if !lf.IsDate(x.Days) {
			e.failf("day %d is no date between the years 1 and 9999", x.Days)
		}
		return appendChoice(nil, 5, uint64(int64(x.Days)))
	case *lf.LitFailureCategory:
		return appendChoice(nil, 6, uint64(x.Category))
	case *lf.LitRoundingMode:
		if e.version.Stable() {
			e.failf("Daml-LF %s has no rounding modes", e.version)
		}
		return appendChoice(nil, 1001, uint64(x.Mode))
	}
	return nil
}

func (e *encoder) appendExprs(b []byte, num protowire.Number, list []lf.Expr) []byte {
	if len(list) == 0 {
		e.failf("a list of expressions is empty")
	}
	for _, x := range list {
		b = appendMessage(b, num, e.expr(x))
	}
	return b
}

func (e *encoder) appendFieldExprs(b []byte, num protowire.Number, fields []lf.FieldExpr) []byte {
	for _, f := range fields {
		field := appendInt(nil, 3, e.name(f.Name))
		b = appendMessage(b, num, appendMessage(field, 2, e.expr(f.Value)))
	}
	return b
}

// The three below have one argument each from 2.2 on; further ones become nodes of
// their own.

func (e *encoder) tyApp(x *lf.TyApp) []byte {
	if last := len(x.Types) - 1; e.version.Flat() && last > 0 {
		x = &lf.TyApp{Expr: &lf.TyApp{Expr: x.Expr, Types: x.Types[:last]}, Types: x.Types[last:]}
	}
	b := appendMessage(nil, 1, e.expr(x.Expr))
	return e.appendTypes(b, 2, x.Types)
}

func (e *encoder) abs(x *lf.Abs) []byte {
	if e.version.Flat() && len(x.Params) > 1 {
		x = &lf.Abs{Params: x.Params[:1], Body: &lf.Abs{Params: x.Params[1:], Body: x.Body}}
	}
	var b []byte
	for _, p := range x.Params {
		b = appendMessage(b, 1, e.fieldType(p.Name, p.Type))
	}
	return appendMessage(b, 2, e.expr(x.Body))
}

func (e *encoder) tyAbs(x *lf.TyAbs) []byte {
	if e.version.Flat() && len(x.Params) > 1 {
		x = &lf.TyAbs{Params: x.Params[:1], Body: &lf.TyAbs{Params: x.Params[1:], Body: x.Body}}
	}
	b := appendAll(nil, 1, e.typeVarBinders(x.Params))
	return appendMessage(b, 2, e.expr(x.Body))
}

func (e *encoder) block(bindings []lf.Binding, body lf.Expr) []byte {
	if len(bindings) == 0 {
		e.failf("a block has no bindings")
	}
	var b []byte
	for _, x := range bindings {
		binding := appendMessage(nil, 1, e.fieldType(x.Var, x.Type))
		b = appendMessage(b, 1, appendMessage(binding, 2, e.expr(x.Bound)))
	}
	return appendMessage(b, 2, e.expr(body))
}

func (e *encoder) pattern(p lf.Pattern) []byte {
	switch p := p.(type) {
	case lf.PatDefault:
		return appendMessage(nil, 2, nil)
	case *lf.PatVariant:
		return appendMessage(nil, 3, e.form(formPatVariant, p.Con, p.Constructor, p.Var))
	case lf.PatCon:
		return appendChoice(nil, 4, uint64(p.Con))
	case lf.PatNil:
		return appendMessage(nil, 5, nil)
	case *lf.PatCons:
		return appendMessage(nil, 6, e.form(formPatCons, p.Head, p.Tail))
	case lf.PatNone:
		return appendMessage(nil, 7, nil)
	case *lf.PatSome:
		return appendMessage(nil, 8, e.form(formPatSome, p.Var))
	case *lf.PatEnum:
		return appendMessage(nil, 9, e.form(formPatEnum, p.Con, p.Constructor))
	}
	e.failf("%T is no pattern", p)
	return nil
}

func (e *encoder) update(x lf.Update) []byte {
	message := func(num protowire.Number, f form, values ...any) []byte {
		return appendMessage(nil, num, e.form(f, values...))
	}
	switch x := x.(type) {
	case *lf.Pure:
		return message(1, formPure, x.Type, x.Value)
	case *lf.Block:
		return appendMessage(nil, 2, e.block(x.Bindings, x.Body))
	case *lf.Create:
		return message(3, formCreate, x.Template, x.Arg)
	case *lf.Exercise:
		return message(4, formExercise, x.Template, x.Choice, x.ContractID, x.Arg)
	case *lf.Fetch:
		return message(5, formFetch, x.Template, x.ContractID)
	case *lf.GetTime:
		return appendMessage(nil, 6, nil)
	case *lf.EmbedExpr:
		return message(7, formEmbedExpr, x.Type, x.Body)
	case *lf.TryCatch:
		return message(11, formTryCatch, x.Type, x.Body, x.Var, x.Handler)
	case *lf.CreateInterface:
		return message(12, formCreateInterface, x.Interface, x.Arg)
	case *lf.ExerciseInterface:
		b := appendMessage(nil, 1, e.ref(x.Interface))
		b = appendInt(b, 2, e.name(x.Choice))
		b = appendMessage(b, 3, e.expr(x.ContractID))
		b = appendMessage(b, 4, e.expr(x.Arg))
		if x.Guard != nil && e.version.Stable() {
			e.failf("Daml-LF %s has no guards", e.version)
		}
		return appendMessage(nil, 13, appendOptional(b, 5, e.optional(x.Guard)))
	case *lf.FetchInterface:
		return message(14, formFetchInterface, x.Interface, x.ContractID)
	case *lf.LedgerTimeLT:
		return appendMessage(nil, 15, e.expr(x.Time))
	}
	if !e.version.HasKeys() {
		e.failf("Daml-LF %s has no update of the form %T", e.version, x)
	}
	switch x := x.(type) {
	case *lf.FetchByKey:
		return message(9, formFetchByKey, x.Template)
	case *lf.ExerciseByKey:
		return message(10, formExerciseByKey, x.Template, x.Choice, x.Key, x.Arg)
	case *lf.QueryNByKey:
		return message(16, formQueryNByKey, x.Template)
	}
	e.failf("%T is no update", x)
	return nil
}

func (e *encoder) location(l *lf.Location) []byte {
	if l == nil {
		return nil
	}
	b := []byte{}
	if l.Module != nil {
		b = appendMessage(b, 1, e.moduleRef(l.Module.Package, l.Module.Module))
	}
	r := appendInt(nil, 1, int(l.StartLine))
	r = appendInt(r, 2, int(l.StartCol))
	r = appendInt(r, 3, int(l.EndLine))
	r = appendInt(r, 4, int(l.EndCol))
	return appendMessage(b, 2, r)
}
