package engine

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"testing"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

const recursive = `language 2.1
metadata ('deep' : '1.0.0')
module M {
  val count: Int64 -> Int64 = \(n: Int64) -> case EQUAL @Int64 n 0 of True -> 0 | False -> ADD_INT64 1 (M:count (SUB_INT64 n 1));
  val loop: Int64 -> Int64 = \(n: Int64) -> M:loop (ADD_INT64 n 1);
  val build: Int64 -> List Int64 -> List Int64 = \(n: Int64) (l: List Int64) ->
    case EQUAL @Int64 n 0 of True -> l | False -> M:build (SUB_INT64 n 1) (Cons @Int64 [n] l);
  val sum: List Int64 -> Int64 = \(l: List Int64) -> FOLDL @Int64 @Int64 ADD_INT64 0 l;
  record @serializable Wrap = { inner: Optional M:Wrap };
  val nest: Int64 -> M:Wrap -> M:Wrap = \(n: Int64) (w: M:Wrap) ->
    case EQUAL @Int64 n 0 of True -> w | False -> M:nest (SUB_INT64 n 1) (M:Wrap {inner = Some @M:Wrap w});
  val shallow: Int64 = M:count 100000;
  val deep: Int64 = M:count 10000000;
  val forever: Int64 = M:loop 0;
  val garbage: Int64 = ADD_INT64 (M:sum (M:build 400000 (Nil @Int64))) (M:sum (M:build 400000 (Nil @Int64)));
  val hoard: List Int64 = M:build 100000000 (Nil @Int64);
  val compared: Bool = EQUAL @M:Wrap (M:nest 300000 (M:Wrap {inner = None @M:Wrap})) (M:nest 300000 (M:Wrap {inner = None @M:Wrap}));
  val many: Int64 -> Text -> Text = \(n: Int64) (t: Text) -> case EQUAL @Int64 n 0 of True -> t | False -> M:many (SUB_INT64 n 1) (APPEND_TEXT t t);
  val long: Text = M:many 40 "double";
}`

// TestDeepRecursionIsBoundByTheBudgetAlone has ten million calls inside each other, none of which returns.
func TestDeepRecursionIsBoundByTheBudgetAlone(t *testing.T) {
	e, packages := newEngine(t, recursive)
	if v, _, err := e.evaluate(valueRef(packages[0], "shallow"), nil); err != nil || v != value.Int64(100000) {
		t.Fatalf("100 000 calls: %v, %v", v, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := e.evaluate(valueRef(packages[0], "deep"), nil)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrMemory) {
		t.Fatalf("got %v, want ErrMemory", err)
	}
	if used := after.Sys - before.Sys; int64(used) > 3*DefaultLimits().Memory {
		t.Errorf("the process grew by %d MiB, with a budget of %d MiB", used>>20, DefaultLimits().Memory>>20)
	}
}

func TestLimits(t *testing.T) {
	e, packages := newEngine(t, recursive)
	small := Limits{Steps: 10_000_000, Memory: 16 << 20, Nodes: 100}
	for _, tc := range []struct {
		name string
		want error
	}{
		{"forever", ErrSteps},
		{"hoard", ErrMemory},
		{"long", ErrMemory},
	} {
		if _, _, err := e.evaluate(valueRef(packages[0], tc.name), &small); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	large := Limits{Steps: 100_000_000, Memory: 96 << 20, Nodes: 100}
	if _, _, err := e.evaluate(valueRef(packages[0], "garbage"), &large); err != nil {
		t.Errorf("a program that drops what it built: %v", err)
	}
	if v, _, err := e.evaluate(valueRef(packages[0], "compared"), &large); err != nil || v != value.Bool(true) {
		t.Errorf("comparing values 300 000 deep: %v, %v", v, err)
	}
}

func TestProgramsEndAtTheSameStep(t *testing.T) {
	var first string
	small := Limits{Steps: 20_000_000, Memory: 16 << 20, Nodes: 100}
	for range 2 {
		e, packages := newEngine(t, recursive)
		_, r, err := e.evaluate(valueRef(packages[0], "shallow"), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _, tooMuch := e.evaluate(valueRef(packages[0], "hoard"), &small)
		if got := fmt.Sprint(r.Steps, r.Allocated, tooMuch); first == "" {
			first = got
		} else if got != first {
			t.Errorf("got %s, before %s", got, first)
		}
	}
}

func TestInterruptedRunsEnd(t *testing.T) {
	e, packages := newEngine(t, recursive)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := e.newRun(Input{}, nil)
	r.start = func() error {
		g, err := e.global(valueRef(packages[0], "forever"))
		if err != nil {
			return err
		}
		return r.m.force(g)
	}
	if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want Canceled", err)
	}
}

// TestReinterpretationGivesTheSame interprets each root of a transaction again.
func TestReinterpretationGivesTheSame(t *testing.T) {
	e, packages := newEngine(t, iou)
	ref := TypeRef{string(packages[0].ID), "M", "Iou"}
	arg := &value.Record{Fields: []value.Value{value.Party("Bank"), value.Party("Alice"), value.Int64(100)}}
	in := Input{Submitters: partyList("Bank Alice"), Seed: tx.Hash{7}, Preparation: 5, LedgerTime: 6}
	r := e.Submit([]Command{
		&CreateCommand{ref, arg},
		&CreateAndExerciseCommand{ref, arg, "Give", &value.Record{Fields: []value.Value{value.Party("Bob")}}},
	}, in)
	if err := answerWith(nil, r); err != nil {
		t.Fatal(err)
	}
	whole := r.Result().Transaction
	if len(whole.Roots) != 3 {
		t.Fatalf("%d roots, want 3", len(whole.Roots))
	}
	created := whole.Nodes[1].(*tx.Create)
	final := stored(created)
	for _, root := range whole.Roots {
		n := whole.Nodes[root]
		known := map[value.ContractID]*Contract{}
		if x, ok := n.(*tx.Exercise); ok { // its contract was created by the root before, and has its final id by now
			clone := *x
			clone.ID = final.ID
			n = &clone
			known[final.ID] = final
		}
		command, err := ReplayCommand(n)
		if err != nil {
			t.Fatal(err)
		}
		part := in
		part.Seed = whole.Seeds[root]
		again := e.Reinterpret(command, part)
		if err := answerWith(known, again); err != nil {
			t.Fatal(err)
		}
		got := again.Result().Transaction
		for i, n := range got.Nodes {
			want := whole.Nodes[int(root)+i]
			if c, ok := n.(*tx.Create); ok && !reflect.DeepEqual(c, want) {
				t.Errorf("root %d, node %d: got %+v, want %+v", root, i, c, want)
			}
			if got.Seeds[i] != whole.Seeds[int(root)+i] {
				t.Errorf("root %d, node %d has another seed", root, i)
			}
		}
	}
}

func TestRunsAskForPackages(t *testing.T) {
	const library = "language 2.1\nmetadata ('library' : '1.0.0')\nmodule M { val one: Int64 = 1; record @serializable R = { a: Int64 }; }"
	lib := assemble(t, library)
	source := fmt.Sprintf(`language 2.1
metadata ('user' : '1.0.0')
module M {
  record @serializable T = { owner: Party, r: '%[1]s':M:R };
  template (this: T) = {
    signatories Cons @Party [M:T {owner} this] (Nil @Party);
    observers Nil @Party;
    choice @nonConsuming One (self) (arg: Unit): Int64, controllers Cons @Party [M:T {owner} this] (Nil @Party)
      to upure @Int64 '%[1]s':M:one;
  };
}`, lib.ID)
	user := assemble(t, source)
	e := New(DefaultLimits())
	ref := TypeRef{string(user.ID), "M", "T"}
	arg := &value.Record{Fields: []value.Value{value.Party("A"), &value.Record{Fields: []value.Value{value.Int64(1)}}}}
	r := e.Submit([]Command{&CreateAndExerciseCommand{ref, arg, "One", value.Unit{}}}, Input{Submitters: partyList("A")})
	var asked []string
	for {
		q, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if q == nil {
			break
		}
		id := q.(*NeedPackage).ID
		asked = append(asked, id)
		for _, pkg := range []*lf.Package{user, lib} {
			if string(pkg.ID) == id {
				if err := e.AddPackage(pkg); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if !reflect.DeepEqual(asked, []string{string(user.ID), string(lib.ID)}) || r.Result().Value != value.Int64(1) {
		t.Errorf("asked for %v, result %v", asked, r.Result().Value)
	}
	missing := New(DefaultLimits()).Submit([]Command{&CreateCommand{ref, arg}}, Input{Submitters: partyList("A")})
	if _, err := missing.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Next(t.Context()); err == nil {
		t.Error("a run went on without its package")
	}
}

func TestContractsOfTheLedgerAreAuthenticated(t *testing.T) {
	e, packages := newEngine(t, iou)
	ref := TypeRef{string(packages[0].ID), "M", "Iou"}
	r := e.Submit([]Command{&CreateCommand{ref, &value.Record{Fields: []value.Value{value.Party("Bank"), value.Party("Alice"), value.Int64(1)}}}},
		Input{Submitters: partyList("Bank")})
	if err := answerWith(nil, r); err != nil {
		t.Fatal(err)
	}
	c := stored(r.Result().Transaction.Nodes[0].(*tx.Create))
	exercise := func(forged *Contract) error {
		run := e.Submit([]Command{&ExerciseCommand{ref, forged.ID, "Settle", value.Unit{}}}, Input{Submitters: partyList("Alice")})
		return answerWith(map[value.ContractID]*Contract{forged.ID: forged}, run)
	}
	if err := exercise(c); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, code string
		forge      func(*Contract)
	}{
		{"another hash", "INTERPRETATION_UPGRADE_ERROR_AUTHENTICATION_FAILED", func(c *Contract) { c.Authenticate = func(tx.Hash) bool { return false } }},
		{"another signatory", "INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED", func(c *Contract) { c.Signatories = partyList("Alice Bank") }},
		{"another argument", "INTERPRETATION_UPGRADE_ERROR_VALIDATION_FAILED", func(c *Contract) {
			c.Arg = &value.Record{Fields: []value.Value{value.Party("Eve"), value.Party("Alice"), value.Int64(1)}}
		}},
		{"an ill-typed argument", "INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED", func(c *Contract) { c.Arg = value.Int64(3) }},
		{"a missing field", "INTERPRETATION_UPGRADE_ERROR_TRANSLATION_FAILED", func(c *Contract) {
			c.Arg = &value.Record{Fields: []value.Value{value.Party("Bank"), value.Party("Alice")}}
		}},
	} {
		forged := *c
		tc.forge(&forged)
		var f *Failure
		if err := exercise(&forged); !errors.As(err, &f) || f.Code != tc.code {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.code)
		}
	}
}
