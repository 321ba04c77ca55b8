package validate_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/validate"
)

// load parses a package and makes a set of it and the stable packages.
func load(t testing.TB, src string) (*lf.Package, *lf.Packages) {
	t.Helper()
	pkg, err := text.Parse(src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	world := stable(t)
	world.Add(pkg)
	return pkg, world
}

func stable(t testing.TB) *lf.Packages {
	list, err := text.StablePackages()
	if err != nil {
		t.Fatal(err)
	}
	world := lf.NewPackages()
	for _, a := range list {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		world.Add(pkg)
	}
	return world
}

// TestTheCorpusIsValid checks the packages that use every form.
func TestTheCorpusIsValid(t *testing.T) {
	paths, err := filepath.Glob("../text/testdata/*.lf")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, path := range paths {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Check(load(t, string(src))); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestEveryBuiltinHasAType uses each builtin function of the stable language.
func TestEveryBuiltinHasAType(t *testing.T) {
	for _, f := range lf.Functions() {
		if f.Since() == lf.V2_Dev {
			continue
		}
		src := fmt.Sprintf("language 2.3 metadata ('x' : '1') module M { val f: Int64 = %s; }", f)
		err := validate.Check(load(t, src))
		var faults validate.Faults
		if !errors.As(err, &faults) || !strings.Contains(faults[0].Message, "this has type ") {
			t.Errorf("%s: got %v, want a fault that tells the type", f, err)
		}
	}
}

// fault is a broken module, given as its definitions, and what Check says of it.
type fault struct {
	name, definitions string
	rule              validate.Rule
	want              string
}

const basics = `
  record @serializable R = { i: Int64, t: Text };
  record @serializable Box (a: *) = { content: a };
  variant @serializable V = A: Int64 | B: Text;
  enum @serializable E = X | Y;
  synonym S (a: *) = List a;
  record @serializable T = { p: Party };
  record @serializable View = { p: Party };
  val parties: List Party = Nil @Party;
`

const iface = `
  interface (this: I) = { viewtype M:View; method m: Int64; choice C (self) (x: Unit): Int64, controllers M:parties to upure @Int64 1; };
`

const tmpl = `
  template (this: T) = { signatories M:parties; choice C (self) (x: Unit): Int64, controllers M:parties to upure @Int64 1; };
`

func TestFaults(t *testing.T) {
	for _, tc := range []fault{
		// references
		{"value", "val x: Int64 = M:y;", validate.RuleReference, "module M, value x, definition: module M of package  has no value y"},
		{"module", "val x: Int64 = N:y;", validate.RuleReference, "has no module N"},
		{"package", "val x: Int64 = 'nowhere':N:y;", validate.RuleReference, "there is no package nowhere"},
		{"data type", "val x: M:Q = 1;", validate.RuleReference, "has no data type Q"},
		{"synonym", "val x: ||M:Q|| = 1;", validate.RuleReference, "has no type synonym Q"},
		{"template", "val x: Update Unit = fetch_template @M:R 1;", validate.RuleReference, "has no template R"},
		{"interface", "val x: Update Unit = fetch_interface @M:R 1;", validate.RuleReference, "has no interface R"},
		{"exception", "val x: Int64 = throw @Int64 @M:R (M:R {i = 1, t = \"\"});", validate.RuleReference, "has no exception R"},
		{"choice", tmpl + "val x: ContractId M:T -> Update Int64 = \\(c: ContractId M:T) -> exercise @M:T D c ();", validate.RuleReference, "template M:T has no choice D"},
		{"interface choice", iface + "val x: ContractId M:I -> Update Int64 = \\(c: ContractId M:I) -> exercise_interface @M:I D c ();", validate.RuleReference, "interface M:I has no choice D"},
		{"method", iface + "val x: M:I -> Int64 = \\(i: M:I) -> call_method @M:I n i;", validate.RuleReference, "interface M:I has no method n"},
		{"instance", tmpl + iface + "val x: M:T -> M:I = \\(i: M:T) -> to_interface @M:I @M:T i;", validate.RuleReference, "template M:T does not implement interface M:I"},
		{"requirement", iface + "val x: M:I -> M:I = \\(i: M:I) -> to_required_interface @M:I @M:I i;", validate.RuleReference, "interface M:I does not require M:I"},
		{"key", tmpl + "val x: Int64 -> Update Unit = \\(k: Int64) -> exercise_by_key @M:T C k ();", validate.RuleReference, "template M:T has no key"},
		// scope
		{"variable", "val x: Int64 = y;", validate.RuleScope, "variable y is not bound"},
		{"variable after its let", "val x: Int64 = ADD_INT64 (let y: Int64 = 1 in y) y;", validate.RuleScope, "variable y is not bound"},
		{"variable after its pattern", "val x: Int64 = case None @Int64 of Some y -> y | None -> y;", validate.RuleScope, "alternative 2: variable y is not bound"},
		{"type variable", "val x: a = 1;", validate.RuleScope, "type variable a is not bound"},
		{"type variable of a field", "record Q = { f: a };", validate.RuleScope, "data type Q: type variable a is not bound"},
		{"self in controllers", "template (this: T) = { signatories M:parties; choice C (self) (x: Unit): Unit, controllers case self of _ -> M:parties to upure @Unit (); };", validate.RuleScope, "choice C, controllers, case: variable self is not bound"},
		{"this in maintainers", "template (this: T) = { signatories M:parties; key @Int64 1 (\\(k: Int64) -> case this of _ -> M:parties); };", validate.RuleScope, "maintainers, body, case: variable this is not bound"},
		// kinds
		{"too few types", "val x: List = 1;", validate.RuleKind, "type List has kind * -> *; it must have *"},
		{"too many types", "val x: Int64 Int64 = 1;", validate.RuleKind, "type Int64 has kind * and cannot be applied to Int64"},
		{"argument", "val x: Numeric Int64 = 1;", validate.RuleKind, "type Numeric wants an argument of kind nat, but Int64 has kind *"},
		{"nat result", "record Q (f: * -> nat) = {};", validate.RuleKind, "kind * -> nat has nat as its result"},
		{"synonym arguments", "val x: ||M:S|| = 1;", validate.RuleKind, "type synonym M:S takes 1 types, not 0"},
		{"synonym argument", "val x: ||M:S List|| = 1;", validate.RuleKind, "type synonym M:S wants a type of kind *, but List has kind * -> *"},
		{"record arguments", "val x: M:R = M:R @Int64 {};", validate.RuleKind, "data type M:R takes 0 types, not 1"},
		{"type argument", "val x: Int64 -> Int64 = ADD_NUMERIC @Int64;", validate.RuleKind, "type Int64 has kind *; it must have nat"},
		// types
		{"mismatch", `val x: Int64 = "a";`, validate.RuleType, "this has type Text; it must have Int64"},
		{"path", `val x: List Int64 = Cons @Int64 [1, ADD_INT64 1 "a"] (Nil @Int64);`, validate.RuleType, "module M, value x, definition, element 2, argument 2: this has type Text"},
		{"line", `val x: Int64 = loc(41, 0, 41, 1) "a";`, validate.RuleType, "value x, definition: this has type Text"},
		{"line inside", `val x: Int64 = loc(41, 0, 41, 1) (ADD_INT64 1 "a");`, validate.RuleType, "definition (line 42), argument 2: this has type Text"},
		{"numeric scale", "val x: Numeric 10 = 1.5;", validate.RuleType, "this has type Numeric 1; it must have Numeric 10"},
		{"no function", "val x: Int64 = 1 2;", validate.RuleType, "something of type Int64 is applied to an argument"},
		{"not polymorphic", "val x: Int64 = 1 @Int64;", validate.RuleType, "something of type Int64 is applied to type Int64"},
		{"field missing", "val x: M:R = M:R {i = 1};", validate.RuleType, "record M:R has 2 fields, but 1 are given"},
		{"field order", "val x: M:R = M:R {t = \"\", i = 1};", validate.RuleType, "field 1 of record M:R is i, not t"},
		{"field", "val x: Int64 = M:R {j} (M:R {i = 1, t = \"\"});", validate.RuleType, "record M:R has no field j"},
		{"no record", "val x: M:V = M:V {};", validate.RuleType, "M:V is no record"},
		{"no variant", "val x: M:R = M:R:A 1;", validate.RuleType, "M:R is no variant"},
		{"constructor", "val x: M:V = M:V:C 1;", validate.RuleType, "variant M:V has no constructor C"},
		{"no enum", "val x: M:V = M:V:A;", validate.RuleType, "M:V is no enum"},
		{"enum constructor", "val x: M:E = M:E:Z;", validate.RuleType, "enum M:E has no constructor Z"},
		{"no struct", "val x: Int64 = (1).f;", validate.RuleType, "something of type Int64 is used as a struct"},
		{"struct field", "val x: Int64 = (<g = 1>).f;", validate.RuleType, "struct <g: Int64> has no field f"},
		{"alternatives", `val x: Int64 = case True of True -> 1 | False -> "a";`, validate.RuleType, "alternative 2 has type Text; the first has Int64"},
		{"any", "val x: Any = to_any @Int64 1;", validate.RuleType, "type Int64 cannot be carried by a value"},
		{"exception type", "val x: AnyException = to_any_exception @Int64 1;", validate.RuleType, "type Int64 is no exception"},
		{"last of a block", "val x: Update Int64 = ubind y: Int64 <- upure @Int64 1 in y;", validate.RuleType, "the last part of a block has type Int64; it must be an update"},
		{"bound by a block", "val x: Update Int64 = ubind y: Int64 <- 1 in upure @Int64 y;", validate.RuleType, "binding y: this has type Int64; it must have Update Int64"},
		{"captured variable", "val x: forall (a: *). a -> forall (b: *). b -> b = /\\(a: *). \\(x: a) -> /\\(a: *). \\(y: a) -> x;", validate.RuleType, "it must have forall a. a -> forall b. b -> b"},
		{"captured by a quantifier", "val k: forall (a: *) (b: *). a -> b -> a = /\\(a: *) (b: *). \\(x: a) (y: b) -> x; val x: forall (b: *) (c: *). c -> c -> c = /\\(b: *). M:k @b;", validate.RuleType, "it must have forall b. forall c. c -> c -> c"},
		{"quantifiers", "val x: forall (a: *) (b: *). a -> b -> a = /\\(a: *) (b: *). \\(x: a) (y: b) -> y;", validate.RuleType, "must have"},
		{"message", "record @serializable Oops = {}; exception Oops = { message 1 };", validate.RuleType, "exception Oops, message: this has type Int64; it must have M:Oops -> Text"},
		{"signatories", "template (this: T) = { signatories 1; };", validate.RuleType, "template T, signatories: this has type Int64; it must have List Party"},
		{"precondition", "template (this: T) = { precondition 1; signatories M:parties; };", validate.RuleType, "template T, precondition: this has type Int64; it must have Bool"},
		{"choice update", "template (this: T) = { signatories M:parties; choice C (self) (x: Unit): Int64, controllers M:parties to upure @Unit (); };", validate.RuleType, "template T, choice C, update: this has type Update Unit; it must have Update Int64"},
		{"view", "template (this: T) = { signatories M:parties; implements M:I { view = 1; method m = 1; }; };" + iface, validate.RuleType, "instance of M:I, view: this has type Int64"},
		{"method type", "template (this: T) = { signatories M:parties; implements M:I { view = M:View {p = M:T {p} this}; method m = \"\"; }; };" + iface, validate.RuleType, "method m: this has type Text"},
		// patterns
		{"no alternatives", "val x: Int64 = case True of;", validate.RulePattern, "a case has no alternatives"},
		{"not covered", "val x: Int64 = case M:V:A 1 of M:V:A y -> y;", validate.RulePattern, "no alternative covers B"},
		{"Bool not covered", "val x: Int64 = case True of True -> 1;", validate.RulePattern, "no alternative covers False"},
		{"list not covered", "val x: Int64 = case Nil @Int64 of Cons a b -> a;", validate.RulePattern, "no alternative covers Nil"},
		{"only the default", "val x: Int64 = case 1 of True -> 1;", validate.RulePattern, "alternative 1 does not fit something of type Int64"},
		{"does not fit", "val x: Int64 = case True of None -> 1;", validate.RulePattern, "alternative 1 does not fit something of type Bool"},
		{"other variant", "variant W = A: Int64; val x: Int64 = case M:V:A 1 of M:W:A y -> y | _ -> 1;", validate.RulePattern, "does not fit something of type M:V"},
		{"bound twice", "val x: Int64 = case Nil @Int64 of Cons a a -> 1 | Nil -> 1;", validate.RulePattern, "a pattern binds a twice"},
		// storage
		{"function field", "record @serializable Q = { f: Int64 -> Int64 };", validate.RuleSerializable, "f of type Int64 -> Int64 holds Int64 -> Int64"},
		{"field inside", "record @serializable Q = { f: List (Optional (Update Int64)) };", validate.RuleSerializable, "holds Update Int64"},
		{"struct field type", "record @serializable Q = { f: <a: Int64> };", validate.RuleSerializable, "holds <a: Int64>"},
		{"unstored field", "record P = {}; record @serializable Q = { f: M:P };", validate.RuleSerializable, "holds M:P"},
		{"open numeric", "record @serializable Q (n: nat) = { f: Numeric n };", validate.RuleSerializable, "its parameter n has kind nat"},
		{"higher parameter", "record @serializable Q (f: * -> *) = {};", validate.RuleSerializable, "its parameter f has kind * -> *"},
		{"no values", "variant @serializable Q = ;", validate.RuleSerializable, "it has no values"},
		{"synonym stored", "record @serializable Q = { f: ||M:S Int64|| };", validate.RuleSerializable, "it is written with type synonym M:S"},
		{"template argument", "record Q = {}; template (this: Q) = { signatories M:parties; };", validate.RuleSerializable, "the argument of a template has type M:Q"},
		{"choice argument", "template (this: T) = { signatories M:parties; choice C (self) (x: Any): Unit, controllers M:parties to upure @Unit (); };", validate.RuleSerializable, "the argument of a choice has type Any"},
		{"choice result", "template (this: T) = { signatories M:parties; choice C (self) (x: Unit): TypeRep, controllers M:parties to upure @TypeRep (type_rep @M:T); };", validate.RuleSerializable, "the result of a choice has type TypeRep"},
		{"key type", "template (this: T) = { signatories M:parties; key @Any (to_any @M:T this) (\\(k: Any) -> M:parties); };", validate.RuleSerializable, "the key of a template has type Any"},
		{"view type", "record Q = {}; interface (this: J) = { viewtype M:Q; };", validate.RuleSerializable, "the view of an interface has type M:Q"},
		{"interface stored", iface + "interface_type @serializable J; interface (this: J) = { viewtype M:View; };", validate.RuleSerializable, "an interface cannot be stored"},
		// templates and interfaces
		{"template of a variant", "template (this: V) = { signatories M:parties; };", validate.RuleTemplate, "data type M:V is no record without type parameters"},
		{"template with parameters", "template (this: Box) = { signatories M:parties; };", validate.RuleTemplate, "data type M:Box is no record without type parameters"},
		{"exception of an enum", "exception E = { message 1 };", validate.RuleTemplate, "data type M:E is no record"},
		{"instance twice", "template (this: T) = { signatories M:parties; implements M:I { view = M:View {p = M:T {p} this}; method m = 1; }; implements M:I { view = M:View {p = M:T {p} this}; method m = 1; }; };" + iface, validate.RuleInterface, "interface M:I is implemented twice"},
		{"method missing", "template (this: T) = { signatories M:parties; implements M:I { view = M:View {p = M:T {p} this}; }; };" + iface, validate.RuleInterface, "method m is not implemented"},
		{"required instance missing", "interface (this: J) = { viewtype M:View; requires M:I; }; template (this: T) = { signatories M:parties; implements M:J { view = M:View {p = M:T {p} this}; }; };" + iface, validate.RuleInterface, "the interface requires M:I, which the template does not implement"},
		{"requirements not closed", "interface (this: J) = { viewtype M:View; requires M:I; }; interface (this: K) = { viewtype M:View; requires M:J; };" + iface, validate.RuleInterface, "M:J is required, which requires M:I, which must be required too"},
		{"required twice", "interface (this: J) = { viewtype M:View; requires M:I; requires M:I; };" + iface, validate.RuleInterface, "interface M:I is required twice"},
		{"view no record", "interface (this: J) = { viewtype M:V; };", validate.RuleInterface, "which is no record without type parameters"},
		{"view applied", "interface (this: J) = { viewtype M:Box Int64; };", validate.RuleInterface, "it must be a record without type parameters"},
		// cycles
		{"requires itself", "interface (this: J) = { viewtype M:View; requires M:J; };", validate.RuleCycle, "the interface requires itself"},
		{"synonym", "synonym P = ||M:Q||; synonym Q = List ||M:P||;", validate.RuleCycle, "is defined by itself"},
		{"modules in a ring", "val x: Int64 = 1; val w: Int64 = N:y; } module N { val y: Int64 = M:x;", validate.RuleCycle, "module N refers to module M, which refers back to it"},
		// names
		{"two values", "val x: Int64 = 1; val x: Int64 = 2;", validate.RuleName, "module M defines x twice"},
		{"two types", "record R = {};", validate.RuleName, "module M defines R twice"},
		{"two templates", tmpl + tmpl, validate.RuleName, "module M defines T twice"},
		{"two modules", "} module M {", validate.RuleName, "there are two modules M"},
		{"two fields", "record Q = { f: Int64, f: Int64 };", validate.RuleName, "field M:Q.f and field M:Q.f"},
		{"two choices", "template (this: T) = { signatories M:parties; choice C (self) (x: Unit): Unit, controllers M:parties to upure @Unit (); choice C (self) (x: Unit): Unit, controllers M:parties to upure @Unit (); };", validate.RuleName, "choice M:T.C and choice M:T.C"},
		{"two methods", "interface (this: J) = { viewtype M:View; method m: Int64; method m: Int64; };", validate.RuleName, "there are two methods m"},
		{"two parameters", "record Q a a = {};", validate.RuleName, "there are two type parameters a"},
		{"two struct fields", "val x: <f: Int64, f: Int64> = 1;", validate.RuleName, "a struct has two fields f"},
		{"case", "record Abc = {}; record ABC = {};", validate.RuleName, "record M:Abc and record M:ABC have names that clients cannot tell apart"},
		{"module and type", "} module M.R {", validate.RuleName, "record M:R and module M.R"},
		// versions
		{"unsafe_from_interface", "template (this: T) = { signatories M:parties; implements M:I { view = M:View {p = M:T {p} this}; method m = 1; }; };" + iface +
			"val x: ContractId M:I -> M:I -> M:T = \\(c: ContractId M:I) (i: M:I) -> unsafe_from_interface @M:I @M:T c i;", validate.RuleVersion, "2.1 was the last version with it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pkg, world := load(t, "language 2.3 metadata ('x' : '1') module M {"+basics+tc.definitions+"}")
			err := validate.Check(pkg, world)
			var faults validate.Faults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want a fault", err)
			}
			if faults[0].Rule != tc.rule || !strings.Contains(faults[0].Error(), tc.want) {
				t.Errorf("got %v\nwant [%s] with %q", faults, tc.rule, tc.want)
			}
		})
	}
}

// TestValid lists what looks wrong and is not.
func TestValid(t *testing.T) {
	for _, tc := range []struct{ name, definitions string }{
		{"synonym in a synonym", "synonym P a = ||M:S (||M:S a||)||; val x: ||M:P Int64|| = Nil @(List Int64);"},
		{"shadowed type variable", "val x: forall (a: *). a -> forall (b: *). b -> a = /\\(a: *). \\(x: a) -> /\\(a: *). \\(y: a) -> x;"},
		{"names of bound variables", "val x: forall (a: *) (b: *). a -> b -> a = /\\(b: *) (a: *). \\(x: b) (y: a) -> x;"},
		{"no capture", "val id: forall (a: *). a -> a = /\\(a: *). \\(x: a) -> x; val x: forall (b: *). (forall (a: *). a -> b) -> forall (a: *). a -> b = /\\(b: *). M:id @(forall (a: *). a -> b);"},
		{"no capture by a quantifier", "val k: forall (a: *) (b: *). a -> b -> a = /\\(a: *) (b: *). \\(x: a) (y: b) -> x; val x: forall (b: *) (c: *). b -> c -> b = /\\(b: *). M:k @b;"},
		{"impredicative", "val id: forall (a: *). a -> a = /\\(a: *). \\(x: a) -> x; val x: Int64 = M:id @(forall (a: *). a -> a) M:id @Int64 1;"},
		{"struct field order", "val x: <b: Int64, a: Text> = <a = \"\", b = 1>;"},
		{"higher kinds", "record H (f: * -> *) = { x: f Int64 }; val x: M:H List = M:H @List {x = Nil @Int64};"},
		{"recursive type", "variant @serializable L (a: *) = N: Unit | C: M:P a; record @serializable P (a: *) = { h: a, t: M:L a };"},
		{"recursive value", "val x: Int64 -> Int64 = \\(n: Int64) -> M:x n;"},
		{"constructor with fields", "record @serializable V.A = {};"},
		{"value like a type", "val r: Int64 = 1; "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := validate.Check(load(t, "language 2.3 metadata ('x' : '1') module M {"+basics+tc.definitions+"}")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDevIsRefused takes a package that is in order but for its version.
func TestDevIsRefused(t *testing.T) {
	err := validate.Check(load(t, "language 2.dev metadata ('x' : '1') module M { }"))
	if err == nil || !strings.Contains(err.Error(), "Daml-LF 2.dev is not stable") {
		t.Errorf("got %v", err)
	}
}

// TestFaultsAreBounded breaks many definitions.
func TestFaultsAreBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString("language 2.1 metadata ('x' : '1') module M {")
	for i := range 100 {
		fmt.Fprintf(&b, "val x%d: Int64 = \"\";", i)
	}
	b.WriteString("}")
	var faults validate.Faults
	if err := validate.Check(load(t, b.String())); !errors.As(err, &faults) || len(faults) != validate.MaxFaults {
		t.Errorf("got %d faults, want %d", len(faults), validate.MaxFaults)
	}
}
