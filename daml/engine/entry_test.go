package engine

import (
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// views has an interface in a package of its own, and two versions of a template, of which the second shows more.
const (
	viewsBase = `language 2.2
metadata ('views-base' : '1.0.0')
module I {
  record @serializable Shown = { title: Text, pages: Int64 };
  record @serializable Nest = { inner: Optional I:Nest };
  record @serializable Boom = { at: Text };
  exception Boom = { message \(b: I:Boom) -> I:Boom {at} b };
  interface (this: Readable) = { viewtype I:Shown; };
  interface (this: Deep) = { viewtype I:Nest; };
  interface (this: Other) = { viewtype I:Shown; };
  val nest: Int64 -> I:Nest = \(n: Int64) -> case EQUAL @Int64 n 0 of
      True -> I:Nest {inner = None @I:Nest}
    | False -> I:Nest {inner = Some @I:Nest (I:nest (SUB_INT64 n 1))};
}`
	viewsFirst = `language 2.2
metadata ('views' : '1.0.0')
module M {
  record @serializable Book = { owner: Party, title: Text, pages: Int64 };
  template (this: Book) = {
    signatories Cons @Party [M:Book {owner} this] (Nil @Party);
    observers Nil @Party;
    implements I:Readable { view = I:Shown {title = M:Book {title} this, pages = DIV_INT64 100 (M:Book {pages} this)}; };
    implements I:Deep { view = I:nest (M:Book {pages} this); };
  };
}`
	viewsSecond = `language 2.2
metadata ('views' : '2.0.0')
module M {
  record @serializable Book = { owner: Party, title: Text, pages: Int64, subtitle: Optional Text };
  template (this: Book) = {
    signatories Cons @Party [M:Book {owner} this] (Nil @Party);
    observers Nil @Party;
    implements I:Readable { view = I:Shown {
      title = case M:Book {subtitle} this of None -> APPEND_TEXT (M:Book {title} this) "." | Some s -> s, pages = M:Book {pages} this}; };
    implements I:Deep { view = throw @I:Nest @I:Boom (I:Boom {at = "the view"}); };
  };
}`
)

// newViews returns an engine with the packages above.
func newViews(t *testing.T) (*Engine, lf.PackageID, lf.PackageID, lf.PackageID) {
	t.Helper()
	w := &orderWorld{t: t, e: New(DefaultLimits())}
	w.base = w.add(viewsBase)
	own := func(source string) lf.PackageID {
		return w.add(strings.ReplaceAll(source, "I:", "'"+string(w.base)+"':I:"))
	}
	return w.e, w.base, own(viewsFirst), own(viewsSecond)
}

func bookArg(fields ...value.Value) value.Value { return &value.Record{Fields: fields} }

func TestView(t *testing.T) {
	e, base, first, second := newViews(t)
	prefer := map[string]string{"views": string(second), "views-base": string(base)}
	readable, deep, other := TypeRef{"#views-base", "I", "Readable"}, TypeRef{string(base), "I", "Deep"}, TypeRef{"#views-base", "I", "Other"}
	book, firstBook := TypeRef{"#views", "M", "Book"}, TypeRef{string(first), "M", "Book"}
	arg := bookArg(value.Party("A"), value.Text("Go"), value.Int64(3))
	for _, tc := range []struct {
		name            string
		template, iface TypeRef
		arg             value.Value
		want            string // "!" before an error
	}{
		{"of the version that is named", firstBook, readable, arg, `Shown{title: "Go", pages: 33}`},
		{"of the preferred version", book, readable, arg, `Shown{title: "Go.", pages: 3}`},
		{"of a newer contract, by the newer", book, readable, bookArg(value.Party("A"), value.Text("Go"), value.Int64(3), value.Some(value.Text("Went"))),
			`Shown{title: "Went", pages: 3}`},
		{"of a newer contract, by the older", firstBook, readable,
			bookArg(value.Party("A"), value.Text("Go"), value.Int64(3), value.Some(value.Text("Went"))), "!COMMAND_PREPROCESSING_FAILED"},
		{"that throws", firstBook, readable, bookArg(value.Party("A"), value.Text("Go"), value.Int64(0)),
			"!UNHANDLED_EXCEPTION/DA.Exception.ArithmeticError:ArithmeticError"},
		{"that throws an exception of the package", book, deep, arg, "!UNHANDLED_EXCEPTION/I:Boom (error category 9): the view"},
		{"as deep as may be", firstBook, deep, bookArg(value.Party("A"), value.Text("Go"), value.Int64(49)), "Nest"},
		{"too deep", firstBook, deep, bookArg(value.Party("A"), value.Text("Go"), value.Int64(50)), "!VALUE_NESTING"},
		{"not of this interface", book, other, arg, "!COMMAND_PREPROCESSING_FAILED"},
		{"of no such interface", book, TypeRef{"#views-base", "I", "None"}, arg, "!COMMAND_PREPROCESSING_FAILED"},
		{"of no such template", TypeRef{"#views", "M", "None"}, readable, arg, "!COMMAND_PREPROCESSING_FAILED"},
		{"of no such package name", TypeRef{"#none", "M", "Book"}, readable, arg, "!UNRESOLVED_PACKAGE_NAME"},
		{"of an ill-typed argument", book, readable, bookArg(value.Party("A")), "!COMMAND_PREPROCESSING_FAILED"},
		{"of an argument with a trailing None", book, readable, bookArg(value.Party("A"), value.Text("Go"), value.Int64(3), value.None()),
			"!COMMAND_PREPROCESSING_FAILED"},
		{"of an argument that names a local contract", book, readable, value.ContractID("\x00" + strings.Repeat("x", 32)), "!COMMAND_PREPROCESSING_FAILED"},
	} {
		r := e.View(tc.template, tc.iface, tc.arg, Input{PackageResolution: prefer})
		q, err := r.Next(t.Context())
		if q != nil {
			t.Fatalf("%s: asks for %v", tc.name, q)
		}
		code, fails := strings.CutPrefix(tc.want, "!")
		switch {
		case fails && (err == nil || !strings.Contains(err.Error(), code)):
			t.Errorf("%s: got %v, want %s", tc.name, err, code)
		case !fails && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case !fails && !strings.HasPrefix(Show(r.Result().Value), tc.want):
			t.Errorf("%s: got %s, want %s", tc.name, Show(r.Result().Value), tc.want)
		case !fails && r.Result().Transaction != nil:
			t.Errorf("%s: a view has a transaction", tc.name)
		}
	}
}

// TestViewAsksForPackages computes a view with an engine that lacks the interface's package at first, and one that never gets it.
func TestViewAsksForPackages(t *testing.T) {
	e, base, first, _ := newViews(t)
	arg := bookArg(value.Party("A"), value.Text("Go"), value.Int64(3))
	template, iface := TypeRef{string(first), "M", "Book"}, TypeRef{string(base), "I", "Readable"}
	set, err := e.types.Package(first)
	if err != nil {
		t.Fatal(err)
	}
	lacking := New(DefaultLimits())
	if err := lacking.AddPackage(set.Package(first)); err != nil {
		t.Fatal(err)
	}
	r := lacking.View(template, iface, arg, Input{})
	q, err := r.Next(t.Context())
	if need, ok := q.(*NeedPackage); err != nil || !ok || need.ID != string(base) {
		t.Fatalf("asks %v, %v; want the package %s", q, err, base)
	}
	if _, err := r.Next(t.Context()); !failsWith(err, "PACKAGE_NOT_FOUND") {
		t.Errorf("without the package: %v", err)
	}
	r = lacking.View(template, iface, arg, Input{})
	if _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if set, err = e.types.Package(base); err != nil {
		t.Fatal(err)
	}
	if err := lacking.AddPackage(set.Package(base)); err != nil {
		t.Fatal(err)
	}
	if q, err := r.Next(t.Context()); q != nil || err != nil || Show(r.Result().Value) != `Shown{title: "Go", pages: 33}` {
		t.Errorf("with the package: %v, %v", q, err)
	}
}

// TestHashes compares the entry points of the engine, which give values their types, with the hashes of typed values.
func TestHashes(t *testing.T) {
	w := newOrderWorld(t, true, "sig")
	created := w.made["t"]
	ref := lf.Ref{Package: w.one, Module: "M", Name: "T"}
	newer := lf.Ref{Package: w.two, Module: "M", Name: "T"}
	plain := untyped(created.Arg).(*value.Record)
	want, err := tx.HashContract("order", created.Template, created.Arg)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		ref  lf.Ref
		arg  value.Value
		same bool
	}{
		{"typed", ref, created.Arg, true},
		{"without types", ref, plain, true},
		{"as of a version with one more field", newer, plain, true},
		{"another argument", ref, bookArg(append([]value.Value{value.Party("eve")}, plain.Fields[1:]...)...), false},
	} {
		got, err := w.e.HashContract(tc.ref, tc.arg)
		if err != nil || (got == want) != tc.same {
			t.Errorf("%s: got %s, %v; want %s", tc.name, got, err, want)
		}
	}
	for _, tc := range []struct {
		name string
		ref  lf.Ref
		arg  value.Value
	}{
		{"a field less", ref, bookArg(plain.Fields[:5]...)},
		{"a field of another type", ref, bookArg(append([]value.Value{value.Int64(1)}, plain.Fields[1:]...)...)},
		{"a trailing None", newer, bookArg(append(plain.Fields[:6:6], value.None())...)},
		{"no such template", lf.Ref{Package: w.one, Module: "M", Name: "U"}, plain},
		{"no such package", lf.Ref{Package: "none", Module: "M", Name: "T"}, plain},
	} {
		if got, err := w.e.HashContract(tc.ref, tc.arg); err == nil {
			t.Errorf("%s: hashed to %s", tc.name, got)
		}
	}
	key := created.Key
	if got, err := w.e.HashKey(ref, untyped(key.Value)); err != nil || got != key.Hash {
		t.Errorf("key: got %s, %v; want %s", got, err, key.Hash)
	}
	if got, err := w.e.HashKey(newer, untyped(key.Value)); err != nil || got != key.Hash {
		t.Errorf("key as of another version: got %s, %v; want %s", got, err, key.Hash)
	}
	if _, err := w.e.HashKey(ref, value.Int64(1)); err == nil {
		t.Error("a key of another type was hashed")
	}
	if _, err := w.e.HashKey(lf.Ref{Package: w.base, Module: "I", Name: "Other"}, value.Int64(1)); err == nil {
		t.Error("the key of a template without one was hashed")
	}
}

// untyped removes the types of records and variants, as stored values lack them.
func untyped(v value.Value) value.Value {
	switch v := v.(type) {
	case *value.Record:
		fields := make([]value.Value, v.Kept())
		for i := range fields {
			fields[i] = untyped(v.Fields[i])
		}
		return &value.Record{Fields: fields}
	case *value.Optional:
		if v.V != nil {
			return value.Some(untyped(v.V))
		}
	case *value.List:
		var all []value.Value
		for e := range v.All() {
			all = append(all, untyped(e))
		}
		return value.ListOf(all...)
	}
	return v
}

// TestContractsOfOlderHashSchemesAreRefused: ids whose suffix names a scheme before the typed normal form bind hashes that synod
// does not compute. That has to be said before anything of the contract is evaluated.
func TestContractsOfOlderHashSchemesAreRefused(t *testing.T) {
	w := newOrderWorld(t, false, "sig")
	for scheme, refused := range map[string]bool{"\xca\x10": true, "\xca\x11": true, "\xca\x12": false, "\xca\x00": false} {
		c := *w.made["t"]
		c.ID += value.ContractID(scheme + "suffix")
		stored := &Contract{Contract: c.Contract, Arg: c.Arg, Authenticate: func(tx.Hash) bool { return true }}
		m := TypeRef{string(w.one), "M", "T"}
		for _, disclosed := range []bool{false, true} {
			in := Input{Submitters: Submitters("alice")}
			if disclosed {
				in.Disclosed = []*Contract{stored}
			}
			r := w.e.Submit([]Command{&ExerciseCommand{m, c.ID, "Archive", value.Unit{}}}, in)
			err := answerWith(map[value.ContractID]*Contract{c.ID: stored}, r)
			if !refused && err != nil {
				t.Errorf("scheme %x: %v", scheme, err)
			}
			if refused && (!failsWith(err, "INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED") || !strings.Contains(err.Error(), "not supported") || len(r.m.traces) > 0) {
				t.Errorf("scheme %x: got %v, want that it is not supported; traces %v", scheme, err, r.m.traces)
			}
		}
	}
}
