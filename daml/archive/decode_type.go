package archive

import "github.com/synod-network/synod/daml/lf"

func (d *decoder) kind(b []byte) lf.Kind {
	depth := d.deep
	d.enter()
	r := d.kindForm(b)
	d.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (d *decoder) kindForm(b []byte) lf.Kind {
	c := d.open("Kind", b)
	var k lf.Kind
	for c.next() {
		if k != nil {
			c.failf("it has more than one form")
		}
		switch c.num {
		case 1:
			c.empty()
			k = lf.KindStar{}
		case 2:
			k = d.kindArrow(c.bytes())
		case 3:
			c.empty()
			k = lf.KindNat{}
		case 4:
			d.needFlat(&c, "interned kinds")
			i := c.index()
			if i >= len(d.kinds) {
				c.failf("there is no earlier interned kind %d", i)
			}
			k = d.kinds[i]
		default:
			c.unknown()
		}
	}
	if k == nil {
		c.failf("it has no form")
	}
	return k
}

// concreteKind decodes an entry of the table of kinds.
func (d *decoder) concreteKind(b []byte) lf.Kind {
	if c := d.open("Kind", b); c.next() && c.num == 4 {
		c.failf("a table entry is only a reference to another")
	}
	return d.kind(b)
}

func (d *decoder) kindArrow(b []byte) lf.Kind {
	c := d.open("Kind.Arrow", b)
	var params []lf.Kind
	var result lf.Kind
	for c.next() {
		switch c.num {
		case 1:
			params = append(params, d.kind(c.item()))
		case 2:
			result = d.kind(c.bytes())
		default:
			c.unknown()
		}
	}
	if result == nil {
		c.failf("it has no result")
	}
	d.needCount(&c, len(params), "parameter")
	for i := len(params) - 1; i >= 0; i-- {
		result = &lf.KindArrow{Param: params[i], Result: result, Joined: i < len(params)-1}
	}
	return result
}

// needCount checks the length of a list that is never empty and from 2.2 on has
// one element.
func (d *decoder) needCount(c *cursor, n int, what string) {
	if n == 0 {
		c.failf("it has no %s", what)
	}
	if n > 1 && d.version.Flat() {
		c.failf("it has %d %ss where Daml-LF %s has one", n, what, d.version)
	}
	for i := 1; i < n; i++ { // each stands for a node of its own
		d.count(extent{nodes: 1, depth: i})
	}
}

// typ decodes a type outside of the table: always a reference into it.
func (d *decoder) typ(b []byte) lf.Type {
	c := d.open("Type", b)
	if !c.next() || c.num != 8 || len(c.rest) != 0 {
		c.failf("a type is not interned")
	}
	return d.internedType(&c)
}

func (d *decoder) internedType(c *cursor) lf.Type {
	i := c.index()
	if i >= len(d.types) {
		c.failf("there is no earlier interned type %d", i)
	}
	d.count(d.typeSize[i])
	return d.types[i]
}

// concreteType decodes an entry of the table of types.
func (d *decoder) concreteType(b []byte) lf.Type {
	if c := d.open("Type", b); c.next() && c.num == 8 {
		c.failf("a table entry is only a reference to another")
	}
	return d.nestedType(b)
}

// nestedType decodes a type within the table.
func (d *decoder) nestedType(b []byte) lf.Type {
	depth := d.deep
	d.enter()
	r := d.nestedTypeForm(b)
	d.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (d *decoder) nestedTypeForm(b []byte) lf.Type {
	c := d.open("Type", b)
	var t lf.Type
	for c.next() {
		if t != nil {
			c.failf("it has more than one form")
		}
		switch c.num {
		case 1:
			t = d.typeVar(c.bytes())
		case 2:
			t = d.typeCon(c.bytes())
		case 3:
			t = d.typeBuiltin(c.bytes())
		case 4:
			t = d.typeForall(c.bytes())
		case 5:
			t = d.typeStruct(c.bytes())
		case 6:
			v := c.varint()
			n := int64(v>>1) ^ -int64(v&1)
			if n < 0 || n > 37 {
				c.failf("%d is no scale of a numeric; those go from 0 to 37", n)
			}
			t = &lf.TypeNat{Value: int(n)}
		case 7:
			t = d.typeSyn(c.bytes())
		case 8:
			t = d.internedType(&c)
		case 9:
			d.needFlat(&c, "type applications of this form")
			t = d.typeApp(c.bytes())
		default:
			c.unknown()
		}
	}
	if t == nil {
		c.failf("it has no form")
	}
	return t
}

// applied applies a type to the arguments that 2.1 writes beside it.
func (d *decoder) applied(c *cursor, t lf.Type, args []lf.Type) lf.Type {
	if len(args) > 0 && d.version.Flat() {
		c.failf("it has arguments beside it, which Daml-LF %s writes as applications", d.version)
	}
	if len(args) > 0 {
		d.count(extent{nodes: int64(len(args)), depth: len(args)})
	}
	return lf.AppTypes(t, args...)
}

func (d *decoder) typeVar(b []byte) lf.Type {
	c := d.open("Type.Var", b)
	name := 0
	var args []lf.Type
	for c.next() {
		switch c.num {
		case 2:
			args = append(args, d.nestedType(c.item()))
		case 3:
			name = c.index()
		default:
			c.unknown()
		}
	}
	return d.applied(&c, &lf.TypeVar{Name: d.name(name)}, args)
}

// con decodes Type.Con and Type.Syn: a reference and types.
func (d *decoder) con(message string, b []byte, decode func([]byte) lf.Type) (cursor, lf.Ref, []lf.Type) {
	c := d.open(message, b)
	var ref lf.Ref
	var args []lf.Type
	for c.next() {
		switch c.num {
		case 1:
			ref = d.ref(c.bytes())
		case 2:
			args = append(args, decode(c.item()))
		default:
			c.unknown()
		}
	}
	if ref.Name == "" {
		c.failf("it names no definition")
	}
	return c, ref, args
}

func (d *decoder) typeCon(b []byte) lf.Type {
	c, ref, args := d.con("Type.Con", b, d.nestedType)
	return d.applied(&c, &lf.TypeCon{Ref: ref}, args)
}

func (d *decoder) typeSyn(b []byte) lf.Type {
	_, ref, args := d.con("Type.Syn", b, d.nestedType)
	return &lf.TypeSyn{Ref: ref, Args: args}
}

// typeConApp decodes the type that a constructor or projection names.
func (d *decoder) typeConApp(b []byte) lf.TypeConApp {
	_, ref, args := d.con("Type.Con", b, d.typ)
	return lf.TypeConApp{Con: ref, Args: args}
}

func (d *decoder) typeBuiltin(b []byte) lf.Type {
	c := d.open("Type.Builtin", b)
	var builtin lf.BuiltinType
	var args []lf.Type
	for c.next() {
		switch c.num {
		case 1:
			v := c.varint()
			builtin = lf.BuiltinType(v)
			if uint64(builtin) != v || builtin.String() == "" {
				c.failf("builtin type %d is unknown", v)
			}
		case 2:
			args = append(args, d.nestedType(c.item()))
		default:
			c.unknown()
		}
	}
	if builtin.Since() > d.version {
		c.failf("type %s is not in Daml-LF %s", builtin, d.version)
	}
	return d.applied(&c, &lf.TypeBuiltin{Builtin: builtin}, args)
}

func (d *decoder) typeForall(b []byte) lf.Type {
	c := d.open("Type.Forall", b)
	var vars []lf.TypeVarBinder
	var body lf.Type
	for c.next() {
		switch c.num {
		case 1:
			vars = append(vars, d.typeVarBinder(c.item()))
		case 2:
			body = d.nestedType(c.bytes())
		default:
			c.unknown()
		}
	}
	if body == nil {
		c.failf("it has no body")
	}
	d.needCount(&c, len(vars), "variable")
	for i := len(vars) - 1; i >= 0; i-- {
		body = &lf.TypeForall{Var: vars[i], Body: body}
	}
	return body
}

func (d *decoder) typeVarBinder(b []byte) lf.TypeVarBinder {
	c := d.open("TypeVarWithKind", b)
	name := 0
	var kind lf.Kind
	for c.next() {
		switch c.num {
		case 2:
			kind = d.kind(c.bytes())
		case 3:
			name = c.index()
		default:
			c.unknown()
		}
	}
	if kind == nil {
		c.failf("type variable %s has no kind", d.name(name))
	}
	return lf.TypeVarBinder{Name: d.name(name), Kind: kind}
}

// fieldType decodes FieldWithType and VarWithType, which look the same.
func (d *decoder) fieldType(message string, b []byte, decode func([]byte) lf.Type) lf.FieldType {
	c := d.open(message, b)
	name := 0
	var t lf.Type
	for c.next() {
		switch c.num {
		case 2:
			t = decode(c.bytes())
		case 3:
			name = c.index()
		default:
			c.unknown()
		}
	}
	if t == nil {
		c.failf("%s has no type", d.name(name))
	}
	return lf.FieldType{Name: d.name(name), Type: t}
}

func (d *decoder) varBinder(b []byte) lf.VarBinder {
	return lf.VarBinder(d.fieldType("VarWithType", b, d.typ))
}

// fields decodes a message that is a list of fields with types.
func (d *decoder) fields(message string, b []byte, decode func([]byte) lf.Type) []lf.FieldType {
	fields := []lf.FieldType{}
	for c := d.open(message, b); c.next(); {
		if c.num != 1 {
			c.unknown()
		}
		fields = append(fields, d.fieldType("FieldWithType", c.item(), decode))
	}
	return fields
}

func (d *decoder) typeStruct(b []byte) lf.Type {
	fields := d.fields("Type.Struct", b, d.nestedType)
	if len(fields) == 0 {
		d.failf("a struct type has no fields")
	}
	return &lf.TypeStruct{Fields: fields}
}

func (d *decoder) typeApp(b []byte) lf.Type {
	c := d.open("Type.TApp", b)
	app := &lf.TypeApp{}
	for c.next() {
		switch c.num {
		case 1:
			app.Fun = d.nestedType(c.bytes())
		case 2:
			app.Arg = d.nestedType(c.bytes())
		default:
			c.unknown()
		}
	}
	if app.Fun == nil || app.Arg == nil {
		c.failf("function or argument is missing")
	}
	return app
}
