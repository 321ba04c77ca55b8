package lfjson_test

import (
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/lfjson"
	"github.com/synod-network/synod/daml/shape"
	"github.com/synod-network/synod/daml/text"
)

const definitions = `language 2.1
metadata ('json' : '1.0.0')
module M {
  record @serializable R = { a: Int64, b: Optional Text, n: Optional (Optional Int64) };
  variant @serializable V = Left: Int64 | Right: M:R;
  enum @serializable E = Red | Green;
}`

func types(t testing.TB) (*shape.Types, func(string) *shape.Shape) {
	t.Helper()
	dar, err := text.Assemble(definitions, nil)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := dar.Main().Decode(archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	all := shape.New()
	all.Add(pkg)
	return all, func(src string) *shape.Shape {
		ty, err := text.ParseType(strings.ReplaceAll(src, "M:", "'"+string(pkg.ID)+"':M:"), lf.V2_1)
		if err != nil {
			t.Fatal(err)
		}
		s, err := all.Of(ty)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestValues(t *testing.T) {
	_, of := types(t)
	for _, tc := range []struct{ ty, in, want string }{
		{"Unit", `{}`, `{}`},
		{"Bool", `true`, `true`},
		{"Int64", `"-5"`, `"-5"`},
		{"Int64", `7`, `"7"`},
		{"Numeric 2", `"1.5"`, `"1.50"`},
		{"Numeric 2", `3`, `"3.00"`},
		{"Numeric 0", `"3"`, `"3"`},
		{"Text", `"a\"b😂"`, `"a\"b😂"`},
		{"Party", `"Alice::12"`, `"Alice::12"`},
		{"Timestamp", `"2026-01-31T12:00:00.5Z"`, `"2026-01-31T12:00:00.500Z"`},
		{"Date", `"2026-01-31"`, `"2026-01-31"`},
		{"ContractId M:R", `"00` + strings.Repeat("ab", 32) + `"`, `"00` + strings.Repeat("ab", 32) + `"`},
		{"Optional Int64", `null`, `null`},
		{"Optional Int64", `"1"`, `"1"`},
		{"Optional (Optional Int64)", `null`, `null`},
		{"Optional (Optional Int64)", `[]`, `[]`},
		{"Optional (Optional Int64)", `["1"]`, `["1"]`},
		{"Optional (Optional (Optional Int64))", `[["1"]]`, `[["1"]]`},
		{"Optional (Optional (Optional Int64))", `[[]]`, `[[]]`},
		{"List Int64", `["1", 2]`, `["1","2"]`},
		{"TextMap Int64", `{"b": "1", "a": "2"}`, `{"a":"2","b":"1"}`},
		{"GenMap Int64 Text", `[["2", "b"], ["1", "a"]]`, `[["1","a"],["2","b"]]`},
		{"M:R", `{"a": "1"}`, `{"a":"1","b":null,"n":null}`},
		{"M:R", `{"n": [], "b": "x", "a": "1"}`, `{"a":"1","b":"x","n":[]}`},
		{"M:V", `{"tag": "Right", "value": {"a": "1"}}`, `{"tag":"Right","value":{"a":"1","b":null,"n":null}}`},
		{"M:E", `"Green"`, `"Green"`},
	} {
		v, err := lfjson.Decode(of(tc.ty), []byte(tc.in))
		if err != nil {
			t.Errorf("%s %s: %v", tc.ty, tc.in, err)
			continue
		}
		if got, err := lfjson.Encode(v); err != nil || string(got) != tc.want {
			t.Errorf("%s %s: got %s, %v; want %s", tc.ty, tc.in, got, err, tc.want)
		}
	}
}

func TestMistakesAreExplained(t *testing.T) {
	_, of := types(t)
	for _, tc := range []struct{ ty, in, want string }{
		{"Int64", `"x"`, `want Int64 (as a string like "42"), got "x"`},
		{"Int64", `"9223372036854775808"`, "a whole number from"},
		{"Int64", `true`, "got true"},
		{"Numeric 2", `"1.555"`, "range"},
		{"Text", `"a\u0000"`, "null character"},
		{"M:R", `{}`, `field "a" of M:R is missing`},
		{"M:R", `{"a": "1", "c": 2}`, `M:R has no field "c"; it has a, b, n`},
		{"M:R", `{"a": "1", "a": "2"}`, `object has "a" twice`},
		{"M:R", `[]`, "got an array"},
		{"M:R", `{"a": "1", "b": 5}`, `field b: want Text (as a string), got 5`},
		{"M:V", `{"tag": "Up", "value": 1}`, `M:V has no constructor "Up"; it has Left, Right`},
		{"M:V", `{"tag": "Left"}`, `as an object {"tag": …, "value": …}`},
		{"M:E", `"Blue"`, "it has Red, Green"},
		{"List Int64", `["1", "x"]`, "element 1:"},
		{"Unit", `{} {}`, "more behind"},
		{"Unit", `{`, "EOF"},
		{"Optional Int64", strings.Repeat("[", 10_000), "nests deeper"},
	} {
		if _, err := lfjson.Decode(of(tc.ty), []byte(tc.in)); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %.40s: got %v, want %s", tc.ty, tc.in, err, tc.want)
		}
	}
}

// FuzzDecode checks that no text breaks the reader, and that what it accepts is written and read as the same.
func FuzzDecode(f *testing.F) {
	_, of := types(f)
	shapes := []*shape.Shape{of("M:R"), of("M:V"), of("GenMap Int64 (Optional (Optional Text))"), of("TextMap (Numeric 5)"), of("Timestamp")}
	for _, s := range []string{`{"a":"1"}`, `{"tag":"Left","value":"2"}`, `[["1",[]]]`, `{"k":"1.5"}`, `"2026-01-31T12:00:00Z"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, s := range shapes {
			v, err := lfjson.Decode(s, in)
			if err != nil {
				continue
			}
			out, err := lfjson.Encode(v)
			if err != nil {
				t.Fatal(err)
			}
			again, err := lfjson.Decode(s, out)
			if err != nil {
				t.Fatalf("%s was written as %s: %v", in, out, err)
			}
			if twice, _ := lfjson.Encode(again); string(twice) != string(out) {
				t.Fatalf("%s and %s", out, twice)
			}
		}
	})
}
