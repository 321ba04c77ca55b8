package archive

import (
	"fmt"

	"github.com/synod-network/synod/daml/lf"
)

func (d *decoder) module(b []byte) *lf.Module {
	c := d.open("Module", b)
	m := &lf.Module{}
	name := 0
	var definitions [9][][]byte // by field number
	flags := false
	for c.next() {
		switch c.num {
		case 1:
			name = c.index()
		case 2:
			d.featureFlags(c.bytes())
			flags = true
		case 3, 4, 5, 6, 7, 8:
			definitions[c.num] = append(definitions[c.num], c.item())
		default:
			c.unknown()
		}
	}
	if !flags {
		d.featureFlags(nil)
	}
	m.Name = d.dotted(name)
	d.at = "module " + string(m.Name)
	for _, b := range definitions[3] {
		m.Synonyms = append(m.Synonyms, d.synonym(b))
	}
	for _, b := range definitions[4] {
		m.DataTypes = append(m.DataTypes, d.dataType(b))
	}
	for _, b := range definitions[5] {
		m.Values = append(m.Values, d.value(b))
	}
	for _, b := range definitions[6] {
		m.Templates = append(m.Templates, d.template(b))
	}
	for _, b := range definitions[7] {
		m.Exceptions = append(m.Exceptions, d.exception(b))
	}
	for _, b := range definitions[8] {
		m.Interfaces = append(m.Interfaces, d.interfaceDef(b))
	}
	d.at = ""
	return m
}

// named says in errors which definition is being decoded, until the function it
// gives is called.
func (d *decoder) named(sort string, name string) func() {
	outer := d.at
	d.at = fmt.Sprintf("%s, %s %s", outer, sort, name)
	return func() { d.at = outer }
}

// featureFlags wants the three switches that Daml-LF 2 always has on.
func (d *decoder) featureFlags(b []byte) {
	var on [4]bool
	c := d.open("FeatureFlags", b)
	for c.next() {
		if c.num > 3 {
			c.unknown()
		}
		on[c.num] = c.bool()
	}
	if !on[1] || !on[2] || !on[3] {
		c.failf("the module wants behaviour of Daml-LF 1 that no longer exists")
	}
}

func (d *decoder) synonym(b []byte) *lf.TypeSynonym {
	c := d.open("DefTypeSyn", b)
	s := &lf.TypeSynonym{}
	name := 0
	for c.next() {
		switch c.num {
		case 1:
			s.Location = d.location(c.bytes())
		case 2:
			name = c.index()
		case 3:
			s.Params = append(s.Params, d.typeVarBinder(c.item()))
		case 4:
			s.Type = d.typ(c.bytes())
		default:
			c.unknown()
		}
	}
	s.Name = d.dotted(name)
	if s.Type == nil {
		c.failf("type synonym %s has no type", s.Name)
	}
	return s
}

func (d *decoder) dataType(b []byte) *lf.DataType {
	c := d.open("DefDataType", b)
	t := &lf.DataType{}
	name := 0
	for c.next() {
		if c.num >= 5 && c.num <= 8 && t.Cons != nil {
			c.failf("it has more than one form")
		}
		switch c.num {
		case 1:
			t.Location = d.location(c.bytes())
		case 2:
			name = c.index()
			defer d.named("data type", string(d.dotted(name)))()
		case 3:
			t.Params = append(t.Params, d.typeVarBinder(c.item()))
		case 4:
			t.Serializable = c.bool()
		case 5:
			t.Cons = &lf.Record{Fields: d.fields("Fields", c.bytes(), d.typ)}
		case 6:
			t.Cons = &lf.Variant{Constructors: d.fields("Fields", c.bytes(), d.typ)}
		case 7:
			t.Cons = &lf.Enum{Constructors: d.enumConstructors(c.bytes())}
		case 8:
			c.empty()
			t.Cons = lf.InterfaceCons{}
		default:
			c.unknown()
		}
	}
	t.Name = d.dotted(name)
	if t.Cons == nil {
		c.failf("%s has no form", t.Name)
	}
	if _, enum := t.Cons.(*lf.Enum); enum && len(t.Params) > 0 {
		c.failf("enum %s has type parameters", t.Name)
	}
	return t
}

func (d *decoder) enumConstructors(b []byte) []lf.Name {
	var at []int
	for c := d.open("EnumConstructors", b); c.next(); {
		if c.num != 2 {
			c.unknown()
		}
		at = c.indices(at)
	}
	names := make([]lf.Name, len(at))
	for i, n := range at {
		names[i] = d.name(n)
	}
	return names
}

func (d *decoder) value(b []byte) *lf.Value {
	c := d.open("DefValue", b)
	v := &lf.Value{}
	for c.next() {
		switch c.num {
		case 1:
			v.Location = d.location(c.bytes())
		case 2:
			n := d.open("NameWithType", c.bytes())
			name := 0
			for n.next() {
				switch n.num {
				case 1:
					name = n.index()
				case 2:
					v.Type = d.typ(n.bytes())
				default:
					n.unknown()
				}
			}
			v.Name = d.dotted(name)
			defer d.named("value", string(v.Name))()
		case 3:
			v.Body = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	if v.Type == nil || v.Body == nil {
		c.failf("type or expression are missing")
	}
	return v
}

func (d *decoder) template(b []byte) *lf.Template {
	c := d.open("DefTemplate", b)
	t := &lf.Template{}
	name, param := 0, 0
	for c.next() {
		switch c.num {
		case 1:
			name = c.index()
			defer d.named("template", string(d.dotted(name)))()
		case 2:
			param = c.index()
		case 3:
			t.Precond = d.expr(c.bytes())
		case 4:
			t.Signatories = d.expr(c.bytes())
		case 6:
			t.Choices = append(t.Choices, d.choice(c.item()))
		case 7:
			t.Observers = d.expr(c.bytes())
		case 8:
			t.Location = d.location(c.bytes())
		case 9:
			if !d.version.HasKeys() {
				c.failf("Daml-LF %s has no contract keys", d.version)
			}
			p := d.form(formKey, c.bytes())
			t.Key = &lf.Key{Type: p.typ[1], Body: p.expr[4], Maintainers: p.expr[3]}
		case 10:
			t.Implements = append(t.Implements, d.implementation(c.item()))
		default:
			c.unknown()
		}
	}
	t.Name, t.Param = d.dotted(name), d.name(param)
	if t.Signatories == nil || t.Observers == nil {
		c.failf("signatories or observers are missing")
	}
	return t
}

func (d *decoder) choice(b []byte) *lf.Choice {
	c := d.open("TemplateChoice", b)
	x := &lf.Choice{}
	name, self := 0, 0
	for c.next() {
		switch c.num {
		case 1:
			x.Location = d.location(c.bytes())
		case 2:
			name = c.index()
			defer d.named("choice", d.name(name))()
		case 3:
			x.Consuming = c.bool()
		case 4:
			x.Controllers = d.expr(c.bytes())
		case 5:
			x.Observers = d.expr(c.bytes())
		case 6:
			x.Arg = d.varBinder(c.bytes())
		case 8:
			x.Result = d.typ(c.bytes())
		case 9:
			x.Body = d.expr(c.bytes())
		case 10:
			self = c.index()
		case 1001:
			if d.version.Stable() {
				c.failf("Daml-LF %s has no authorizers of choices", d.version)
			}
			x.Authorizers = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	x.Name, x.Self = d.name(name), d.name(self)
	if x.Controllers == nil || x.Arg.Type == nil || x.Result == nil || x.Body == nil {
		c.failf("controllers, argument, result or update are missing")
	}
	if x.Observers == nil {
		c.failf("observers are missing; without any, they are an empty list")
	}
	return x
}

func (d *decoder) implementation(b []byte) *lf.Implementation {
	c := d.open("Implements", b)
	x := &lf.Implementation{}
	for c.next() {
		switch c.num {
		case 1:
			x.Interface = d.ref(c.bytes())
			defer d.named("instance of", x.Interface.Qualified())()
		case 2:
			body := d.open("InterfaceInstanceBody", c.bytes())
			for body.next() {
				switch body.num {
				case 1:
					p := d.form(formMethod, body.item())
					x.Methods = append(x.Methods, lf.Method{Name: p.name[1], Body: p.expr[2]})
				case 2:
					x.View = d.expr(body.bytes())
				default:
					body.unknown()
				}
			}
		case 3:
			x.Location = d.location(c.bytes())
		default:
			c.unknown()
		}
	}
	if x.Interface.Name == "" || x.View == nil {
		c.failf("interface or view are missing")
	}
	return x
}

func (d *decoder) interfaceDef(b []byte) *lf.Interface {
	c := d.open("DefInterface", b)
	x := &lf.Interface{}
	name, param := 0, 0
	for c.next() {
		switch c.num {
		case 1:
			x.Location = d.location(c.bytes())
		case 2:
			name = c.index()
			defer d.named("interface", string(d.dotted(name)))()
		case 3:
			x.Methods = append(x.Methods, d.methodType(c.item()))
		case 4:
			param = c.index()
		case 5:
			x.Choices = append(x.Choices, d.choice(c.item()))
		case 6:
			x.View = d.typ(c.bytes())
		case 7:
			x.Requires = append(x.Requires, d.ref(c.item()))
		default:
			c.unknown()
		}
	}
	x.Name, x.Param = d.dotted(name), d.name(param)
	if x.View == nil {
		c.failf("interface %s has no view type", x.Name)
	}
	return x
}

func (d *decoder) methodType(b []byte) lf.MethodType {
	c := d.open("InterfaceMethod", b)
	var m lf.MethodType
	name := 0
	for c.next() {
		switch c.num {
		case 1:
			m.Location = d.location(c.bytes())
		case 2:
			name = c.index()
		case 3:
			m.Type = d.typ(c.bytes())
		default:
			c.unknown()
		}
	}
	m.Name = d.name(name)
	if m.Type == nil {
		c.failf("method %s has no type", m.Name)
	}
	return m
}

func (d *decoder) exception(b []byte) *lf.Exception {
	c := d.open("DefException", b)
	x := &lf.Exception{}
	name := 0
	for c.next() {
		switch c.num {
		case 1:
			name = c.index()
			defer d.named("exception", string(d.dotted(name)))()
		case 2:
			x.Location = d.location(c.bytes())
		case 3:
			x.Message = d.expr(c.bytes())
		default:
			c.unknown()
		}
	}
	x.Name = d.dotted(name)
	if x.Message == nil {
		c.failf("exception %s has no message", x.Name)
	}
	return x
}
