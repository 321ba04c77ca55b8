package lf

// Signature is the package without its expressions and without locations: enough to validate the packages that refer to it, to compare
// it with other versions of it, and to describe its values, and much smaller. Where the package has an expression, the signature has
// unit. It shares types with the package.
func (p *Package) Signature() *Package {
	s := *p
	s.IsSignature = true
	s.Modules = make([]*Module, len(p.Modules))
	for i, m := range p.Modules {
		s.Modules[i] = m.signature()
	}
	return &s
}

// Outline is the signature without values: enough to describe the values of its types, its templates and interfaces, and to compare
// it with other versions of it.
func (p *Package) Outline() *Package {
	s := p.Signature()
	for _, m := range s.Modules {
		m.Values = nil
	}
	return s
}

// absent stands for an expression that was left out; nil stays nil.
func absent(e Expr) Expr {
	if e == nil {
		return nil
	}
	return &BuiltinCon{Con: ConUnit}
}

func each[T any](all []*T, change func(*T)) []*T {
	var copies []*T
	for _, one := range all {
		c := *one
		change(&c)
		copies = append(copies, &c)
	}
	return copies
}

func (m *Module) signature() *Module {
	return &Module{
		Name:      m.Name,
		Synonyms:  each(m.Synonyms, func(s *TypeSynonym) { s.Location = nil }),
		DataTypes: each(m.DataTypes, func(d *DataType) { d.Location = nil }),
		Values: each(m.Values, func(v *Value) {
			v.Body, v.Location = absent(v.Body), nil
		}),
		Templates: each(m.Templates, (*Template).strip),
		Exceptions: each(m.Exceptions, func(x *Exception) {
			x.Message, x.Location = absent(x.Message), nil
		}),
		Interfaces: each(m.Interfaces, (*Interface).strip),
	}
}

func (t *Template) strip() {
	t.Precond, t.Signatories, t.Observers = absent(t.Precond), absent(t.Signatories), absent(t.Observers)
	t.Choices = each(t.Choices, (*Choice).strip)
	if t.Key != nil {
		t.Key = &Key{Type: t.Key.Type, Body: absent(t.Key.Body), Maintainers: absent(t.Key.Maintainers)}
	}
	t.Implements = each(t.Implements, func(i *Implementation) {
		methods := make([]Method, len(i.Methods))
		for k, method := range i.Methods {
			methods[k] = Method{Name: method.Name, Body: absent(method.Body)}
		}
		i.Methods, i.View, i.Location = methods, absent(i.View), nil
	})
	t.Location = nil
}

func (c *Choice) strip() {
	c.Controllers, c.Observers, c.Authorizers = absent(c.Controllers), absent(c.Observers), absent(c.Authorizers)
	c.Body, c.Location = absent(c.Body), nil
}

func (i *Interface) strip() {
	methods := make([]MethodType, len(i.Methods))
	for k, method := range i.Methods {
		methods[k] = MethodType{Name: method.Name, Type: method.Type}
	}
	i.Methods, i.Choices, i.Location = methods, each(i.Choices, (*Choice).strip), nil
}
