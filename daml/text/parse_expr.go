package text

import "github.com/synod-network/synod/daml/lf"

// expr reads an expression with all its arguments.
func (p *parser) expr() lf.Expr {
	depth := p.deep
	p.enter()
	r := p.exprBody()
	p.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (p *parser) exprBody() lf.Expr {
	e := p.atom()
	for {
		switch {
		case p.is("@"):
			var types []lf.Type
			for p.is("@") {
				types = append(types, p.typeArg())
			}
			e = p.tyApp(e, types)
		case p.startsExpr():
			var args []lf.Expr
			for p.startsExpr() {
				args = append(args, p.atom())
			}
			e = p.app(e, args)
		default:
			return e
		}
		p.enter() // one node deeper each time
	}
}

// From 2.2 on, each argument is a node of its own; but see package lf on App.

func (p *parser) app(fun lf.Expr, args []lf.Expr) lf.Expr {
	if !p.version.Flat() {
		return &lf.App{Fun: fun, Args: args}
	}
	for _, a := range args {
		fun = &lf.App{Fun: fun, Args: []lf.Expr{a}}
		p.enter()
	}
	return fun
}

func (p *parser) tyApp(e lf.Expr, types []lf.Type) lf.Expr {
	if !p.version.Flat() {
		return &lf.TyApp{Expr: e, Types: types}
	}
	for _, t := range types {
		e = &lf.TyApp{Expr: e, Types: []lf.Type{t}}
	}
	return e
}

func (p *parser) abs(params []lf.VarBinder, body lf.Expr) lf.Expr {
	if !p.version.Flat() {
		return &lf.Abs{Params: params, Body: body}
	}
	for i := len(params) - 1; i >= 0; i-- {
		body = &lf.Abs{Params: params[i : i+1], Body: body}
	}
	return body
}

func (p *parser) tyAbs(params []lf.TypeVarBinder, body lf.Expr) lf.Expr {
	if !p.version.Flat() {
		return &lf.TyAbs{Params: params, Body: body}
	}
	for i := len(params) - 1; i >= 0; i-- {
		body = &lf.TyAbs{Params: params[i : i+1], Body: body}
	}
	return body
}

// startsExpr says whether an expression comes next.
func (p *parser) startsExpr() bool {
	switch t := p.peek(); t.sort {
	case tokEnd:
		return false
	case tokSymbol:
		return t.text == "(" || t.text == "<" || t.text == `\` || t.text == `/\`
	case tokWord:
		switch t.text {
		case "in", "with", "of", "to", "catch", "forall", "nat":
			return false
		}
		return words[t.text].builtinType == nil
	}
	return true
}

// atom reads an expression that can stand as an argument.
func (p *parser) atom() lf.Expr {
	depth := p.deep
	p.enter()
	r := p.atomForm()
	p.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (p *parser) atomForm() lf.Expr {
	t := p.peek()
	switch t.sort {
	case tokInt:
		p.at++
		return &lf.LitInt64{Value: t.number}
	case tokNumeric:
		if !lf.IsNumeric(t.text) {
			p.failf("%v is no numeric: there are 38 digits at most, 37 of them behind the point, and no zeros in front", t)
		}
		p.at++
		return &lf.LitNumeric{Value: t.text}
	case tokText:
		p.at++
		return &lf.LitText{Value: t.text}
	case tokTimestamp:
		p.at++
		return &lf.LitTimestamp{Micros: t.number}
	case tokDate:
		p.at++
		return &lf.LitDate{Days: int32(t.number)}
	case tokWord:
		return p.word(t)
	case tokSymbol:
		return p.symbol(t)
	}
	if p.startsRef() {
		return p.named()
	}
	return &lf.Var{Name: p.name()}
}

// symbol reads an expression that begins with punctuation.
func (p *parser) symbol(t token) lf.Expr {
	switch {
	case p.accept("("):
		if p.accept(")") {
			return &lf.BuiltinCon{Con: lf.ConUnit}
		}
		e := p.expr()
		p.expect(")")
		for p.accept(".") {
			e = &lf.StructProj{Field: p.name(), Struct: e}
			p.enter()
		}
		return e
	case p.accept("<"):
		return p.structure()
	case p.accept(`\`):
		var params []lf.VarBinder
		for ok := true; ok; ok = p.is("(") {
			params = append(params, p.varBinder())
		}
		p.expect("->")
		for range params {
			p.enter()
		}
		return p.abs(params, p.expr())
	case p.accept(`/\`):
		params := p.typeBinders()
		if len(params) == 0 {
			p.failf("there should be a type variable here, not %v", p.peek())
		}
		p.expect(".")
		return p.tyAbs(params, p.expr())
	}
	p.failf("there should be an expression here, not %v", t)
	return nil
}

// varBinder reads (x: type).
func (p *parser) varBinder() lf.VarBinder {
	p.expect("(")
	b := lf.VarBinder{Name: p.name()}
	p.expect(":")
	b.Type = p.typ()
	p.expect(")")
	return b
}

// structure reads what stands between < and >.
func (p *parser) structure() lf.Expr {
	if p.is(">") || p.peekAt(1).is("=") {
		return &lf.StructCon{Fields: p.fieldExprs(">")}
	}
	e := p.expr()
	p.expect("with")
	f := p.fieldExpr()
	p.expect(">")
	return &lf.StructUpd{Field: f.Name, Struct: e, Update: f.Value}
}

func (p *parser) fieldExpr() lf.FieldExpr {
	f := lf.FieldExpr{Name: p.name()}
	p.expect("=")
	f.Value = p.expr()
	return f
}

// fieldExprs reads name = expression, ... up to the end that it takes too.
func (p *parser) fieldExprs(end string) []lf.FieldExpr {
	var fields []lf.FieldExpr
	for !p.accept(end) {
		if len(fields) > 0 {
			p.expect(",")
		}
		fields = append(fields, p.fieldExpr())
	}
	return fields
}

// named reads an expression that begins with a reference: a value, or something
// made of a data type.
func (p *parser) named() lf.Expr {
	ref := p.ref()
	if p.accept(":") {
		return p.constructor(ref)
	}
	before := p.at
	con := lf.TypeConApp{Con: ref}
	for p.is("@") {
		con.Args = append(con.Args, p.typeArg())
	}
	if !p.accept("{") {
		p.at = before // those types are arguments
		return &lf.Val{Ref: ref}
	}
	switch next := p.peekAt(1); {
	case p.is("}"), p.peek().sort == tokName && next.is("="):
		return &lf.RecordCon{Type: con, Fields: p.fieldExprs("}")}
	case p.peek().sort == tokName && next.is("}"):
		field := p.name()
		p.expect("}")
		return &lf.RecordProj{Type: con, Field: field, Record: p.atom()}
	}
	record := p.expr()
	p.expect("with")
	f := p.fieldExpr()
	p.expect("}")
	return &lf.RecordUpd{Type: con, Field: f.Name, Record: record, Update: f.Value}
}

func (p *parser) constructor(ref lf.Ref) lf.Expr {
	name := p.name()
	con := lf.TypeConApp{Con: ref}
	before := p.at
	for p.is("@") {
		con.Args = append(con.Args, p.typeArg())
	}
	if p.startsExpr() {
		return &lf.VariantCon{Type: con, Constructor: name, Arg: p.atom()}
	}
	p.at = before
	return &lf.EnumCon{Con: ref, Constructor: name}
}

// word reads an expression that begins with a word of the syntax.
func (p *parser) word(t token) lf.Expr {
	switch m := words[t.text]; {
	case m.function != nil:
		f := m.function()
		if f.Fun.Since() > p.version {
			p.failf("builtin function %v is not in Daml-LF %s", t, p.version)
		}
		p.at++
		return f
	case m.literal != nil:
		p.at++
		return m.literal()
	}
	p.at++
	switch t.text {
	case "True":
		return &lf.BuiltinCon{Con: lf.ConTrue}
	case "False":
		return &lf.BuiltinCon{Con: lf.ConFalse}
	case "Nil":
		return &lf.Nil{Elem: p.typeArg()}
	case "Cons":
		return p.cons()
	case "None":
		return &lf.None{Elem: p.typeArg()}
	case "Some":
		return &lf.Some{Elem: p.typeArg(), Value: p.atom()}
	case "let":
		bindings := p.bindings("=")
		return &lf.Let{Bindings: bindings, Body: p.expr()}
	case "case":
		return p.caseOf()
	case "loc":
		e := &lf.Located{Location: *p.location(), Body: p.atom()}
		if _, twice := e.Body.(*lf.Located); twice {
			p.failf("this expression has two locations")
		}
		return e
	case "to_any":
		return &lf.ToAny{Type: p.typeArg(), Value: p.atom()}
	case "from_any":
		return &lf.FromAny{Type: p.typeArg(), Value: p.atom()}
	case "type_rep":
		return &lf.TypeRep{Type: p.typeArg()}
	case "to_any_exception":
		return &lf.ToAnyException{Type: p.typeArg(), Value: p.atom()}
	case "from_any_exception":
		return &lf.FromAnyException{Type: p.typeArg(), Value: p.atom()}
	case "throw":
		return &lf.Throw{Result: p.typeArg(), Exception: p.typeArg(), Value: p.atom()}
	}
	for _, read := range []func(string) lf.Expr{p.update, p.interfaceWord, p.devWord} {
		if e := read(t.text); e != nil {
			return e
		}
	}
	p.at--
	p.failf("there should be an expression here, not %v", t)
	return nil
}

func (p *parser) interfaceWord(word string) lf.Expr {
	switch word {
	case "to_interface":
		return &lf.ToInterface{Interface: p.refArg(), Template: p.refArg(), Value: p.atom()}
	case "from_interface":
		return &lf.FromInterface{Interface: p.refArg(), Template: p.refArg(), Value: p.atom()}
	case "unsafe_from_interface":
		return &lf.UnsafeFromInterface{Interface: p.refArg(), Template: p.refArg(), ContractID: p.atom(), Value: p.atom()}
	case "to_required_interface":
		return &lf.ToRequiredInterface{Required: p.refArg(), Requiring: p.refArg(), Value: p.atom()}
	case "from_required_interface":
		return &lf.FromRequiredInterface{Required: p.refArg(), Requiring: p.refArg(), Value: p.atom()}
	case "unsafe_from_required_interface":
		return &lf.UnsafeFromRequiredInterface{Required: p.refArg(), Requiring: p.refArg(), ContractID: p.atom(), Value: p.atom()}
	case "call_method":
		return &lf.CallInterface{Interface: p.refArg(), Method: p.name(), Value: p.atom()}
	case "view_interface":
		return &lf.ViewInterface{Interface: p.refArg(), Value: p.atom()}
	case "signatory_interface":
		return &lf.SignatoryInterface{Interface: p.refArg(), Value: p.atom()}
	case "observer_interface":
		return &lf.ObserverInterface{Interface: p.refArg(), Value: p.atom()}
	case "interface_template_type_rep":
		return &lf.InterfaceTemplateTypeRep{Interface: p.refArg(), Value: p.atom()}
	}
	return nil
}

func (p *parser) devWord(word string) lf.Expr {
	switch word {
	case "choice_controller":
		return &lf.ChoiceController{Template: p.refArg(), Choice: p.name(), Contract: p.atom(), Argument: p.atom()}
	case "choice_observer":
		return &lf.ChoiceObserver{Template: p.refArg(), Choice: p.name(), Contract: p.atom(), Argument: p.atom()}
	case "experimental":
		return &lf.Experimental{Name: p.text(), Type: p.typeArg()}
	}
	return nil
}

// cons reads @type [element, ...] tail.
func (p *parser) cons() lf.Expr {
	e := &lf.Cons{Elem: p.typeArg()}
	p.expect("[")
	for ok := true; ok; ok = p.accept(",") {
		e.Front = append(e.Front, p.expr())
	}
	p.expect("]")
	e.Tail = p.atom()
	return e
}

// bindings reads x: type = expression; ... in, with = or <-.
func (p *parser) bindings(sign string) []lf.Binding {
	var list []lf.Binding
	for ok := true; ok; ok = p.accept(";") {
		b := lf.Binding{Var: p.name()}
		p.expect(":")
		b.Type = p.typ()
		p.expect(sign)
		b.Bound = p.expr()
		list = append(list, b)
	}
	p.expect("in")
	return list
}

func (p *parser) caseOf() lf.Expr {
	e := &lf.Case{Scrutinee: p.expr()}
	p.expect("of")
	if !p.startsPattern() {
		return e
	}
	for ok := true; ok; ok = p.accept("|") {
		pattern := p.pattern()
		p.expect("->")
		e.Alts = append(e.Alts, lf.Alt{Pattern: pattern, Body: p.expr()})
	}
	return e
}

func (p *parser) startsPattern() bool {
	switch t := p.peek(); t.sort {
	case tokName, tokQuoted:
		return true
	case tokWord:
		switch t.text {
		case "True", "False", "Nil", "Cons", "None", "Some":
			return true
		}
	case tokSymbol:
		return t.text == "("
	}
	return false
}

func (p *parser) pattern() lf.Pattern {
	switch {
	case p.accept("True"):
		return lf.PatCon{Con: lf.ConTrue}
	case p.accept("False"):
		return lf.PatCon{Con: lf.ConFalse}
	case p.accept("("):
		p.expect(")")
		return lf.PatCon{Con: lf.ConUnit}
	case p.accept("Nil"):
		return lf.PatNil{}
	case p.accept("Cons"):
		return &lf.PatCons{Head: p.name(), Tail: p.name()}
	case p.accept("None"):
		return lf.PatNone{}
	case p.accept("Some"):
		return &lf.PatSome{Var: p.name()}
	case p.is("_") && !p.startsRef():
		p.at++
		return lf.PatDefault{}
	}
	con := p.ref()
	p.expect(":")
	name := p.name()
	if p.peek().sort == tokName {
		return &lf.PatVariant{Con: con, Constructor: name, Var: p.name()}
	}
	return &lf.PatEnum{Con: con, Constructor: name}
}

// location reads (line, column, line, column), with a module in front if it is not
// the one around, after the word loc. A name of a definition behind the module is
// accepted and ignored.
func (p *parser) location() *lf.Location {
	loc := &lf.Location{}
	p.expect("(")
	if s := p.peek().sort; s == tokName || s == tokQuoted {
		loc.Module = &lf.Ref{}
		if s == tokQuoted {
			loc.Module.Package = p.foreignPackage()
			p.expect(":")
		}
		loc.Module.Module = p.dottedName()
		p.expect(",")
		if p.peek().sort == tokName {
			p.name()
			p.expect(",")
		}
	}
	for i, n := range []*int32{&loc.StartLine, &loc.StartCol, &loc.EndLine, &loc.EndCol} {
		if i > 0 {
			p.expect(",")
		}
		*n = p.int32()
	}
	p.expect(")")
	return loc
}
