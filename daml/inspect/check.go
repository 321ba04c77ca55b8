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
// the others that are. Of a package that was checked only the signature is held.
func Check(dar *archive.DAR, limits archive.Limits, cache engine.Cache) Report {
	r := Report{OK: true}
	c := check{limits: limits, cache: cache, world: lf.NewPackages(), valid: engine.New(engine.DefaultLimits())}
	reports := map[lf.PackageID]CheckedReport{}
	for _, a := range archive.InOrder(dar.Packages) {
		reports[a.ID] = c.archive(a)
	}
	for _, a := range dar.Packages {
		checked := reports[a.ID]
		r.OK = r.OK && checked.OK
		r.Packages = append(r.Packages, checked)
	}
	return r
}

// check is the state of a check, package by package.
type check struct {
	limits archive.Limits
	cache  engine.Cache
	world  *lf.Packages   // signatures of what could be decoded
	valid  *engine.Engine // if there is a cache: the valid packages, compiled
}

func (c *check) archive(a archive.Archive) CheckedReport {
	r := CheckedReport{ID: a.ID, OK: true}
	if v, err := a.Version(); err == nil {
		r.LF = v.String()
	}
	pkg := c.known(a.ID)
	if pkg == nil {
		var err error
		if pkg, err = a.Decode(c.limits); err != nil {
			r.OK, r.Faults = false, []Fault{{Rule: "encoding", Message: err.Error()}}
			return r
		}
		c.world.Add(pkg)
		r.Faults = faults(validate.Check(pkg, c.world))
		if r.OK = len(r.Faults) == 0; r.OK {
			c.keep(pkg)
		}
		pkg = pkg.Signature()
	}
	c.world.Add(pkg)
	r.Name, r.Version = pkg.Metadata.Name, pkg.Metadata.Version
	return r
}

// known returns the signature of a package that the cache has, if what it refers to
// is valid; else nil.
func (c *check) known(id lf.PackageID) *lf.Package {
	if c.cache == nil {
		return nil
	}
	compiled := c.cache.Get(id)
	if compiled == nil || !c.valid.Knows(compiled.Uses...) {
		return nil
	}
	signature, err := compiled.Signature()
	if err != nil {
		return nil
	}
	c.valid.AddCompiled(compiled)
	return signature
}

// keep gives a valid package to the cache, if what it refers to is valid too.
func (c *check) keep(pkg *lf.Package) {
	if c.cache == nil || !c.valid.Knows(pkg.Uses...) {
		return
	}
	compiled, err := c.valid.Compile(pkg)
	if err != nil {
		return // who runs it is told
	}
	c.cache.Put(compiled)
	c.valid.AddCompiled(compiled)
}

// CheckUpgrade checks the main package of a DAR as the new version of that of
// another. Both DARs should be valid.
func CheckUpgrade(past, present *archive.DAR, limits archive.Limits) (Report, error) {
	world := lf.NewPackages()
	for _, a := range slices.Concat(past.Packages, present.Packages) {
		if world.Package(a.ID) != nil {
			continue
		}
		pkg, err := a.Decode(limits)
		if err == nil {
			world.Add(pkg.Outline())
		} else if a.ID == past.Main().ID || a.ID == present.Main().ID {
			return Report{}, err
		}
	}
	old, new := world.Package(past.Main().ID), world.Package(present.Main().ID)
	u := &UpgradeReport{
		Name: new.Metadata.Name,
		Past: old.ID, From: old.Metadata.Version,
		Present: new.ID, To: new.Metadata.Version,
		Faults: faults(validate.Upgrade(old, new, world)),
	}
	u.OK = len(u.Faults) == 0
	return Report{OK: u.OK, Upgrade: u}, nil
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
