package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
)

// PayloadShape describes the argument that contracts of a template are created with.
func (e *Engine) PayloadShape(ref lf.Ref) (*shape.Shape, error) {
	t, err := e.template(ref)
	if err != nil {
		return nil, err
	}
	return t.shape, nil
}

// KeyShape describes the key of a template.
func (e *Engine) KeyShape(ref lf.Ref) (*shape.Shape, error) {
	t, err := e.template(ref)
	if err == nil && t.keyShape == nil {
		err = fmt.Errorf("template %s has no key", ref)
	}
	if err != nil {
		return nil, err
	}
	return t.keyShape, nil
}

// ChoiceShape describes the argument of a choice of a template or interface.
func (e *Engine) ChoiceShape(ref lf.Ref, choice string) (*shape.Shape, error) {
	choices, err := e.choicesOf(ref)
	if err != nil {
		return nil, err
	}
	ch := choices[choice]
	if ch == nil {
		return nil, fmt.Errorf("%s has no choice %s; it has %s", ref.Qualified(), choice, strings.Join(slices.Sorted(maps.Keys(choices)), ", "))
	}
	return e.types.Of(ch.def.Arg.Type)
}

func (e *Engine) choicesOf(ref lf.Ref) (map[string]*choice, error) {
	set, err := e.types.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	if set.Interface(ref) != nil {
		i, err := e.iface(ref)
		if err != nil {
			return nil, err
		}
		return i.choices, nil
	}
	t, err := e.template(ref)
	if err != nil {
		return nil, err
	}
	return t.choices, nil
}

// ChoiceOwner finds where a choice of a template's contracts is: in the template itself, or in an interface that it implements.
func (e *Engine) ChoiceOwner(template lf.Ref, choice string) (lf.Ref, error) {
	t, err := e.template(template)
	if err != nil {
		return lf.Ref{}, err
	}
	if t.choices[choice] != nil {
		return template, nil
	}
	var owners []lf.Ref
	for ref := range t.instances {
		i, err := e.iface(ref)
		if err != nil {
			return lf.Ref{}, err
		}
		if i.choices[choice] != nil {
			owners = append(owners, ref)
		}
	}
	switch len(owners) {
	case 1:
		return owners[0], nil
	case 0:
		return lf.Ref{}, fmt.Errorf("neither template %s nor an interface that it implements has a choice %s", template.Qualified(), choice)
	}
	return lf.Ref{}, fmt.Errorf("choice %s is in several interfaces of template %s; say which", choice, template.Qualified())
}

// Resolve replaces the name of a package in a reference by the id of its preferred version.
func (in *Input) Resolve(t TypeRef) (lf.Ref, error) { return in.resolve(t) }
