package inspect

import (
	"fmt"
	"io"
	"slices"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/validate"
)

// Report says whether the packages of a DAR, or a new version of a package, are in
// order.
type Report struct {
	OK       bool            `json:"ok"`
	Packages []CheckedReport `json:"packages,omitempty"`
	Upgrade  *UpgradeReport  `json:"upgrade,omitempty"`
}

// CheckedReport says what is wrong with one package.
type CheckedReport struct {
	ID      lf.PackageID `json:"package_id"`
	Name    string       `json:"name,omitempty"`
	Version string       `json:"version,omitempty"`
	LF      string       `json:"lf_version,omitempty"`
	OK      bool         `json:"ok"`
	Faults  []Fault      `json:"faults,omitempty"`
}

// UpgradeReport says what speaks against replacing one version by another.
type UpgradeReport struct {
	Name    string       `json:"name"`
	Past    lf.PackageID `json:"past_package_id"`
	From    string       `json:"past_version"`
	Present lf.PackageID `json:"package_id"`
	To      string       `json:"version"`
	OK      bool         `json:"ok"`
	Faults  []Fault      `json:"faults,omitempty"`
}

// Fault is one broken rule.
type Fault struct {
	Rule    string `json:"rule"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// Check decodes and validates every package of a DAR. What it refers to must be in
// the DAR too. The cache may be nil; packages that it has are valid, and it is given
// the others if all are.
func Check(dar *archive.DAR, limits archive.Limits, cache engine.Cache) Report {
	r := Report{OK: true}
	compiled, signatures := known(dar, cache)
	world, packages, errs := decode(limits, signatures, dar)
	for i, a := range dar.Packages {
		c := CheckedReport{ID: a.ID}
		if v, err := a.Version(); err == nil {
			c.LF = v.String()
		}
		if pkg := packages[i]; pkg == nil {
			c.Faults = []Fault{{Rule: "encoding", Message: errs[i].Error()}}
		} else {
			c.Name, c.Version = pkg.Metadata.Name, pkg.Metadata.Version
			if !pkg.IsSignature { // else it comes from the cache
				c.Faults = faults(validate.Check(pkg, world))
			}
		}
		c.OK = len(c.Faults) == 0
		r.OK = r.OK && c.OK
		r.Packages = append(r.Packages, c)
	}
	if r.OK && cache != nil {
		keep(cache, compiled, packages)
	}
	return r
}

// known finds the packages of a DAR that the cache has, if the DAR holds what they
// refer to.
func known(dar *archive.DAR, cache engine.Cache) (compiled []*engine.Compiled, signatures map[lf.PackageID]*lf.Package) {
	if cache == nil {
		return nil, nil
	}
	lacks := func(id lf.PackageID) bool {
		return !slices.ContainsFunc(dar.Packages, func(a archive.Archive) bool { return a.ID == id })
	}
	signatures = map[lf.PackageID]*lf.Package{}
	for _, a := range dar.Packages {
		c := cache.Get(a.ID)
		if c == nil || slices.ContainsFunc(c.Uses, lacks) {
			continue
		}
		if signature, err := c.Signature(); err == nil {
			compiled, signatures[a.ID] = append(compiled, c), signature
		}
	}
	return compiled, signatures
}

// keep gives valid packages that did not come from the cache to it, for who runs
// them. Those that cannot be run, being of 2.dev, are not kept.
func keep(cache engine.Cache, compiled []*engine.Compiled, packages []*lf.Package) {
	e := engine.New(engine.DefaultLimits())
	for _, c := range compiled {
		e.AddCompiled(c)
	}
	fresh := slices.DeleteFunc(slices.Clone(packages), func(pkg *lf.Package) bool { return pkg.IsSignature })
	made, err := e.Compile(fresh...)
	if err != nil {
		return
	}
	for _, c := range made {
		cache.Put(c)
	}
}

// CheckUpgrade checks the main package of a DAR as the new version of that of
// another. Both DARs should be valid.
func CheckUpgrade(past, present *archive.DAR, limits archive.Limits) (Report, error) {
	world, packages, errs := decode(limits, nil, past, present)
	old, new := packages[0], packages[len(past.Packages)]
	if old == nil {
		return Report{}, errs[0]
	}
	if new == nil {
		return Report{}, errs[len(past.Packages)]
	}
	u := &UpgradeReport{
		Name: new.Metadata.Name,
		Past: old.ID, From: old.Metadata.Version,
		Present: new.ID, To: new.Metadata.Version,
		Faults: faults(validate.Upgrade(old, new, world)),
	}
	u.OK = len(u.Faults) == 0
	return Report{OK: u.OK, Upgrade: u}, nil
}

// decode decodes the packages of DARs, one after the other; nil and an error stand
// for what cannot be decoded. Signatures stand for those that are known.
func decode(limits archive.Limits, signatures map[lf.PackageID]*lf.Package, dars ...*archive.DAR) (*lf.Packages, []*lf.Package, []error) {
	world := lf.NewPackages()
	var packages []*lf.Package
	var errs []error
	for _, dar := range dars {
		for _, a := range dar.Packages {
			pkg := world.Package(a.ID)
			var err error
			if pkg == nil {
				if pkg = signatures[a.ID]; pkg == nil {
					pkg, err = a.Decode(limits)
				}
				if err == nil {
					world.Add(pkg)
				}
			}
			packages, errs = append(packages, pkg), append(errs, err)
		}
	}
	return world, packages, errs
}

func faults(err error) (list []Fault) {
	switch err := err.(type) {
	case validate.Faults:
		for _, f := range err {
			list = append(list, Fault{string(f.Rule), f.Path, f.Message})
		}
	case validate.UpgradeFaults:
		for _, f := range err {
			list = append(list, Fault{string(f.Rule), f.Path, f.Message})
		}
	}
	return list
}

// Print writes a line for each package and each fault.
func (r Report) Print(w io.Writer) error {
	for _, p := range r.Packages {
		name := p.Name + " " + p.Version
		if p.Name == "" {
			name = string(p.ID)
		}
		if err := printVerdict(w, name, p.Faults); err != nil {
			return err
		}
	}
	if u := r.Upgrade; u != nil {
		return printVerdict(w, fmt.Sprintf("%s %s → %s", u.Name, u.From, u.To), u.Faults)
	}
	return nil
}

func printVerdict(w io.Writer, name string, faults []Fault) error {
	if _, err := fmt.Fprintf(w, "%s: %s\n", name, verdict(len(faults))); err != nil {
		return err
	}
	for _, f := range faults {
		path := f.Path
		if path != "" {
			path += ": "
		}
		if _, err := fmt.Fprintf(w, "  [%s] %s%s\n", f.Rule, path, f.Message); err != nil {
			return err
		}
	}
	return nil
}

// Verdict counts the faults of all packages in words.
func (r Report) Verdict() string {
	n := 0
	for _, p := range r.Packages {
		n += len(p.Faults)
	}
	if r.Upgrade != nil {
		n += len(r.Upgrade.Faults)
	}
	return verdict(n)
}

func verdict(faults int) string {
	switch faults {
	case 0:
		return "ok"
	case 1:
		return "1 fault"
	}
	return fmt.Sprintf("%d faults", faults)
}
