package validate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/validate"
)

// encode gives a package its id.
func encode(t *testing.T, src string) *lf.Package {
	t.Helper()
	pkg, err := text.Parse(src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	a, err := archive.Encode(pkg)
	if err != nil {
		t.Fatal(err)
	}
	if pkg, err = a.Decode(archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	return pkg
}

// version writes a version of package p whose module M has these definitions.
func version(version, definitions string) string {
	return "language 2.3 metadata ('p' : '" + version + "') module M {\n" + definitions + "\n}"
}

// Parts of versions.
const (
	record   = "record @serializable R = { a: Int64, b: Text };"
	party    = "record @serializable T = { p: Party };"
	bare     = "template (this: T) = { signatories Nil @Party; };"
	choosy   = "template (this: T) = { signatories Nil @Party; choice C (self) (x: M:C): Int64, controllers Nil @Party to upure @Int64 1; };"
	argument = "record @serializable C = { a: Int64 };"
	keyed    = "template (this: T) = { signatories Nil @Party; key @Int64 1 (\\(k: Int64) -> Nil @Party); };"
	seen     = "record @serializable V = {}; "
	instance = "template (this: T) = { signatories Nil @Party; implements M:I { view = M:V {}; }; };"
	face     = "interface (this: I) = { viewtype M:V; };"
)

func TestUpgradesAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name          string
		past, present string // definitions, or whole packages
		rule          validate.UpgradeRule
		want          string
	}{
		{"name", version("1", record), strings.Replace(version("2", record), "'p'", "'q'", 1), validate.UpgradeName, "is named p"},
		{"version", version("1.10", record), version("1.9", record), validate.UpgradeVersion, "version 1.9 is not greater than version 1.10"},
		{"same version", version("1.0", record), version("1.0", record+argument), validate.UpgradeVersion, "not greater"},
		{"language", version("1", record), strings.Replace(version("2", record), "2.3", "2.1", 1), validate.UpgradeLanguage, "it is in Daml-LF 2.1; the version that it is to replace is in 2.3"},
		{"upgraded package", version("1", record), strings.Replace(version("2", record), "module", "upgrades '77' module", 1), validate.UpgradeUnknown, "upgrades package 77, which is not there"},
		{"module", version("1", record), "language 2.3 metadata ('p' : '2') module N { }", validate.UpgradeModule, "module M: the module is gone"},
		{"template", party + bare, party, validate.UpgradeTemplate, "module M, template T: the template is gone"},
		{"choice", party + argument + choosy, party + argument + bare, validate.UpgradeChoice, "template T, choice C: the choice is gone"},
		{"result", party + argument + choosy, party + argument + strings.ReplaceAll(strings.Replace(choosy, "upure @Int64 1", "upure @Text \"\"", 1), "Int64,", "Text,"), validate.UpgradeChoiceResult, "the choice had result Int64 and has now Text"},
		{"argument", party + argument + choosy, party + argument + strings.Replace(choosy, "x: M:C", "x: Unit", 1), validate.UpgradeChoiceArgument, "the choice had argument M:C and has now Unit"},
		{"key gone", party + keyed, party + bare, validate.UpgradeKeyRemoved, "had a key and has none now"},
		{"key new", party + bare, party + keyed, validate.UpgradeKeyAdded, "had no key and has one now"},
		{"key type", party + keyed, party + strings.NewReplacer("key @Int64 1", `key @Text ""`, "k: Int64", "k: Text").Replace(keyed), validate.UpgradeKeyType, "the key had type Int64 and has now Text"},
		{"instance", party + seen + face + instance, party + seen + face + bare, validate.UpgradeInstance, "the template no longer implements M:I of package"},
		{"instance of an interface of its own", party + seen + face + instance, party + seen + face + instance, validate.UpgradeInstance, "the template no longer implements M:I of package"},
		{"interface", seen + face, seen + face, validate.UpgradeInterface, "interface I: interfaces cannot be upgraded"},
		{"exception", "record @serializable X = {}; exception X = { message \\(x: M:X) -> \"\" };", "record @serializable X = {}; exception X = { message \\(x: M:X) -> \"\" };", validate.UpgradeException, "exception X: exceptions cannot be upgraded"},
		{"type", record, argument, validate.UpgradeType, "data type R: the data type is gone"},
		{"stored no longer", record, strings.Replace(record, "@serializable ", "", 1) + argument, validate.UpgradeSerializable, "could be stored and now cannot"},
		{"origin", party + argument, party + argument + bare, validate.UpgradeOrigin, "the type was a data type of its own and is now the record of template T"},
		{"origin of an argument", party + argument + bare, party + argument + choosy, validate.UpgradeOrigin, "and is now the argument of choice C of template T"},
		{"form", record, "variant @serializable R = A: Int64;", validate.UpgradeForm, "the type was a record and is now a variant"},
		{"parameter kinds", "record @serializable B (n: nat) = { c: Numeric n };", "record @serializable B (n: *) = { c: Optional n };", validate.UpgradeParameterKinds, "type parameter n had kind nat and has now *"},
		{"parameters", "record @serializable B a = { c: a };", "record @serializable B a b = { c: a };", validate.UpgradeParameters, "had 1 type parameters and has now 2"},
		{"field gone", record, "record @serializable R = { a: Int64 };", validate.UpgradeFieldRemoved, "field b is gone"},
		{"field type", record, "record @serializable R = { a: Int64, b: Int64 };", validate.UpgradeFieldType, "field b had type Text and has now Int64"},
		{"field of parameter", "record @serializable B a b = { c: a };", "record @serializable B a b = { c: b };", validate.UpgradeFieldType, "field c had type a and has now b"},
		{"field new", record, "record @serializable R = { a: Int64, b: Text, c: Int64 };", validate.UpgradeFieldOptional, "new field c has type Int64; only optional fields can be added"},
		{"field order", record, "record @serializable R = { b: Text, a: Int64 };", validate.UpgradeFieldOrder, "fields are in another order"},
		{"field in between", record, "record @serializable R = { a: Int64, c: Optional Int64, b: Text };", validate.UpgradeFieldOrder, "new ones come after the old ones"},
		{"constructor field", "variant @serializable S = A: M:S.A; record @serializable S.A = { x: Int64 };", "variant @serializable S = A: M:S.A; record @serializable S.A = { x: Int64, y: Int64 };", validate.UpgradeConstructorField, "new field y has type Int64"},
		{"constructor gone", "variant @serializable S = A: Int64 | B: Int64;", "variant @serializable S = A: Int64;", validate.UpgradeConstructorRemoved, "constructor B is gone"},
		{"constructor type", "variant @serializable S = A: Int64;", "variant @serializable S = A: Text;", validate.UpgradeConstructorType, "constructor A had type Int64 and has now Text"},
		{"constructor order", "variant @serializable S = A: Int64 | B: Int64;", "variant @serializable S = C: Int64 | A: Int64 | B: Int64;", validate.UpgradeConstructorOrder, "constructors are in another order"},
		{"enum gone", "enum @serializable E = X | Y;", "enum @serializable E = X;", validate.UpgradeEnumRemoved, "constructor Y is gone"},
		{"enum order", "enum @serializable E = X | Y;", "enum @serializable E = Y | X;", validate.UpgradeEnumOrder, "constructors are in another order"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			past, present := tc.past, tc.present
			if !strings.HasPrefix(past, "language") {
				past = version("1", past)
			}
			if !strings.HasPrefix(present, "language") {
				present = version("2", present)
			}
			old, new := encode(t, past), encode(t, present)
			world := stable(t)
			world.Add(old)
			world.Add(new)
			err := validate.Upgrade(old, new, world)
			var faults validate.UpgradeFaults
			if !errors.As(err, &faults) {
				t.Fatalf("got %v, want a fault", err)
			}
			for _, f := range faults {
				if f.Rule == tc.rule && strings.Contains(f.Error(), tc.want) {
					return
				}
			}
			t.Errorf("got %v\nwant [%s] with %q", err, tc.rule, tc.want)
		})
	}
}

// TestUpgradeOfADependency takes a type from an older version of another package.
func TestUpgradeOfADependency(t *testing.T) {
	dep1 := encode(t, "language 2.3 metadata ('dep' : '1.0') module D { record @serializable R = {}; }")
	dep2 := encode(t, "language 2.3 metadata ('dep' : '1.1') module D { record @serializable R = { a: Optional Int64 }; }")
	uses := func(v string, dep *lf.Package) *lf.Package {
		return encode(t, version(v, "record @serializable Q = { r: List '"+string(dep.ID)+"':D:R };"))
	}
	world := lf.NewPackages(dep1, dep2)
	check := func(past, present *lf.Package) error {
		world.Add(past)
		world.Add(present)
		return validate.Upgrade(past, present, world)
	}
	if err := check(uses("1", dep1), uses("2", dep2)); err != nil {
		t.Errorf("a newer version of the dependency: %v", err)
	}
	err := check(uses("1", dep2), uses("2", dep1))
	if err == nil || !strings.Contains(err.Error(), "["+string(validate.UpgradeDependency)+"]") {
		t.Errorf("an older version of the dependency: %v", err)
	}
}

func TestUpgradesAreAllowed(t *testing.T) {
	for _, tc := range []struct{ name, past, present string }{
		{"nothing", record, record + " "},
		{"optional field", record, "record @serializable R = { a: Int64, b: Text, c: Optional Int64 };"},
		{"names of parameters", "record @serializable B a b = { c: a, d: b };", "record @serializable B x y = { c: x, d: y };"},
		{"new constructor", "variant @serializable S = A: Int64;", "variant @serializable S = A: Int64 | B: Text;"},
		{"new enum constructor", "enum @serializable E = X;", "enum @serializable E = X | Y;"},
		{"new template and choice", party + bare, party + argument + choosy + "record @serializable N = { p: Party }; template (this: N) = { signatories Nil @Party; };"},
		{"type that was not stored", "record R = { a: Int64 };" + argument, argument},
		{"own types", "record @serializable A = {}; record @serializable B = { a: List M:A };", "record @serializable A = { x: Optional Int64 }; record @serializable B = { a: List M:A };"},
		{"code", party + bare, party + strings.Replace(bare, "Nil @Party", "Cons @Party [M:T {p} this] (Nil @Party)", 1)},
		{"new instance", party + seen + bare, party + seen + face + instance},
		{"a package that stores nothing", "val x: Int64 = 1;", "val y: Int64 = 1;"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old, new := encode(t, version("1", tc.past)), encode(t, version("2", tc.present))
			world := stable(t)
			world.Add(old)
			world.Add(new)
			for _, p := range []*lf.Package{old, new} {
				if err := validate.Check(p, world); err != nil {
					t.Fatal(err)
				}
			}
			if err := validate.Upgrade(old, new, world); err != nil {
				t.Error(err)
			}
		})
	}
}
