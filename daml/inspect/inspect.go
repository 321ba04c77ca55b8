// Package inspect says what Daml packages hold, for people and, as JSON, for
// programs.
package inspect

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
)

// DAR is what a .dar file holds.
type DAR struct {
	SDKVersion string    `json:"sdk_version"`
	Packages   []Package `json:"packages"` // the main package first
}

// Package is what a package holds. Where it could not be decoded, Error says why
// and the counts are 0.
type Package struct {
	ID        lf.PackageID   `json:"package_id"`
	Name      string         `json:"name"`
	Version   string         `json:"version"`
	LF        string         `json:"lf_version"`
	Usable    bool           `json:"usable"` // the language version is stable
	SizeBytes int            `json:"size_bytes"`
	Upgrades  lf.PackageID   `json:"upgrades,omitempty"`
	Imports   []lf.PackageID `json:"imports,omitempty"`
	Modules   []Module       `json:"modules"`
	Values    int            `json:"values"`
	DataTypes int            `json:"data_types"`
	Error     string         `json:"error,omitempty"`
}

// Module is what a module holds that a ledger can see.
type Module struct {
	Name       lf.DottedName `json:"name"`
	Templates  []Template    `json:"templates"`
	Interfaces []Interface   `json:"interfaces"`
	Exceptions []string      `json:"exceptions"`
}

// Template describes a template.
type Template struct {
	Name       lf.DottedName `json:"name"`
	Fields     []Field       `json:"fields"`
	Choices    []Choice      `json:"choices"`
	Key        string        `json:"key,omitempty"`
	Implements []string      `json:"implements"`
}

// Interface describes an interface.
type Interface struct {
	Name     lf.DottedName `json:"name"`
	View     string        `json:"view"`
	Requires []string      `json:"requires"`
	Methods  []Field       `json:"methods"`
	Choices  []Choice      `json:"choices"`
}

// Choice describes a choice of a template or interface.
type Choice struct {
	Name      string `json:"name"`
	Consuming bool   `json:"consuming"`
	Argument  string `json:"argument"`
	Result    string `json:"result"`
}

// Field is a field of a record or a method of an interface.
type Field struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Archives describes the packages of a DAR. A package that cannot be decoded is
// described by its error.
func Archives(dar *archive.DAR, limits archive.Limits) DAR {
	d := DAR{SDKVersion: dar.SDKVersion}
	for _, a := range dar.Packages {
		p := Package{ID: a.ID, SizeBytes: len(a.Payload)}
		if pkg, err := a.Decode(limits); err != nil {
			p.Error = err.Error()
			if v, err := a.Version(); err == nil {
				p.LF = v.String()
			}
		} else {
			p.fill(pkg)
		}
		d.Packages = append(d.Packages, p)
	}
	return d
}

// Describe describes a package.
func Describe(pkg *lf.Package) Package {
	p := Package{ID: pkg.ID}
	p.fill(pkg)
	return p
}

func (p *Package) fill(pkg *lf.Package) {
	p.Name, p.Version, p.Upgrades = pkg.Metadata.Name, pkg.Metadata.Version, pkg.Metadata.Upgrades
	p.LF, p.Usable = pkg.Version.String(), pkg.Version.Stable()
	p.Imports = pkg.Imports
	p.Modules = []Module{}
	for _, m := range pkg.Modules {
		p.Values += len(m.Values)
		p.DataTypes += len(m.DataTypes)
		p.Modules = append(p.Modules, module(m))
	}
}

func module(m *lf.Module) Module {
	x := Module{Name: m.Name, Templates: []Template{}, Interfaces: []Interface{}, Exceptions: []string{}}
	for _, t := range m.Templates {
		x.Templates = append(x.Templates, template(m, t))
	}
	for _, i := range m.Interfaces {
		y := Interface{Name: i.Name, View: lf.TypeString(i.View), Requires: []string{}, Methods: []Field{}, Choices: choices(i.Choices)}
		for _, r := range i.Requires {
			y.Requires = append(y.Requires, r.Qualified())
		}
		for _, method := range i.Methods {
			y.Methods = append(y.Methods, Field{method.Name, lf.TypeString(method.Type)})
		}
		x.Interfaces = append(x.Interfaces, y)
	}
	for _, e := range m.Exceptions {
		x.Exceptions = append(x.Exceptions, string(e.Name))
	}
	return x
}

func template(m *lf.Module, t *lf.Template) Template {
	x := Template{Name: t.Name, Fields: []Field{}, Choices: choices(t.Choices), Implements: []string{}}
	for _, d := range m.DataTypes {
		if r, ok := d.Cons.(*lf.Record); ok && d.Name == t.Name {
			for _, f := range r.Fields {
				x.Fields = append(x.Fields, Field{f.Name, lf.TypeString(f.Type)})
			}
		}
	}
	if t.Key != nil {
		x.Key = lf.TypeString(t.Key.Type)
	}
	for _, i := range t.Implements {
		x.Implements = append(x.Implements, i.Interface.Qualified())
	}
	return x
}

func choices(list []*lf.Choice) []Choice {
	out := []Choice{}
	for _, c := range list {
		out = append(out, Choice{c.Name, c.Consuming, lf.TypeString(c.Arg.Type), lf.TypeString(c.Result)})
	}
	return out
}

// Print writes a table of the packages and, below, what the main package holds; or
// each package, if all.
func (d DAR) Print(w io.Writer, all bool) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PACKAGE\tVERSION\tLF\tBYTES\tMODULES\tTEMPLATES\tINTERFACES\tPACKAGE ID")
	for _, p := range d.Packages {
		if p.Error != "" {
			fmt.Fprintf(t, "?\t\t%s\t%d\t\t\t\t%s\n", p.LF, p.SizeBytes, p.ID)
			continue
		}
		templates, interfaces := p.counts()
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n",
			p.Name, p.Version, p.LF, p.SizeBytes, len(p.Modules), templates, interfaces, p.ID)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, p := range d.Packages {
		if i == 0 || all || p.Error != "" {
			if err := p.Print(w); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p Package) counts() (templates, interfaces int) {
	for _, m := range p.Modules {
		templates += len(m.Templates)
		interfaces += len(m.Interfaces)
	}
	return templates, interfaces
}

// Print writes the templates and interfaces of the package.
func (p Package) Print(w io.Writer) error {
	var b strings.Builder
	if p.Error != "" {
		fmt.Fprintf(&b, "\n%s\n", p.Error)
	} else {
		fmt.Fprintf(&b, "\n%s %s\n", p.Name, p.Version)
	}
	if p.Error == "" && !p.Usable {
		fmt.Fprintf(&b, "  Daml-LF %s is not stable: the package can be shown, but not used\n", p.LF)
	}
	for _, m := range p.Modules {
		for _, t := range m.Templates {
			fmt.Fprintf(&b, "  template %s:%s", m.Name, t.Name)
			printList(&b, " implements ", t.Implements)
			fmt.Fprintln(&b)
			printFields(&b, t.Fields)
			if t.Key != "" {
				fmt.Fprintf(&b, "    key %s\n", t.Key)
			}
			printChoices(&b, t.Choices)
		}
		for _, i := range m.Interfaces {
			fmt.Fprintf(&b, "  interface %s:%s", m.Name, i.Name)
			printList(&b, " requires ", i.Requires)
			fmt.Fprintf(&b, "\n    view %s\n", i.View)
			for _, f := range i.Methods {
				fmt.Fprintf(&b, "    method %s: %s\n", f.Name, f.Type)
			}
			printChoices(&b, i.Choices)
		}
		for _, e := range m.Exceptions {
			fmt.Fprintf(&b, "  exception %s:%s\n", m.Name, e)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func printList(b *strings.Builder, before string, list []string) {
	if len(list) > 0 {
		b.WriteString(before + strings.Join(list, ", "))
	}
}

func printFields(b *strings.Builder, fields []Field) {
	for _, f := range fields {
		fmt.Fprintf(b, "    %s: %s\n", f.Name, f.Type)
	}
}

func printChoices(b *strings.Builder, list []Choice) {
	for _, c := range list {
		kind := "choice"
		if !c.Consuming {
			kind = "nonconsuming choice"
		}
		fmt.Fprintf(b, "    %s %s: %s → %s\n", kind, c.Name, c.Argument, c.Result)
	}
}
