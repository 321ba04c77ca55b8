package shape_test

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/value"
)

const types = `language 2.2
metadata ('shapes' : '1.0.0')
module M {
  record @serializable Point (a: *) = { x: a, y: a };
  record @serializable Tree (a: *) = { here: a, below: List (M:Tree a) };
  record @serializable Wide (a: *) = { next: Optional (M:Wide (M:Either a a)) };
  variant @serializable Either (a: *) (b: *) = Left: a | Right: b;
  enum @serializable Color = Red | Green;
  record Secret = { f: Int64 -> Int64 };
  record @serializable Scaled (n: nat) = { v: Numeric n };
  synonym Pair (a: *) = M:Point a;
  synonym Twice (a: *) = M:Either a (||M:Pair a||);
  record @serializable Empty = {};
  record @serializable All = { unit: Unit, flag: Bool, int: Int64, date: Date, time: Timestamp, party: Party, text: Text,
    money: Numeric 2, id: ContractId M:Empty, some: Optional Text, list: List Bool, map: TextMap Date, sorted: GenMap Int64 Party,
    color: M:Color, either: ||M:Twice Text||, tree: M:Tree Int64 };
  val t: forall (a: *). a -> a = /\(a: *). \(x: a) -> x;
}
module A.B { record @serializable C = {}; }
module A.B.C { record @serializable D = {}; }
module A { record @serializable BC = {}; }
`

// load returns the types above, and the id of their package.
func load(t *testing.T) (*shape.Types, lf.PackageID) {
	t.Helper()
	dar, err := text.Assemble(types, nil)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := dar.Main().Decode(archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := shape.New()
	s.Add(pkg)
	return s, pkg.ID
}

func con(id lf.PackageID, module, name string, args ...lf.Type) lf.Type {
	return lf.AppTypes(&lf.TypeCon{Ref: lf.Ref{Package: id, Module: lf.DottedName(module), Name: lf.DottedName(name)}}, args...)
}

// describe writes a shape with its parts, down to a depth.
func describe(t *testing.T, s *shape.Shape, depth int) string {
	t.Helper()
	kinds := map[value.Kind]string{
		value.KindUnit: "unit", value.KindBool: "bool", value.KindInt64: "int", value.KindDate: "date", value.KindTimestamp: "time",
		value.KindParty: "party", value.KindText: "text", value.KindContractID: "id", value.KindOptional: "optional", value.KindList: "list",
		value.KindTextMap: "textmap", value.KindGenMap: "genmap", value.KindRecord: "record", value.KindVariant: "variant", value.KindEnum: "enum",
	}
	if s.Kind == value.KindNumeric {
		return fmt.Sprintf("numeric %d", s.Scale)
	}
	name := kinds[s.Kind]
	if s.Data != nil {
		name += " " + s.Data.ID.Entity
	}
	parts := s.Args
	if s.Data != nil {
		if depth <= 0 {
			return name
		}
		var err error
		if parts, err = s.Parts(); err != nil {
			t.Fatal(err)
		}
	}
	var inner []string
	for i, p := range parts {
		label := ""
		if s.Data != nil {
			label = s.Data.Names[i] + ": "
		}
		inner = append(inner, label+describe(t, p, depth-1))
	}
	if s.Kind == value.KindEnum {
		inner = s.Data.Names
	}
	if inner == nil {
		return name
	}
	return name + "(" + strings.Join(inner, ", ") + ")"
}

func TestShapes(t *testing.T) {
	s, id := load(t)
	str, i64 := lf.Builtin(lf.TypeText), lf.Builtin(lf.TypeInt64)
	for _, tc := range []struct {
		ty   lf.Type
		want string
	}{
		{con(id, "M", "All"), "record All(unit: unit, flag: bool, int: int, date: date, time: time, party: party, text: text, money: numeric 2, id: id, " +
			"some: optional(text), list: list(bool), map: textmap(date), sorted: genmap(int, party), color: enum Color(Red, Green), " +
			"either: variant Either(Left: text, Right: record Point), tree: record Tree(here: int, below: list(record Tree)))"},
		{con(id, "M", "Point", str), "record Point(x: text, y: text)"},
		{con(id, "M", "Tree", con(id, "M", "Color")), "record Tree(here: enum Color(Red, Green), below: list(record Tree))"},
		{con(id, "M", "Scaled", &lf.TypeNat{Value: 7}), "record Scaled(v: numeric 7)"},
		{lf.Builtin(lf.TypeGenMap, con(id, "M", "Color"), lf.Builtin(lf.TypeOptional, i64)), "genmap(enum Color(Red, Green), optional(int))"},
		{&lf.TypeSyn{Ref: lf.Ref{Package: id, Module: "M", Name: "Twice"}, Args: []lf.Type{str}}, "variant Either(Left: text, Right: record Point(x: text, y: text))"},
		{con(id, "M", "Empty"), "record Empty"},
	} {
		got, err := s.Of(tc.ty)
		if err != nil {
			t.Errorf("%s: %v", shape.Print(tc.ty), err)
		} else if d := describe(t, got, 2); d != tc.want {
			t.Errorf("%s\n got %s\nwant %s", shape.Print(tc.ty), d, tc.want)
		}
	}
}

func TestTypesThatHaveNoShape(t *testing.T) {
	s, id := load(t)
	i64 := lf.Builtin(lf.TypeInt64)
	for _, tc := range []struct {
		ty   lf.Type
		want string
	}{
		{con(id, "M", "Secret"), "values of type M:Secret cannot be stored"},
		{con(id, "M", "Point"), "values of type M:Point cannot be stored"},
		{con(id, "M", "Point", i64, i64), "cannot be stored"},
		{lf.Builtin(lf.TypeArrow, i64, i64), "cannot be stored"},
		{lf.Builtin(lf.TypeUpdate, i64), "cannot be stored"},
		{lf.Builtin(lf.TypeAny), "cannot be stored"},
		{lf.Builtin(lf.TypeList), "cannot be stored"},
		{lf.Builtin(lf.TypeList, lf.Builtin(lf.TypeTypeRep)), "values of type TypeRep cannot be stored"},
		{lf.Builtin(lf.TypeNumeric, i64), "has no scale"},
		{&lf.TypeStruct{Fields: []lf.FieldType{{Name: "a", Type: i64}}}, "cannot be stored"},
		{&lf.TypeVar{Name: "a"}, "type variable a is free"},
		{&lf.TypeForall{Var: lf.TypeVarBinder{Name: "a"}, Body: i64}, "is polymorphic"},
		{con(id, "M", "None"), "None"},
		{&lf.TypeSyn{Ref: lf.Ref{Package: id, Module: "M", Name: "Pair"}}, "Pair"},
		{&lf.TypeNat{Value: 3}, "cannot be stored"},
	} {
		if got, err := s.Of(tc.ty); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, %v; want an error that says %q", shape.Print(tc.ty), got, err, tc.want)
		}
	}
	var missing *shape.MissingPackageError
	for _, ty := range []lf.Type{con("elsewhere", "M", "T"), &lf.TypeSyn{Ref: lf.Ref{Package: "elsewhere", Module: "M", Name: "S"}}} {
		if _, err := s.Of(ty); !errors.As(err, &missing) || missing.ID != "elsewhere" {
			t.Errorf("%s: got %v, want that package elsewhere is missing", shape.Print(ty), err)
		}
	}
	if _, err := s.PackageName("elsewhere"); !errors.As(err, &missing) {
		t.Errorf("got %v, want that package elsewhere is missing", err)
	}
}

// TestTypesThatGrow follows a type whose argument doubles at each level: it ends in an error, and soon.
func TestTypesThatGrow(t *testing.T) {
	s, id := load(t)
	at, err := s.Of(con(id, "M", "Wide", lf.Builtin(lf.TypeInt64)))
	for depth := 0; err == nil; depth++ {
		if depth > 100 {
			t.Fatal("a type grew without end")
		}
		var parts []*shape.Shape
		if parts, err = at.Parts(); err == nil {
			at = parts[0].Args[0]
		}
	}
	if !strings.Contains(err.Error(), "grows without end") {
		t.Error(err)
	}
	// The same type at once: each level holds the one below twice.
	ty := lf.Builtin(lf.TypeInt64)
	for range 40 {
		ty = lf.Builtin(lf.TypeGenMap, ty, ty)
	}
	if _, err := s.Of(ty); err == nil || !strings.Contains(err.Error(), "grows without end") {
		t.Errorf("got %v for a type of 2^40 parts", err)
	}
}

// TestShapesAreShared: a type has one shape, one description and one representation, whoever asks and however it is written, so that
// pointers can be compared.
func TestShapesAreShared(t *testing.T) {
	s, id := load(t)
	point := func() lf.Type { return con(id, "M", "Point", lf.Builtin(lf.TypeInt64)) }
	synonym := &lf.TypeSyn{Ref: lf.Ref{Package: id, Module: "M", Name: "Pair"}, Args: []lf.Type{lf.Builtin(lf.TypeInt64)}}
	type found struct {
		shape *shape.Shape
		rep   *value.TypeRep
		data  *value.DataType
	}
	results := make([]found, 16)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			ty := point()
			if i%2 == 1 {
				ty = synonym
			}
			a, err1 := s.Of(ty)
			b, err2 := s.Rep(ty)
			c, err3 := s.Data(lf.Ref{Package: id, Module: "M", Name: "Point"})
			if err := errors.Join(err1, err2, err3); err != nil {
				t.Error(err)
				return
			}
			results[i] = found{a, b, c}
		})
	}
	group.Wait()
	for _, r := range results {
		if r != results[0] {
			t.Fatal("the same type has two descriptions")
		}
	}
	if results[0].shape.Data != results[0].data {
		t.Error("the shape of a record has another description of its type")
	}
	other, err := s.Of(con(id, "M", "Point", lf.Builtin(lf.TypeText)))
	if err != nil || other == results[0].shape || other.Data != results[0].data {
		t.Error("points of text are described as points of numbers, or not by the same type", err)
	}
}

// TestTypesAreOrdered: values that are types compare as the language says: builtin types by their number, then constructors by
// package, module and name part by part, numbers, structs, applications.
func TestTypesAreOrdered(t *testing.T) {
	s, id := load(t)
	i64, str := lf.Builtin(lf.TypeInt64), lf.Builtin(lf.TypeText)
	sorted := []lf.Type{
		lf.Builtin(lf.TypeUnit),
		con(id, "A", "BC"),
		con(id, "A.B", "C"),
		con(id, "A.B.C", "D"),
		con(id, "M", "Color"),
		con(id, "M", "Empty"),
		&lf.TypeNat{Value: 3},
		&lf.TypeNat{Value: 4},
		&lf.TypeStruct{Fields: []lf.FieldType{{Name: "a", Type: str}}},
		&lf.TypeStruct{Fields: []lf.FieldType{{Name: "b", Type: i64}}},
		con(id, "M", "Point", con(id, "M", "Color")),
	}
	for i, a := range sorted {
		for j, b := range sorted {
			left, err1 := s.Rep(a)
			right, err2 := s.Rep(b)
			if err := errors.Join(err1, err2); err != nil {
				t.Fatal(err)
			}
			if got := strings.Compare(left.Order, right.Order); got != cmp.Compare(i, j) {
				t.Errorf("%s and %s compare as %d", left.Name, right.Name, got)
			}
		}
	}
	if rep, err := s.Rep(con(id, "M", "Color")); err != nil || rep.Con == nil || rep.Con.Entity != "Color" {
		t.Errorf("the type of a constructor alone is %v, %v", rep, err)
	}
	if rep, err := s.Rep(con(id, "M", "Point", i64)); err != nil || rep.Con != nil {
		t.Errorf("the type of an applied constructor is %v, %v", rep, err)
	}
	// Fields of a struct have no order of their own.
	ab := &lf.TypeStruct{Fields: []lf.FieldType{{Name: "a", Type: i64}, {Name: "b", Type: str}}}
	ba := &lf.TypeStruct{Fields: []lf.FieldType{{Name: "b", Type: str}, {Name: "a", Type: i64}}}
	one, err1 := s.Rep(ab)
	two, err2 := s.Rep(ba)
	if err := errors.Join(err1, err2); err != nil || one != two {
		t.Error("structs that differ in the order of their fields are two types", err)
	}
}

func TestDataAndReferences(t *testing.T) {
	s, id := load(t)
	ref := lf.Ref{Package: id, Module: "M", Name: "Either"}
	d, err := s.Data(ref)
	if err != nil || fmt.Sprint(d.Names) != "[Left Right]" || shape.Ref(d.ID) != ref || shape.Identifier(ref) != d.ID {
		t.Errorf("got %v, %v", d, err)
	}
	if name, err := s.PackageName(id); err != nil || name != "shapes" {
		t.Errorf("got %q, %v", name, err)
	}
	set := s.Together()
	if set.Package(id) == nil {
		t.Error("a package is not together with the others")
	}
	for ty, want := range map[lf.Type]string{
		lf.Builtin(lf.TypeOptional, lf.Builtin(lf.TypeList, lf.Builtin(lf.TypeInt64))): "Optional (List Int64)",
		con(id, "A.B", "C"): "A.B:C",
		&lf.TypeStruct{Fields: []lf.FieldType{{Name: "a", Type: lf.Builtin(lf.TypeText)}}}:                                                 "<a: Text>",
		&lf.TypeForall{Var: lf.TypeVarBinder{Name: "a"}, Body: &lf.TypeVar{Name: "a"}}:                                                     "forall a. a",
		&lf.TypeSyn{Ref: lf.Ref{Package: id, Module: "M", Name: "Pair"}, Args: []lf.Type{lf.Builtin(lf.TypeList, &lf.TypeVar{Name: "b"})}}: "|M:Pair (List b)|",
		lf.Builtin(lf.TypeNumeric, &lf.TypeNat{Value: 10}):                                                                                 "Numeric 10",
	} {
		if got := shape.Print(ty); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
