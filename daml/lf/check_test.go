package lf_test

import (
	"testing"

	"github.com/synod-network/synod/daml/lf"
)

func TestNames(t *testing.T) {
	for _, tc := range []struct {
		what string
		is   func(string) bool
		yes  []string
		no   []string
	}{
		{"name", lf.IsName, []string{"a", "_", "$$sel", "A1"}, []string{"", "1a", "a-b", "a.b", "é"}},
		{"dotted name", lf.IsDottedName, []string{"a", "A.B.c1"}, []string{"", ".", "a.", ".a", "a..b"}},
		{"package id", lf.IsPackageID, []string{"0", "a b-c_D"}, []string{"", "a.b", "é"}},
		{"package name", lf.IsPackageName, []string{"splice-amulet", "a_B9"}, []string{"", "a b", "a.b"}},
		{"package version", lf.IsPackageVersion, []string{"0", "1.10.0", "3.3.0.20250502"}, []string{"", "01", "1.", ".1", "1..2", "1a", "-1"}},
		{"numeric", lf.IsNumeric,
			[]string{"0.", "-1.5", "0.0", "99999999999999999999999999999999999999.", "0.0123456789012345678901234567890123456"},
			[]string{"", "1", ".5", "00.1", "+1.0", "1.5e3", "--1.0", "999999999999999999999999999999999999999.", "0.01234567890123456789012345678901234567", "1.5.5"}},
	} {
		for _, s := range tc.yes {
			if !tc.is(s) {
				t.Errorf("%q is refused as a %s", s, tc.what)
			}
		}
		for _, s := range tc.no {
			if tc.is(s) {
				t.Errorf("%q is taken for a %s", s, tc.what)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	const first, last = -62135596800000000, 253402300799999999 // 0001-01-01, 9999-12-31T23:59:59.999999Z
	if !lf.IsTimestamp(first) || lf.IsTimestamp(first-1) || !lf.IsTimestamp(last) || lf.IsTimestamp(last+1) {
		t.Error("the limits of Timestamp are wrong")
	}
	if !lf.IsDate(-719162) || lf.IsDate(-719163) || !lf.IsDate(2932896) || lf.IsDate(2932897) {
		t.Error("the limits of Date are wrong")
	}
}

func TestPackageVersionsAreOrdered(t *testing.T) {
	ordered := []string{"0", "0.9", "0.10", "1", "1.0", "1.0.0", "1.0.1", "1.2", "2", "10"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := lf.ComparePackageVersions(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("comparing %s with %s gives %d", a, b, got)
			}
		}
	}
}

// TestFunctionsAreComplete wants the 67 functions of the stable language and a name
// for each of a different number.
func TestFunctionsAreComplete(t *testing.T) {
	stable, names := 0, map[string]bool{}
	for _, f := range lf.Functions() {
		if f.Since() != lf.V2_Dev {
			stable++
		}
		if names[f.String()] {
			t.Errorf("two functions are named %s", f)
		}
		names[f.String()] = true
	}
	if stable != 67 {
		t.Errorf("there are %d stable functions, want 67", stable)
	}
}

func TestTypeString(t *testing.T) {
	i, text := lf.Builtin(lf.TypeInt64), lf.Builtin(lf.TypeText)
	for _, tc := range []struct {
		t    lf.Type
		want string
	}{
		{lf.Arrow(lf.Arrow(i, text), lf.Arrow(i, text)), "(Int64 -> Text) -> Int64 -> Text"},
		{lf.Builtin(lf.TypeList, lf.Builtin(lf.TypeNumeric, &lf.TypeNat{Value: 10})), "List (Numeric 10)"},
		{lf.Builtin(lf.TypeArrow, i), "Arrow Int64"},
		{&lf.TypeForall{Var: lf.TypeVarBinder{Name: "a", Kind: lf.KindStar{}}, Body: lf.Arrow(&lf.TypeVar{Name: "a"}, i)}, "forall a. a -> Int64"},
		{&lf.TypeStruct{Fields: []lf.FieldType{{Name: "x", Type: i}}}, "<x: Int64>"},
	} {
		if got := lf.TypeString(tc.t); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}
