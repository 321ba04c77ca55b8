package text

import (
	"strconv"

	"github.com/synod-network/synod/daml/lf"
)

// Print writes the package. References to the package itself are written without
// its id, so that text and id do not depend on each other.
func Print(pkg *lf.Package) string {
	p := &printer{self: pkg.ID, flatVersion: pkg.Version.Flat()}
	p.write("language ", pkg.Version.String())
	p.newline()
	p.write("metadata ('", pkg.Metadata.Name, "' : '", pkg.Metadata.Version, "')")
	p.newline()
	if u := pkg.Metadata.Upgrades; u != "" {
		p.write("upgrades '", string(u), "'")
		p.newline()
	}
	switch {
	case !pkg.Version.Flat():
	case pkg.NoImportsReason != "":
		p.write("no_imports ", strconv.Quote(pkg.NoImportsReason))
		p.newline()
	case pkg.Imports != nil:
		p.write("imports")
		p.nest(func() {
			for _, id := range pkg.Imports {
				p.newline()
				p.write("'", string(id), "'")
			}
		})
		p.newline()
	}
	for _, m := range pkg.Modules {
		p.newline()
		p.module(m)
		p.newline()
	}
	return p.b.String()
}

func (p *printer) module(m *lf.Module) {
	p.write("module ", quoteDotted(m.Name), " {")
	p.nest(func() {
		for _, d := range m.Synonyms {
			p.definition(d.Location, func() {
				p.write("synonym ", quoteDotted(d.Name))
				p.typeBinders(d.Params)
				p.write(" = ")
				p.typ(d.Type)
			})
		}
		for _, d := range m.DataTypes[:len(m.DataTypes)-impliedTypes(m)] {
			p.definition(d.Location, func() { p.dataType(d) })
		}
		for _, d := range m.Values {
			p.definition(d.Location, func() {
				p.write("val ", quoteDotted(d.Name), ": ")
				p.typ(d.Type)
				p.write(" =")
				p.nest(func() {
					p.brk()
					p.body(d.Body, false)
				})
			})
		}
		for _, d := range m.Templates {
			p.definition(d.Location, func() { p.template(d) })
		}
		for _, d := range m.Exceptions {
			p.definition(d.Location, func() {
				p.write("exception ", quoteDotted(d.Name), " = {")
				p.nest(func() { p.clause("message ", d.Message) })
				p.newline()
				p.write("}")
			})
		}
		for _, d := range m.Interfaces {
			p.definition(d.Location, func() { p.interfaceDef(d) })
		}
	})
	p.newline()
	p.write("}")
}

// impliedTypes counts the data types at the end of the list that the parser makes
// for the interfaces of the module.
func impliedTypes(m *lf.Module) int {
	n, types := len(m.Interfaces), len(m.DataTypes)
	if n > types {
		return 0
	}
	for i, d := range m.DataTypes[types-n:] {
		if _, ok := d.Cons.(lf.InterfaceCons); !ok || d.Name != m.Interfaces[i].Name ||
			d.Serializable || d.Location != nil || len(d.Params) > 0 {
			return 0
		}
	}
	return n
}

// definition prints one definition and the semicolon behind it.
func (p *printer) definition(loc *lf.Location, write func()) {
	p.newline()
	p.location(loc)
	p.group(write)
	p.write(";")
}

// location prints where the definition that follows stood.
func (p *printer) location(loc *lf.Location) {
	if loc != nil {
		p.write(p.locationText(loc), " ")
	}
}

func (p *printer) typeBinders(params []lf.TypeVarBinder) {
	for _, v := range params {
		p.write(" ", p.typeBinderText(v))
	}
}

func (p *printer) dataType(d *lf.DataType) {
	head := func(word, sign string) {
		p.write(word, " ")
		if d.Serializable {
			p.write("@serializable ")
		}
		p.write(quoteDotted(d.Name))
		p.typeBinders(d.Params)
		p.write(sign)
	}
	switch c := d.Cons.(type) {
	case *lf.Record:
		head("record", " = {")
		p.fieldTypes(c.Fields, ",")
		if len(c.Fields) > 0 {
			p.brk()
		}
		p.write("}")
	case *lf.Variant:
		head("variant", " =")
		p.fieldTypes(c.Constructors, " |")
	case *lf.Enum:
		head("enum", " =")
		p.nest(func() {
			for i, name := range c.Constructors {
				if i > 0 {
					p.write(" |")
				}
				p.brk()
				p.write(quoteName(name))
			}
		})
	case lf.InterfaceCons:
		head("interface_type", "")
	}
}

func (p *printer) fieldTypes(fields []lf.FieldType, between string) {
	p.nest(func() {
		for i, f := range fields {
			if i > 0 {
				p.write(between)
			}
			p.brk()
			p.write(quoteName(f.Name), ": ")
			p.typ(f.Type)
		}
	})
}

// clause prints a word, an expression and a semicolon on lines of their own.
func (p *printer) clause(word string, e lf.Expr) {
	p.newline()
	p.write(word)
	p.nest(func() { p.body(e, false) })
	p.write(";")
}

func (p *printer) template(d *lf.Template) {
	p.write("template (", quoteName(d.Param), ": ", quoteDotted(d.Name), ") = {")
	p.nest(func() {
		if d.Precond != nil {
			p.clause("precondition ", d.Precond)
		}
		p.clause("signatories ", d.Signatories)
		p.clause("observers ", d.Observers)
		for _, c := range d.Choices {
			p.choice(c)
		}
		for _, i := range d.Implements {
			p.implementation(i)
		}
		if k := d.Key; k != nil {
			p.newline()
			p.words("key", k.Type, k.Body, k.Maintainers)
			p.write(";")
		}
	})
	p.newline()
	p.write("}")
}

func (p *printer) choice(c *lf.Choice) {
	p.newline()
	p.location(c.Location)
	p.write("choice ")
	if !c.Consuming {
		p.write("@nonConsuming ")
	}
	p.write(quoteName(c.Name), " (", quoteName(c.Self), ") (", quoteName(c.Arg.Name), ": ")
	p.typ(c.Arg.Type)
	p.write("): ")
	p.typ(c.Result)
	p.nest(func() {
		part := func(word string, e lf.Expr) {
			p.write(",")
			p.newline()
			p.write(word, " ")
			p.nest(func() { p.body(e, false) })
		}
		part("controllers", c.Controllers)
		if !isNoParties(c.Observers) {
			part("observers", c.Observers)
		}
		if c.Authorizers != nil {
			part("authorizers", c.Authorizers)
		}
		p.newline()
		p.write("to ")
		p.nest(func() { p.body(c.Body, false) })
		p.write(";")
	})
}

// isNoParties recognises what the parser puts where a list of parties is omitted.
func isNoParties(e lf.Expr) bool {
	if e == nil {
		return true
	}
	n, ok := e.(*lf.Nil)
	if !ok {
		return false
	}
	b, ok := n.Elem.(*lf.TypeBuiltin)
	return ok && b.Builtin == lf.TypeParty
}

func (p *printer) implementation(x *lf.Implementation) {
	p.newline()
	p.location(x.Location)
	p.write("implements ", p.refText(x.Interface), " {")
	p.nest(func() {
		p.clause("view = ", x.View)
		for _, m := range x.Methods {
			p.clause("method "+quoteName(m.Name)+" = ", m.Body)
		}
	})
	p.newline()
	p.write("};")
}

func (p *printer) interfaceDef(d *lf.Interface) {
	p.write("interface (", quoteName(d.Param), ": ", quoteDotted(d.Name), ") = {")
	p.nest(func() {
		p.newline()
		p.write("viewtype ")
		p.typ(d.View)
		p.write(";")
		for _, r := range d.Requires {
			p.newline()
			p.write("requires ", p.refText(r), ";")
		}
		for _, m := range d.Methods {
			p.newline()
			p.location(m.Location)
			p.write("method ", quoteName(m.Name), ": ")
			p.typ(m.Type)
			p.write(";")
		}
		for _, c := range d.Choices {
			p.choice(c)
		}
	})
	p.newline()
	p.write("}")
}
