package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/validate"
)

// Upload validates and adds the packages of a DAR, and returns the main one. If one is not valid, or does not fit between the versions
// of it that the ledger has, none is added. Packages that the cache has are not validated again: they were before they came there.
func (l *Ledger) Upload(dar *archive.DAR) (*lf.Package, error) {
	trial := l.Engine.Fork()
	var added []*lf.Package
	for _, a := range archive.InOrder(dar.Packages) {
		if l.packages[string(a.ID)] != nil {
			continue
		}
		pkg, err := l.admit(trial, a)
		if err != nil {
			return nil, err
		}
		added = append(added, pkg)
	}
	if err := l.checkUpgrades(trial, added); err != nil {
		return nil, err
	}
	l.Engine.Adopt(trial)
	for _, pkg := range added {
		l.list(pkg)
	}
	return l.packages[string(dar.Main().ID)], nil
}

// admit makes a package known to an engine that knows what it refers to. With a cache it comes in compiled form, so that the syntax
// tree of one package is garbage before the next one is decoded; the package that is returned is its outline then.
func (l *Ledger) admit(e *engine.Engine, a archive.Archive) (*lf.Package, error) {
	if l.Cache != nil {
		if c := l.Cache.Get(a.ID); c != nil && e.Knows(c.Uses...) {
			e.AddCompiled(c)
			return c.Outline, nil
		}
	}
	pkg, err := a.Decode(archive.Limits{})
	if err != nil {
		return nil, err
	}
	if err := e.Validate(pkg); err != nil {
		return nil, err
	}
	if l.Cache == nil {
		return pkg, e.AddPackage(pkg)
	}
	c, err := e.Compile(pkg)
	if err != nil {
		return nil, err
	}
	l.Cache.Put(c)
	e.AddCompiled(c)
	return c.Outline, nil
}

// checkUpgrades looks at all versions of the packages that are to be added, in their order. Each new one has to fit as an upgrade of
// the version before it, and the version after it as an upgrade of the new one. The engine knows what they refer to.
func (l *Ledger) checkUpgrades(e *engine.Engine, added []*lf.Package) error {
	checked := map[string]bool{}
	for _, pkg := range added {
		name := pkg.Metadata.Name
		if checked[name] {
			continue
		}
		checked[name] = true
		versions := l.versions(name, added)
		for i := 1; i < len(versions); i++ {
			past, present := versions[i-1], versions[i]
			if !slices.Contains(added, past) && !slices.Contains(added, present) {
				continue
			}
			if past.Metadata.Version == present.Metadata.Version {
				return fmt.Errorf("there cannot be two packages %s %s, %s and %s; give the newer one a higher version",
					name, past.Metadata.Version, past.ID, present.ID)
			}
			if err := e.CheckUpgrade(past, present); err != nil {
				return fmt.Errorf("package %s %s cannot replace version %s: %w", name, present.Metadata.Version, past.Metadata.Version, err)
			}
		}
	}
	return nil
}

// versions lists the packages of a name that the ledger has or may get, by version. Those that store nothing may be there in any
// number, and are left out.
func (l *Ledger) versions(name string, more []*lf.Package) []*lf.Package {
	var all []*lf.Package
	take := func(pkg *lf.Package) {
		if pkg.Metadata.Name == name && !validate.StoresNothing(pkg) {
			all = append(all, pkg)
		}
	}
	for _, pkg := range l.packages {
		take(pkg)
	}
	for _, pkg := range more {
		take(pkg)
	}
	slices.SortFunc(all, func(a, b *lf.Package) int {
		return cmp.Or(lf.ComparePackageVersions(a.Metadata.Version, b.Metadata.Version), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// AddPackage adds one package, which is valid.
func (l *Ledger) AddPackage(pkg *lf.Package) error {
	if err := l.Engine.AddPackage(pkg); err != nil {
		return err
	}
	l.list(pkg)
	return nil
}

// list makes a package known that the engine has, or its outline.
func (l *Ledger) list(pkg *lf.Package) {
	l.packages[string(pkg.ID)] = pkg
	name := pkg.Metadata.Name
	if now := l.packages[l.preferred[name]]; now == nil || lf.ComparePackageVersions(now.Metadata.Version, pkg.Metadata.Version) < 0 {
		l.preferred[name] = string(pkg.ID)
	}
}

// Prefer makes a version of a package the preferred one.
func (l *Ledger) Prefer(id string) error {
	pkg := l.packages[id]
	if pkg == nil {
		return fmt.Errorf("package %s is not on the ledger", id)
	}
	l.preferred[pkg.Metadata.Name] = id
	return nil
}
