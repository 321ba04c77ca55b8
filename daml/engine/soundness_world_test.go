package engine

import (
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/validate"
	"github.com/synod-network/synod/daml/value"
)

// world is packages with interfaces, keys, exceptions and two versions of a template, of which one is mutated.
type world struct {
	tuples, base, one, two *lf.Package
}

func newWorld(t testing.TB) *world {
	t.Helper()
	read := func(name string) string {
		source, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(source)
	}
	decode := func(a archive.Archive) *lf.Package {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return pkg
	}
	w := &world{base: assemble(t, read("sound-base.lf"))}
	names := orderWorld{base: w.base.ID}
	version := func(v, more, none string) *lf.Package {
		source := strings.NewReplacer("$VERSION", v, "$MORE", more, "$NONE", none).Replace(read("sound.lf"))
		source = orderNames.ReplaceAllStringFunc(source, func(name string) string {
			if name == "M:" {
				return name
			}
			return names.words(name)
		})
		dar, err := text.Assemble(source, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range dar.Packages[1:] {
			w.tuples = decode(a)
		}
		return decode(dar.Main())
	}
	w.one = version("1.0.0", "", "")
	w.two = version("2.0.0", ", more: Optional Text", ", more = None @Text")
	return w
}

// mutated returns the world with parts of one of its packages in the places of others; nil if it is not valid.
func (w *world) mutated(random *rand.Rand) *world {
	fresh := *w
	of := []**lf.Package{&fresh.base, &fresh.one, &fresh.two}[random.IntN(3)]
	pkg := clone(reflect.ValueOf(*of)).Interface().(*lf.Package)
	*of = pkg
	slots := places(pkg)
	to := slots[random.IntN(len(slots))]
	from := slots[random.IntN(len(slots))]
	for try := 0; try < 40 && (from.Type() != to.Type() || try < 20 && from.Elem().Type() != to.Elem().Type()); try++ {
		from = slots[random.IntN(len(slots))]
	}
	if from.Type() != to.Type() {
		return nil
	}
	to.Set(clone(from))
	all := lf.NewPackages(fresh.tuples, fresh.base, fresh.one, fresh.two)
	for _, p := range []*lf.Package{pkg, fresh.base, fresh.one, fresh.two} { // the likeliest to be wrong first
		if validate.Check(p, all) != nil {
			return nil
		}
	}
	return &fresh
}

// places finds where expressions and types stand in a package.
func places(pkg *lf.Package) []reflect.Value {
	return slotsOf(pkg, func(ty reflect.Type) bool { return ty == exprType || ty == typeType })
}

var typeType = reflect.TypeFor[lf.Type]()

// run evaluates all values and acts on contracts with every choice, as each version. It returns the first internal error.
func (w *world) run() error {
	e := New(Limits{Steps: 300_000, Memory: 8 << 20, Nodes: 200})
	for _, pkg := range []*lf.Package{w.tuples, w.base, w.one, w.two} {
		if err := e.AddPackage(pkg); err != nil {
			return err
		}
	}
	for _, pkg := range []*lf.Package{w.base, w.one, w.two} {
		for _, v := range pkg.Modules[0].Values {
			ref := lf.Ref{Package: pkg.ID, Module: pkg.Modules[0].Name, Name: v.Name}
			if _, _, err := e.evaluate(ref, nil); errors.Is(err, ErrInternal) {
				return err
			}
		}
	}
	resolution := map[string]string{"sound-base": string(w.base.ID), "sound": string(w.two.ID)}
	contracts := w.contracts(e, resolution)
	if contracts == nil {
		return nil
	}
	key := &value.Record{Fields: []value.Value{value.Party("A"), value.Text("k")}}
	arg := &value.Record{Fields: []value.Value{value.Int64(3), value.Party("B"), value.None()}}
	run := func(prefer *lf.Package, rule tx.RollbackRule, command Command) error {
		resolution["sound"] = string(prefer.ID)
		r := e.Submit([]Command{command}, Input{Submitters: partyList("A"), PackageResolution: resolution, Rollback: rule, Seed: tx.Hash{1}})
		if err := answerWith(contracts, r); errors.Is(err, ErrInternal) {
			return err
		}
		return nil
	}
	for _, pkg := range []*lf.Package{w.one, w.two} {
		m := TypeRef{string(pkg.ID), "M", "T"}
		asset, holding := TypeRef{string(w.base.ID), "I", "Asset"}, TypeRef{string(w.base.ID), "I", "Holding"}
		for id, c := range contracts {
			commands := []Command{
				&ExerciseCommand{m, id, "Step", arg}, &ExerciseCommand{m, id, "Catch", arg}, &ExerciseCommand{m, id, "Status", arg},
				&ExerciseCommand{m, id, "Read", value.Unit{}}, &ExerciseCommand{m, id, "Through", arg},
				&ExerciseCommand{m, id, "Count", &value.Record{Fields: []value.Value{key, value.Int64(4)}}},
				&ExerciseCommand{asset, id, "Look", value.Unit{}}, &ExerciseCommand{holding, id, "Take", arg},
				&ExerciseByKeyCommand{m, key, "Step", arg}, &FetchCommand{Type: holding, ID: id}, &FetchCommand{Type: m, ByKey: key},
			}
			for i, command := range commands {
				if err := run(pkg, tx.RollbackRule(i%2), command); err != nil {
					return err
				}
			}
			for _, iface := range []TypeRef{asset, holding} {
				r := e.View(m, iface, c.Arg, Input{PackageResolution: resolution})
				if err := answerWith(nil, r); errors.Is(err, ErrInternal) {
					return err
				}
			}
		}
	}
	return nil
}

// contracts creates one of each version.
func (w *world) contracts(e *Engine, resolution map[string]string) map[value.ContractID]*Contract {
	key := &value.Record{Fields: []value.Value{value.Party("A"), value.Text("k")}}
	colors, err := value.EmptyGenMap().Insert(&value.Enum{Con: "Green", Rank: 1}, value.Int64(2))
	if err != nil {
		return nil
	}
	contracts := map[value.ContractID]*Contract{}
	for i, pkg := range []*lf.Package{w.one, w.two} {
		arg := &value.Record{Fields: []value.Value{key, value.Int64(3), &value.Variant{Con: "Second", Rank: 1, Arg: value.Text("s")}, colors, value.None()}}
		r := e.Submit([]Command{&CreateCommand{TypeRef{string(pkg.ID), "M", "T"}, arg}},
			Input{Submitters: partyList("A"), PackageResolution: resolution, Seed: tx.Hash{byte(i)}})
		if answerWith(nil, r) != nil {
			continue // mutated such that it cannot be created
		}
		c := stored(r.Result().Transaction.Nodes[0].(*tx.Create))
		contracts[c.ID] = c
	}
	return contracts
}

// TestTheWorldWorks: without mutation nothing fails that should not.
func TestTheWorldWorks(t *testing.T) {
	w := newWorld(t)
	all := lf.NewPackages(w.tuples, w.base, w.one, w.two)
	for _, p := range []*lf.Package{w.base, w.one, w.two} {
		if err := validate.Check(p, all); err != nil {
			t.Fatal(err)
		}
	}
	if err := validate.Upgrade(w.one, w.two, all); err != nil {
		t.Fatal(err)
	}
	if err := w.run(); err != nil {
		t.Fatal(err)
	}
	e := New(DefaultLimits())
	for _, pkg := range []*lf.Package{w.tuples, w.base, w.one, w.two} {
		if err := e.AddPackage(pkg); err != nil {
			t.Fatal(err)
		}
	}
	resolution := map[string]string{"sound": string(w.two.ID)}
	contracts := w.contracts(e, resolution)
	arg := &value.Record{Fields: []value.Value{value.Int64(3), value.Party("B"), value.None()}}
	key := &value.Record{Fields: []value.Value{value.Party("A"), value.Text("k")}}
	find := &value.Record{Fields: []value.Value{key, value.Int64(4)}}
	for choice, want := range map[string]string{"Step": "", "Catch": `"33"`, "Read": "3", "Through": "11", "Count": "9", "Status": "!DAML_FAILURE"} {
		for id := range contracts {
			for _, pkg := range []*lf.Package{w.one, w.two} {
				with := value.Value(arg)
				switch choice {
				case "Count":
					with = find
				case "Read":
					with = value.Unit{}
				}
				r := e.Submit([]Command{&ExerciseCommand{TypeRef{string(pkg.ID), "M", "T"}, id, choice, with}},
					Input{Submitters: partyList("A"), PackageResolution: resolution})
				err := answerWith(contracts, r)
				if code, fails := strings.CutPrefix(want, "!"); fails {
					if !failsWith(err, code) {
						t.Errorf("%s: got %v, want %s", choice, err, code)
					}
				} else if err != nil {
					t.Errorf("%s: %v", choice, err)
				} else if got := Show(r.Result().Value); want != "" && got != want {
					t.Errorf("%s: got %s, want %s", choice, got, want)
				}
			}
		}
	}
}

// TestValidWorldsDoNotBreakTheMachine mutates packages that use each other: parts of one stand in other places. What is still valid
// runs, by each version of the contracts.
func TestValidWorldsDoNotBreakTheMachine(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 300
	}
	w := newWorld(t)
	random := rand.New(rand.NewPCG(3, 4))
	valid := 0
	for range rounds {
		if fresh := w.mutated(random); fresh != nil {
			valid++
			if err := fresh.run(); err != nil {
				t.Fatalf("a valid package broke the machine: %v", err)
			}
		}
	}
	if valid < rounds/20 {
		t.Errorf("only %d of %d mutated worlds are valid, which says little", valid, rounds)
	}
	t.Logf("%d of %d valid", valid, rounds)
}

// FuzzSoundness does so from seeds, with up to four mutations one upon the other.
func FuzzSoundness(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, uint8(seed))
	}
	w := newWorld(f)
	f.Fuzz(func(t *testing.T, seed uint64, more uint8) {
		random := rand.New(rand.NewPCG(seed, 0))
		at := w
		for range 1 + more%4 {
			for range 30 {
				if fresh := at.mutated(random); fresh != nil {
					at = fresh
					break
				}
			}
		}
		if err := at.run(); err != nil {
			t.Fatalf("a valid package broke the machine: %v", err)
		}
	})
}
