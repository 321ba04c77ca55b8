package validate

import (
	"github.com/synod-network/synod/daml/lf"
)

// checker checks one package. Types that it holds are resolved: kind-checked, free
// of synonyms, struct fields sorted, and with type variables whose names are
// unique among those in scope.
type checker struct {
	pkg    *lf.Package
	world  *lf.Packages
	faults Faults
	path   []step

	vars     map[lf.Name][]lf.Type // innermost last
	typeVars map[lf.Name][]typeVar // innermost last
	fresh    int                   // names made up so far
	steps    int64
	budget   int64 // of steps
	deep     int

	resolved   map[lf.Type]resolvedType // types without free variables, by node
	ground     map[lf.Type]bool         // types without variables at all
	synonyms   map[lf.Ref]lf.Type       // bodies; nil while being resolved
	values     map[lf.Ref]lf.Type
	dataTypes  map[lf.Ref]*dataType
	signatures map[lf.Function]lf.Type

	module  lf.DottedName
	modules map[lf.DottedName]map[lf.DottedName]bool // which module refers to which
}

// typeVar is a type variable in scope and the name that it has in resolved types.
type typeVar struct {
	kind lf.Kind
	name lf.Name
}

type resolvedType struct {
	typ  lf.Type
	kind lf.Kind
}

// dataType is a data type with resolved types.
type dataType struct {
	def    *lf.DataType
	params []lf.Name      // as fields name them
	fields []lf.FieldType // of a record or variant
}

// maxSteps bounds the work on one package: nodes of types visited. The largest
// packages known need 600 000.
const maxSteps = 20_000_000

// maxDepth bounds how deep resolved types nest.
const maxDepth = 4 * lf.MaxDepth

func newChecker(pkg *lf.Package, world *lf.Packages) *checker {
	c := &checker{
		pkg:        pkg,
		world:      world,
		budget:     maxSteps,
		resolved:   map[lf.Type]resolvedType{},
		ground:     map[lf.Type]bool{},
		synonyms:   map[lf.Ref]lf.Type{},
		values:     map[lf.Ref]lf.Type{},
		dataTypes:  map[lf.Ref]*dataType{},
		signatures: map[lf.Function]lf.Type{},
		modules:    map[lf.DottedName]map[lf.DottedName]bool{},
	}
	c.reset()
	return c
}

// reset forgets all variables.
func (c *checker) reset() {
	c.vars = map[lf.Name][]lf.Type{}
	c.typeVars = map[lf.Name][]typeVar{}
	c.deep = 0
}

// isolated runs with no variables in scope.
func (c *checker) isolated(run func()) {
	vars, typeVars, deep := c.vars, c.typeVars, c.deep
	c.vars, c.typeVars = map[lf.Name][]lf.Type{}, map[lf.Name][]typeVar{}
	run()
	c.vars, c.typeVars, c.deep = vars, typeVars, deep
}

// enter counts one step of work, one level deeper.
func (c *checker) enter() {
	c.steps++
	if c.steps > c.budget {
		c.failf(RuleComplexity, "the package's types are too large to check: more than %d steps", c.budget)
	}
	if c.deep++; c.deep > maxDepth {
		c.failf(RuleComplexity, "types nest deeper than %d once their synonyms are expanded", maxDepth)
	}
}

func (c *checker) leave() { c.deep-- }

func (c *checker) bind(name lf.Name, t lf.Type) { c.vars[name] = append(c.vars[name], t) }

func (c *checker) unbind(name lf.Name) {
	stack := c.vars[name]
	c.vars[name] = stack[:len(stack)-1]
}

// bindType brings a type variable into scope and gives the binder that resolved
// types have.
func (c *checker) bindType(v lf.TypeVarBinder) lf.TypeVarBinder {
	c.checkKind(v.Kind)
	name := v.Name
	if len(c.typeVars[name]) > 0 { // shadows another: no identifier has a #
		name = c.freshName(name)
	}
	c.typeVars[v.Name] = append(c.typeVars[v.Name], typeVar{v.Kind, name})
	return lf.TypeVarBinder{Name: name, Kind: v.Kind}
}

func (c *checker) unbindType(name lf.Name) {
	stack := c.typeVars[name]
	c.typeVars[name] = stack[:len(stack)-1]
}

// use notes that the module being checked refers to another.
func (c *checker) use(r lf.Ref) {
	if r.Package == c.pkg.ID && r.Module != c.module {
		if c.modules[c.module] == nil {
			c.modules[c.module] = map[lf.DottedName]bool{}
		}
		c.modules[c.module][r.Module] = true
	}
}

func (c *checker) missing(kind string, r lf.Ref) {
	c.failf(RuleReference, "%v", c.world.Missing(kind, r))
}

// The functions below find definitions or fault.

func (c *checker) template(r lf.Ref) *lf.Template {
	c.use(r)
	t := c.world.Template(r)
	if t == nil {
		c.missing("template", r)
	}
	return t
}

func (c *checker) interfaceOf(r lf.Ref) *lf.Interface {
	c.use(r)
	i := c.world.Interface(r)
	if i == nil {
		c.missing("interface", r)
	}
	return i
}

func (c *checker) exception(r lf.Ref) {
	c.use(r)
	if c.world.Exception(r) == nil {
		c.missing("exception", r)
	}
}

// value gives the type of a value.
func (c *checker) value(r lf.Ref) lf.Type {
	c.use(r)
	t, ok := c.values[r]
	if !ok {
		v := c.world.Value(r)
		if v == nil {
			c.missing("value", r)
		}
		c.isolated(func() { t = c.star(v.Type) })
		c.values[r] = t
	}
	return t
}

// dataType gives a data type with resolved fields.
func (c *checker) dataType(r lf.Ref) *dataType {
	c.use(r)
	if d, ok := c.dataTypes[r]; ok {
		return d
	}
	def := c.world.DataType(r)
	if def == nil {
		c.missing("data type", r)
	}
	d := &dataType{def: def}
	c.isolated(func() {
		for _, p := range def.Params {
			d.params = append(d.params, c.bindType(p).Name)
		}
		var fields []lf.FieldType
		switch cons := def.Cons.(type) {
		case *lf.Record:
			fields = cons.Fields
		case *lf.Variant:
			fields = cons.Constructors
		}
		for _, f := range fields {
			d.fields = append(d.fields, lf.FieldType{Name: f.Name, Type: c.star(f.Type)})
		}
	})
	c.dataTypes[r] = d
	return d
}

// field gives the type of a field or constructor, or nil.
func (d *dataType) field(name lf.Name) lf.Type {
	for _, f := range d.fields {
		if f.Name == name {
			return f.Type
		}
	}
	return nil
}
