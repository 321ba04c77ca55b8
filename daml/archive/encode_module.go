package archive

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/lf"
)

// The functions below encode the parts of a definition in the order in which the
// Daml compiler does, which decides the order of the tables, and then put them
// into the order of the format.

func (e *encoder) module(m *lf.Module) []byte {
	e.at = "module " + string(m.Name)
	b := appendInt(nil, 1, e.dotted(m.Name))
	var flags []byte // behaviour of Daml-LF 1 that is switched off for good
	for num := protowire.Number(1); num <= 3; num++ {
		flags = appendBool(flags, num, true)
	}
	b = appendMessage(b, 2, flags)
	for _, d := range m.Synonyms {
		b = appendMessage(b, 3, e.synonym(d))
	}
	for _, d := range m.DataTypes {
		b = appendMessage(b, 4, e.dataType(d))
	}
	for _, d := range m.Values {
		b = appendMessage(b, 5, e.value(d))
	}
	for _, d := range m.Templates {
		b = appendMessage(b, 6, e.template(d))
	}
	for _, d := range m.Exceptions {
		b = appendMessage(b, 7, e.exception(d))
	}
	for _, d := range m.Interfaces {
		b = appendMessage(b, 8, e.interfaceDef(d))
	}
	return b
}

func (e *encoder) synonym(d *lf.TypeSynonym) []byte {
	name := e.dotted(d.Name)
	params := e.typeVarBinders(d.Params)
	t := e.typ(d.Type)
	b := appendOptional(nil, 1, e.location(d.Location))
	b = appendInt(b, 2, name)
	b = appendAll(b, 3, params)
	return appendMessage(b, 4, t)
}

func (e *encoder) dataType(d *lf.DataType) []byte {
	name := e.dotted(d.Name)
	params := e.typeVarBinders(d.Params)
	var cons []byte
	switch c := d.Cons.(type) {
	case *lf.Record:
		cons = appendMessage(nil, 5, e.fields(c.Fields))
	case *lf.Variant:
		cons = appendMessage(nil, 6, e.fields(c.Constructors))
	case *lf.Enum:
		var positions, enum []byte
		for _, c := range c.Constructors {
			positions = protowire.AppendVarint(positions, uint64(e.name(c)))
		}
		if positions != nil {
			enum = appendMessage(nil, 2, positions)
		}
		cons = appendMessage(nil, 7, enum)
	case lf.InterfaceCons:
		cons = appendMessage(nil, 8, nil)
	default:
		e.failf("data type %s has no form", d.Name)
	}
	b := appendOptional(nil, 1, e.location(d.Location))
	b = appendInt(b, 2, name)
	b = appendAll(b, 3, params)
	b = appendBool(b, 4, d.Serializable)
	return append(b, cons...)
}

func (e *encoder) value(d *lf.Value) []byte {
	nameWithType := appendInt(nil, 1, e.dotted(d.Name))
	nameWithType = appendMessage(nameWithType, 2, e.typ(d.Type))
	body := e.expr(d.Body)
	b := appendOptional(nil, 1, e.location(d.Location))
	b = appendMessage(b, 2, nameWithType)
	return appendMessage(b, 3, body)
}

func (e *encoder) template(d *lf.Template) []byte {
	name := e.dotted(d.Name)
	param := e.name(d.Param)
	precond := e.optional(d.Precond)
	signatories := e.expr(d.Signatories)
	observers := e.expr(d.Observers)
	var choices [][]byte
	for _, c := range d.Choices {
		choices = append(choices, e.choice(c))
	}
	location := e.location(d.Location)
	var key []byte
	if d.Key != nil {
		if !e.version.HasKeys() {
			e.failf("template %s has a key; Daml-LF %s has none", d.Name, e.version)
		}
		key = e.form(formKey, d.Key.Type, d.Key.Body, d.Key.Maintainers)
	}
	var implements [][]byte
	for _, i := range d.Implements {
		implements = append(implements, e.implementation(i))
	}
	b := appendInt(nil, 1, name)
	b = appendInt(b, 2, param)
	b = appendOptional(b, 3, precond)
	b = appendMessage(b, 4, signatories)
	b = appendAll(b, 6, choices)
	b = appendMessage(b, 7, observers)
	b = appendOptional(b, 8, location)
	b = appendOptional(b, 9, key)
	return appendAll(b, 10, implements)
}

func (e *encoder) choice(c *lf.Choice) []byte {
	name := e.name(c.Name)
	controllers := e.expr(c.Controllers)
	observers := e.optional(c.Observers)
	if observers == nil {
		observers = e.expr(&lf.Nil{Elem: &lf.TypeBuiltin{Builtin: lf.TypeParty}})
	}
	authorizers := e.optional(c.Authorizers)
	if authorizers != nil && e.version.Stable() {
		e.failf("choice %s has authorizers; Daml-LF %s has none", c.Name, e.version)
	}
	self := e.name(c.Self)
	arg := e.fieldType(c.Arg.Name, c.Arg.Type)
	result := e.typ(c.Result)
	body := e.expr(c.Body)
	b := appendOptional(nil, 1, e.location(c.Location))
	b = appendInt(b, 2, name)
	b = appendBool(b, 3, c.Consuming)
	b = appendMessage(b, 4, controllers)
	b = appendMessage(b, 5, observers)
	b = appendMessage(b, 6, arg)
	b = appendMessage(b, 8, result)
	b = appendMessage(b, 9, body)
	b = appendInt(b, 10, self)
	return appendOptional(b, 1001, authorizers)
}

func (e *encoder) implementation(d *lf.Implementation) []byte {
	ref := e.ref(d.Interface)
	var body []byte
	for _, m := range d.Methods {
		body = appendMessage(body, 1, e.form(formMethod, m.Name, m.Body))
	}
	body = appendMessage(body, 2, e.expr(d.View))
	b := appendMessage(nil, 1, ref)
	b = appendMessage(b, 2, body)
	return appendOptional(b, 3, e.location(d.Location))
}

func (e *encoder) interfaceDef(d *lf.Interface) []byte {
	b := appendOptional(nil, 1, e.location(d.Location))
	b = appendInt(b, 2, e.dotted(d.Name))
	var requires, methods, choices [][]byte
	for _, r := range d.Requires {
		requires = append(requires, e.ref(r))
	}
	for _, m := range d.Methods {
		x := appendOptional(nil, 1, e.location(m.Location))
		x = appendInt(x, 2, e.name(m.Name))
		methods = append(methods, appendMessage(x, 3, e.typ(m.Type)))
	}
	param := e.name(d.Param)
	for _, c := range d.Choices {
		choices = append(choices, e.choice(c))
	}
	view := e.typ(d.View)
	b = appendAll(b, 3, methods)
	b = appendInt(b, 4, param)
	b = appendAll(b, 5, choices)
	b = appendMessage(b, 6, view)
	return appendAll(b, 7, requires)
}

func (e *encoder) exception(d *lf.Exception) []byte {
	b := appendInt(nil, 1, e.dotted(d.Name))
	b = appendOptional(b, 2, e.location(d.Location))
	return appendMessage(b, 3, e.expr(d.Message))
}
