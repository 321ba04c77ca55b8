package engine

import (
	"fmt"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/value"
)

// interfaceOp runs instructions about interface values.
func (m *machine) interfaceOp(code *proto, in instr) (value.Value, error) {
	switch in.op {
	case opFromInterface:
		return m.fromInterface(code.templates[in.a], m.pop().(*value.Any))
	case opUnsafeFromInterface:
		id, a := m.pop().(value.ContractID), m.pop().(*value.Any)
		if t := code.templates[in.a]; *a.Type.Con != t.id {
			return nil, &Failure{Code: "WRONGLY_TYPED_CONTRACT", Message: fmt.Sprintf(
				"Expected contract of type %s but got %s: contract %s", t.id, a.Type.Con, id)}
		}
		return a.V, nil
	case opFromRequired:
		a := m.pop().(*value.Any)
		t, err := m.templateOf(a)
		if err != nil {
			return nil, err
		}
		if t.instances[code.refs[in.a]] == nil {
			return value.None(), nil
		}
		return value.Some(a), nil
	case opUnsafeFromRequired:
		id, a := m.pop().(value.ContractID), m.pop().(*value.Any)
		t, err := m.templateOf(a)
		if err != nil {
			return nil, err
		}
		if t.instances[code.refs[in.a]] == nil {
			return nil, &Failure{Code: "CONTRACT_DOES_NOT_IMPLEMENT_REQUIRING_INTERFACE", Message: fmt.Sprintf(
				"Contract %s of template %s does not implement interface %s, which requires %s", id, t.id, code.refs[in.a], code.refs[in.b])}
		}
		return a, nil
	case opInterfaceRep:
		return m.pop().(*value.Any).Type, nil
	}
	a := m.pop().(*value.Any)
	t, err := m.templateOf(a)
	if err != nil {
		return nil, err
	}
	switch in.op {
	case opInterfaceSignatories:
		return nil, m.callPart(t.signatories, a.V, same{})
	case opInterfaceObservers:
		return nil, m.callPart(t.observers, a.V, same{})
	}
	instance := t.instances[code.refs[in.a]]
	if instance == nil {
		return nil, fmt.Errorf("template %s has no instance of interface %s", t.id, code.refs[in.a])
	}
	if in.op == opView {
		return nil, m.callPart(instance.view, a.V, viewKont{})
	}
	return nil, m.callPart(instance.methods[code.names[in.b]], a.V, same{})
}

func (m *machine) templateOf(a *value.Any) (*template, error) {
	t, err := m.e.template(shape.Ref(*a.Type.Con))
	return t, asNeed(err)
}

func (m *machine) callPart(g *global, arg value.Value, k kont) error {
	f, err := m.functionOf(g)
	if err != nil {
		return err
	}
	return m.call(k, false, f, arg)
}

// same returns what it is given.
type same struct{}

func (same) resume(_ *machine, v value.Value) (value.Value, error) { return v, nil }

// viewKont checks that a view could be stored.
type viewKont struct{}

func (viewKont) resume(_ *machine, v value.Value) (value.Value, error) {
	return v, failureOrNil(value.CheckNesting(v))
}

// fromInterface sees an interface value as one of a template, if it is one of any version of it.
func (m *machine) fromInterface(t *template, a *value.Any) (value.Value, error) {
	id := *a.Type.Con
	if id == t.id {
		return value.Some(a.V), nil
	}
	if id.Qualified() != t.id.Qualified() {
		return value.None(), nil
	}
	name, err := m.e.types.PackageName(lf.PackageID(id.Package))
	if err != nil {
		return nil, asNeed(err)
	}
	if name != t.packageName {
		return value.None(), nil
	}
	arg, err := Import(t.shape, a.V, FromProgram)
	if _, missing := asMissing(err); missing {
		return nil, asNeed(err)
	}
	if err != nil {
		return nil, &Failure{Code: "INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED", Message: fmt.Sprintf(
			"Failed to translate a contract from %s to %s: %v", id, t.id, err)}
	}
	return value.Some(arg), nil
}
