// Package shape knows what the stored values of a Daml-LF type look like, so that code which checks, reads or prints values follows
// one description instead of each its own walk over types. It also turns types into values ([Types.Rep]).
package shape

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/value"
)

// MissingPackageError says that a package is needed which Types does not have yet.
type MissingPackageError struct{ ID lf.PackageID }

func (e *MissingPackageError) Error() string { return fmt.Sprintf("package %s is missing", e.ID) }

// Types finds packages and describes their types. It may be used by many goroutines.
type Types struct {
	mu       sync.RWMutex
	packages map[lf.PackageID]*lf.Packages                // each alone in its set
	wholes   map[lf.PackageID]func() (*lf.Package, error) // the signatures of those that are there as outlines
	read     map[lf.PackageID]*lf.Packages                // the signatures that were asked for; of a fork only, with which they go
	shapes   map[string]*Shape
	reps     map[string]*value.TypeRep
	data     map[lf.Ref]*value.DataType
}

// New returns Types without packages.
func New() *Types {
	return &Types{
		packages: map[lf.PackageID]*lf.Packages{}, shapes: map[string]*Shape{}, reps: map[string]*value.TypeRep{},
		data: map[lf.Ref]*value.DataType{}, wholes: map[lf.PackageID]func() (*lf.Package, error){},
	}
}

// Fork returns other Types with the same packages, to try out more of them.
func (t *Types) Fork() *Types {
	fork := New()
	fork.read = map[lf.PackageID]*lf.Packages{}
	t.mu.RLock()
	defer t.mu.RUnlock()
	maps.Copy(fork.packages, t.packages)
	maps.Copy(fork.wholes, t.wholes)
	return fork
}

// Add makes a package known.
func (t *Types) Add(pkg *lf.Package) {
	set := lf.NewPackages(pkg)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.packages[pkg.ID] == nil {
		t.packages[pkg.ID] = set
	}
}

// AddOutline makes a package known by its outline. What is validated against it needs its signature, which is asked for then.
func (t *Types) AddOutline(outline *lf.Package, signature func() (*lf.Package, error)) {
	set := lf.NewPackages(outline)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.packages[outline.ID] == nil {
		t.packages[outline.ID], t.wholes[outline.ID] = set, signature
	}
}

// Adopt makes the packages of others known.
func (t *Types) Adopt(others *Types) {
	fork := others.Fork()
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, set := range fork.packages {
		if t.packages[id] != nil {
			continue
		}
		t.packages[id] = set
		if whole := fork.wholes[id]; whole != nil {
			t.wholes[id] = whole
		}
	}
}

// Package returns a package, alone in a set. The error is a *MissingPackageError.
func (t *Types) Package(id lf.PackageID) (*lf.Packages, error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if set := t.packages[id]; set != nil {
		return set, nil
	}
	return nil, &MissingPackageError{id}
}

// Together returns all packages in one set, and more with them, for those who look at many at once. Some may be outlines only.
func (t *Types) Together(more ...*lf.Package) *lf.Packages {
	all := lf.NewPackages()
	t.mu.RLock()
	for _, set := range t.packages {
		all.Join(set)
	}
	t.mu.RUnlock()
	for _, pkg := range more {
		all.Add(pkg)
	}
	return all
}

// Signatures returns packages in one set with all that they refer to, directly or not, as far as it is known. Those have their
// values too.
func (t *Types) Signatures(of ...*lf.Package) (*lf.Packages, error) {
	all := lf.NewPackages(of...)
	for rest := slices.Clone(of); len(rest) > 0; {
		uses := rest[len(rest)-1].Uses
		rest = rest[:len(rest)-1]
		for _, id := range uses {
			if all.Package(id) != nil {
				continue
			}
			set, err := t.signature(id)
			if err != nil {
				return nil, err
			}
			if set != nil {
				all.Join(set)
				rest = append(rest, set.Package(id))
			}
		}
	}
	return all, nil
}

// signature returns a package with its values, alone in a set; nil if it is not known.
func (t *Types) signature(id lf.PackageID) (*lf.Packages, error) {
	t.mu.RLock()
	set, whole, read := t.packages[id], t.wholes[id], t.read[id]
	t.mu.RUnlock()
	if read != nil || whole == nil {
		return cmp.Or(read, set), nil
	}
	pkg, err := whole()
	if err != nil {
		return nil, err
	}
	set = lf.NewPackages(pkg)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read != nil {
		t.read[id] = set
	}
	return set, nil
}

// PackageName returns the name that all versions of a package share.
func (t *Types) PackageName(id lf.PackageID) (string, error) {
	set, err := t.Package(id)
	if err != nil {
		return "", err
	}
	return set.Package(id).Metadata.Name, nil
}

// DataType returns the definition of a data type.
func (t *Types) DataType(ref lf.Ref) (*lf.DataType, error) {
	set, err := t.Package(ref.Package)
	if err != nil {
		return nil, err
	}
	if d := set.DataType(ref); d != nil {
		return d, nil
	}
	return nil, set.Missing("data type", ref)
}

// Identifier returns a reference as values name it.
func Identifier(ref lf.Ref) value.Identifier {
	return value.Identifier{Package: string(ref.Package), Module: string(ref.Module), Entity: string(ref.Name)}
}

// Ref is the opposite of Identifier.
func Ref(id value.Identifier) lf.Ref {
	return lf.Ref{Package: lf.PackageID(id.Package), Module: lf.DottedName(id.Module), Name: lf.DottedName(id.Entity)}
}

// Data returns what the values of a data type share; it is the same pointer each time.
func (t *Types) Data(ref lf.Ref) (*value.DataType, error) {
	t.mu.RLock()
	known := t.data[ref]
	t.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	d, err := t.DataType(ref)
	if err != nil {
		return nil, err
	}
	fresh := &value.DataType{ID: Identifier(ref)}
	switch cons := d.Cons.(type) {
	case *lf.Record:
		fresh.Names = names(cons.Fields)
	case *lf.Variant:
		fresh.Names = names(cons.Constructors)
	case *lf.Enum:
		fresh.Names = cons.Constructors
	default:
		return nil, fmt.Errorf("type %s has no values of its own", ref)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.data[ref]; known != nil {
		return known, nil
	}
	t.data[ref] = fresh
	return fresh, nil
}

func names(fields []lf.FieldType) []string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.Name
	}
	return all
}

// Shape describes the stored values of a closed type.
type Shape struct {
	Kind  value.Kind
	Scale int      // of numerics
	Args  []*Shape // of what optionals, lists, text maps (values) and maps (keys, values) hold
	Data  *value.DataType
	Type  lf.Type // that it describes

	types *Types
	decl  []lf.Type // of fields, or of constructors' arguments
	parts atomic.Pointer[[]*Shape]
}

// Parts returns the shapes of a record's fields or a variant's arguments, in order.
func (s *Shape) Parts() ([]*Shape, error) {
	if known := s.parts.Load(); known != nil {
		return *known, nil
	}
	parts := make([]*Shape, len(s.decl))
	for i, decl := range s.decl {
		var err error
		if parts[i], err = s.types.Of(decl); err != nil {
			return nil, err
		}
	}
	s.parts.Store(&parts)
	return parts, nil
}

// Of describes the stored values of a closed type.
func (t *Types) Of(ty lf.Type) (*Shape, error) {
	ty, err := t.Close(ty, nil)
	if err != nil {
		return nil, err
	}
	key := order(ty)
	t.mu.RLock()
	known := t.shapes[key]
	t.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	fresh, err := t.describe(ty)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.shapes[key]; known != nil {
		return known, nil
	}
	t.shapes[key] = fresh
	return fresh, nil
}

// atoms are the builtin types without arguments that have stored values.
var atoms = map[lf.BuiltinType]value.Kind{
	lf.TypeUnit: value.KindUnit, lf.TypeBool: value.KindBool, lf.TypeInt64: value.KindInt64, lf.TypeDate: value.KindDate,
	lf.TypeTimestamp: value.KindTimestamp, lf.TypeParty: value.KindParty, lf.TypeText: value.KindText,
}

// containers are those with arguments.
var containers = map[lf.BuiltinType]struct {
	kind  value.Kind
	arity int
}{
	lf.TypeOptional: {value.KindOptional, 1}, lf.TypeList: {value.KindList, 1}, lf.TypeTextMap: {value.KindTextMap, 1},
	lf.TypeGenMap: {value.KindGenMap, 2}, lf.TypeNumeric: {value.KindNumeric, 1}, lf.TypeContractID: {value.KindContractID, 1},
}

func (t *Types) describe(ty lf.Type) (*Shape, error) {
	s := &Shape{Type: ty, types: t}
	head, args := lf.SplitApp(ty)
	switch head := head.(type) {
	case *lf.TypeCon:
		return s, t.describeData(s, head.Ref, args)
	case *lf.TypeBuiltin:
		if kind, ok := atoms[head.Builtin]; ok && len(args) == 0 {
			s.Kind = kind
			return s, nil
		}
		c, ok := containers[head.Builtin]
		if !ok || c.arity != len(args) {
			break
		}
		s.Kind = c.kind
		switch c.kind {
		case value.KindNumeric:
			nat, ok := args[0].(*lf.TypeNat)
			if !ok {
				return nil, fmt.Errorf("%s has no scale", Print(ty))
			}
			s.Scale = nat.Value
		case value.KindContractID:
		default:
			for _, arg := range args {
				part, err := t.Of(arg)
				if err != nil {
					return nil, err
				}
				s.Args = append(s.Args, part)
			}
		}
		return s, nil
	}
	return nil, fmt.Errorf("values of type %s cannot be stored", Print(ty))
}

func (t *Types) describeData(s *Shape, ref lf.Ref, args []lf.Type) error {
	d, err := t.DataType(ref)
	if err != nil {
		return err
	}
	if !d.Serializable || len(args) != len(d.Params) {
		return fmt.Errorf("values of type %s cannot be stored", Print(s.Type))
	}
	if s.Data, err = t.Data(ref); err != nil {
		return err
	}
	env := map[string]lf.Type{}
	for i, p := range d.Params {
		env[p.Name] = args[i]
	}
	var parts []lf.FieldType
	switch cons := d.Cons.(type) {
	case *lf.Record:
		s.Kind, parts = value.KindRecord, cons.Fields
	case *lf.Variant:
		s.Kind, parts = value.KindVariant, cons.Constructors
	case *lf.Enum:
		s.Kind = value.KindEnum
	}
	for _, p := range parts {
		closed, err := t.Close(p.Type, env)
		if err != nil {
			return err
		}
		s.decl = append(s.decl, closed)
	}
	return nil
}
