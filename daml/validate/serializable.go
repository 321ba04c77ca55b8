package validate

import (
	"slices"

	"github.com/synod-network/synod/daml/lf"
)

// checkSerializableData checks a data type that says it can be stored.
func (c *checker) checkSerializableData(r lf.Ref, d *dataType) {
	vars := map[lf.Name]bool{}
	for i, p := range d.def.Params {
		if _, star := p.Kind.(lf.KindStar); !star {
			c.failf(RuleSerializable, "the type cannot be stored: its parameter %s has kind %s", p.Name, lf.KindString(p.Kind))
		}
		vars[d.params[i]] = true
	}
	switch cons := d.def.Cons.(type) {
	case lf.InterfaceCons:
		c.failf(RuleSerializable, "an interface cannot be stored")
	case *lf.Variant:
		if len(cons.Constructors) == 0 {
			c.failf(RuleSerializable, "the type cannot be stored: it has no values")
		}
	case *lf.Enum:
		if len(cons.Constructors) == 0 {
			c.failf(RuleSerializable, "the type cannot be stored: it has no values")
		}
	}
	for _, f := range d.fields {
		if bad := c.unserializable(f.Type, vars); bad != nil {
			c.failf(RuleSerializable, "the type cannot be stored: %s of type %s holds %s", f.Name, lf.TypeString(f.Type), lf.TypeString(bad))
		}
	}
	// Synonyms have no place in stored types, even where they stand for something
	// that has.
	for _, t := range fieldTypes(d.def) {
		if syn := synonymIn(t); syn != nil {
			c.failf(RuleSerializable, "the type cannot be stored: it is written with type synonym %s", syn.Ref.Qualified())
		}
	}
}

func fieldTypes(d *lf.DataType) []lf.Type {
	var fields []lf.FieldType
	switch cons := d.Cons.(type) {
	case *lf.Record:
		fields = cons.Fields
	case *lf.Variant:
		fields = cons.Constructors
	}
	types := make([]lf.Type, len(fields))
	for i, f := range fields {
		types[i] = f.Type
	}
	return types
}

// synonymIn finds a synonym in a type that could be stored but for it; a contract
// id may name anything.
func synonymIn(t lf.Type) *lf.TypeSyn {
	if syn, ok := t.(*lf.TypeSyn); ok {
		return syn
	}
	head, args := lf.SplitApp(t)
	if b, ok := head.(*lf.TypeBuiltin); ok && b.Builtin == lf.TypeContractID {
		return nil
	}
	for _, a := range args {
		if syn := synonymIn(a); syn != nil {
			return syn
		}
	}
	return nil
}

// serializable wants a resolved type that can be stored.
func (c *checker) serializable(what string, t lf.Type) {
	if bad := c.unserializable(t, nil); bad != nil {
		c.failf(RuleSerializable, "%s has type %s, which cannot be stored because of %s", what, lf.TypeString(t), lf.TypeString(bad))
	}
}

// unserializable gives the part of a resolved type that cannot be stored, or nil.
// Values of the variables can be.
func (c *checker) unserializable(t lf.Type, vars map[lf.Name]bool) lf.Type {
	c.enter()
	r := c.unserializableForm(t, vars)
	c.leave()
	return r
}

func (c *checker) unserializableForm(t lf.Type, vars map[lf.Name]bool) lf.Type {
	head, args := lf.SplitApp(t)
	switch h := head.(type) {
	case *lf.TypeVar:
		if !vars[h.Name] {
			return t
		}
	case *lf.TypeCon:
		if d := c.world.DataType(h.Ref); d == nil || !d.Serializable {
			return h
		}
	case *lf.TypeBuiltin:
		switch h.Builtin {
		case lf.TypeUnit, lf.TypeBool, lf.TypeInt64, lf.TypeText, lf.TypeDate, lf.TypeTimestamp, lf.TypeParty, lf.TypeAnyException:
		case lf.TypeContractID:
			return nil // of whatever
		case lf.TypeNumeric:
			if len(args) == 1 {
				if _, ok := args[0].(*lf.TypeNat); ok {
					return nil
				}
			}
			return t
		case lf.TypeList, lf.TypeOptional, lf.TypeTextMap:
			if len(args) != 1 {
				return t
			}
		case lf.TypeGenMap:
			if len(args) != 2 {
				return t
			}
		default:
			return t
		}
	default:
		return t
	}
	i := slices.IndexFunc(args, func(a lf.Type) bool { return c.unserializable(a, vars) != nil })
	if i >= 0 {
		return c.unserializable(args[i], vars)
	}
	return nil
}
