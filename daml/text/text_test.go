package text_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
)

var update = flag.Bool("update", false, "rewrite testdata/*.lf as they are printed")

// corpus reads the packages in testdata, which together use every form.
func corpus(t testing.TB) map[string]string {
	paths, err := filepath.Glob("testdata/*.lf")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	files := map[string]string{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[path] = string(b)
	}
	return files
}

func parse(t testing.TB, src string) *lf.Package {
	t.Helper()
	pkg, err := text.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// TestTextSurvivesTheArchive goes from text to archive to text, and wants the file.
func TestTextSurvivesTheArchive(t *testing.T) {
	for path, src := range corpus(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			printed := text.Print(parse(t, src))
			if *update {
				if err := os.WriteFile(path, []byte(printed), 0o644); err != nil {
					t.Fatal(err)
				}
				src = printed
			}
			if printed != src {
				t.Fatalf("the file is printed differently; run with -update and look at the change:\n%s", firstDifference(src, printed))
			}
			a, err := archive.Encode(parse(t, src))
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := a.Decode(archive.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if again := text.Print(decoded); again != src {
				t.Fatalf("the archive says something else:\n%s", firstDifference(src, again))
			}
			twice, err := archive.Encode(decoded)
			if err != nil || twice.ID != a.ID {
				t.Fatalf("encoded again it has id %s instead of %s: %v", twice.ID, a.ID, err)
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range w {
		if i >= len(g) || w[i] != g[i] {
			return "want: " + w[i] + "\ngot:  " + strings.Join(g[min(i, len(g)):min(i+1, len(g))], "")
		}
	}
	return "only the end differs"
}

// TestCorpusUsesEveryForm walks the parsed corpus and wants each type of node in it.
func TestCorpusUsesEveryForm(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, src := range corpus(t) {
		walk(reflect.ValueOf(parse(t, src)), seen)
	}
	for _, node := range []any{
		lf.KindStar{}, lf.KindNat{}, lf.KindArrow{},
		lf.TypeVar{}, lf.TypeCon{}, lf.TypeSyn{}, lf.TypeBuiltin{}, lf.TypeApp{}, lf.TypeForall{}, lf.TypeStruct{}, lf.TypeNat{},
		lf.Var{}, lf.Val{}, lf.BuiltinFun{}, lf.BuiltinCon{}, lf.App{}, lf.TyApp{}, lf.Abs{}, lf.TyAbs{}, lf.Let{}, lf.Case{}, lf.Located{},
		lf.LitInt64{}, lf.LitNumeric{}, lf.LitText{}, lf.LitTimestamp{}, lf.LitDate{}, lf.LitFailureCategory{},
		lf.RecordCon{}, lf.RecordProj{}, lf.RecordUpd{}, lf.VariantCon{}, lf.EnumCon{}, lf.StructCon{}, lf.StructProj{}, lf.StructUpd{},
		lf.Nil{}, lf.Cons{}, lf.None{}, lf.Some{},
		lf.ToAny{}, lf.FromAny{}, lf.TypeRep{}, lf.ToAnyException{}, lf.FromAnyException{}, lf.Throw{},
		lf.ToInterface{}, lf.FromInterface{}, lf.UnsafeFromInterface{}, lf.ToRequiredInterface{}, lf.FromRequiredInterface{},
		lf.UnsafeFromRequiredInterface{}, lf.CallInterface{}, lf.ViewInterface{}, lf.SignatoryInterface{}, lf.ObserverInterface{}, lf.InterfaceTemplateTypeRep{},
		lf.Pure{}, lf.Block{}, lf.EmbedExpr{}, lf.TryCatch{}, lf.Create{}, lf.CreateInterface{}, lf.Fetch{}, lf.FetchInterface{},
		lf.Exercise{}, lf.ExerciseInterface{}, lf.ExerciseByKey{}, lf.FetchByKey{}, lf.QueryNByKey{}, lf.GetTime{}, lf.LedgerTimeLT{},
		lf.PatDefault{}, lf.PatVariant{}, lf.PatEnum{}, lf.PatCon{}, lf.PatNil{}, lf.PatCons{}, lf.PatNone{}, lf.PatSome{},
		lf.TypeSynonym{}, lf.Record{}, lf.Variant{}, lf.Enum{}, lf.InterfaceCons{}, lf.Value{}, lf.Template{}, lf.Key{}, lf.Choice{},
		lf.Implementation{}, lf.Method{}, lf.Interface{}, lf.MethodType{}, lf.Exception{},
	} {
		if !seen[reflect.TypeOf(node)] {
			t.Errorf("no package in testdata has a %T", node)
		}
	}
}

func walk(v reflect.Value, seen map[reflect.Type]bool) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			walk(v.Elem(), seen)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i), seen)
		}
	case reflect.Struct:
		seen[v.Type()] = true
		for i := range v.NumField() {
			walk(v.Field(i), seen)
		}
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	const head = "metadata ('x' : '1')\nmodule M {\n"
	for _, tc := range []struct{ name, src, want string }{
		{"empty", "", `1:1: there should be "metadata" here, not the end`},
		{"name of package", "metadata ('a b' : '1')", "1:11: there should be the name of a package"},
		{"version of package", "metadata ('a' : '01')", "version of a package"},
		{"language", "language 3.1\n", "3.1 is no version of the language"},
		{"unknown character", head + "  #", "3:3: '#' is no part of the syntax"},
		{"text without end", head + "val x: Text = \"abc\n", "3:15: '\"' is no part of the syntax, or a text that does not end on its line"},
		{"escape", head + `val x: Text = "\q";`, "escape that is unknown"},
		{"not UTF-8", head + `val x: Text = "\xff";`, "not UTF-8"},
		{"comment without end", head + "/* ", "the comment does not end"},
		{"definition", head + "value x", "there should be a definition here"},
		{"word as name", head + "val let: Int64 = 1;", "let is a word of the syntax; to use it as a name, write `let`"},
		{"missing semicolon", head + "val x: Int64 = 1\n}", `there should be ";" here, not }`},
		{"number", head + "val x: Int64 = 9223372036854775808;", "does not fit 64 bits"},
		{"numeric", head + "val x: Int64 = 00.1;", "is no numeric"},
		{"date", head + "val x: Date = 2023-02-29;", "is no date"},
		{"time", head + "val x: Timestamp = 2023-01-01T25:00:00Z;", "is no time"},
		{"scale", head + "val x: Numeric 38 = 1.;", "is no scale"},
		{"later builtin", head + "val x: Bool = SECP256K1_VALIDATE_KEY \"\";", "SECP256K1_VALIDATE_KEY is not in Daml-LF 2.1"},
		{"later type", head + "val x: BigNumeric = 1;", "BigNumeric is not in Daml-LF 2.1"},
		{"later key", head + "template (this: T) = { signatories 1; key @Int64 1 1; };", "Daml-LF 2.1 has no contract keys"},
		{"imports", "metadata ('x' : '1') imports", "Daml-LF 2.1 has no list of imports"},
		{"signatories", head + "template (this: T) = { observers 1; };", "template T has no signatories"},
		{"twice", head + "template (this: T) = { signatories 1; signatories 1; };", "this comes twice"},
		{"enum parameters", head + "enum E a = A;", "enum E cannot have type parameters"},
		{"package id", head + "val x: '?':M:T = 1;", "package id in single quotes"},
		{"two locations", head + "val x: Int64 = loc(1, 2, 3, 4) (loc(1, 2, 3, 4) 1);", "two locations"},
		{"long name", head + "val " + strings.Repeat("x", 1001) + ": Int64 = 1;", "longer than 1000 characters"},
		{"nesting", head + "val x: Int64 = " + strings.Repeat("(", 20_000), "nested deeper than 10000"},
		{"type nesting", head + "val x: " + strings.Repeat("(", 20_000), "nested deeper than 10000"},
		{"kind nesting", head + "val x: forall (a: " + strings.Repeat("(", 20_000), "nested deeper than 10000"},
		{"arguments", head + "val x: T = f" + strings.Repeat(" @a b", 20_000), "nested deeper than 10000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := text.Parse(tc.src)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// TestConveniences lists what may be written in several ways.
func TestConveniences(t *testing.T) {
	const head = "metadata ('x' : '1')\nmodule M {\n"
	for _, tc := range []struct{ name, one, other string }{
		{"kind of a parameter", "record R a = {};", "record R (a: *) = {};"},
		{"Option", "val x: Option Int64 = None @Int64;", "val x: Optional Int64 = None @Int64;"},
		{"parentheses", "val x: (Int64) = (1);", "val x: Int64 = 1;"},
		{"comments", "/* a */ val x: Int64 = 1; // b", "val x: Int64 = 1;"},
		{"needless quotes", "val `x`: Int64 = `y`;", "val x: Int64 = y;"},
		{"no observers", "template (this: T) = { signatories s; };", "template (this: T) = { signatories s; observers Nil @Party; };"},
		{"interface type", "interface (this: I) = { viewtype M:V; };", "interface_type I; interface (this: I) = { viewtype M:V; };"},
		{"name in a location", "val x: Int64 = loc(M, x, 1, 2, 3, 4) 1;", "val x: Int64 = loc(M, 1, 2, 3, 4) 1;"},
		{"seconds", "val x: Timestamp = 2000-01-01T00:00:00.000Z;", "val x: Timestamp = 2000-01-01T00:00:00Z;"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			one, other := parse(t, head+tc.one+"\n}"), parse(t, head+tc.other+"\n}")
			if !reflect.DeepEqual(one, other) {
				t.Errorf("%s\nis not\n%s", text.Print(one), text.Print(other))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, src := range corpus(f) {
		f.Add(src)
	}
	f.Add("metadata ('x' : '1') module M { val x: Int64 = case case a of _ -> b of _ -> (case c of); }")
	f.Add("metadata('0':'0')module A{synonym S a = ||A:S (||A:S a||) Int64||;}") // one in another
	f.Add("language 2.2 metadata('0':'0')module A{val A:'0':A:A=0;}")            // imports were not listed
	f.Fuzz(func(t *testing.T, src string) {
		pkg, err := text.Parse(src)
		if err != nil {
			return
		}
		printed := text.Print(pkg)
		again, err := text.Parse(printed)
		if err != nil {
			t.Fatalf("what was printed cannot be parsed: %v\n%s", err, printed)
		}
		if twice := text.Print(again); twice != printed {
			t.Fatalf("printed twice it differs:\n%s\n%s", printed, twice)
		}
		a, err := archive.Encode(pkg)
		if err != nil {
			return // such as types that 2.1 cannot apply
		}
		decoded, err := a.Decode(archive.Limits{})
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v\n%s", err, printed)
		}
		if after := text.Print(decoded); after != printed {
			t.Fatalf("the archive says something else:\n%s", firstDifference(printed, after))
		}
	})
}
