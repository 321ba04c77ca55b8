package validate

import (
	"github.com/synod-network/synod/daml/lf"
)

// sub computes the type of a part of what is being checked; index is -1 for a part
// that comes once.
func (c *checker) sub(label string, index int, e lf.Expr) lf.Type {
	c.path = append(c.path, step{label: label, index: index})
	t := c.typeOf(e)
	c.path = c.path[:len(c.path)-1]
	return t
}

// checkSub checks that a part has a type.
func (c *checker) checkSub(label string, index int, e lf.Expr, want lf.Type) {
	c.path = append(c.path, step{label: label, index: index})
	c.want(c.typeOf(e), want)
	c.path = c.path[:len(c.path)-1]
}

func builtin(b lf.BuiltinType, args ...lf.Type) lf.Type { return lf.Builtin(b, args...) }

func parties() lf.Type { return builtin(lf.TypeList, builtin(lf.TypeParty)) }

func updateOf(t lf.Type) lf.Type { return builtin(lf.TypeUpdate, t) }

func contractID(t lf.Ref) lf.Type { return builtin(lf.TypeContractID, con(t)) }

func con(r lf.Ref) lf.Type { return &lf.TypeCon{Ref: r} }

// typeOf computes the resolved type of an expression.
func (c *checker) typeOf(e lf.Expr) lf.Type {
	c.enter()
	r := c.typeOfForm(e)
	c.leave()
	return r
}

func (c *checker) typeOfForm(e lf.Expr) lf.Type {
	switch e := e.(type) {
	case *lf.Located:
		c.path = append(c.path, step{loc: &e.Location})
		t := c.typeOf(e.Body)
		c.path = c.path[:len(c.path)-1]
		return t
	case *lf.Var:
		stack := c.vars[e.Name]
		if len(stack) == 0 {
			c.failf(RuleScope, "variable %s is not bound", e.Name)
		}
		return stack[len(stack)-1]
	case *lf.Val:
		return c.value(e.Ref)
	case *lf.BuiltinFun:
		return c.signature(e.Fun)
	case *lf.BuiltinCon:
		if e.Con == lf.ConUnit {
			return builtin(lf.TypeUnit)
		}
		return builtin(lf.TypeBool)
	case *lf.App:
		return c.typeOfApp(e)
	case *lf.TyApp:
		return c.typeOfTyApp(e)
	case *lf.Abs:
		return c.typeOfAbs(e)
	case *lf.TyAbs:
		return c.typeOfTyAbs(e)
	case *lf.Let:
		return c.typeOfLet(e)
	case *lf.Case:
		return c.typeOfCase(e)
	case *lf.RecordCon:
		return c.typeOfRecordCon(e)
	case *lf.RecordProj:
		t, field := c.recordField(e.Type, e.Field)
		c.checkSub("record", -1, e.Record, t)
		return field
	case *lf.RecordUpd:
		t, field := c.recordField(e.Type, e.Field)
		c.checkSub("record", -1, e.Record, t)
		c.checkSub("field "+e.Field, -1, e.Update, field)
		return t
	case *lf.VariantCon:
		return c.typeOfVariantCon(e)
	case *lf.EnumCon:
		return c.typeOfEnumCon(e)
	case *lf.StructCon, *lf.StructProj, *lf.StructUpd:
		return c.typeOfStruct(e)
	case *lf.Nil:
		return builtin(lf.TypeList, c.star(e.Elem))
	case *lf.Cons:
		elem := c.star(e.Elem)
		for i, x := range e.Front {
			c.checkSub("element", i, x, elem)
		}
		list := builtin(lf.TypeList, elem)
		c.checkSub("tail", -1, e.Tail, list)
		return list
	case *lf.None:
		return builtin(lf.TypeOptional, c.star(e.Elem))
	case *lf.Some:
		elem := c.star(e.Elem)
		c.checkSub("value", -1, e.Value, elem)
		return builtin(lf.TypeOptional, elem)
	case lf.Update:
		return c.typeOfUpdate(e)
	}
	if t := c.typeOfDynamic(e); t != nil {
		return t
	}
	if t := c.typeOfInterface(e); t != nil {
		return t
	}
	return c.typeOfLiteral(e)
}

func (c *checker) typeOfLiteral(e lf.Expr) lf.Type {
	switch e := e.(type) {
	case *lf.LitInt64:
		return builtin(lf.TypeInt64)
	case *lf.LitNumeric:
		if !lf.IsNumeric(e.Value) {
			c.failf(RuleType, "%q is no numeric", e.Value)
		}
		return builtin(lf.TypeNumeric, &lf.TypeNat{Value: lf.NumericScale(e.Value)})
	case *lf.LitText:
		return builtin(lf.TypeText)
	case *lf.LitTimestamp:
		return builtin(lf.TypeTimestamp)
	case *lf.LitDate:
		return builtin(lf.TypeDate)
	case *lf.LitFailureCategory:
		return builtin(lf.TypeFailureCategory)
	}
	c.failf(RuleVersion, "an expression of the form %T is not in Daml-LF %s", e, c.pkg.Version)
	return nil
}

func (c *checker) typeOfApp(e *lf.App) lf.Type {
	fun, args := e.Fun, e.Args
	for inner, ok := fun.(*lf.App); ok; inner, ok = fun.(*lf.App) {
		args = append(inner.Args[:len(inner.Args):len(inner.Args)], args...)
		fun = inner.Fun
	}
	t := c.sub("function", -1, fun)
	for i, a := range args {
		arrow, ok := builtinApp(t, lf.TypeArrow, 2)
		if !ok {
			c.failf(RuleType, "something of type %s is applied to an argument as if it were a function", lf.TypeString(t))
		}
		c.checkSub("argument", i, a, arrow[0])
		t = arrow[1]
	}
	return t
}

// typeOfTyApp substitutes for several variables at once.
func (c *checker) typeOfTyApp(e *lf.TyApp) lf.Type {
	types := e.Types
	fun := e.Expr
	for inner, ok := fun.(*lf.TyApp); ok; inner, ok = fun.(*lf.TyApp) {
		types = append(inner.Types[:len(inner.Types):len(inner.Types)], types...)
		fun = inner.Expr
	}
	t := c.sub("polymorphic expression", -1, fun)
	with := map[lf.Name]lf.Type{}
	for _, arg := range types {
		forall, ok := t.(*lf.TypeForall)
		if !ok { // perhaps after what was put in so far
			t = c.substitute(with, t)
			clear(with)
			if forall, ok = t.(*lf.TypeForall); !ok {
				c.failf(RuleType, "something of type %s is applied to type %s as if it were polymorphic",
					lf.TypeString(t), lf.TypeString(arg))
			}
		}
		with[forall.Var.Name] = c.typeOfKind(arg, forall.Var.Kind)
		t = forall.Body
	}
	return c.substitute(with, t)
}

func (c *checker) typeOfAbs(e *lf.Abs) lf.Type {
	types := make([]lf.Type, len(e.Params))
	for i, p := range e.Params {
		types[i] = c.star(p.Type)
		c.bind(p.Name, types[i])
	}
	t := c.sub("body", -1, e.Body)
	for i := len(types) - 1; i >= 0; i-- {
		c.unbind(e.Params[i].Name)
		t = lf.Arrow(types[i], t)
	}
	return t
}

func (c *checker) typeOfTyAbs(e *lf.TyAbs) lf.Type {
	vars := make([]lf.TypeVarBinder, len(e.Params))
	for i, p := range e.Params {
		vars[i] = c.bindType(p)
	}
	t := c.sub("body", -1, e.Body)
	for i := len(vars) - 1; i >= 0; i-- {
		c.unbindType(e.Params[i].Name)
		t = &lf.TypeForall{Var: vars[i], Body: t}
	}
	return t
}

func (c *checker) typeOfLet(e *lf.Let) lf.Type {
	for _, b := range e.Bindings {
		t := c.star(b.Type)
		c.checkSub("let "+b.Var, -1, b.Bound, t)
		c.bind(b.Var, t)
	}
	t := c.sub("in", -1, e.Body)
	for _, b := range e.Bindings {
		c.unbind(b.Var)
	}
	return t
}

// apply resolves a data type applied to types. It gives the definition, the type,
// and what the parameters stand for.
func (c *checker) apply(t lf.TypeConApp) (*dataType, lf.Type, map[lf.Name]lf.Type) {
	d := c.dataType(t.Con)
	if len(d.params) != len(t.Args) {
		c.failf(RuleKind, "data type %s takes %d types, not %d", t.Con.Qualified(), len(d.params), len(t.Args))
	}
	var whole lf.Type = &lf.TypeCon{Ref: t.Con}
	with := make(map[lf.Name]lf.Type, len(t.Args))
	for i, a := range t.Args {
		arg := c.typeOfKind(a, d.def.Params[i].Kind)
		with[d.params[i]] = arg
		whole = &lf.TypeApp{Fun: whole, Arg: arg}
	}
	return d, whole, with
}

func (c *checker) record(t lf.TypeConApp) (*dataType, lf.Type, map[lf.Name]lf.Type) {
	d, whole, with := c.apply(t)
	if _, ok := d.def.Cons.(*lf.Record); !ok {
		c.failf(RuleType, "%s is no record", t.Con.Qualified())
	}
	return d, whole, with
}

func (c *checker) typeOfRecordCon(e *lf.RecordCon) lf.Type {
	d, whole, with := c.record(e.Type)
	if len(e.Fields) != len(d.fields) {
		c.failf(RuleType, "record %s has %d fields, but %d are given", e.Type.Con.Qualified(), len(d.fields), len(e.Fields))
	}
	for i, f := range e.Fields {
		if f.Name != d.fields[i].Name {
			c.failf(RuleType, "field %d of record %s is %s, not %s; fields come in the order of the type",
				i+1, e.Type.Con.Qualified(), d.fields[i].Name, f.Name)
		}
		c.checkSub("field "+f.Name, -1, f.Value, c.substitute(with, d.fields[i].Type))
	}
	return whole
}

// recordField gives the types of a record and of one of its fields.
func (c *checker) recordField(t lf.TypeConApp, name lf.Name) (whole, field lf.Type) {
	d, whole, with := c.record(t)
	field = d.field(name)
	if field == nil {
		c.failf(RuleType, "record %s has no field %s", t.Con.Qualified(), name)
	}
	return whole, c.substitute(with, field)
}

func (c *checker) typeOfVariantCon(e *lf.VariantCon) lf.Type {
	d, whole, with := c.apply(e.Type)
	if _, ok := d.def.Cons.(*lf.Variant); !ok {
		c.failf(RuleType, "%s is no variant", e.Type.Con.Qualified())
	}
	arg := d.field(e.Constructor)
	if arg == nil {
		c.failf(RuleType, "variant %s has no constructor %s", e.Type.Con.Qualified(), e.Constructor)
	}
	c.checkSub("argument of "+e.Constructor, -1, e.Arg, c.substitute(with, arg))
	return whole
}

func (c *checker) typeOfEnumCon(e *lf.EnumCon) lf.Type {
	enum, ok := c.dataType(e.Con).def.Cons.(*lf.Enum)
	if !ok {
		c.failf(RuleType, "%s is no enum", e.Con.Qualified())
	}
	if rank(enum, e.Constructor) < 0 {
		c.failf(RuleType, "enum %s has no constructor %s", e.Con.Qualified(), e.Constructor)
	}
	return con(e.Con)
}

func (c *checker) typeOfStruct(e lf.Expr) lf.Type {
	switch e := e.(type) {
	case *lf.StructCon:
		s := &lf.TypeStruct{}
		for _, f := range e.Fields {
			s.Fields = append(s.Fields, lf.FieldType{Name: f.Name, Type: c.sub("field "+f.Name, -1, f.Value)})
		}
		c.sortFields(s)
		return s
	case *lf.StructProj:
		return c.structField(c.sub("struct", -1, e.Struct), e.Field)
	case *lf.StructUpd:
		t := c.sub("struct", -1, e.Struct)
		c.checkSub("field "+e.Field, -1, e.Update, c.structField(t, e.Field))
		return t
	}
	return nil
}

func (c *checker) structField(t lf.Type, name lf.Name) lf.Type {
	s, ok := t.(*lf.TypeStruct)
	if !ok {
		c.failf(RuleType, "something of type %s is used as a struct", lf.TypeString(t))
	}
	for _, f := range s.Fields {
		if f.Name == name {
			return f.Type
		}
	}
	c.failf(RuleType, "struct %s has no field %s", lf.TypeString(t), name)
	return nil
}

// typeOfDynamic deals with values that carry their type; nil if e is none.
func (c *checker) typeOfDynamic(e lf.Expr) lf.Type {
	anyType := builtin(lf.TypeAny)
	anyException := builtin(lf.TypeAnyException)
	switch e := e.(type) {
	case *lf.ToAny:
		c.checkSub("value", -1, e.Value, c.anyType(e.Type))
		return anyType
	case *lf.FromAny:
		t := c.anyType(e.Type)
		c.checkSub("value", -1, e.Value, anyType)
		return builtin(lf.TypeOptional, t)
	case *lf.TypeRep:
		c.anyType(e.Type)
		return builtin(lf.TypeTypeRep)
	case *lf.ToAnyException:
		c.checkSub("value", -1, e.Value, c.exceptionType(e.Type))
		return anyException
	case *lf.FromAnyException:
		t := c.exceptionType(e.Type)
		c.checkSub("value", -1, e.Value, anyException)
		return builtin(lf.TypeOptional, t)
	case *lf.Throw:
		result := c.star(e.Result)
		c.checkSub("exception", -1, e.Value, c.exceptionType(e.Exception))
		return result
	}
	return nil
}

// anyType checks a type that a value may carry: a data type without parameters.
func (c *checker) anyType(t lf.Type) lf.Type {
	if _, ok := t.(*lf.TypeCon); !ok {
		c.failf(RuleType, "type %s cannot be carried by a value; only data types without parameters can", lf.TypeString(t))
	}
	return c.star(t)
}

func (c *checker) exceptionType(t lf.Type) lf.Type {
	x, ok := t.(*lf.TypeCon)
	if !ok {
		c.failf(RuleType, "type %s is no exception", lf.TypeString(t))
	}
	c.exception(x.Ref)
	return c.star(t)
}

// typeOfInterface deals with interfaces; nil if e has to do with none.
func (c *checker) typeOfInterface(e lf.Expr) lf.Type {
	switch e := e.(type) {
	case *lf.ToInterface:
		c.instance(e.Interface, e.Template)
		c.checkSub("value", -1, e.Value, con(e.Template))
		return con(e.Interface)
	case *lf.FromInterface:
		c.instance(e.Interface, e.Template)
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return builtin(lf.TypeOptional, con(e.Template))
	case *lf.UnsafeFromInterface:
		if c.pkg.Version > lf.V2_1 {
			c.failf(RuleVersion, "unsafe_from_interface is not in Daml-LF %s; 2.1 was the last version with it", c.pkg.Version)
		}
		c.instance(e.Interface, e.Template)
		c.checkSub("contract id", -1, e.ContractID, contractID(e.Interface))
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return con(e.Template)
	case *lf.ToRequiredInterface:
		c.requires(e.Requiring, e.Required)
		c.checkSub("value", -1, e.Value, con(e.Requiring))
		return con(e.Required)
	case *lf.FromRequiredInterface:
		c.requires(e.Requiring, e.Required)
		c.checkSub("value", -1, e.Value, con(e.Required))
		return builtin(lf.TypeOptional, con(e.Requiring))
	case *lf.UnsafeFromRequiredInterface:
		c.requires(e.Requiring, e.Required)
		c.checkSub("contract id", -1, e.ContractID, contractID(e.Required))
		c.checkSub("value", -1, e.Value, con(e.Required))
		return con(e.Requiring)
	case *lf.CallInterface:
		method := c.methodType(c.interfaceOf(e.Interface), e.Interface, e.Method)
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return method
	case *lf.ViewInterface:
		i := c.interfaceOf(e.Interface)
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return c.foreign(i.View)
	case *lf.SignatoryInterface:
		c.interfaceOf(e.Interface)
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return parties()
	case *lf.ObserverInterface:
		c.interfaceOf(e.Interface)
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return parties()
	case *lf.InterfaceTemplateTypeRep:
		c.interfaceOf(e.Interface)
		c.checkSub("value", -1, e.Value, con(e.Interface))
		return builtin(lf.TypeTypeRep)
	}
	return nil
}

// foreign resolves a type that stands in another definition.
func (c *checker) foreign(t lf.Type) (resolved lf.Type) {
	c.isolated(func() { resolved = c.star(t) })
	return resolved
}

func (c *checker) methodType(i *lf.Interface, r lf.Ref, name lf.Name) lf.Type {
	for _, m := range i.Methods {
		if m.Name == name {
			return c.foreign(m.Type)
		}
	}
	c.failf(RuleReference, "interface %s has no method %s", r.Qualified(), name)
	return nil
}

// instance checks that a template implements an interface.
func (c *checker) instance(i, t lf.Ref) {
	c.interfaceOf(i)
	if implementation(c.template(t), i) == nil {
		c.failf(RuleReference, "template %s does not implement interface %s", t.Qualified(), i.Qualified())
	}
}

func implementation(t *lf.Template, i lf.Ref) *lf.Implementation {
	for _, x := range t.Implements {
		if x.Interface == i {
			return x
		}
	}
	return nil
}

func (c *checker) requires(requiring, required lf.Ref) {
	for _, r := range c.interfaceOf(requiring).Requires {
		if r == required {
			return
		}
	}
	c.failf(RuleReference, "interface %s does not require %s", requiring.Qualified(), required.Qualified())
}
