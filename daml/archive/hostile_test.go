package archive_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
)

// msg writes a message by hand: field numbers and values, which are numbers, texts
// or messages.
func msg(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		num := protowire.Number(fields[i].(int))
		switch v := fields[i+1].(type) {
		case int:
			b = protowire.AppendTag(b, num, protowire.VarintType)
			b = protowire.AppendVarint(b, uint64(v))
		case string:
			b = protowire.AppendTag(b, num, protowire.BytesType)
			b = protowire.AppendString(b, v)
		case []byte:
			b = protowire.AppendTag(b, num, protowire.BytesType)
			b = protowire.AppendBytes(b, v)
		}
	}
	return b
}

// payload wraps a package.
func payload(minor string, pkg []byte) []byte { return msg(3, minor, 4, pkg) }

// pkg gives a package whose strings are "x", "1" and "M", whose dotted name 0 is M,
// and which has further fields.
func pkg(fields ...any) []byte {
	b := msg(2, "x", 2, "1", 2, "M", 3, msg(1, []byte{2}), 4, msg(2, 1))
	return append(b, msg(fields...)...)
}

var flags = msg(1, 1, 2, 1, 3, 1)

// module gives module M with further fields.
func module(fields ...any) []byte { return append(msg(2, flags), msg(fields...)...) }

// deepSome writes Some @t (Some @t (…)), beginning with the innermost.
func deepSome(levels int) []byte {
	inner := 0
	var backward [][]byte
	for range levels {
		some := msg(1, msg(8, 0))
		some = protowire.AppendTag(some, 2, protowire.BytesType)
		some = protowire.AppendVarint(some, uint64(inner))
		head := protowire.AppendTag(nil, 26, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(len(some)+inner))
		head = append(head, some...)
		backward = append(backward, head)
		inner += len(head)
	}
	slices.Reverse(backward)
	return slices.Concat(backward...)
}

func TestBadPackagesAreRefused(t *testing.T) {
	unit := msg(3, msg())            // Type: Unit
	value := func(e []byte) []byte { // a value x: type 0
		return module(5, msg(2, msg(2, msg(8, 0)), 3, e))
	}
	nested := deepSome(11_000)
	doubling := []any{5, unit}
	for i := range 40 { // each type holds the one before twice: 2^40 nodes
		doubling = append(doubling, 5, msg(9, msg(1, msg(8, i), 2, msg(8, i))))
	}
	exprs := []any{5, unit, 7, msg(5, 0)}
	for i := range 40 {
		exprs = append(exprs, 7, msg(15, msg(1, msg(44, i), 2, msg(44, i))))
	}
	for _, tc := range []struct {
		name    string
		payload []byte
		want    string
	}{
		{"empty", nil, "there is no Daml-LF 2 package in it"},
		{"not protobuf", []byte("\xff\xff"), "not a protobuf message"},
		{"LF 1", msg(3, "17", 2, "…"), "written in Daml-LF 1; only Daml-LF 2 is supported"},
		{"later LF", payload("9", pkg()), "Daml-LF version 2.9 is unknown; supported are 2.1 to 2.3"},
		{"patch", append(payload("1", pkg()), msg(5, 1)...), "patch level 1"},
		{"no metadata", payload("1", msg()), "the package has no metadata"},
		{"package name", payload("1", msg(2, "a b", 2, "1", 4, msg(2, 1))), `"a b" is no package name`},
		{"package version", payload("1", msg(2, "a", 2, "v1", 4, msg(2, 1))), `"v1" is no package version`},
		{"unknown field", payload("1", pkg(99, 1)), "Package: field 99 is unknown"},
		{"field twice", payload("1", pkg(4, msg(2, 1))), "field 4 comes twice"},
		{"wire type", payload("1", pkg(1, 7)), "field 1 has wire type 0 instead of 2"},
		{"kinds in 2.1", payload("1", pkg(6, msg(1, msg()))), "Daml-LF 2.1 has no table of kinds"},
		{"expressions in 2.1", payload("1", pkg(7, msg(5, 0))), "Daml-LF 2.1 has no table of expressions"},
		{"string", payload("1", pkg(3, msg(1, []byte{9}))), "there is no interned string 9; the table has 3"},
		{"not UTF-8", payload("1", pkg(2, "\xff")), "not UTF-8"},
		{"identifier", payload("1", pkg(2, "a-b", 3, msg(1, []byte{3}))), `"a-b" is no identifier`},
		{"empty name", payload("1", pkg(3, msg())), "a dotted name is empty"},
		{"behaviour of LF 1", payload("1", pkg(1, msg())), "wants behaviour of Daml-LF 1"},
		{"type refers to itself", payload("2", pkg(5, msg(9, msg(1, msg(8, 0), 2, msg(8, 0))))), "interned type 0: Type: there is no earlier interned type 0"},
		{"type refers onward", payload("2", pkg(5, msg(9, msg(1, msg(8, 1), 2, msg(8, 1))), 5, unit)), "there is no earlier interned type 1"},
		{"type is only a reference", payload("2", pkg(5, unit, 5, msg(8, 0))), "a table entry is only a reference to another"},
		{"type without form", payload("2", pkg(5, msg())), "it has no form"},
		{"type with two forms", payload("2", pkg(5, append(unit, unit...))), "more than one form"},
		{"builtin type", payload("2", pkg(5, msg(3, msg(1, 12)))), "builtin type 12 is unknown"},
		{"builtin type of dev", payload("2", pkg(5, msg(3, msg(1, 1002)))), "type BigNumeric is not in Daml-LF 2.2"},
		{"scale", payload("2", pkg(5, msg(6, 76))), "38 is no scale of a numeric"},
		{"arguments in 2.2", payload("2", pkg(5, unit, 5, msg(3, msg(1, 10, 2, msg(8, 0))))), "writes as applications"},
		{"application in 2.1", payload("1", pkg(5, unit, 5, msg(9, msg(1, msg(8, 0), 2, msg(8, 0))))), "Daml-LF 2.1 has no type applications"},
		{"expression refers to itself", payload("2", pkg(7, msg(15, msg(1, msg(44, 0), 2, msg(44, 0))))), "there is no earlier interned expression 0"},
		{"expression is only a reference", payload("2", pkg(7, msg(5, 0), 7, msg(44, 0))), "a table entry is only a reference to another"},
		{"kind refers to itself", payload("2", pkg(6, msg(2, msg(1, msg(4, 0), 2, msg(4, 0))))), "there is no earlier interned kind 0"},
		{"type in place", payload("1", pkg(5, unit, 1, module(5, msg(2, msg(2, unit), 3, msg(5, 0))))), "a type is not interned"},
		{"value without expression", payload("1", pkg(5, unit, 1, module(5, msg(2, msg(2, msg(8, 0)))))), "module M, value M: DefValue: type or expression are missing"},
		{"missing part", payload("1", pkg(5, unit, 1, value(msg(26, msg(1, msg(8, 0)))))), "OptionalSome: field 2 is missing"},
		{"builtin function", payload("1", pkg(5, unit, 1, value(msg(4, 24)))), "builtin function 24 is unknown"},
		{"later builtin function", payload("1", pkg(5, unit, 1, value(msg(4, 73)))), "SECP256K1_VALIDATE_KEY is not in Daml-LF 2.1"},
		{"expression of dev", payload("1", pkg(5, unit, 1, value(msg(1001, msg())))), "field 1001 is of Daml-LF 2.dev"},
		{"update by key", payload("2", pkg(5, unit, 7, msg(23, msg(9, msg())))), "Daml-LF 2.2 has no contract keys"},
		{"date", payload("1", pkg(5, unit, 1, value(msg(6, msg(5, 1<<30))))), "is no date"},
		{"numeric", payload("1", pkg(2, "1", 5, unit, 1, value(msg(6, msg(3, 3))))), `"1" is no numeric`},
		{"package reference", payload("2", pkg(7, msg(3, msg(1, msg(1, msg(3, 1)))))), "is named outside of the list of imports"},
		{"import", payload("2", pkg(7, msg(3, msg(1, msg(1, msg(4, 5)))))), "there is no import 5; the list has 0"},
		{"deep", payload("1", pkg(5, unit, 1, value(nested))), "nested deeper than 10000"},
		{"types that blow up", payload("2", pkg(doubling...)), "more than 50000000 nodes"},
		{"expressions that blow up", payload("2", pkg(exprs...)), "more than 50000000 nodes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := archive.NewArchive(tc.payload).Decode(archive.Limits{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// TestTheSmallestPackage proves that the table above fails for its reasons.
func TestTheSmallestPackage(t *testing.T) {
	a := archive.NewArchive(payload("2", pkg(1, module(), 5, msg(3, msg()), 7, msg(5, 0))))
	p, err := a.Decode(archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Metadata.Name != "x" || p.Modules[0].Name != "M" || p.ID != a.ID {
		t.Errorf("got %+v", p)
	}
}

// TestDevIsReadAndMarked shows that what is not stable yet can be looked at.
func TestDevIsReadAndMarked(t *testing.T) {
	for _, minor := range []string{"dev", "4-rc1"} {
		p, err := archive.NewArchive(payload(minor, pkg(1, module()))).Decode(archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if p.Version != lf.V2_Dev || p.Version.Stable() {
			t.Errorf("2.%s is taken for %s", minor, p.Version)
		}
	}
}

func TestDALF(t *testing.T) {
	a := archive.NewArchive([]byte("anything"))
	got, err := archive.ReadDALF(a.DALF())
	if err != nil || got.ID != a.ID {
		t.Fatalf("got %s, %v; want %s", got.ID, err, a.ID)
	}
	for _, tc := range []struct {
		name, want string
		dalf       []byte
	}{
		{"hash", "the file was damaged or changed", msg(3, "anything", 4, strings.Repeat("0", 64))},
		{"no hash", "the file was damaged or changed", msg(3, "anything")},
		{"hash function", "hash function 1 is unknown", msg(1, 1, 3, "anything", 4, string(a.ID))},
		{"empty", "there is no payload", nil},
	} {
		if _, err := archive.ReadDALF(tc.dalf); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got error %v, want one with %q", tc.name, err, tc.want)
		}
	}
}

// zipped makes a zip of files, given as names and contents.
func zipped(t testing.TB, files ...string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, files[i+1])
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const manifestName = "META-INF/MANIFEST.MF"

func TestBadDARsAreRefused(t *testing.T) {
	dalf := string(archive.NewArchive([]byte("p")).DALF())
	manifest := "Manifest-Version: 1.0\nMain-Dalf: a.dalf\nDalfs: a.dalf\nFormat: daml-lf\nEncryption: non-encrypted\n"
	for _, tc := range []struct {
		name, want string
		dar        []byte
		limits     archive.Limits
	}{
		{name: "no zip", dar: []byte("hello"), want: "not a DAR (zip: not a valid zip file): a DAR is what"},
		{name: "nothing", dar: nil, want: "the file is empty"},
		{name: "cut off", dar: zipped(t, manifestName, manifest, "a.dalf", dalf)[:200], want: "not a whole DAR"},
		{name: "pointer", dar: []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), want: "git lfs pull brings the file"},
		{name: "no manifest", dar: zipped(t, "a.dalf", dalf), want: "the DAR has no META-INF/MANIFEST.MF"},
		{name: "no main", dar: zipped(t, manifestName, "Dalfs: a.dalf\n"), want: "Main-Dalf is missing"},
		{name: "main not listed", dar: zipped(t, manifestName, "Main-Dalf: a.dalf\nDalfs: b.dalf\n"), want: "does not list the main package"},
		{name: "line", dar: zipped(t, manifestName, "hello\n"), want: `line "hello" has no colon`},
		{name: "key twice", dar: zipped(t, manifestName, "A: 1\nA: 2\n"), want: "A comes twice"},
		{name: "format", dar: zipped(t, manifestName, strings.Replace(manifest, "daml-lf", "x", 1)), want: "Format is \"x\""},
		{name: "encrypted", dar: zipped(t, manifestName, strings.Replace(manifest, "non-encrypted", "yes", 1)), want: "encrypted DARs cannot be read"},
		{name: "package missing", dar: zipped(t, manifestName, manifest), want: "the manifest names package a.dalf, which the DAR does not hold"},
		{name: "file twice", dar: zipped(t, manifestName, manifest, "a.dalf", dalf, "a.dalf", dalf), want: "two files named a.dalf"},
		{name: "hash", dar: zipped(t, manifestName, manifest, "a.dalf", dalf[:len(dalf)-1]+"!"), want: "a.dalf: Archive: the file says that the payload's SHA-256"},
		{name: "bomb", dar: zipped(t, manifestName, manifest, "a.dalf", strings.Repeat("\x00", 10<<20)), limits: archive.Limits{DALFBytes: 1 << 20}, want: "a.dalf is larger than the 1048576 bytes"},
		{name: "many large", dar: zipped(t, manifestName, strings.Replace(manifest, "Dalfs: a.dalf", "Dalfs: a.dalf, b.dalf", 1), "a.dalf", dalf, "b.dalf", dalf),
			limits: archive.Limits{DARBytes: int64(len(dalf)) + 1}, want: "b.dalf is larger than the 1 bytes"},
		{name: "many", dar: zipped(t, manifestName, "Main-Dalf: a\nDalfs: a, b, c\n"), limits: archive.Limits{Packages: 2}, want: "the DAR holds 3 packages; the limit is 2"},
		{name: "manifest bomb", dar: zipped(t, manifestName, strings.Repeat("A", 2<<20)), want: "META-INF/MANIFEST.MF is larger than"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := archive.ReadDAR(bytes.NewReader(tc.dar), int64(len(tc.dar)), tc.limits)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

// TestDARSurvives writes a DAR, whose manifest has long lines, and reads it.
func TestDARSurvives(t *testing.T) {
	stable, err := text.StablePackages()
	if err != nil {
		t.Fatal(err)
	}
	dar := &archive.DAR{SDKVersion: "3.4.0", Packages: stable}
	var one, two bytes.Buffer
	if err := dar.Write(&one); err != nil {
		t.Fatal(err)
	}
	if err := dar.Write(&two); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same DAR is written differently")
	}
	got, err := archive.ReadDAR(bytes.NewReader(one.Bytes()), int64(one.Len()), archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got.SDKVersion != dar.SDKVersion || len(got.Packages) != len(stable) {
		t.Fatalf("got SDK %s and %d packages", got.SDKVersion, len(got.Packages))
	}
	for i, a := range got.Packages {
		if a.ID != stable[i].ID {
			t.Errorf("package %d is %s, want %s", i, a.ID, stable[i].ID)
		}
	}
}

func FuzzDecode(f *testing.F) {
	stable, err := text.StablePackages()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stable[1].Payload)
	f.Add(stable[2].Payload)
	f.Add(payload("2", pkg(1, module(5, msg(2, msg(2, msg(8, 0)), 3, msg(44, 0))), 5, msg(3, msg()), 7, msg(5, 0))))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := archive.NewArchive(b).Decode(archive.Limits{Nodes: 100_000})
		if err != nil {
			return
		}
		a, err := archive.Encode(p)
		if err != nil {
			return // such as names of the package itself that contradict
		}
		again, err := a.Decode(archive.Limits{Nodes: 200_000})
		if err != nil {
			t.Fatalf("what was encoded cannot be decoded: %v", err)
		}
		again.ID = p.ID
		if b, err := archive.Encode(again); err != nil || b.ID != a.ID {
			t.Fatalf("encoded twice it has ids %s and %s: %v", a.ID, b.ID, err)
		}
	})
}

func FuzzReadDAR(f *testing.F) {
	f.Add(zipped(f, manifestName, "Main-Dalf: a.dalf\nDalfs: a.dalf\n", "a.dalf", string(archive.NewArchive([]byte("p")).DALF())))
	f.Fuzz(func(t *testing.T, b []byte) {
		dar, err := archive.ReadDAR(bytes.NewReader(b), int64(len(b)), archive.Limits{DARBytes: 1 << 20})
		if err == nil && len(dar.Packages) == 0 {
			t.Error("a DAR without packages was read")
		}
	})
}
