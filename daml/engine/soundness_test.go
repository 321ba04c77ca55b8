package engine

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/validate"
	"github.com/synod-network/synod/daml/value"
)

const soundness = `language 2.1
metadata ('sound' : '1.0.0')
module M {` + exprDefinitions + `
  val list: Party -> List Party = \(p: Party) -> Cons @Party [p] (Nil @Party);
  val add: Int64 -> Int64 -> Int64 = \(x: Int64) (y: Int64) -> ADD_INT64 x y;
  val twice: (Int64 -> Int64) -> Int64 -> Int64 = \(f: Int64 -> Int64) (x: Int64) -> f (f x);
  val area: M:Shape -> Int64 = \(s: M:Shape) -> case s of M:Shape:Circle r -> MUL_INT64 3 (MUL_INT64 r r) | M:Shape:Square a -> MUL_INT64 a a;
  val swap: forall (a: *). M:P a -> M:P a = /\(a: *). \(p: M:P a) -> M:P @a {fst = M:P @a {snd} p, snd = M:P @a {fst} p};
  val map: forall (a: *) (b: *). (a -> b) -> List a -> List b = /\(a: *) (b: *). \(f: a -> b) (l: List a) ->
    FOLDR @a @(List b) (\(x: a) (acc: List b) -> Cons @b [f x] acc) (Nil @b) l;
  val one: Int64 = M:twice (M:add 3) 4;
  val two: List Int64 = M:map @Int64 @Int64 (MUL_INT64 2) (Cons @Int64 [1, 2, 3] (Nil @Int64));
  val three: Int64 = M:area (M:Shape:Circle 4);
  val four: M:P Text = M:swap @Text (M:P @Text {fst = "a", snd = INT64_TO_TEXT 7});
  val five: Optional Int64 = case M:two of Cons h t -> Some @Int64 h | Nil -> None @Int64;
  val six: <x: Int64, y: Text> = <y = APPEND_TEXT "a" "b", x = DIV_INT64 7 (M:len M:two)>;
  val seven: TextMap Int64 = TEXTMAP_INSERT @Int64 "k" (M:fact 5) (TEXTMAP_EMPTY @Int64);
  val eight: Text = ANY_EXCEPTION_MESSAGE (to_any_exception @M:Oops (M:Oops {what = "w"}));
  val nine: Optional M:Color = from_any @M:Color (to_any @M:Color (M:Color:Blue));
  val ten: Numeric 2 = ADD_NUMERIC @2 1.25 (CAST_NUMERIC @3 @2 0.00 1.500);
  record @serializable T = { owner: Party, n: Int64, note: Optional Text };
  record @serializable Arg = { by: Int64, to_: Party };
  template (this: T) = {
    precondition GREATER_EQ @Int64 (M:T {n} this) 0;
    signatories M:list (M:T {owner} this);
    observers Nil @Party;
    choice Step (self) (arg: M:Arg): ContractId M:T,
      controllers M:list (M:T {owner} this), observers M:list (M:Arg {to_} arg)
      to ubind
          t: Timestamp <- uget_time;
          n: Int64 <- try @Int64 (upure @Int64 (DIV_INT64 10 (M:Arg {by} arg))) catch e -> Some @(Update Int64) (upure @Int64 0);
          d: ContractId M:T <- create @M:T (M:T {this with n = ADD_INT64 n (M:T {n} this)});
          r: Int64 <- exercise @M:T Read d ()
        in upure @(ContractId M:T) d;
    choice @nonConsuming Read (self) (arg: Unit): Int64,
      controllers M:list (M:T {owner} this)
      to ubind x: M:T <- fetch_template @M:T self in upure @Int64 (M:T {n} x);
  };
}`

// TestValidPackagesDoNotBreakTheMachine mutates a package: puts copies of its expressions into the places of others. What still is
// valid is run; it may fail in any way that programs may, but the machine must not break.
func TestValidPackagesDoNotBreakTheMachine(t *testing.T) {
	rounds := 600
	if testing.Short() {
		rounds = 300
	}
	base := reflect.ValueOf(assemble(t, soundness))
	random := rand.New(rand.NewPCG(1, 2))
	valid := 0
	for range rounds {
		pkg := clone(base).Interface().(*lf.Package)
		slots := expressions(pkg)
		to := slots[random.IntN(len(slots))]
		from := slots[random.IntN(len(slots))]
		for try := 0; try < 20 && from.Elem().Type() != to.Elem().Type(); try++ { // forms alike are more often of one type
			from = slots[random.IntN(len(slots))]
		}
		to.Set(clone(from))
		if validate.Check(pkg, lf.NewPackages(pkg)) != nil {
			continue
		}
		valid++
		if err := exerciseAll(pkg); errors.Is(err, ErrInternal) {
			t.Fatalf("a valid package broke the machine: %v", err)
		}
	}
	if valid < rounds/20 {
		t.Errorf("only %d of %d mutated packages are valid, which says little", valid, rounds)
	}
}

// exerciseAll evaluates all values of a package and runs a contract of its template. It returns the first internal error.
func exerciseAll(pkg *lf.Package) error {
	e := New(Limits{Steps: 200_000, Memory: 8 << 20, Nodes: 100})
	if err := e.AddPackage(pkg); err != nil {
		return err
	}
	for _, v := range pkg.Modules[0].Values {
		if _, _, err := e.evaluate(lf.Ref{Package: pkg.ID, Module: "M", Name: v.Name}, nil); errors.Is(err, ErrInternal) {
			return err
		}
	}
	ref := TypeRef{string(pkg.ID), "M", "T"}
	arg := &value.Record{Fields: []value.Value{value.Party("A"), value.Int64(3), value.None()}}
	step := &value.Record{Fields: []value.Value{value.Int64(0), value.Party("B")}}
	r := e.Submit([]Command{&CreateAndExerciseCommand{ref, arg, "Step", step}}, Input{Submitters: partyList("A"), Rollback: tx.EffectsRollBack})
	return answerWith(nil, r)
}

var exprType = reflect.TypeFor[lf.Expr]()

// expressions finds the places of all expressions of a package.
func expressions(pkg *lf.Package) []reflect.Value {
	return slotsOf(pkg, func(ty reflect.Type) bool { return ty == exprType })
}

// slotsOf finds the places of all interface values of a package whose types are wanted.
func slotsOf(pkg *lf.Package, wanted func(reflect.Type) bool) []reflect.Value {
	var slots []reflect.Value
	seen := map[uintptr]bool{}
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() && !seen[v.Pointer()] {
				seen[v.Pointer()] = true
				visit(v.Elem())
			}
		case reflect.Interface:
			if v.IsNil() {
				return
			}
			if wanted(v.Type()) && v.CanSet() {
				slots = append(slots, v)
			}
			visit(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				visit(v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		}
	}
	visit(reflect.ValueOf(pkg))
	return slots
}

// clone copies an expression with all its parts, so that no package contains itself.
func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		fresh := reflect.New(v.Type().Elem())
		fresh.Elem().Set(clone(v.Elem()))
		return fresh
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		fresh := reflect.New(v.Type()).Elem()
		fresh.Set(clone(v.Elem()))
		return fresh
	case reflect.Struct:
		fresh := reflect.New(v.Type()).Elem()
		for i := range v.NumField() {
			fresh.Field(i).Set(clone(v.Field(i)))
		}
		return fresh
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		fresh := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			fresh.Index(i).Set(clone(v.Index(i)))
		}
		return fresh
	}
	return v
}
