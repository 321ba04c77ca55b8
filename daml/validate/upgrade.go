package validate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/lf"
)

// UpgradeRule names a rule for one version of a package that is to replace another
// of the same name. Contracts and commands of the old version must mean the same
// under the new one, so what the ledger can see may grow, and only at its ends.
type UpgradeRule string

const (
	UpgradeName               UpgradeRule = "package-name"             // both versions have the same name
	UpgradeVersion            UpgradeRule = "package-version"          // the new version is greater
	UpgradeLanguage           UpgradeRule = "language-version"         // the language version does not go back
	UpgradeDependency         UpgradeRule = "dependency-version"       // nor do the versions of packages used in types
	UpgradeModule             UpgradeRule = "module-removed"           // modules stay
	UpgradeTemplate           UpgradeRule = "template-removed"         // templates stay
	UpgradeChoice             UpgradeRule = "choice-removed"           // choices stay
	UpgradeChoiceResult       UpgradeRule = "choice-result"            // their results keep their type
	UpgradeChoiceArgument     UpgradeRule = "choice-argument"          // their arguments are of the same record
	UpgradeKeyType            UpgradeRule = "key-type"                 // keys keep their type
	UpgradeKeyRemoved         UpgradeRule = "key-removed"              // keys stay
	UpgradeKeyAdded           UpgradeRule = "key-added"                // and none comes
	UpgradeInstance           UpgradeRule = "instance-removed"         // interface instances stay
	UpgradeInterface          UpgradeRule = "interface"                // interfaces should not be defined in both versions
	UpgradeException          UpgradeRule = "exception"                // nor should exceptions
	UpgradeType               UpgradeRule = "type-removed"             // data types that can be stored stay
	UpgradeSerializable       UpgradeRule = "type-serializable"        // and can still be stored
	UpgradeOrigin             UpgradeRule = "type-origin"              // a template's record stays one, a choice's argument too
	UpgradeForm               UpgradeRule = "type-form"                // records stay records, and so on
	UpgradeParameters         UpgradeRule = "type-parameters"          // as many type parameters
	UpgradeParameterKinds     UpgradeRule = "type-parameter-kinds"     // of the same kinds
	UpgradeFieldRemoved       UpgradeRule = "field-removed"            // fields of records stay
	UpgradeFieldType          UpgradeRule = "field-type"               // with their types
	UpgradeFieldOptional      UpgradeRule = "field-not-optional"       // new ones are optional
	UpgradeFieldOrder         UpgradeRule = "field-order"              // and come last
	UpgradeConstructorField   UpgradeRule = "constructor-field-added"  // so do those of a constructor
	UpgradeConstructorRemoved UpgradeRule = "constructor-removed"      // constructors of variants stay
	UpgradeConstructorType    UpgradeRule = "constructor-type"         // with their types
	UpgradeConstructorOrder   UpgradeRule = "constructor-order"        // new ones come last
	UpgradeEnumRemoved        UpgradeRule = "enum-constructor-removed" // constructors of enums stay
	UpgradeEnumOrder          UpgradeRule = "enum-constructor-order"   // new ones come last
	UpgradeUnknown            UpgradeRule = "upgraded-package-unknown" // the package that is said to be upgraded is there
)

// Advisory says whether a ledger lets packages pass that break the rule. An interface
// or exception that both versions define is another one in each, which is seldom what
// its author wants, so a check before upload tells of it. Canton 3.5 has both errors,
// but its check at upload does not raise them: its compiler does, unless told not to,
// and packages in use define exceptions in version after version. A template that
// implements such an interface lacks the instance of the older one, which does block.
func (r UpgradeRule) Advisory() bool { return r == UpgradeInterface || r == UpgradeException }

// UpgradeFault says which rule a new version breaks where and how.
type UpgradeFault struct {
	Rule    UpgradeRule
	Path    string
	Message string
}

func (f *UpgradeFault) Error() string { return f.Path + ": " + f.Message + " [" + string(f.Rule) + "]" }

// UpgradeFaults are all rules that a new version breaks: at least one fault, at
// most one for each part of a definition.
type UpgradeFaults []*UpgradeFault

func (f UpgradeFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// Binding are the faults that a ledger refuses an upload for: those of rules that
// are not advisory.
func (f UpgradeFaults) Binding() UpgradeFaults {
	return slices.DeleteFunc(slices.Clone(f), func(fault *UpgradeFault) bool { return fault.Rule.Advisory() })
}

// Upgrade checks whether a package may replace an older one. The set must hold both
// and what they refer to, and both must be valid. Packages that store nothing may
// replace each other as they like. The error is [UpgradeFaults].
func Upgrade(past, present *lf.Package, packages *lf.Packages) error {
	u := &upgrade{past: past, present: present, world: packages}
	u.check()
	if len(u.faults) > 0 {
		return u.faults
	}
	return nil
}

// StoresNothing says whether a package defines nothing that a ledger can see. Such
// packages are not checked as upgrades of each other.
func StoresNothing(p *lf.Package) bool {
	for _, m := range p.Modules {
		if len(m.Templates)+len(m.Interfaces) > 0 ||
			slices.ContainsFunc(m.DataTypes, func(d *lf.DataType) bool { return d.Serializable }) {
			return false
		}
	}
	return true
}

type upgrade struct {
	past, present *lf.Package
	world         *lf.Packages
	faults        UpgradeFaults
	path          string
}

func (u *upgrade) fault(rule UpgradeRule, format string, args ...any) {
	u.faults = append(u.faults, &UpgradeFault{Rule: rule, Path: u.path, Message: fmt.Sprintf(format, args...)})
}

// in checks a part; its faults have the path.
func (u *upgrade) in(path string, check func()) {
	outer := u.path
	if outer != "" && path != "" {
		path = outer + ", " + path
	}
	u.path = path
	check()
	u.path = outer
}

func (u *upgrade) check() {
	u.path = "package " + u.present.Metadata.Name
	past, present := u.past.Metadata, u.present.Metadata
	if past.Name != present.Name {
		u.fault(UpgradeName, "the package that it is to replace is named %s", past.Name)
		return
	}
	if lf.ComparePackageVersions(past.Version, present.Version) >= 0 {
		u.fault(UpgradeVersion, "version %s is not greater than version %s, which it is to replace", present.Version, past.Version)
	}
	if present.Upgrades != "" && present.Upgrades != u.past.ID && u.world.Package(present.Upgrades) == nil {
		u.fault(UpgradeUnknown, "it says that it upgrades package %s, which is not there", present.Upgrades)
	}
	if u.present.Version < u.past.Version {
		u.fault(UpgradeLanguage, "it is in Daml-LF %s; the version that it is to replace is in %s", u.present.Version, u.past.Version)
	}
	if StoresNothing(u.past) && StoresNothing(u.present) {
		return
	}
	u.path = ""
	for _, old := range u.past.Modules {
		u.in("module "+string(old.Name), func() {
			i := slices.IndexFunc(u.present.Modules, func(m *lf.Module) bool { return m.Name == old.Name })
			if i < 0 {
				u.fault(UpgradeModule, "the module is gone")
				return
			}
			u.module(old, u.present.Modules[i])
		})
	}
}

// find gives the element of a list that satisfies the condition, or nil.
func find[T any](list []*T, is func(*T) bool) *T {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i]
	}
	return nil
}

func (u *upgrade) module(old, new *lf.Module) {
	for _, t := range old.Templates {
		u.in("template "+string(t.Name), func() {
			if n := find(new.Templates, func(n *lf.Template) bool { return n.Name == t.Name }); n != nil {
				u.template(t, n)
			} else {
				u.fault(UpgradeTemplate, "the template is gone")
			}
		})
	}
	own := map[lf.DottedName]bool{} // data types that belong to something else
	for _, i := range old.Interfaces {
		own[i.Name] = true
		if find(new.Interfaces, func(n *lf.Interface) bool { return n.Name == i.Name }) != nil {
			u.in("interface "+string(i.Name), func() {
				u.fault(UpgradeInterface, "interfaces cannot be upgraded; define them in a package of their own that both versions use")
			})
		}
	}
	for _, x := range old.Exceptions {
		own[x.Name] = true
		if find(new.Exceptions, func(n *lf.Exception) bool { return n.Name == x.Name }) != nil {
			u.in("exception "+string(x.Name), func() {
				u.fault(UpgradeException, "exceptions cannot be upgraded; define them in a package of their own that both versions use")
			})
		}
	}
	for _, d := range old.DataTypes {
		if own[d.Name] || !d.Serializable {
			continue
		}
		u.in("data type "+string(d.Name), func() {
			n := find(new.DataTypes, func(n *lf.DataType) bool { return n.Name == d.Name })
			if n == nil {
				u.fault(UpgradeType, "the data type is gone")
				return
			}
			u.dataType(old, new, d, n)
		})
	}
}

func (u *upgrade) template(old, new *lf.Template) {
	for _, c := range old.Choices {
		u.in("choice "+c.Name, func() {
			n := find(new.Choices, func(n *lf.Choice) bool { return n.Name == c.Name })
			if n == nil {
				u.fault(UpgradeChoice, "the choice is gone")
				return
			}
			if !u.compatible(c.Result, n.Result, nil, nil) {
				u.fault(UpgradeChoiceResult, "the choice had result %s and has now %s", lf.TypeString(c.Result), lf.TypeString(n.Result))
			}
			if !u.compatible(c.Arg.Type, n.Arg.Type, nil, nil) {
				u.fault(UpgradeChoiceArgument, "the choice had argument %s and has now %s", lf.TypeString(c.Arg.Type), lf.TypeString(n.Arg.Type))
			}
		})
	}
	switch {
	case old.Key != nil && new.Key == nil:
		u.fault(UpgradeKeyRemoved, "the template had a key and has none now")
	case old.Key == nil && new.Key != nil:
		u.fault(UpgradeKeyAdded, "the template had no key and has one now")
	case old.Key != nil && !u.compatible(old.Key.Type, new.Key.Type, nil, nil):
		u.fault(UpgradeKeyType, "the key had type %s and has now %s", lf.TypeString(old.Key.Type), lf.TypeString(new.Key.Type))
	}
	for _, i := range old.Implements {
		// An interface of the same name in the new version is another interface.
		if !slices.ContainsFunc(new.Implements, func(n *lf.Implementation) bool { return i.Interface == n.Interface }) {
			u.fault(UpgradeInstance, "the template no longer implements %s of package %s", i.Interface.Qualified(), i.Interface.Package)
		}
	}
}

// origin says what a data type serves as.
func origin(m *lf.Module, name lf.DottedName) string {
	prefix := ""
	last := string(name)
	if i := strings.LastIndexByte(last, '.'); i >= 0 {
		prefix, last = last[:i+1], last[i+1:]
	}
	for _, t := range m.Templates {
		if t.Name == name {
			return "the record of template " + string(t.Name)
		}
	}
	for _, t := range m.Templates {
		if strings.TrimSuffix(prefix, ".") == parent(t.Name) &&
			slices.ContainsFunc(t.Choices, func(c *lf.Choice) bool { return c.Name == last }) {
			return fmt.Sprintf("the argument of choice %s of template %s", last, t.Name)
		}
	}
	for _, d := range m.DataTypes {
		v, ok := d.Cons.(*lf.Variant)
		if !ok || string(d.Name)+"." != prefix {
			continue
		}
		for _, f := range v.Constructors {
			if head, _ := lf.SplitApp(f.Type); f.Name == last && isCon(head) {
				return constructorOrigin + string(d.Name)
			}
		}
	}
	return "a data type of its own"
}

const constructorOrigin = "the fields of a constructor of variant "

func parent(name lf.DottedName) string {
	if i := strings.LastIndexByte(string(name), '.'); i >= 0 {
		return string(name)[:i]
	}
	return ""
}

func isCon(t lf.Type) bool {
	_, ok := t.(*lf.TypeCon)
	return ok
}

func (u *upgrade) dataType(oldModule, newModule *lf.Module, old, new *lf.DataType) {
	if !new.Serializable {
		u.fault(UpgradeSerializable, "the type could be stored and now cannot")
		return
	}
	was, is := origin(oldModule, old.Name), origin(newModule, new.Name)
	if was != is {
		u.fault(UpgradeOrigin, "the type was %s and is now %s", was, is)
		return
	}
	if len(old.Params) != len(new.Params) {
		u.fault(UpgradeParameters, "the type had %d type parameters and has now %d", len(old.Params), len(new.Params))
		return
	}
	for i, p := range old.Params {
		if !sameKind(p.Kind, new.Params[i].Kind) {
			u.fault(UpgradeParameterKinds, "type parameter %s had kind %s and has now %s",
				p.Name, lf.KindString(p.Kind), lf.KindString(new.Params[i].Kind))
			return
		}
	}
	switch o := old.Cons.(type) {
	case *lf.Record:
		if n, ok := new.Cons.(*lf.Record); ok {
			u.record(o, n, old.Params, new.Params, strings.HasPrefix(is, constructorOrigin))
			return
		}
	case *lf.Variant:
		if n, ok := new.Cons.(*lf.Variant); ok {
			u.variant(o, n, old.Params, new.Params)
			return
		}
	case *lf.Enum:
		if n, ok := new.Cons.(*lf.Enum); ok {
			u.enum(o, n)
			return
		}
	case lf.InterfaceCons:
		return // cannot be stored
	}
	u.fault(UpgradeForm, "the type was %s and is now %s", form(old.Cons), form(new.Cons))
}

func form(c lf.DataCons) string {
	switch c.(type) {
	case *lf.Record:
		return "a record"
	case *lf.Variant:
		return "a variant"
	case *lf.Enum:
		return "an enum"
	}
	return "an interface"
}

func (u *upgrade) record(old, new *lf.Record, oldParams, newParams []lf.TypeVarBinder, ofConstructor bool) {
	kept := u.fieldTypes(old.Fields, new.Fields, oldParams, newParams, "field", UpgradeFieldRemoved, UpgradeFieldType)
	for _, f := range new.Fields {
		if slices.ContainsFunc(old.Fields, func(o lf.FieldType) bool { return o.Name == f.Name }) {
			continue
		}
		if _, optional := builtinApp(f.Type, lf.TypeOptional, 1); !optional {
			rule := UpgradeFieldOptional
			if ofConstructor {
				rule = UpgradeConstructorField
			}
			u.fault(rule, "new field %s has type %s; only optional fields can be added", f.Name, lf.TypeString(f.Type))
		}
	}
	if kept && !isPrefix(names(old.Fields), names(new.Fields)) {
		u.fault(UpgradeFieldOrder, "fields are in another order; new ones come after the old ones")
	}
}

// fieldTypes checks that fields or constructors are still there with their types.
// It says whether all are there.
func (u *upgrade) fieldTypes(old, new []lf.FieldType, oldParams, newParams []lf.TypeVarBinder,
	what string, removed, changed UpgradeRule) (kept bool) {
	kept = true
	for _, f := range old {
		i := slices.IndexFunc(new, func(n lf.FieldType) bool { return n.Name == f.Name })
		if i < 0 {
			u.fault(removed, "%s %s is gone", what, f.Name)
			kept = false
		} else if !u.compatible(f.Type, new[i].Type, oldParams, newParams) {
			u.fault(changed, "%s %s had type %s and has now %s", what, f.Name, lf.TypeString(f.Type), lf.TypeString(new[i].Type))
		}
	}
	return kept
}

func (u *upgrade) variant(old, new *lf.Variant, oldParams, newParams []lf.TypeVarBinder) {
	kept := u.fieldTypes(old.Constructors, new.Constructors, oldParams, newParams,
		"constructor", UpgradeConstructorRemoved, UpgradeConstructorType)
	if kept && !isPrefix(names(old.Constructors), names(new.Constructors)) {
		u.fault(UpgradeConstructorOrder, "constructors are in another order; new ones come after the old ones")
	}
}

func (u *upgrade) enum(old, new *lf.Enum) {
	kept := true
	for _, name := range old.Constructors {
		if !slices.Contains(new.Constructors, name) {
			u.fault(UpgradeEnumRemoved, "constructor %s is gone", name)
			kept = false
		}
	}
	if kept && !isPrefix(old.Constructors, new.Constructors) {
		u.fault(UpgradeEnumOrder, "constructors are in another order; new ones come after the old ones")
	}
}

func names(fields []lf.FieldType) []lf.Name {
	list := make([]lf.Name, len(fields))
	for i, f := range fields {
		list[i] = f.Name
	}
	return list
}

func isPrefix(short, long []lf.Name) bool {
	return len(short) <= len(long) && slices.Equal(short, long[:len(short)])
}

// compatible says whether stored values of one type are values of the other:
// the types are equal but for the versions of packages, and type variables stand
// at the same positions of the parameters.
func (u *upgrade) compatible(past, present lf.Type, oldParams, newParams []lf.TypeVarBinder) bool {
	switch past := past.(type) {
	case *lf.TypeVar:
		present, ok := present.(*lf.TypeVar)
		return ok && position(oldParams, past.Name) == position(newParams, present.Name)
	case *lf.TypeNat:
		present, ok := present.(*lf.TypeNat)
		return ok && past.Value == present.Value
	case *lf.TypeBuiltin:
		present, ok := present.(*lf.TypeBuiltin)
		return ok && past.Builtin == present.Builtin
	case *lf.TypeCon:
		present, ok := present.(*lf.TypeCon)
		return ok && u.compatibleRef(past.Ref, present.Ref)
	case *lf.TypeApp:
		present, ok := present.(*lf.TypeApp)
		return ok && u.compatible(past.Fun, present.Fun, oldParams, newParams) &&
			u.compatible(past.Arg, present.Arg, oldParams, newParams)
	}
	return false
}

func position(params []lf.TypeVarBinder, name lf.Name) int {
	for i, p := range slices.Backward(params) {
		if p.Name == name {
			return i
		}
	}
	return -1
}

func (u *upgrade) compatibleRef(past, present lf.Ref) bool {
	if past == present {
		return true
	}
	if past.Module != present.Module || past.Name != present.Name {
		return false
	}
	old, new := u.world.Package(past.Package), u.world.Package(present.Package)
	if old == nil || new == nil || old.Metadata.Name != new.Metadata.Name {
		return false
	}
	if past.Package == u.past.ID && present.Package == u.present.ID {
		return true // their versions are checked once
	}
	if lf.ComparePackageVersions(old.Metadata.Version, new.Metadata.Version) > 0 {
		u.fault(UpgradeDependency, "type %s came from version %s of package %s and comes now from the older version %s",
			past.Qualified(), old.Metadata.Version, old.Metadata.Name, new.Metadata.Version)
	}
	return true
}
