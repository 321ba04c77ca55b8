package lf

import (
	"fmt"
	"maps"
)

// Packages finds definitions by reference among a set of packages. It is filled
// by Add and then read by any number of goroutines.
type Packages struct {
	packages map[PackageID]*scope
}

// scope holds a package's definitions by module and name.
type scope struct {
	pkg        *Package
	modules    map[DottedName]*Module
	synonyms   map[Ref]*TypeSynonym
	dataTypes  map[Ref]*DataType
	values     map[Ref]*Value
	templates  map[Ref]*Template
	exceptions map[Ref]*Exception
	interfaces map[Ref]*Interface
}

// NewPackages makes a set of the packages. Where several have the same id, the
// last one counts, and likewise for definitions of the same kind and name; finding
// such clashes is for package validate.
func NewPackages(packages ...*Package) *Packages {
	p := &Packages{packages: make(map[PackageID]*scope, len(packages))}
	for _, pkg := range packages {
		p.Add(pkg)
	}
	return p
}

// Add puts a package into the set.
func (p *Packages) Add(pkg *Package) {
	s := &scope{
		pkg:        pkg,
		modules:    make(map[DottedName]*Module, len(pkg.Modules)),
		synonyms:   map[Ref]*TypeSynonym{},
		dataTypes:  map[Ref]*DataType{},
		values:     map[Ref]*Value{},
		templates:  map[Ref]*Template{},
		exceptions: map[Ref]*Exception{},
		interfaces: map[Ref]*Interface{},
	}
	for _, m := range pkg.Modules {
		s.modules[m.Name] = m
		ref := func(name DottedName) Ref { return Ref{Package: pkg.ID, Module: m.Name, Name: name} }
		for _, d := range m.Synonyms {
			s.synonyms[ref(d.Name)] = d
		}
		for _, d := range m.DataTypes {
			s.dataTypes[ref(d.Name)] = d
		}
		for _, d := range m.Values {
			s.values[ref(d.Name)] = d
		}
		for _, d := range m.Templates {
			s.templates[ref(d.Name)] = d
		}
		for _, d := range m.Exceptions {
			s.exceptions[ref(d.Name)] = d
		}
		for _, d := range m.Interfaces {
			s.interfaces[ref(d.Name)] = d
		}
	}
	p.packages[pkg.ID] = s
}

// Join puts the packages of another set into this one. The sets share them.
func (p *Packages) Join(other *Packages) { maps.Copy(p.packages, other.packages) }

// Package gives the package with the id, or nil.
func (p *Packages) Package(id PackageID) *Package {
	if s := p.packages[id]; s != nil {
		return s.pkg
	}
	return nil
}

// Module gives the module, or nil.
func (p *Packages) Module(id PackageID, name DottedName) *Module {
	if s := p.packages[id]; s != nil {
		return s.modules[name]
	}
	return nil
}

// TypeSynonym gives the type synonym, or nil.
func (p *Packages) TypeSynonym(r Ref) *TypeSynonym {
	if s := p.packages[r.Package]; s != nil {
		return s.synonyms[r]
	}
	return nil
}

// DataType gives the data type, or nil.
func (p *Packages) DataType(r Ref) *DataType {
	if s := p.packages[r.Package]; s != nil {
		return s.dataTypes[r]
	}
	return nil
}

// Value gives the value, or nil.
func (p *Packages) Value(r Ref) *Value {
	if s := p.packages[r.Package]; s != nil {
		return s.values[r]
	}
	return nil
}

// Template gives the template, or nil.
func (p *Packages) Template(r Ref) *Template {
	if s := p.packages[r.Package]; s != nil {
		return s.templates[r]
	}
	return nil
}

// Exception gives the exception, or nil.
func (p *Packages) Exception(r Ref) *Exception {
	if s := p.packages[r.Package]; s != nil {
		return s.exceptions[r]
	}
	return nil
}

// Interface gives the interface, or nil.
func (p *Packages) Interface(r Ref) *Interface {
	if s := p.packages[r.Package]; s != nil {
		return s.interfaces[r]
	}
	return nil
}

// Missing explains why a lookup of r as the kind of definition failed: which of
// package, module and definition there is not.
func (p *Packages) Missing(kind string, r Ref) error {
	s := p.packages[r.Package]
	switch {
	case s == nil:
		return fmt.Errorf("%s %s: there is no package %s", kind, r.Qualified(), r.Package)
	case s.modules[r.Module] == nil:
		return fmt.Errorf("%s %s: package %s has no module %s", kind, r.Qualified(), r.Package, r.Module)
	}
	return fmt.Errorf("module %s of package %s has no %s %s", r.Module, r.Package, kind, r.Name)
}
