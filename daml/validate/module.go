package validate

import (
	"fmt"
	"maps"
	"slices"

	"github.com/synod-network/synod/daml/lf"
)

// check checks everything.
func (c *checker) check() {
	c.definition("package", func() {
		if !c.pkg.Version.Stable() {
			c.failf(RuleVersion, "Daml-LF %s is not stable; packages in it cannot be used", c.pkg.Version)
		}
	})
	c.definition("package", c.checkNames)
	if len(c.faults) > 0 {
		return // what follows takes names to be unique
	}
	for _, m := range c.pkg.Modules {
		c.checkModule(m)
	}
	c.definition("package", c.checkModuleCycles)
}

func (c *checker) checkModule(m *lf.Module) {
	c.module = m.Name
	clear(c.resolved) // so that every module's references are noted
	ref := func(name lf.DottedName) lf.Ref { return lf.Ref{Package: c.pkg.ID, Module: m.Name, Name: name} }
	check := func(kind string, name lf.DottedName, run func()) {
		c.definition(fmt.Sprintf("module %s, %s %s", m.Name, kind, name), run)
	}
	for _, d := range m.Synonyms {
		check("type synonym", d.Name, func() {
			c.uniqueParams(d.Params)
			c.synonymBody(ref(d.Name), d)
		})
	}
	for _, d := range m.DataTypes {
		check("data type", d.Name, func() { c.checkDataType(ref(d.Name), d) })
	}
	for _, d := range m.Values {
		check("value", d.Name, func() { c.checkSub("definition", -1, d.Body, c.value(ref(d.Name))) })
	}
	for _, d := range m.Templates {
		check("template", d.Name, func() { c.checkTemplate(ref(d.Name), d) })
	}
	for _, d := range m.Exceptions {
		check("exception", d.Name, func() {
			t := c.plainRecord(ref(d.Name))
			c.serializable("an exception", t)
			c.checkSub("message", -1, d.Message, lf.Arrow(t, builtin(lf.TypeText)))
		})
	}
	for _, d := range m.Interfaces {
		check("interface", d.Name, func() { c.checkInterface(ref(d.Name), d) })
	}
}

func (c *checker) uniqueParams(params []lf.TypeVarBinder) {
	seen := map[lf.Name]bool{}
	for _, p := range params {
		if seen[p.Name] {
			c.failf(RuleName, "there are two type parameters %s", p.Name)
		}
		seen[p.Name] = true
	}
}

func (c *checker) checkDataType(r lf.Ref, d *lf.DataType) {
	c.uniqueParams(d.Params)
	names := map[lf.Name]bool{}
	unique := func(sort string, name lf.Name) {
		if names[name] {
			c.failf(RuleName, "there are two %s %s", sort, name)
		}
		names[name] = true
	}
	resolved := c.dataType(r)
	switch cons := d.Cons.(type) {
	case *lf.Record:
		for _, f := range cons.Fields {
			unique("fields", f.Name)
		}
	case *lf.Variant:
		for _, f := range cons.Constructors {
			unique("constructors", f.Name)
		}
	case *lf.Enum:
		if len(d.Params) > 0 {
			c.failf(RuleKind, "an enum has type parameters")
		}
		for _, name := range cons.Constructors {
			unique("constructors", name)
		}
	case lf.InterfaceCons:
		if len(d.Params) > 0 {
			c.failf(RuleKind, "an interface has type parameters")
		}
		c.interfaceOf(r)
	}
	if d.Serializable {
		c.checkSerializableData(r, resolved)
	}
}

// plainRecord gives the type of a record without parameters, which templates and
// exceptions must be.
func (c *checker) plainRecord(r lf.Ref) lf.Type {
	d := c.dataType(r)
	if _, ok := d.def.Cons.(*lf.Record); !ok || len(d.params) > 0 {
		c.failf(RuleTemplate, "data type %s is no record without type parameters", r.Qualified())
	}
	return con(r)
}

func (c *checker) checkTemplate(r lf.Ref, t *lf.Template) {
	this := c.plainRecord(r)
	c.serializable("the argument of a template", this)
	c.bind(t.Param, this)
	if t.Precond != nil {
		c.checkSub("precondition", -1, t.Precond, builtin(lf.TypeBool))
	}
	c.checkSub("signatories", -1, t.Signatories, parties())
	c.checkSub("observers", -1, t.Observers, parties())
	c.checkChoices(r, t.Choices)
	if t.Key != nil {
		if !c.pkg.Version.HasKeys() {
			c.failf(RuleVersion, "contract keys are not in Daml-LF %s", c.pkg.Version)
		}
		key := c.star(t.Key.Type)
		c.serializable("the key of a template", key)
		c.checkSub("key", -1, t.Key.Body, key)
		c.unbind(t.Param)
		c.checkSub("maintainers", -1, t.Key.Maintainers, lf.Arrow(key, parties()))
		c.bind(t.Param, this)
	}
	seen := map[lf.Ref]bool{}
	for _, i := range t.Implements {
		if seen[i.Interface] {
			c.failf(RuleInterface, "interface %s is implemented twice", i.Interface.Qualified())
		}
		seen[i.Interface] = true
		c.path = append(c.path, step{label: "instance of " + i.Interface.Qualified(), index: -1})
		c.checkImplementation(t, i)
		c.path = c.path[:len(c.path)-1]
	}
	c.unbind(t.Param)
}

func (c *checker) checkChoices(r lf.Ref, list []*lf.Choice) {
	names := map[lf.Name]bool{}
	for _, x := range list {
		if names[x.Name] {
			c.failf(RuleName, "there are two choices %s", x.Name)
		}
		names[x.Name] = true
		c.path = append(c.path, step{label: "choice " + x.Name, index: -1})
		c.checkChoice(r, x)
		c.path = c.path[:len(c.path)-1]
	}
}

func (c *checker) checkChoice(r lf.Ref, x *lf.Choice) {
	if x.Authorizers != nil {
		c.failf(RuleVersion, "authorizers of choices are not in Daml-LF %s", c.pkg.Version)
	}
	arg, result := c.star(x.Arg.Type), c.star(x.Result)
	c.serializable("the argument of a choice", arg)
	c.serializable("the result of a choice", result)
	c.bind(x.Arg.Name, arg)
	c.checkSub("controllers", -1, x.Controllers, parties())
	if x.Observers != nil {
		c.checkSub("observers", -1, x.Observers, parties())
	}
	c.unbind(x.Arg.Name)
	c.bind(x.Self, contractID(r))
	c.bind(x.Arg.Name, arg)
	c.checkSub("update", -1, x.Body, updateOf(result))
	c.unbind(x.Arg.Name)
	c.unbind(x.Self)
}

func (c *checker) checkImplementation(t *lf.Template, x *lf.Implementation) {
	i := c.interfaceOf(x.Interface)
	for _, required := range i.Requires {
		if implementation(t, required) == nil {
			c.failf(RuleInterface, "the interface requires %s, which the template does not implement", required.Qualified())
		}
	}
	given := map[lf.Name]bool{}
	for _, m := range x.Methods {
		if given[m.Name] {
			c.failf(RuleInterface, "method %s is implemented twice", m.Name)
		}
		given[m.Name] = true
		c.checkSub("method "+m.Name, -1, m.Body, c.methodType(i, x.Interface, m.Name))
	}
	for _, m := range i.Methods {
		if !given[m.Name] {
			c.failf(RuleInterface, "method %s is not implemented", m.Name)
		}
	}
	c.checkSub("view", -1, x.View, c.foreign(i.View))
}

func (c *checker) checkInterface(r lf.Ref, i *lf.Interface) {
	if _, ok := c.dataType(r).def.Cons.(lf.InterfaceCons); !ok {
		c.failf(RuleInterface, "data type %s is not one of an interface", r.Qualified())
	}
	required := map[lf.Ref]bool{}
	for _, q := range i.Requires {
		if required[q] {
			c.failf(RuleInterface, "interface %s is required twice", q.Qualified())
		}
		required[q] = true
	}
	if required[r] {
		c.failf(RuleCycle, "the interface requires itself")
	}
	for _, q := range i.Requires {
		for _, further := range c.interfaceOf(q).Requires {
			if !required[further] {
				c.failf(RuleInterface, "%s is required, which requires %s, which must be required too", q.Qualified(), further.Qualified())
			}
		}
	}
	names := map[lf.Name]bool{}
	for _, m := range i.Methods {
		if names[m.Name] {
			c.failf(RuleName, "there are two methods %s", m.Name)
		}
		names[m.Name] = true
		c.star(m.Type)
	}
	c.bind(i.Param, con(r))
	c.checkChoices(r, i.Choices)
	c.unbind(i.Param)
	c.checkView(i.View)
}

func (c *checker) checkView(view lf.Type) {
	t, ok := view.(*lf.TypeCon)
	if !ok {
		c.failf(RuleInterface, "the view has type %s; it must be a record without type parameters", lf.TypeString(view))
	}
	d := c.dataType(t.Ref)
	if _, record := d.def.Cons.(*lf.Record); !record || len(d.params) > 0 {
		c.failf(RuleInterface, "the view has type %s, which is no record without type parameters", lf.TypeString(view))
	}
	c.serializable("the view of an interface", t)
}

// checkModuleCycles refuses modules that refer to each other.
func (c *checker) checkModuleCycles() {
	const onPath, done = 1, 2
	state := map[lf.DottedName]int{}
	var visit func(m lf.DottedName)
	visit = func(m lf.DottedName) {
		state[m] = onPath
		for _, next := range slices.Sorted(maps.Keys(c.modules[m])) {
			if state[next] == onPath {
				c.failf(RuleCycle, "module %s refers to module %s, which refers back to it", m, next)
			}
			if state[next] == 0 {
				c.enter()
				visit(next)
				c.leave()
			}
		}
		state[m] = done
	}
	for _, m := range c.pkg.Modules {
		if state[m.Name] == 0 {
			visit(m.Name)
		}
	}
}
