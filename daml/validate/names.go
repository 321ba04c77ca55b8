package validate

import (
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

// entity is something that has a name which must be unique, whatever the case of
// its letters: clients derive file and class names from them.
type entity struct {
	describe string
	// Of a variant's constructor, the record that may share its name: one such
	// record holds the fields of a constructor that has several.
	record lf.DottedName
	// Of a record, its name.
	isRecord lf.DottedName
	module   lf.DottedName
}

// checkNames refuses definitions of the same name, and then names that differ only
// in case.
func (c *checker) checkNames() {
	modules := map[lf.DottedName]bool{}
	for _, m := range c.pkg.Modules {
		if modules[m.Name] {
			c.failf(RuleName, "there are two modules %s", m.Name)
		}
		modules[m.Name] = true
		c.uniqueDefinitions(m)
	}
	seen := map[string]entity{}
	for _, m := range c.pkg.Modules {
		entities(m, func(name string, e entity) {
			key := strings.ToUpper(name)
			other, ok := seen[key]
			if ok && !mayShare(e, other) && !mayShare(other, e) {
				c.failf(RuleName, "%s and %s have names that clients cannot tell apart", other.describe, e.describe)
			}
			seen[key] = e
		})
	}
}

func mayShare(constructor, record entity) bool {
	return constructor.record != "" && constructor.record == record.isRecord && constructor.module == record.module
}

// uniqueDefinitions wants one definition for each name among types and values, and
// one among templates, exceptions and interfaces.
func (c *checker) uniqueDefinitions(m *lf.Module) {
	types, ledger := map[lf.DottedName]bool{}, map[lf.DottedName]bool{}
	unique := func(names map[lf.DottedName]bool, name lf.DottedName) {
		if names[name] {
			c.failf(RuleName, "module %s defines %s twice", m.Name, name)
		}
		names[name] = true
	}
	for _, d := range m.Synonyms {
		unique(types, d.Name)
	}
	for _, d := range m.DataTypes {
		unique(types, d.Name)
	}
	for _, d := range m.Values {
		unique(types, d.Name)
	}
	for _, d := range m.Templates {
		unique(ledger, d.Name)
	}
	for _, d := range m.Exceptions {
		unique(ledger, d.Name)
	}
	for _, d := range m.Interfaces {
		unique(ledger, d.Name)
	}
}

// entities lists the names of a module.
func entities(m *lf.Module, yield func(name string, e entity)) {
	module := string(m.Name)
	yield(module, entity{describe: "module " + module})
	add := func(sort string, name string, e entity) {
		e.describe, e.module = sort+" "+module+":"+name, m.Name
		yield(module+"."+name, e)
	}
	for _, d := range m.Synonyms {
		add("type synonym", string(d.Name), entity{})
	}
	for _, d := range m.DataTypes {
		name := string(d.Name)
		switch cons := d.Cons.(type) {
		case *lf.Record:
			add("record", name, entity{isRecord: d.Name})
			for _, f := range cons.Fields {
				add("field", name+"."+f.Name, entity{})
			}
		case *lf.Variant:
			add("variant", name, entity{})
			for _, f := range cons.Constructors {
				add("constructor", name+"."+f.Name, entity{record: d.Name + "." + lf.DottedName(f.Name)})
			}
		case *lf.Enum:
			add("enum", name, entity{})
			for _, f := range cons.Constructors {
				add("constructor", name+"."+f, entity{})
			}
		case lf.InterfaceCons:
			add("interface", name, entity{})
		}
	}
	for _, d := range m.Templates {
		for _, x := range d.Choices {
			add("choice", string(d.Name)+"."+x.Name, entity{})
		}
	}
	for _, d := range m.Interfaces {
		for _, x := range d.Choices {
			add("choice", string(d.Name)+"."+x.Name, entity{})
		}
	}
}
