package validate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

// rank gives the position of a constructor of an enum, or -1.
func rank(e *lf.Enum, name lf.Name) int { return slices.Index(e.Constructors, name) }

// matched says what alternatives may match: how many constructors there are, what
// they are called, and how a pattern binds.
type matched struct {
	constructors []string // none: only the default matches
	// match gives the position of a pattern's constructor, or -1 if the pattern
	// does not fit, and binds its variables.
	match func(lf.Pattern) int
	// bound are the variables that match bound.
	bound []lf.Name
}

func (c *checker) typeOfCase(e *lf.Case) lf.Type {
	scrutinee := c.sub("case", -1, e.Scrutinee)
	m := c.matched(scrutinee)
	var result lf.Type
	covered := map[int]bool{}
	all := false
	for i, a := range e.Alts {
		m.bound = m.bound[:0]
		if _, ok := a.Pattern.(lf.PatDefault); ok {
			all = true
		} else if n := m.match(a.Pattern); n >= 0 {
			covered[n] = true
		} else {
			c.failf(RulePattern, "alternative %d does not fit something of type %s", i+1, lf.TypeString(scrutinee))
		}
		t := c.sub("alternative", i, a.Body)
		for _, name := range m.bound {
			c.unbind(name)
		}
		if result == nil {
			result = t
		} else if !c.same(t, result, nil) {
			c.failf(RuleType, "alternative %d has type %s; the first has %s", i+1, lf.TypeString(t), lf.TypeString(result))
		}
	}
	if result == nil {
		c.failf(RulePattern, "a case has no alternatives")
	}
	if !all && (len(m.constructors) == 0 || len(covered) < len(m.constructors)) {
		c.failf(RulePattern, "no alternative covers %s", uncovered(m.constructors, covered))
	}
	return result
}

func uncovered(constructors []string, covered map[int]bool) string {
	var list []string
	for i, name := range constructors {
		if !covered[i] {
			list = append(list, name)
		}
	}
	if list == nil {
		return "everything, which only _ does for this type"
	}
	if len(list) > 10 {
		list = append(list[:10], fmt.Sprintf("and %d more", len(list)-10))
	}
	return strings.Join(list, ", ")
}

// matched says how something of a type is matched.
func (c *checker) matched(t lf.Type) *matched {
	m := &matched{}
	bind := func(name lf.Name, t lf.Type) {
		c.bind(name, t)
		m.bound = append(m.bound, name)
	}
	if elem, ok := builtinApp(t, lf.TypeList, 1); ok {
		m.constructors = []string{"Nil", "Cons"}
		m.match = func(p lf.Pattern) int {
			switch p := p.(type) {
			case lf.PatNil:
				return 0
			case *lf.PatCons:
				if p.Head == p.Tail {
					c.failf(RulePattern, "a pattern binds %s twice", p.Head)
				}
				bind(p.Head, elem[0])
				bind(p.Tail, t)
				return 1
			}
			return -1
		}
		return m
	}
	if elem, ok := builtinApp(t, lf.TypeOptional, 1); ok {
		m.constructors = []string{"None", "Some"}
		m.match = func(p lf.Pattern) int {
			switch p := p.(type) {
			case lf.PatNone:
				return 0
			case *lf.PatSome:
				bind(p.Var, elem[0])
				return 1
			}
			return -1
		}
		return m
	}
	if _, ok := builtinApp(t, lf.TypeUnit, 0); ok {
		m.constructors = []string{"()"}
		m.match = func(p lf.Pattern) int {
			if p == (lf.PatCon{Con: lf.ConUnit}) {
				return 0
			}
			return -1
		}
		return m
	}
	if _, ok := builtinApp(t, lf.TypeBool, 0); ok {
		m.constructors = []string{"False", "True"}
		m.match = func(p lf.Pattern) int {
			if p, ok := p.(lf.PatCon); ok && p.Con != lf.ConUnit {
				return int(p.Con - lf.ConFalse)
			}
			return -1
		}
		return m
	}
	m.match = func(lf.Pattern) int { return -1 }
	if head, args := lf.SplitApp(t); true {
		if h, ok := head.(*lf.TypeCon); ok {
			c.matchedData(m, h.Ref, args, bind)
		}
	}
	return m
}

// matchedData fills in how something of a data type is matched.
func (c *checker) matchedData(m *matched, r lf.Ref, args []lf.Type, bind func(lf.Name, lf.Type)) {
	d := c.dataType(r)
	switch cons := d.def.Cons.(type) {
	case *lf.Enum:
		m.constructors = cons.Constructors
		m.match = func(p lf.Pattern) int {
			e, ok := p.(*lf.PatEnum)
			if !ok || e.Con != r {
				return -1
			}
			n := rank(cons, e.Constructor)
			if n < 0 {
				c.failf(RulePattern, "enum %s has no constructor %s", r.Qualified(), e.Constructor)
			}
			return n
		}
	case *lf.Variant:
		for _, f := range d.fields {
			m.constructors = append(m.constructors, f.Name)
		}
		with := map[lf.Name]lf.Type{}
		for i, a := range args {
			with[d.params[i]] = a
		}
		m.match = func(p lf.Pattern) int {
			v, ok := p.(*lf.PatVariant)
			if !ok || v.Con != r {
				return -1
			}
			n := slices.Index(m.constructors, v.Constructor)
			if n < 0 {
				c.failf(RulePattern, "variant %s has no constructor %s", r.Qualified(), v.Constructor)
			}
			bind(v.Var, c.substitute(with, d.fields[n].Type))
			return n
		}
	}
}
