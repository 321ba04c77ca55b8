package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
)

// Compile compiles all of a package at once. It is not needed: code is compiled when it is first used. But who uploads a package can
// so do the work before the first transaction, and find out that all the packages are there which it refers to.
func (e *Engine) Compile(pkg *lf.Package) error {
	for _, m := range pkg.Modules {
		for _, g := range e.moduleCode(pkg.ID, m) {
			found, err := g()
			if err != nil {
				return fmt.Errorf("package %s, module %s: %w", pkg.Metadata.Name, m.Name, err)
			}
			for _, code := range found {
				if _, err := e.compiled(&code.code); err != nil {
					return fmt.Errorf("package %s: %w", pkg.Metadata.Name, err)
				}
			}
		}
	}
	return nil
}

// moduleCode lists what finds the code of each definition of a module.
func (e *Engine) moduleCode(id lf.PackageID, m *lf.Module) []func() ([]*global, error) {
	var all []func() ([]*global, error)
	ref := func(name lf.DottedName) lf.Ref { return lf.Ref{Package: id, Module: m.Name, Name: name} }
	for _, v := range m.Values {
		all = append(all, func() ([]*global, error) {
			g, err := e.global(ref(v.Name))
			return []*global{g}, err
		})
	}
	for _, t := range m.Templates {
		all = append(all, func() ([]*global, error) {
			found, err := e.template(ref(t.Name))
			if err != nil {
				return nil, err
			}
			return found.allCode(), nil
		})
	}
	for _, i := range m.Interfaces {
		all = append(all, func() ([]*global, error) {
			found, err := e.iface(ref(i.Name))
			if err != nil {
				return nil, err
			}
			return choiceCode(found.choices, false), nil
		})
	}
	for _, x := range m.Exceptions {
		all = append(all, func() ([]*global, error) {
			g, err := e.exceptionMessage(shape.Identifier(ref(x.Name)))
			return []*global{g}, err
		})
	}
	return all
}

func (t *template) allCode() []*global {
	all := []*global{t.info, t.signatories, t.observers}
	if t.def.Key != nil {
		all = append(all, t.maintainers)
	}
	all = append(all, choiceCode(t.choices, t.def.Key != nil)...)
	for _, i := range t.instances {
		all = append(all, i.view)
		for _, name := range slices.Sorted(maps.Keys(i.methods)) {
			all = append(all, i.methods[name])
		}
	}
	return all
}

func choiceCode(choices map[string]*choice, byKey bool) []*global {
	var all []*global
	for _, name := range slices.Sorted(maps.Keys(choices)) {
		all = append(all, choices[name].code)
		if byKey {
			all = append(all, choices[name].byKey)
		}
	}
	return all
}
