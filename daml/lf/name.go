package lf

// PackageID is the lower-case hexadecimal SHA-256 of a package's encoded payload.
type PackageID string

// DottedName is one or more identifiers joined by dots: the name of a module
// ("DA.Types") or of a definition in it ("Foo.Bar").
type DottedName string

// Name is one identifier: a variable, field, constructor, choice or method.
type Name = string

// Ref names a definition: a type constructor, type synonym, value, template,
// interface or exception.
type Ref struct {
	Package PackageID // "" in a package that has no id yet: this package
	Module  DottedName
	Name    DottedName
}

// String gives Module:Name, with the package in front where it is known.
func (r Ref) String() string {
	s := string(r.Module) + ":" + string(r.Name)
	if r.Package == "" {
		return s
	}
	return string(r.Package) + ":" + s
}

// Qualified gives Module:Name without the package.
func (r Ref) Qualified() string { return string(r.Module) + ":" + string(r.Name) }

// Version is a version of Daml-LF 2. Versions are ordered by what they can
// express.
type Version uint8

const (
	V2_1 Version = iota + 1
	V2_2
	V2_3
	// V2_Dev stands for everything that is not yet stable. Such packages can be
	// read and shown, but not used.
	V2_Dev
)

// String gives "2.1" … "2.3" or "2.dev".
func (v Version) String() string {
	switch v {
	case V2_1:
		return "2.1"
	case V2_2:
		return "2.2"
	case V2_3:
		return "2.3"
	case V2_Dev:
		return "2.dev"
	}
	return "2.?"
}

// ParseVersion reads what String gives.
func ParseVersion(s string) (Version, bool) {
	for v := V2_1; v <= V2_Dev; v++ {
		if v.String() == s {
			return v, true
		}
	}
	return 0, false
}

// Flat says whether archives of this version intern kinds and expressions, apply
// and abstract one argument at a time and list the packages they import.
func (v Version) Flat() bool { return v >= V2_2 }

// HasKeys says whether templates may have contract keys.
func (v Version) HasKeys() bool { return v >= V2_3 }

// Stable says whether packages of this version may be used on a ledger.
func (v Version) Stable() bool { return v >= V2_1 && v <= V2_3 }
