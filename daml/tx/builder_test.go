package tx

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/synod-network/synod/daml/value"
)

var unitType = &value.DataType{ID: value.Identifier{Package: "p", Module: "M", Entity: "T"}}

func newCreate(signatories, observers string) *Create {
	s := SortParties(parties(signatories))
	return &Create{Contract: Contract{
		PackageName: "p", Template: unitType.ID, Signatories: s, Stakeholders: Union(s, SortParties(parties(observers))), Version: V1,
	}, Arg: &value.Record{Type: unitType}}
}

func newExercise(c *Create, consuming bool, actors string) *Exercise {
	return &Exercise{Contract: c.Contract, Choice: "C", Consuming: consuming, Actors: SortParties(parties(actors)), Arg: value.Unit{}}
}

// shape writes a transaction as letters: c, f, x for actions, r for rollbacks, brackets around children.
func shape(t *Transaction) string {
	var write func(ids []NodeID) string // transactions of tests are not deep
	write = func(ids []NodeID) string {
		var b strings.Builder
		for _, id := range ids {
			switch n := t.Nodes[id].(type) {
			case *Create:
				b.WriteByte('c')
			case *Fetch:
				b.WriteByte('f')
			case *Exercise:
				b.WriteString("x(" + write(n.Children) + ")")
			case *Rollback:
				b.WriteString("r(" + write(n.Children) + ")")
			}
		}
		return b.String()
	}
	return write(t.Roots)
}

// play builds a transaction from what shape writes.
func play(b *Builder, text string) error {
	target := newCreate("A", "")
	if err := b.Create(target); err != nil {
		return err
	}
	var open []byte
	for _, c := range text {
		var err error
		switch c {
		case 'c':
			err = b.Create(newCreate("A", ""))
		case 'x':
			err = b.BeginExercise(newExercise(target, false, "A"))
			open = append(open, 'x')
		case 'r':
			b.BeginTry()
			open = append(open, 'r')
		case 't': // a try block that ends well
			b.BeginTry()
			open = append(open, 't')
		case ')':
			switch last := open[len(open)-1]; last {
			case 'x':
				b.EndExercise(value.Unit{})
			case 'r':
				err = b.RollbackTry()
			case 't':
				b.EndTry()
			}
			open = open[:len(open)-1]
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestRollbacksAreNormalized(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"r()", ""},
		{"r(c)", "r(c)"},
		{"r(r(c))", "r(c)"},
		{"r(r(c)c)", "r(c)r(c)"},
		{"r(cr(c))", "r(cc)"},
		{"r(cr(c)c)", "r(cr(c)c)"},
		{"r(r(c)r(c)c)", "r(c)r(c)r(c)"},
		{"r(r()c)", "r(c)"},
		{"r(cr(cr(c)))", "r(ccc)"},
		{"x(r(r(c)c))", "x(r(c)r(c))"},
		{"t(c)c", "cc"},
		{"r(t(c))", "r(c)"},
		{"r(x(r(r(c)c)))c", "r(x(r(c)r(c)))c"},
	} {
		b := NewBuilder(parties("A"), Hash{1}, 0, EffectsRollBack)
		if err := play(b, tc.in); err != nil {
			t.Fatalf("%s: %v", tc.in, err)
		}
		if got := shape(b.Finish()); got != "c"+tc.want {
			t.Errorf("%s: got %s, want c%s", tc.in, got, tc.want)
		}
	}
}

// TestBuildersKeepWhatTheyPromise builds transactions of any shape, and checks ids, seeds, normal form, and the stored form.
func TestBuildersKeepWhatTheyPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		depth := 0
		for range rapid.IntRange(0, 40).Draw(t, "length") {
			c := rapid.SampledFrom([]byte("ccxrt)))")).Draw(t, "next")
			switch {
			case c == ')' && depth == 0:
				continue
			case c == ')':
				depth--
			case c != 'c':
				depth++
			}
			text.WriteByte(c)
		}
		text.WriteString(strings.Repeat(")", depth))
		b := NewBuilder(parties("A"), Hash{1}, 0, EffectsRollBack)
		if err := play(b, text.String()); err != nil {
			t.Fatal(err)
		}
		result := b.Finish()
		if err := checkForest(result); err != nil {
			t.Fatalf("%s: %v", text.String(), err)
		}
		written := shape(result)
		if strings.Contains(written, "r()") || strings.Contains(written, "r(r(") || strings.Contains(written, "))") && endsWithRollback(result) {
			t.Fatalf("%s became %s, which is not normal", text.String(), written)
		}
		actions := strings.Count(text.String(), "c") + strings.Count(text.String(), "x") + 1
		if got := strings.Count(written, "c") + strings.Count(written, "x"); got != actions {
			t.Fatalf("%s has %d actions, %s has %d", text.String(), actions, written, got)
		}
		seen := map[Hash]bool{}
		for id, n := range result.Nodes {
			_, rollback := n.(*Rollback)
			if seed := result.Seeds[id]; rollback != (seed == Hash{}) || !rollback && seen[seed] {
				t.Fatalf("node %d has the seed %s", id, seed)
			} else {
				seen[seed] = true
			}
		}
		stored, err := Encode(result)
		if err != nil {
			t.Fatal(err)
		}
		read, err := Decode(stored)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Encode(read); err != nil || string(again) != string(stored) || shape(read) != written {
			t.Fatalf("%s is read as %s, %v", written, shape(read), err)
		}
	})
}

func endsWithRollback(t *Transaction) bool {
	for _, n := range t.Nodes {
		if r, ok := n.(*Rollback); ok {
			if _, ok := t.Nodes[r.Children[len(r.Children)-1]].(*Rollback); ok {
				return true
			}
		}
	}
	return false
}

func TestEffectsStayUnderTheNewRule(t *testing.T) {
	for _, tc := range []struct {
		in        string
		effectful bool
	}{{"r()", false}, {"r(c)", true}, {"t(c)", false}, {"r(t(c))", true}, {"cr(x())", false}, {"r(x(c))", true}} {
		err := play(NewBuilder(parties("A"), Hash{1}, 0, EffectsStay), tc.in)
		var effectful *EffectfulRollbackError
		if errors.As(err, &effectful) != tc.effectful {
			t.Errorf("%s: %v", tc.in, err)
		}
	}
}

func TestContractsAreActiveOnce(t *testing.T) {
	b := NewBuilder(parties("A"), Hash{1}, 0, EffectsRollBack)
	c := newCreate("A", "")
	if err := b.Create(c); err != nil {
		t.Fatal(err)
	}
	b.BeginTry()
	if err := b.BeginExercise(newExercise(c, true, "A")); err != nil {
		t.Fatal(err)
	}
	b.EndExercise(value.Unit{})
	inside := newCreate("A", "")
	if err := b.Create(inside); err != nil {
		t.Fatal(err)
	}
	var notActive *NotActiveError
	if err := b.Fetch(&Fetch{Contract: c.Contract}); !errors.As(err, &notActive) || notActive.ConsumedBy != 2 {
		t.Errorf("fetch of an archived contract: %v", err)
	}
	if err := b.RollbackTry(); err != nil {
		t.Fatal(err)
	}
	if err := b.Fetch(&Fetch{Contract: c.Contract}); err != nil {
		t.Errorf("fetch after the archival was undone: %v", err)
	}
	var notFound *NotFoundError
	if err := b.Fetch(&Fetch{Contract: inside.Contract}); !errors.As(err, &notFound) {
		t.Errorf("fetch of a contract whose creation was undone: %v", err)
	}
}

func TestAuthorization(t *testing.T) {
	for _, tc := range []struct {
		name string
		act  func(b *Builder) error
		want AuthorizationKind
	}{
		{"create without a signatory's authority", func(b *Builder) error { return b.Create(newCreate("A B", "")) }, CreateMissing},
		{"create without signatories", func(b *Builder) error { return b.Create(newCreate("", "A")) }, NoSignatories},
		{"create with a maintainer that is no signatory", func(b *Builder) error {
			c := newCreate("A", "")
			c.Key = &Key{Hash: Hash{1}, Maintainers: parties("B")}
			return b.Create(c)
		}, MaintainersOnly},
		{"fetch by no stakeholder", func(b *Builder) error { return b.Fetch(&Fetch{Contract: newCreate("B", "C").Contract}) }, FetchMissing},
		{"exercise by others than the controllers", func(b *Builder) error { return b.BeginExercise(newExercise(newCreate("B", "A"), false, "B")) }, ExerciseMissing},
		{"exercise without controllers", func(b *Builder) error { return b.BeginExercise(newExercise(newCreate("B", "A"), false, "")) }, NoControllers},
		{"query without the maintainers", func(b *Builder) error { return b.AuthorizeQuery(&Key{Maintainers: parties("B")}) }, QueryMissing},
	} {
		var e *AuthorizationError
		if err := tc.act(NewBuilder(parties("A"), Hash{1}, 0, EffectsStay)); !errors.As(err, &e) || e.Kind != tc.want {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
	// The body of a choice has the authority of its controllers and of the signatories, and not that of whoever called.
	b := NewBuilder(parties("A"), Hash{1}, 0, EffectsStay)
	if err := b.BeginExercise(newExercise(newCreate("B", "A"), false, "A")); err != nil {
		t.Fatal(err)
	}
	if got := b.Authorizers(); !reflect.DeepEqual(got, parties("A B")) {
		t.Errorf("authority inside is %v", got)
	}
}

func TestBlinding(t *testing.T) {
	b := NewBuilder(parties("A B"), Hash{1}, 0, EffectsStay)
	outer, inner := newCreate("A", "O"), newCreate("B", "P")
	steps := []error{b.Create(outer), b.Create(inner)}
	x := newExercise(outer, false, "A")
	x.Observers = parties("W")
	steps = append(steps, b.BeginExercise(x), b.Fetch(&Fetch{Contract: outer.Contract}))
	b.EndExercise(value.Unit{})
	y := newExercise(inner, true, "B")
	steps = append(steps, b.BeginExercise(y))
	b.EndExercise(value.Unit{})
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	result := b.Finish()
	blinding := Blind(result)
	for id, want := range []string{"[A O]", "[B P]", "[A W]", "[A W]", "[B P]"} {
		if got := fmt.Sprint(blinding.Witnesses[id]); got != want {
			t.Errorf("node %d is seen by %s, want %s", id, got, want)
		}
	}
	if got := fmt.Sprint(blinding.Divulged); got != fmt.Sprintf("map[%s:[W]]", outer.ID) {
		t.Errorf("divulged: %s", got)
	}
	view, origin := Project(result, blinding, "W")
	if shape(view) != "x(f)" || fmt.Sprint(origin) != "[2 3]" {
		t.Errorf("W sees %s, nodes %v", shape(view), origin)
	}
}

func TestKeyQueriesAskForWhatIsMissing(t *testing.T) {
	key := &Key{Hash: Hash{9}, Maintainers: parties("A")}
	id := func(n byte) value.ContractID { return value.ContractID(append([]byte{0, n}, make([]byte, 40)...)) }
	b := NewBuilder(parties("A"), Hash{1}, 0, EffectsStay)
	local := newCreate("A", "")
	local.Key = key
	if err := b.Create(local); err != nil {
		t.Fatal(err)
	}
	q := b.QueryKey(key, 3)
	if n, token, err := q.Missing(); n != 2 || token != nil || err != nil {
		t.Fatalf("missing %d, %v, %v", n, token, err)
	}
	q.Answer([]value.ContractID{id(1), id(2)}, []byte("more"))
	if n, _, err := q.Missing(); n != 0 || err != nil {
		t.Fatalf("missing %d, %v", n, err)
	}
	if found, exhaustive := q.Result(); exhaustive || !reflect.DeepEqual(found, []value.ContractID{local.ID, id(1), id(2)}) {
		t.Errorf("found %v, %v", found, exhaustive)
	}
	again := b.QueryKey(key, 5)
	if n, token, _ := again.Missing(); n != 2 || string(token) != "more" {
		t.Errorf("missing %d, %q", n, token)
	}
	again.Answer([]value.ContractID{id(3)}, nil)
	if n, _, err := again.Missing(); n != 0 || err != nil {
		t.Errorf("missing %d, %v", n, err)
	}
	if found, exhaustive := again.Result(); !exhaustive || len(found) != 4 {
		t.Errorf("found %v, %v", found, exhaustive)
	}
	// A contract with the key, which the ledger did not mention when it said that there are no more, contradicts it.
	late := newCreate("A", "")
	late.ID, late.Key = id(4), key
	var inconsistent *InconsistentKeyError
	if err := b.Fetch(&Fetch{Contract: late.Contract}); !errors.As(err, &inconsistent) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodeTransaction(f *testing.F) {
	for _, text := range []string{"", "x(c)", "r(cr(c)c)"} {
		b := NewBuilder(parties("A"), Hash{1}, 0, EffectsRollBack)
		if err := play(b, text); err != nil {
			f.Fatal(err)
		}
		stored, _ := Encode(b.Finish())
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		read, err := Decode(bytes)
		if err != nil {
			return
		}
		stored, err := Encode(read)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(stored); err != nil {
			t.Fatalf("%x was accepted, but not its own form: %v", bytes, err)
		}
		Blind(read)
	})
}

// TestKeyQueriesContradictWhatWasRead asks for a key after a contract with it was read by its id, and the ledger leaves it out.
func TestKeyQueriesContradictWhatWasRead(t *testing.T) {
	key := &Key{Hash: Hash{9}, Maintainers: parties("A")}
	b := NewBuilder(parties("A"), Hash{1}, 0, EffectsStay)
	read := newCreate("A", "")
	read.ID, read.Key = value.ContractID(append([]byte{0, 5}, make([]byte, 40)...)), key
	if err := b.Fetch(&Fetch{Contract: read.Contract}); err != nil {
		t.Fatal(err)
	}
	q := b.QueryKey(key, 2)
	if n, _, err := q.Missing(); n != 2 || err != nil {
		t.Fatalf("missing %d, %v", n, err)
	}
	q.Answer(nil, nil)
	var inconsistent *InconsistentKeyError
	if _, _, err := q.Missing(); !errors.As(err, &inconsistent) {
		t.Errorf("got %v", err)
	}
}
