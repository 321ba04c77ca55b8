package text

import "github.com/synod-network/synod/daml/lf"

func (p *parser) kind() lf.Kind {
	k, _ := p.groupedKind()
	return k
}

// groupedKind also says whether the kind stands in parentheses: in 2.1, archives write
// * -> (* -> *) as two arrows, and * -> * -> * as one with two parameters.
func (p *parser) groupedKind() (k lf.Kind, grouped bool) {
	depth := p.deep
	p.enter()
	grouped = p.is("(")
	k = p.atomicKind()
	if p.accept("->") {
		result, apart := p.groupedKind()
		_, more := result.(*lf.KindArrow)
		k, grouped = &lf.KindArrow{Param: k, Result: result, Joined: more && !apart && !p.version.Flat()}, false
	}
	p.deep = depth // no defer: a fault far down would run thousands of them
	return k, grouped
}

func (p *parser) atomicKind() lf.Kind {
	switch {
	case p.accept("*"):
		return lf.KindStar{}
	case p.accept("nat"):
		return lf.KindNat{}
	case p.accept("("):
		k := p.kind()
		p.expect(")")
		return k
	}
	p.failf("there should be a kind here, such as * or * -> *, not %v", p.peek())
	return nil
}

// typeBinder reads (a: kind), or a, which has kind *.
func (p *parser) typeBinder() lf.TypeVarBinder {
	if !p.accept("(") {
		return lf.TypeVarBinder{Name: p.name(), Kind: lf.KindStar{}}
	}
	b := lf.TypeVarBinder{Name: p.name()}
	p.expect(":")
	b.Kind = p.kind()
	p.expect(")")
	return b
}

// typeBinders reads type binders as long as there are any.
func (p *parser) typeBinders() []lf.TypeVarBinder {
	var list []lf.TypeVarBinder
	for p.is("(") || p.peek().sort == tokName {
		list = append(list, p.typeBinder())
	}
	return list
}

func (p *parser) typ() lf.Type {
	depth := p.deep
	p.enter()
	r := p.typForm()
	p.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (p *parser) typForm() lf.Type {
	t := p.typeApp()
	if p.accept("->") {
		return lf.Arrow(t, p.typ())
	}
	return t
}

func (p *parser) typeApp() lf.Type {
	t := p.atomicType()
	for p.startsType() {
		t = &lf.TypeApp{Fun: t, Arg: p.atomicType()}
		p.enter() // one node deeper each time
	}
	return t
}

func (p *parser) startsType() bool {
	switch t := p.peek(); t.sort {
	case tokName, tokQuoted, tokInt:
		return true
	case tokWord:
		return words[t.text].builtinType != nil || t.text == "forall"
	case tokSymbol:
		return t.text == "(" || t.text == "<" || t.text == "||"
	}
	return false
}

func (p *parser) atomicType() lf.Type {
	depth := p.deep
	p.enter()
	r := p.atomicTypeForm()
	p.deep = depth // no defer: a fault far down would run thousands of them
	return r
}

func (p *parser) atomicTypeForm() lf.Type {
	t := p.peek()
	if b := words[t.text].builtinType; b != nil && t.sort == tokWord {
		if b.Builtin.Since() > p.version {
			p.failf("type %v is not in Daml-LF %s", t, p.version)
		}
		p.at++
		return b
	}
	switch {
	case t.sort == tokInt:
		if t.number < 0 || t.number > 37 {
			p.failf("%v is no scale of a numeric; those go from 0 to 37", t)
		}
		p.at++
		return &lf.TypeNat{Value: int(t.number)}
	case p.startsRef():
		return &lf.TypeCon{Ref: p.ref()}
	case t.sort == tokName:
		return &lf.TypeVar{Name: p.name()}
	case p.accept("("):
		inner := p.typ()
		p.expect(")")
		return inner
	case p.accept("forall"):
		return p.typeForall()
	case p.accept("<"):
		fields := p.fieldTypes(">")
		if len(fields) == 0 {
			p.failf("a struct type needs a field")
		}
		return &lf.TypeStruct{Fields: fields}
	case p.accept("||"):
		syn := &lf.TypeSyn{Ref: p.ref()}
		for !p.accept("||") {
			syn.Args = append(syn.Args, p.atomicType())
		}
		return syn
	}
	p.failf("there should be a type here, not %v", t)
	return nil
}

func (p *parser) typeForall() lf.Type {
	vars := p.typeBinders()
	if len(vars) == 0 {
		p.failf("there should be a type variable here, not %v", p.peek())
	}
	p.expect(".")
	t := p.typ()
	for i := len(vars) - 1; i >= 0; i-- {
		t = &lf.TypeForall{Var: vars[i], Body: t}
	}
	return t
}

// fieldTypes reads name: type, ... up to the end that it takes too.
func (p *parser) fieldTypes(end string) []lf.FieldType {
	fields := []lf.FieldType{}
	for !p.accept(end) {
		if len(fields) > 0 {
			p.expect(",")
		}
		name := p.name()
		p.expect(":")
		fields = append(fields, lf.FieldType{Name: name, Type: p.typ()})
	}
	return fields
}

// typeArg reads @type.
func (p *parser) typeArg() lf.Type {
	p.expect("@")
	return p.atomicType()
}

// refArg reads @reference.
func (p *parser) refArg() lf.Ref {
	p.expect("@")
	return p.ref()
}
