package text

import (
	"slices"

	"github.com/synod-network/synod/daml/lf"
)

// module reads module Name { definition; ... }.
func (p *parser) module() *lf.Module {
	p.expect("module")
	m := &lf.Module{Name: p.dottedName()}
	p.expect("{")
	for !p.accept("}") {
		p.definition(m)
		p.expect(";")
	}
	// The data type of an interface need not be written.
	for _, i := range m.Interfaces {
		if !slices.ContainsFunc(m.DataTypes, func(d *lf.DataType) bool { return d.Name == i.Name }) {
			m.DataTypes = append(m.DataTypes, &lf.DataType{Name: i.Name, Cons: lf.InterfaceCons{}})
		}
	}
	return m
}

// optionalLocation reads loc(...) if it comes next.
func (p *parser) optionalLocation() *lf.Location {
	if p.accept("loc") {
		return p.location()
	}
	return nil
}

func (p *parser) definition(m *lf.Module) {
	loc := p.optionalLocation()
	switch {
	case p.accept("synonym"):
		d := &lf.TypeSynonym{Name: p.dottedName(), Params: p.typeBinders(), Location: loc}
		p.expect("=")
		d.Type = p.typ()
		m.Synonyms = append(m.Synonyms, d)
	case p.accept("record"):
		d := p.dataType(loc)
		p.expect("{")
		d.Cons = &lf.Record{Fields: p.fieldTypes("}")}
		m.DataTypes = append(m.DataTypes, d)
	case p.accept("variant"):
		d := p.dataType(loc)
		d.Cons = &lf.Variant{Constructors: p.variantConstructors()}
		m.DataTypes = append(m.DataTypes, d)
	case p.accept("enum"):
		d := p.dataType(loc)
		d.Cons = &lf.Enum{Constructors: p.enumConstructors()}
		if len(d.Params) > 0 {
			p.failf("enum %s cannot have type parameters", d.Name)
		}
		m.DataTypes = append(m.DataTypes, d)
	case p.accept("interface_type"):
		d := &lf.DataType{Serializable: p.tag("serializable"), Location: loc, Cons: lf.InterfaceCons{}}
		d.Name, d.Params = p.dottedName(), p.typeBinders()
		m.DataTypes = append(m.DataTypes, d)
	case p.accept("val"):
		d := &lf.Value{Name: p.dottedName(), Location: loc}
		p.expect(":")
		d.Type = p.typ()
		p.expect("=")
		d.Body = p.expr()
		m.Values = append(m.Values, d)
	case p.accept("template"):
		m.Templates = append(m.Templates, p.template(loc))
	case p.accept("interface"):
		m.Interfaces = append(m.Interfaces, p.interfaceDef(loc))
	case p.accept("exception"):
		d := &lf.Exception{Name: p.dottedName(), Location: loc}
		p.expect("=")
		p.expect("{")
		p.expect("message")
		d.Message = p.expr()
		p.accept(";")
		p.expect("}")
		m.Exceptions = append(m.Exceptions, d)
	default:
		p.failf("there should be a definition here (synonym, record, variant, enum, val, template, interface or exception), not %v", p.peek())
	}
}

// tag reads @name if it comes next.
func (p *parser) tag(name string) bool {
	if !p.is("@") {
		return false
	}
	p.at++
	p.expect(name)
	return true
}

// dataType reads the beginning of a data type, up to the equals sign.
func (p *parser) dataType(loc *lf.Location) *lf.DataType {
	d := &lf.DataType{Serializable: p.tag("serializable"), Location: loc}
	d.Name, d.Params = p.dottedName(), p.typeBinders()
	p.expect("=")
	return d
}

func (p *parser) variantConstructors() []lf.FieldType {
	list := []lf.FieldType{}
	for !p.is(";") {
		if len(list) > 0 {
			p.expect("|")
		}
		name := p.name()
		p.expect(":")
		list = append(list, lf.FieldType{Name: name, Type: p.typ()})
	}
	return list
}

func (p *parser) enumConstructors() []lf.Name {
	list := []lf.Name{}
	for !p.is(";") {
		if len(list) > 0 {
			p.expect("|")
		}
		list = append(list, p.name())
	}
	return list
}

// head reads (this: Name) = {.
func (p *parser) head() (param lf.Name, name lf.DottedName) {
	p.expect("(")
	param = p.name()
	p.expect(":")
	name = p.dottedName()
	p.expect(")")
	p.expect("=")
	p.expect("{")
	return param, name
}

func (p *parser) template(loc *lf.Location) *lf.Template {
	t := &lf.Template{Location: loc}
	t.Param, t.Name = p.head()
	for !p.accept("}") {
		loc := p.optionalLocation()
		switch {
		case p.is("choice"):
			t.Choices = append(t.Choices, p.choice(loc))
		case p.accept("implements"):
			t.Implements = append(t.Implements, p.implementation(loc))
		case loc != nil:
			p.failf("a location stands only before a choice or an interface instance here")
		case p.accept("precondition"):
			p.single(t.Precond == nil)
			t.Precond = p.expr()
		case p.accept("signatories"):
			p.single(t.Signatories == nil)
			t.Signatories = p.expr()
		case p.accept("observers"):
			p.single(t.Observers == nil)
			t.Observers = p.expr()
		case p.accept("key"):
			p.single(t.Key == nil)
			if !p.version.HasKeys() {
				p.failf("Daml-LF %s has no contract keys; they came with 2.3", p.version)
			}
			t.Key = &lf.Key{Type: p.typeArg(), Body: p.atom(), Maintainers: p.atom()}
		default:
			p.failf("there should be a part of a template here (precondition, signatories, observers, choice, implements or key), not %v", p.peek())
		}
		p.expect(";")
	}
	if t.Signatories == nil {
		p.failf("template %s has no signatories", t.Name)
	}
	if t.Observers == nil {
		t.Observers = noParties()
	}
	return t
}

func (p *parser) single(first bool) {
	if !first {
		p.failf("this comes twice")
	}
}

// noParties is what an omitted list of parties means.
func noParties() lf.Expr { return &lf.Nil{Elem: lf.Builtin(lf.TypeParty)} }

func (p *parser) choice(loc *lf.Location) *lf.Choice {
	p.expect("choice")
	c := &lf.Choice{Consuming: !p.tag("nonConsuming"), Location: loc}
	c.Name = p.name()
	p.expect("(")
	c.Self = p.name()
	p.expect(")")
	c.Arg = p.varBinder()
	p.expect(":")
	c.Result = p.typ()
	p.expect(",")
	p.expect("controllers")
	c.Controllers = p.expr()
	c.Observers = noParties()
	for p.accept(",") {
		if p.accept("observers") {
			c.Observers = p.expr()
			continue
		}
		p.expect("authorizers")
		if p.version.Stable() {
			p.failf("Daml-LF %s has no authorizers of choices", p.version)
		}
		c.Authorizers = p.expr()
	}
	p.expect("to")
	c.Body = p.expr()
	return c
}

func (p *parser) implementation(loc *lf.Location) *lf.Implementation {
	x := &lf.Implementation{Interface: p.ref(), Location: loc}
	p.expect("{")
	p.expect("view")
	p.expect("=")
	x.View = p.expr()
	p.expect(";")
	for !p.accept("}") {
		p.expect("method")
		m := lf.Method{Name: p.name()}
		p.expect("=")
		m.Body = p.expr()
		x.Methods = append(x.Methods, m)
		p.expect(";")
	}
	return x
}

func (p *parser) interfaceDef(loc *lf.Location) *lf.Interface {
	x := &lf.Interface{Location: loc}
	x.Param, x.Name = p.head()
	p.expect("viewtype")
	x.View = p.typ()
	p.expect(";")
	for !p.accept("}") {
		loc := p.optionalLocation()
		switch {
		case p.is("choice"):
			x.Choices = append(x.Choices, p.choice(loc))
		case p.accept("method"):
			m := lf.MethodType{Name: p.name(), Location: loc}
			p.expect(":")
			m.Type = p.typ()
			x.Methods = append(x.Methods, m)
		case loc != nil:
			p.failf("a location stands only before a choice or a method here")
		case p.accept("requires"):
			x.Requires = append(x.Requires, p.ref())
		default:
			p.failf("there should be a part of an interface here (requires, method or choice), not %v", p.peek())
		}
		p.expect(";")
	}
	return x
}
