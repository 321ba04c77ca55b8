package validate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

func (c *checker) freshName(like lf.Name) lf.Name {
	c.fresh++
	base, _, _ := strings.Cut(like, "#")
	return fmt.Sprintf("%s#%d", base, c.fresh)
}

// checkKind refuses functions to natural numbers: nothing computes those.
func (c *checker) checkKind(k lf.Kind) {
	if a, ok := k.(*lf.KindArrow); ok {
		if _, nat := a.Result.(lf.KindNat); nat {
			c.failf(RuleKind, "kind %s has nat as its result", lf.KindString(k))
		}
		c.checkKind(a.Param)
		c.checkKind(a.Result)
	}
}

func sameKind(a, b lf.Kind) bool {
	switch a := a.(type) {
	case *lf.KindArrow:
		b, ok := b.(*lf.KindArrow)
		return ok && sameKind(a.Param, b.Param) && sameKind(a.Result, b.Result)
	default:
		return a == b
	}
}

// star resolves a type, which must have kind *.
func (c *checker) star(t lf.Type) lf.Type { return c.typeOfKind(t, lf.KindStar{}) }

// typeOfKind resolves a type, which must have that kind.
func (c *checker) typeOfKind(t lf.Type, want lf.Kind) lf.Type {
	resolved, kind, _ := c.resolve(t)
	if !sameKind(kind, want) {
		c.failf(RuleKind, "type %s has kind %s; it must have %s", lf.TypeString(t), lf.KindString(kind), lf.KindString(want))
	}
	return resolved
}

// resolve checks a type's kind and gives its resolved form. closed says that it has
// no free variables and no quantifiers.
func (c *checker) resolve(t lf.Type) (resolved lf.Type, kind lf.Kind, closed bool) {
	if r, ok := c.resolved[t]; ok {
		return r.typ, r.kind, true
	}
	c.enter()
	resolved, kind, closed = c.resolveForm(t)
	c.leave()
	if closed {
		c.resolved[t] = resolvedType{resolved, kind}
		c.ground[resolved] = true
	}
	return resolved, kind, closed
}

func (c *checker) resolveForm(t lf.Type) (lf.Type, lf.Kind, bool) {
	switch t := t.(type) {
	case *lf.TypeVar:
		stack := c.typeVars[t.Name]
		if len(stack) == 0 {
			c.failf(RuleScope, "type variable %s is not bound", t.Name)
		}
		v := stack[len(stack)-1]
		if v.name == t.Name {
			return t, v.kind, false
		}
		return &lf.TypeVar{Name: v.name}, v.kind, false
	case *lf.TypeCon:
		c.use(t.Ref)
		d := c.world.DataType(t.Ref)
		if d == nil {
			c.missing("data type", t.Ref)
		}
		var kind lf.Kind = lf.KindStar{}
		for _, p := range slices.Backward(d.Params) {
			kind = &lf.KindArrow{Param: p.Kind, Result: kind}
		}
		return t, kind, true
	case *lf.TypeBuiltin:
		return t, t.Builtin.Kind(), true
	case *lf.TypeNat:
		return t, lf.KindNat{}, true
	case *lf.TypeApp:
		return c.resolveApp(t)
	case *lf.TypeSyn:
		return c.resolveSynonym(t)
	case *lf.TypeForall:
		v := c.bindType(t.Var)
		body := c.star(t.Body)
		c.unbindType(t.Var.Name)
		return &lf.TypeForall{Var: v, Body: body}, lf.KindStar{}, false
	case *lf.TypeStruct:
		return c.resolveStruct(t)
	}
	c.failf(RuleType, "%T is no type", t)
	return nil, nil, false
}

func (c *checker) resolveApp(t *lf.TypeApp) (lf.Type, lf.Kind, bool) {
	fun, funKind, closed := c.resolve(t.Fun)
	arrow, ok := funKind.(*lf.KindArrow)
	if !ok {
		c.failf(RuleKind, "type %s has kind %s and cannot be applied to %s",
			lf.TypeString(t.Fun), lf.KindString(funKind), lf.TypeString(t.Arg))
	}
	arg, argKind, argClosed := c.resolve(t.Arg)
	if !sameKind(argKind, arrow.Param) {
		c.failf(RuleKind, "type %s wants an argument of kind %s, but %s has kind %s",
			lf.TypeString(t.Fun), lf.KindString(arrow.Param), lf.TypeString(t.Arg), lf.KindString(argKind))
	}
	if fun != t.Fun || arg != t.Arg {
		t = &lf.TypeApp{Fun: fun, Arg: arg}
	}
	return t, arrow.Result, closed && argClosed
}

func (c *checker) resolveStruct(t *lf.TypeStruct) (lf.Type, lf.Kind, bool) {
	s := &lf.TypeStruct{Fields: slices.Clone(t.Fields)}
	closed := true
	for i, f := range s.Fields {
		resolved, kind, fieldClosed := c.resolve(f.Type)
		if !sameKind(kind, lf.KindStar{}) {
			c.failf(RuleKind, "field %s has a type of kind %s", f.Name, lf.KindString(kind))
		}
		s.Fields[i].Type = resolved
		closed = closed && fieldClosed
	}
	c.sortFields(s)
	return s, lf.KindStar{}, closed
}

// sortFields sorts the fields of a struct and refuses duplicates.
func (c *checker) sortFields(s *lf.TypeStruct) {
	slices.SortFunc(s.Fields, func(a, b lf.FieldType) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(s.Fields); i++ {
		if s.Fields[i].Name == s.Fields[i-1].Name {
			c.failf(RuleName, "a struct has two fields %s", s.Fields[i].Name)
		}
	}
}

func (c *checker) resolveSynonym(t *lf.TypeSyn) (lf.Type, lf.Kind, bool) {
	c.use(t.Ref)
	def := c.world.TypeSynonym(t.Ref)
	if def == nil {
		c.missing("type synonym", t.Ref)
	}
	if len(t.Args) != len(def.Params) {
		c.failf(RuleKind, "type synonym %s takes %d types, not %d", t.Ref.Qualified(), len(def.Params), len(t.Args))
	}
	body := c.synonymBody(t.Ref, def)
	with := make(map[lf.Name]lf.Type, len(t.Args))
	closed := true
	for i, a := range t.Args {
		resolved, kind, argClosed := c.resolve(a)
		if !sameKind(kind, def.Params[i].Kind) {
			c.failf(RuleKind, "type synonym %s wants a type of kind %s, but %s has kind %s",
				t.Ref.Qualified(), lf.KindString(def.Params[i].Kind), lf.TypeString(a), lf.KindString(kind))
		}
		with[def.Params[i].Name] = resolved
		closed = closed && argClosed
	}
	expanded := c.substitute(with, body)
	return expanded, lf.KindStar{}, closed && !hasForall(body)
}

// hasForall says whether a synonym's body is quantified on the outside, so that
// its expansions are not remembered as closed.
func hasForall(t lf.Type) bool {
	switch t := t.(type) {
	case *lf.TypeForall:
		return true
	case *lf.TypeApp:
		return hasForall(t.Fun) || hasForall(t.Arg)
	case *lf.TypeStruct:
		return slices.ContainsFunc(t.Fields, func(f lf.FieldType) bool { return hasForall(f.Type) })
	}
	return false
}

// synonymBody resolves what a synonym stands for, in terms of its parameters.
func (c *checker) synonymBody(r lf.Ref, def *lf.TypeSynonym) lf.Type {
	body, seen := c.synonyms[r]
	if seen && body == nil {
		c.failf(RuleCycle, "type synonym %s is defined by itself", r.Qualified())
	}
	if !seen {
		c.synonyms[r] = nil
		defer func() {
			if body == nil { // left by a fault
				delete(c.synonyms, r)
			}
		}()
		c.isolated(func() {
			for _, p := range def.Params {
				c.bindType(p)
			}
			body = c.star(def.Type)
		})
		c.synonyms[r] = body
	}
	return body
}

// substitute replaces free variables of a resolved type.
func (c *checker) substitute(with map[lf.Name]lf.Type, t lf.Type) lf.Type {
	if len(with) == 0 || c.ground[t] {
		return t
	}
	c.enter()
	r := c.substituteForm(with, t)
	c.leave()
	return r
}

func (c *checker) substituteForm(with map[lf.Name]lf.Type, t lf.Type) lf.Type {
	switch t := t.(type) {
	case *lf.TypeVar:
		if u, ok := with[t.Name]; ok {
			return u
		}
	case *lf.TypeApp:
		fun, arg := c.substitute(with, t.Fun), c.substitute(with, t.Arg)
		if fun != t.Fun || arg != t.Arg {
			return &lf.TypeApp{Fun: fun, Arg: arg}
		}
	case *lf.TypeForall:
		return c.substituteForall(with, t)
	case *lf.TypeStruct:
		s := &lf.TypeStruct{Fields: slices.Clone(t.Fields)}
		for i, f := range s.Fields {
			s.Fields[i].Type = c.substitute(with, f.Type)
		}
		return s
	}
	return t
}

// substituteForall gives the bound variable a new name, so that it catches no
// variable of what is put in.
func (c *checker) substituteForall(with map[lf.Name]lf.Type, t *lf.TypeForall) lf.Type {
	v := t.Var
	inner := make(map[lf.Name]lf.Type, len(with)+1)
	for name, u := range with {
		inner[name] = u
	}
	v.Name = c.freshName(v.Name)
	inner[t.Var.Name] = &lf.TypeVar{Name: v.Name}
	return &lf.TypeForall{Var: v, Body: c.substitute(inner, t.Body)}
}

// pair is a bound variable of one type and the corresponding one of another.
type pair struct{ a, b lf.Name }

// same says whether two resolved types are equal up to the names of bound
// variables.
func (c *checker) same(a, b lf.Type, bound []pair) bool {
	if a == b && (len(bound) == 0 || c.ground[a]) {
		return true
	}
	c.enter()
	r := c.sameForm(a, b, bound)
	c.leave()
	return r
}

func (c *checker) sameForm(a, b lf.Type, bound []pair) bool {
	switch a := a.(type) {
	case *lf.TypeVar:
		b, ok := b.(*lf.TypeVar)
		if !ok {
			return false
		}
		for _, p := range slices.Backward(bound) {
			if p.a == a.Name || p.b == b.Name {
				return p.a == a.Name && p.b == b.Name
			}
		}
		return a.Name == b.Name
	case *lf.TypeCon:
		b, ok := b.(*lf.TypeCon)
		return ok && a.Ref == b.Ref
	case *lf.TypeBuiltin:
		b, ok := b.(*lf.TypeBuiltin)
		return ok && a.Builtin == b.Builtin
	case *lf.TypeNat:
		b, ok := b.(*lf.TypeNat)
		return ok && a.Value == b.Value
	case *lf.TypeApp:
		b, ok := b.(*lf.TypeApp)
		return ok && c.same(a.Fun, b.Fun, bound) && c.same(a.Arg, b.Arg, bound)
	case *lf.TypeForall:
		b, ok := b.(*lf.TypeForall)
		return ok && sameKind(a.Var.Kind, b.Var.Kind) &&
			c.same(a.Body, b.Body, append(bound, pair{a.Var.Name, b.Var.Name}))
	case *lf.TypeStruct:
		b, ok := b.(*lf.TypeStruct)
		if !ok || len(a.Fields) != len(b.Fields) {
			return false
		}
		for i, f := range a.Fields {
			if f.Name != b.Fields[i].Name || !c.same(f.Type, b.Fields[i].Type, bound) {
				return false
			}
		}
		return true
	}
	return false
}

// want faults unless a type is the expected one.
func (c *checker) want(found, expected lf.Type) {
	if !c.same(found, expected, nil) {
		c.failf(RuleType, "this has type %s; it must have %s", lf.TypeString(found), lf.TypeString(expected))
	}
}

// builtinApp takes a resolved application of a builtin type apart.
func builtinApp(t lf.Type, b lf.BuiltinType, args int) ([]lf.Type, bool) {
	head, list := lf.SplitApp(t)
	h, ok := head.(*lf.TypeBuiltin)
	return list, ok && h.Builtin == b && len(list) == args
}
