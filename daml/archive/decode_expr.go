package archive

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

// concreteExpr decodes an entry of the table of expressions.
func (d *decoder) concreteExpr(b []byte) lf.Expr {
	for c := d.open("Expr", b); c.next(); {
		if c.num == 44 {
			c.failf("a table entry is only a reference to another")
		}
	}
	return d.expr(b)
}

func (d *decoder) expr(b []byte) lf.Expr {
	depth := d.deep
	d.enter()
	r := d.exprBody(b)
	d.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (d *decoder) exprBody(b []byte) lf.Expr {
	c := d.open("Expr", b)
	var e lf.Expr
	var loc *lf.Location
	for c.next() {
		if c.num == 1 {
			loc = d.location(c.bytes())
			continue
		}
		if e != nil {
			c.failf("it has more than one form")
		}
		if e = d.exprForm(&c); e == nil {
			c.unknown()
		}
	}
	if e == nil {
		c.failf("it has no form")
	}
	if loc != nil {
		d.count(extent{nodes: 1, depth: 1})
		return &lf.Located{Location: *loc, Body: e}
	}
	return e
}

// exprForm decodes the field that says what the expression is; nil for a field
// that is not known.
func (d *decoder) exprForm(c *cursor) lf.Expr {
	switch c.num {
	case 2:
		return &lf.Var{Name: d.name(c.index())}
	case 3:
		return &lf.Val{Ref: d.ref(c.bytes())}
	case 4:
		v := c.varint()
		f := lf.Function(v)
		if uint64(f) != v || f.String() == "" {
			c.failf("builtin function %d is unknown", v)
		}
		if f.Since() > d.version {
			c.failf("builtin function %s is not in Daml-LF %s", f, d.version)
		}
		return &lf.BuiltinFun{Fun: f}
	case 5:
		return &lf.BuiltinCon{Con: d.builtinCon(c)}
	case 6:
		return d.literal(c.bytes())
	case 7:
		return d.recordCon(c.bytes())
	case 8:
		p := d.form(formRecordProj, c.bytes())
		return &lf.RecordProj{Type: p.con, Field: p.name[4], Record: p.expr[3]}
	case 9:
		p := d.form(formRecordUpd, c.bytes())
		return &lf.RecordUpd{Type: p.con, Field: p.name[2], Record: p.expr[3], Update: p.expr[4]}
	case 10:
		p := d.form(formVariantCon, c.bytes())
		return &lf.VariantCon{Type: p.con, Constructor: p.name[2], Arg: p.expr[3]}
	case 11:
		p := d.form(formEnumCon, c.bytes())
		return &lf.EnumCon{Con: p.ref[1], Constructor: p.name[2]}
	case 12:
		return &lf.StructCon{Fields: d.fieldExprs("StructCon", c.bytes())}
	case 13:
		p := d.form(formStructProj, c.bytes())
		return &lf.StructProj{Field: p.name[1], Struct: p.expr[2]}
	case 14:
		p := d.form(formStructUpd, c.bytes())
		return &lf.StructUpd{Field: p.name[1], Struct: p.expr[2], Update: p.expr[3]}
	case 15:
		return d.app(c.bytes())
	case 16:
		return d.tyApp(c.bytes())
	case 17:
		return d.abs(c.bytes())
	case 18:
		return d.tyAbs(c.bytes())
	case 19:
		return d.caseOf(c.bytes())
	case 20:
		bindings, body := d.block("Block", c.bytes())
		return &lf.Let{Bindings: bindings, Body: body}
	case 21:
		p := d.form(formNil, c.bytes())
		return &lf.Nil{Elem: p.typ[1]}
	case 22:
		return d.cons(c.bytes())
	case 23:
		return d.update(c.bytes())
	case 25:
		p := d.form(formNone, c.bytes())
		return &lf.None{Elem: p.typ[1]}
	case 26:
		p := d.form(formSome, c.bytes())
		return &lf.Some{Elem: p.typ[1], Value: p.expr[2]}
	case 27:
		p := d.form(formToAny, c.bytes())
		return &lf.ToAny{Type: p.typ[1], Value: p.expr[2]}
	case 28:
		p := d.form(formFromAny, c.bytes())
		return &lf.FromAny{Type: p.typ[1], Value: p.expr[2]}
	case 29:
		return &lf.TypeRep{Type: d.typ(c.bytes())}
	case 30:
		p := d.form(formToAnyException, c.bytes())
		return &lf.ToAnyException{Type: p.typ[1], Value: p.expr[2]}
	case 31:
		p := d.form(formFromAnyException, c.bytes())
		return &lf.FromAnyException{Type: p.typ[1], Value: p.expr[2]}
	case 32:
		p := d.form(formThrow, c.bytes())
		return &lf.Throw{Result: p.typ[1], Exception: p.typ[2], Value: p.expr[3]}
	case 44:
		d.needFlat(c, "interned expressions")
		i := c.index()
		if i >= len(d.exprs) {
			c.failf("there is no earlier interned expression %d", i)
		}
		d.count(d.exprSize[i])
		return d.exprs[i]
	}
	if c.num >= 1000 {
		return d.exprDev(c)
	}
	return d.exprInterface(c)
}

func (d *decoder) exprInterface(c *cursor) lf.Expr {
	switch c.num {
	case 33:
		p := d.form(formToInterface, c.bytes())
		return &lf.ToInterface{Interface: p.ref[1], Template: p.ref[2], Value: p.expr[3]}
	case 34:
		p := d.form(formFromInterface, c.bytes())
		return &lf.FromInterface{Interface: p.ref[1], Template: p.ref[2], Value: p.expr[3]}
	case 35:
		p := d.form(formCallInterface, c.bytes())
		return &lf.CallInterface{Interface: p.ref[1], Method: p.name[2], Value: p.expr[3]}
	case 36:
		p := d.form(formSignatoryInterface, c.bytes())
		return &lf.SignatoryInterface{Interface: p.ref[1], Value: p.expr[2]}
	case 37:
		p := d.form(formObserverInterface, c.bytes())
		return &lf.ObserverInterface{Interface: p.ref[1], Value: p.expr[2]}
	case 38:
		p := d.form(formViewInterface, c.bytes())
		return &lf.ViewInterface{Interface: p.ref[1], Value: p.expr[2]}
	case 39:
		p := d.form(formUnsafeFromInterface, c.bytes())
		return &lf.UnsafeFromInterface{Interface: p.ref[1], Template: p.ref[2], ContractID: p.expr[3], Value: p.expr[4]}
	case 40:
		p := d.form(formInterfaceTemplateTypeRep, c.bytes())
		return &lf.InterfaceTemplateTypeRep{Interface: p.ref[1], Value: p.expr[2]}
	case 41:
		p := d.form(formToRequiredInterface, c.bytes())
		return &lf.ToRequiredInterface{Required: p.ref[1], Requiring: p.ref[2], Value: p.expr[3]}
	case 42:
		p := d.form(formFromRequiredInterface, c.bytes())
		return &lf.FromRequiredInterface{Required: p.ref[1], Requiring: p.ref[2], Value: p.expr[3]}
	case 43:
		p := d.form(formUnsafeFromRequiredInterface, c.bytes())
		return &lf.UnsafeFromRequiredInterface{Required: p.ref[1], Requiring: p.ref[2], ContractID: p.expr[3], Value: p.expr[4]}
	}
	return nil
}

func (d *decoder) exprDev(c *cursor) lf.Expr {
	if d.version.Stable() {
		c.failf("field %d is of Daml-LF 2.dev; the package is of %s", c.num, d.version)
	}
	switch c.num {
	case 1001:
		p := d.form(formChoiceController, c.bytes())
		return &lf.ChoiceController{Template: p.ref[1], Choice: p.name[2], Contract: p.expr[3], Argument: p.expr[4]}
	case 1002:
		p := d.form(formChoiceObserver, c.bytes())
		return &lf.ChoiceObserver{Template: p.ref[1], Choice: p.name[2], Contract: p.expr[3], Argument: p.expr[4]}
	case 9999:
		x := d.open("Experimental", c.bytes())
		e := &lf.Experimental{}
		for x.next() {
			switch x.num {
			case 1:
				e.Name = x.text(x.bytes())
			case 2:
				e.Type = d.typ(x.bytes())
			default:
				x.unknown()
			}
		}
		if e.Type == nil {
			x.failf("it has no type")
		}
		return e
	}
	return nil
}

func (d *decoder) builtinCon(c *cursor) lf.Con {
	v := c.varint()
	if v > uint64(lf.ConTrue) {
		c.failf("builtin constructor %d is unknown", v)
	}
	return lf.Con(v)
}

func (d *decoder) literal(b []byte) lf.Expr {
	c := d.open("BuiltinLit", b)
	var e lf.Expr
	for c.next() {
		if e != nil {
			c.failf("it has more than one form")
		}
		switch c.num {
		case 1:
			v := c.varint()
			e = &lf.LitInt64{Value: int64(v>>1) ^ -int64(v&1)}
		case 2:
			c.want(protowire.Fixed64Type)
			micros := int64(c.value)
			if !lf.IsTimestamp(micros) {
				c.failf("%d µs is no time between the years 1 and 9999", micros)
			}
			e = &lf.LitTimestamp{Micros: micros}
		case 3:
			s := d.str(c.index())
			if !lf.IsNumeric(s) {
				c.failf("%q is no numeric", s)
			}
			e = &lf.LitNumeric{Value: s}
		case 4:
			e = &lf.LitText{Value: d.str(c.index())}
		case 5:
			days := c.int32()
			if !lf.IsDate(days) {
				c.failf("day %d is no date between the years 1 and 9999", days)
			}
			e = &lf.LitDate{Days: days}
		case 6:
			v := c.varint()
			if v > uint64(lf.InvalidGivenCurrentSystemStateOther) {
				c.failf("failure category %d is unknown", v)
			}
			e = &lf.LitFailureCategory{Category: lf.FailureCategory(v)}
		case 1001:
			v := c.varint()
			if v > 7 || d.version.Stable() {
				c.failf("rounding mode %d is not in Daml-LF %s", v, d.version)
			}
			e = &lf.LitRoundingMode{Mode: lf.RoundingMode(v)}
		default:
			c.unknown()
		}
	}
	if e == nil {
		c.failf("it has no form")
	}
	return e
}

func (d *decoder) recordCon(b []byte) lf.Expr {
	c := d.open("RecCon", b)
	e := &lf.RecordCon{}
	for c.next() {
		switch c.num {
		case 1:
			e.Type = d.typeConApp(c.bytes())
		case 2:
			e.Fields = append(e.Fields, d.fieldExpr(c.item()))
		default:
			c.unknown()
		}
	}
	if e.Type.Con.Name == "" {
		c.failf("it has no type")
	}
	return e
}

func (d *decoder) fieldExpr(b []byte) lf.FieldExpr {
	c := d.open("FieldWithExpr", b)
	name := 0
	var f lf.FieldExpr
	for c.next() {
		switch c.num {
		case 2:
			f.Value = d.expr(c.bytes())
		case 3:
			name = c.index()
		default:
			c.unknown()
		}
	}
	f.Name = d.name(name)
	if f.Value == nil {
		c.failf("field %s has no value", f.Name)
	}
	return f
}

func (d *decoder) fieldExprs(message string, b []byte) []lf.FieldExpr {
	var fields []lf.FieldExpr
	for c := d.open(message, b); c.next(); {
		if c.num != 1 {
			c.unknown()
		}
		fields = append(fields, d.fieldExpr(c.item()))
	}
	return fields
}

func (d *decoder) app(b []byte) lf.Expr {
	c := d.open("App", b)
	e := &lf.App{}
	for c.next() {
		switch c.num {
		case 1:
			e.Fun = d.expr(c.bytes())
		case 2:
			e.Args = append(e.Args, d.expr(c.item()))
		default:
			c.unknown()
		}
	}
	if e.Fun == nil || e.Args == nil {
		c.failf("function or arguments are missing")
	}
	return e
}

func (d *decoder) tyApp(b []byte) lf.Expr {
	c := d.open("TyApp", b)
	e := &lf.TyApp{}
	for c.next() {
		switch c.num {
		case 1:
			e.Expr = d.expr(c.bytes())
		case 2:
			e.Types = append(e.Types, d.typ(c.item()))
		default:
			c.unknown()
		}
	}
	if e.Expr == nil {
		c.failf("what is applied is missing")
	}
	d.needCount(&c, len(e.Types), "type")
	return e
}

func (d *decoder) abs(b []byte) lf.Expr {
	c := d.open("Abs", b)
	e := &lf.Abs{}
	for c.next() {
		switch c.num {
		case 1:
			e.Params = append(e.Params, d.varBinder(c.item()))
		case 2:
			e.Body = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	if e.Body == nil {
		c.failf("it has no body")
	}
	d.needCount(&c, len(e.Params), "parameter")
	return e
}

func (d *decoder) tyAbs(b []byte) lf.Expr {
	c := d.open("TyAbs", b)
	e := &lf.TyAbs{}
	for c.next() {
		switch c.num {
		case 1:
			e.Params = append(e.Params, d.typeVarBinder(c.item()))
		case 2:
			e.Body = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	if e.Body == nil {
		c.failf("it has no body")
	}
	d.needCount(&c, len(e.Params), "parameter")
	return e
}

func (d *decoder) cons(b []byte) lf.Expr {
	c := d.open("Cons", b)
	e := &lf.Cons{}
	for c.next() {
		switch c.num {
		case 1:
			e.Elem = d.typ(c.bytes())
		case 2:
			e.Front = append(e.Front, d.expr(c.item()))
		case 3:
			e.Tail = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	if e.Elem == nil || e.Front == nil || e.Tail == nil {
		c.failf("type, elements or tail are missing")
	}
	return e
}

func (d *decoder) block(message string, b []byte) ([]lf.Binding, lf.Expr) {
	c := d.open(message, b)
	var bindings []lf.Binding
	var body lf.Expr
	for c.next() {
		switch c.num {
		case 1:
			bindings = append(bindings, d.binding(c.item()))
		case 2:
			body = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	if body == nil || bindings == nil {
		c.failf("bindings or body are missing")
	}
	// A let of n variables is n scopes within each other.
	d.count(extent{nodes: int64(len(bindings)), depth: len(bindings)})
	return bindings, body
}

func (d *decoder) binding(b []byte) lf.Binding {
	c := d.open("Binding", b)
	var v lf.VarBinder
	var bound lf.Expr
	for c.next() {
		switch c.num {
		case 1:
			v = d.varBinder(c.bytes())
		case 2:
			bound = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	if v.Type == nil || bound == nil {
		c.failf("variable or expression is missing")
	}
	return lf.Binding{Var: v.Name, Type: v.Type, Bound: bound}
}
