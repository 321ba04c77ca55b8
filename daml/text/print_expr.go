package text

import (
	"strconv"
	"time"

	"github.com/synod-network/synod/daml/lf"
)

// context says what an expression stands in.
type context struct {
	atom bool // an argument: whatever is not atomic needs parentheses
	bar  bool // more alternatives follow: a case at the end needs parentheses
}

func (p *printer) expr(e lf.Expr, c context) {
	if p.over && p.flat {
		return
	}
	need := c.atom && !isAtom(e)
	if _, isCase := e.(*lf.Case); isCase && c.bar {
		need = true
	}
	if need {
		c.bar = false
	}
	p.group(func() {
		p.parens(need, func() { p.form(e, c.bar) })
	})
}

// atom prints an argument.
func (p *printer) atom(e lf.Expr) { p.expr(e, context{atom: true}) }

// body prints an expression that extends as far as it can.
func (p *printer) body(e lf.Expr, bar bool) { p.expr(e, context{bar: bar}) }

// isAtom says whether an expression needs no parentheses as an argument.
func isAtom(e lf.Expr) bool {
	switch e := e.(type) {
	case *lf.Var, *lf.Val, *lf.BuiltinFun, *lf.BuiltinCon,
		*lf.LitInt64, *lf.LitNumeric, *lf.LitText, *lf.LitTimestamp, *lf.LitDate,
		*lf.LitFailureCategory, *lf.LitRoundingMode,
		*lf.StructCon, *lf.StructProj, *lf.StructUpd, *lf.GetTime, *lf.FetchByKey, *lf.QueryNByKey:
		return true
	case *lf.RecordCon:
		return len(e.Type.Args) == 0
	case *lf.RecordUpd:
		return len(e.Type.Args) == 0
	}
	return false
}

// form prints an expression without parentheses around it.
func (p *printer) form(e lf.Expr, bar bool) {
	switch e := e.(type) {
	case *lf.Var:
		p.write(quoteName(e.Name))
	case *lf.Val:
		p.write(p.refText(e.Ref))
	case *lf.BuiltinFun:
		p.write(e.Fun.String())
	case *lf.BuiltinCon:
		p.write(e.Con.String())
	case *lf.App, *lf.TyApp:
		p.application(e)
	case *lf.Abs, *lf.TyAbs:
		p.abstraction(e, bar)
	case *lf.Let:
		p.bindings("let ", "=", e.Bindings, e.Body, bar)
	case *lf.Case:
		p.caseOf(e, bar)
	case *lf.Located:
		p.write(p.locationText(&e.Location), " ")
		p.atom(e.Body)
	case *lf.RecordCon, *lf.RecordProj, *lf.RecordUpd, *lf.StructCon, *lf.StructProj, *lf.StructUpd,
		*lf.VariantCon, *lf.EnumCon:
		p.data(e)
	case *lf.Nil:
		p.words("Nil", e.Elem)
	case *lf.Cons:
		p.cons(e)
	case *lf.None:
		p.words("None", e.Elem)
	case *lf.Some:
		p.words("Some", e.Elem, e.Value)
	case *lf.ToAny:
		p.words("to_any", e.Type, e.Value)
	case *lf.FromAny:
		p.words("from_any", e.Type, e.Value)
	case *lf.TypeRep:
		p.words("type_rep", e.Type)
	case *lf.ToAnyException:
		p.words("to_any_exception", e.Type, e.Value)
	case *lf.FromAnyException:
		p.words("from_any_exception", e.Type, e.Value)
	case *lf.Throw:
		p.words("throw", e.Result, e.Exception, e.Value)
	case lf.Update:
		p.update(e, bar)
	default:
		p.interfaceForm(e)
	}
}

// words prints a word and its arguments: references and types behind @, names, and
// expressions.
func (p *printer) words(word string, args ...any) {
	p.write(word)
	p.nest(func() {
		for _, a := range args {
			switch a := a.(type) {
			case lf.Ref:
				p.write(" @", p.refText(a))
			case lf.Name:
				p.write(" ", quoteName(a))
			case lf.Type:
				p.write(" ")
				p.typeArg(a)
			case lf.Expr:
				p.brk()
				p.atom(a)
			}
		}
	})
}

// application prints a function and its arguments. Where the language version
// nests applications anyway, nested ones are printed as one.
func (p *printer) application(e lf.Expr) {
	var args []any // lf.Expr and lf.Type, last first
	head := e
	for first := true; ; first = false {
		switch h := head.(type) {
		case *lf.App:
			if !first && !p.joins(len(args) > 0 && isExpr(args[len(args)-1])) {
				break
			}
			for i := len(h.Args) - 1; i >= 0; i-- {
				args = append(args, h.Args[i])
			}
			head = h.Fun
			continue
		case *lf.TyApp:
			if !first && !p.joins(len(args) > 0 && !isExpr(args[len(args)-1])) {
				break
			}
			for i := len(h.Types) - 1; i >= 0; i-- {
				args = append(args, h.Types[i])
			}
			head = h.Expr
			continue
		}
		break
	}
	p.atom(head)
	p.nest(func() {
		for i := len(args) - 1; i >= 0; i-- {
			switch a := args[i].(type) {
			case lf.Type:
				p.write(" ")
				p.typeArg(a)
			case lf.Expr:
				p.brk()
				p.atom(a)
			}
		}
	})
}

// joins says whether an application within another may be printed without
// parentheses, where same says that both are to arguments of the same sort.
func (p *printer) joins(same bool) bool { return p.flatVersion || !same }

func isExpr(a any) bool {
	_, ok := a.(lf.Expr)
	return ok
}

// abstraction prints a function; what nests is printed as one where the language
// version nests anyway.
func (p *printer) abstraction(e lf.Expr, bar bool) {
	var body lf.Expr
	switch e := e.(type) {
	case *lf.Abs:
		p.write(`\`)
		for i, params := 0, e.Params; ; i++ {
			for j, v := range params {
				if i+j > 0 {
					p.write(" ")
				}
				p.write("(", quoteName(v.Name), ": ")
				p.typ(v.Type)
				p.write(")")
			}
			body = e.Body
			inner, ok := body.(*lf.Abs)
			if !ok || !p.flatVersion {
				break
			}
			e, params = inner, inner.Params
		}
		p.write(" ->")
	case *lf.TyAbs:
		p.write(`/\`)
		for i, params := 0, e.Params; ; i++ {
			for j, v := range params {
				if i+j > 0 {
					p.write(" ")
				}
				p.write(p.typeBinderText(v))
			}
			body = e.Body
			inner, ok := body.(*lf.TyAbs)
			if !ok || !p.flatVersion {
				break
			}
			e, params = inner, inner.Params
		}
		p.write(".")
	}
	p.nest(func() {
		p.brk()
		p.body(body, bar)
	})
}

func (p *printer) bindings(word, sign string, list []lf.Binding, body lf.Expr, bar bool) {
	p.write(word)
	p.nest(func() {
		p.nest(func() {
			for i, b := range list {
				if i > 0 {
					p.write(";")
					p.brk()
				}
				p.write(quoteName(b.Var), ": ")
				p.typ(b.Type)
				p.write(" ", sign, " ")
				p.nest(func() { p.body(b.Bound, false) })
			}
		})
	})
	p.brk()
	p.write("in ")
	p.body(body, bar)
}

func (p *printer) caseOf(e *lf.Case, bar bool) {
	p.write("case ")
	p.body(e.Scrutinee, false)
	p.write(" of")
	p.nest(func() {
		for i, a := range e.Alts {
			p.brk()
			if i > 0 {
				p.write("| ")
			}
			p.pattern(a.Pattern)
			p.write(" -> ")
			p.nest(func() { p.body(a.Body, bar || i < len(e.Alts)-1) })
		}
	})
}

func (p *printer) pattern(pattern lf.Pattern) {
	switch c := pattern.(type) {
	case lf.PatDefault:
		p.write("_")
	case *lf.PatVariant:
		p.write(p.refText(c.Con), ":", quoteName(c.Constructor), " ", quoteName(c.Var))
	case *lf.PatEnum:
		p.write(p.refText(c.Con), ":", quoteName(c.Constructor))
	case lf.PatCon:
		p.write(c.Con.String())
	case lf.PatNil:
		p.write("Nil")
	case *lf.PatCons:
		p.write("Cons ", quoteName(c.Head), " ", quoteName(c.Tail))
	case lf.PatNone:
		p.write("None")
	case *lf.PatSome:
		p.write("Some ", quoteName(c.Var))
	}
}

// typeConApp prints Module:Name @type ..., ending with a blank if there are types.
func (p *printer) typeConApp(t lf.TypeConApp) {
	p.write(p.refText(t.Con))
	for _, a := range t.Args {
		p.write(" ")
		p.typeArg(a)
	}
	p.write(" ")
}

func (p *printer) data(e lf.Expr) {
	switch e := e.(type) {
	case *lf.RecordCon:
		p.typeConApp(e.Type)
		p.fields("{", e.Fields, "}")
	case *lf.RecordProj:
		p.typeConApp(e.Type)
		p.write("{", quoteName(e.Field), "} ")
		p.atom(e.Record)
	case *lf.RecordUpd:
		p.typeConApp(e.Type)
		p.update1("{", e.Record, e.Field, e.Update, "}")
	case *lf.VariantCon:
		p.write(p.refText(e.Type.Con), ":", quoteName(e.Constructor))
		for _, a := range e.Type.Args {
			p.write(" ")
			p.typeArg(a)
		}
		p.write(" ")
		p.atom(e.Arg)
	case *lf.EnumCon:
		p.write(p.refText(e.Con), ":", quoteName(e.Constructor))
	case *lf.StructCon:
		p.fields("<", e.Fields, ">")
	case *lf.StructProj:
		p.write("(")
		p.body(e.Struct, false)
		p.write(").", quoteName(e.Field))
	case *lf.StructUpd:
		p.update1("<", e.Struct, e.Field, e.Update, ">")
	}
}

func (p *printer) fields(open string, fields []lf.FieldExpr, close string) {
	p.write(open)
	p.nest(func() {
		for i, f := range fields {
			if i > 0 {
				p.write(",")
				p.brk()
			} else {
				p.soft()
			}
			p.write(quoteName(f.Name), " = ")
			p.nest(func() { p.body(f.Value, false) })
		}
	})
	p.write(close)
}

// update1 prints a record or struct with one field replaced.
func (p *printer) update1(open string, of lf.Expr, field lf.Name, value lf.Expr, close string) {
	p.write(open)
	p.body(of, false)
	p.write(" with ", quoteName(field), " = ")
	p.nest(func() { p.body(value, false) })
	p.write(close)
}

func (p *printer) cons(e *lf.Cons) {
	p.write("Cons ")
	p.typeArg(e.Elem)
	p.write(" [")
	p.nest(func() {
		for i, x := range e.Front {
			if i > 0 {
				p.write(",")
				p.brk()
			} else {
				p.soft()
			}
			p.body(x, false)
		}
	})
	p.write("] ")
	p.atom(e.Tail)
}

func (p *printer) update(u lf.Update, bar bool) {
	switch u := u.(type) {
	case *lf.Pure:
		p.words("upure", u.Type, u.Value)
	case *lf.Block:
		p.bindings("ubind ", "<-", u.Bindings, u.Body, bar)
	case *lf.EmbedExpr:
		p.words("uembed_expr", u.Type, u.Body)
	case *lf.TryCatch:
		p.words("try", u.Type, u.Body)
		p.brk()
		p.write("catch ", quoteName(u.Var), " -> ")
		p.nest(func() { p.body(u.Handler, bar) })
	case *lf.Create:
		p.words("create", u.Template, u.Arg)
	case *lf.CreateInterface:
		p.words("create_by_interface", u.Interface, u.Arg)
	case *lf.Fetch:
		p.words("fetch_template", u.Template, u.ContractID)
	case *lf.FetchInterface:
		p.words("fetch_interface", u.Interface, u.ContractID)
	case *lf.Exercise:
		p.words("exercise", u.Template, u.Choice, u.ContractID, u.Arg)
	case *lf.ExerciseInterface:
		if u.Guard != nil {
			p.words("exercise_interface_with_guard", u.Interface, u.Choice, u.ContractID, u.Arg, u.Guard)
		} else {
			p.words("exercise_interface", u.Interface, u.Choice, u.ContractID, u.Arg)
		}
	case *lf.ExerciseByKey:
		p.words("exercise_by_key", u.Template, u.Choice, u.Key, u.Arg)
	case *lf.FetchByKey:
		p.words("fetch_by_key", u.Template)
	case *lf.QueryNByKey:
		p.words("query_n_by_key", u.Template)
	case *lf.GetTime:
		p.write("uget_time")
	case *lf.LedgerTimeLT:
		p.words("ledger_time_lt", u.Time)
	}
}

func (p *printer) interfaceForm(e lf.Expr) {
	switch e := e.(type) {
	case *lf.ToInterface:
		p.words("to_interface", e.Interface, e.Template, e.Value)
	case *lf.FromInterface:
		p.words("from_interface", e.Interface, e.Template, e.Value)
	case *lf.UnsafeFromInterface:
		p.words("unsafe_from_interface", e.Interface, e.Template, e.ContractID, e.Value)
	case *lf.ToRequiredInterface:
		p.words("to_required_interface", e.Required, e.Requiring, e.Value)
	case *lf.FromRequiredInterface:
		p.words("from_required_interface", e.Required, e.Requiring, e.Value)
	case *lf.UnsafeFromRequiredInterface:
		p.words("unsafe_from_required_interface", e.Required, e.Requiring, e.ContractID, e.Value)
	case *lf.CallInterface:
		p.words("call_method", e.Interface, e.Method, e.Value)
	case *lf.ViewInterface:
		p.words("view_interface", e.Interface, e.Value)
	case *lf.SignatoryInterface:
		p.words("signatory_interface", e.Interface, e.Value)
	case *lf.ObserverInterface:
		p.words("observer_interface", e.Interface, e.Value)
	case *lf.InterfaceTemplateTypeRep:
		p.words("interface_template_type_rep", e.Interface, e.Value)
	case *lf.ChoiceController:
		p.words("choice_controller", e.Template, e.Choice, e.Contract, e.Argument)
	case *lf.ChoiceObserver:
		p.words("choice_observer", e.Template, e.Choice, e.Contract, e.Argument)
	case *lf.Experimental:
		p.write("experimental ", strconv.Quote(e.Name), " ")
		p.typeArg(e.Type)
	default:
		p.write(literalText(e))
	}
}

func literalText(e lf.Expr) string {
	switch e := e.(type) {
	case *lf.LitInt64:
		return strconv.FormatInt(e.Value, 10)
	case *lf.LitNumeric:
		return e.Value
	case *lf.LitText:
		return strconv.Quote(e.Value)
	case *lf.LitTimestamp:
		return time.UnixMicro(e.Micros).UTC().Format("2006-01-02T15:04:05.999999Z")
	case *lf.LitDate:
		return time.Unix(int64(e.Days)*24*60*60, 0).UTC().Format("2006-01-02")
	case *lf.LitFailureCategory:
		return e.Category.String()
	case *lf.LitRoundingMode:
		return e.Mode.String()
	}
	return "?"
}

func (p *printer) locationText(l *lf.Location) string {
	s := "loc("
	if l.Module != nil {
		if l.Module.Package != "" && l.Module.Package != p.self {
			s += "'" + string(l.Module.Package) + "':"
		}
		s += quoteDotted(l.Module.Module) + ", "
	}
	for i, n := range []int32{l.StartLine, l.StartCol, l.EndLine, l.EndCol} {
		if i > 0 {
			s += ", "
		}
		s += strconv.Itoa(int(n))
	}
	return s + ")"
}
