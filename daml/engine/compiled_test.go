package engine

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// forms are packages that use every form of expression, every builtin and every kind of definition between them.
func forms(t testing.TB) []string {
	t.Helper()
	sources := []string{iou}
	for _, name := range []string{"every-2.1.lf", "every-2.3.lf"} {
		source, err := os.ReadFile("../text/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, string(source))
	}
	return sources
}

func compileOne(t testing.TB, source string) *Compiled {
	t.Helper()
	pkg := assemble(t, source)
	e := withStable(t)
	if err := e.Validate(pkg); err != nil {
		t.Fatal(err)
	}
	c, err := e.Compile(pkg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// withStable returns an engine with the packages of the standard library that are always the same.
func withStable(t testing.TB) *Engine {
	t.Helper()
	archives, err := text.StablePackages()
	if err != nil {
		t.Fatal(err)
	}
	e := New(DefaultLimits())
	for _, a := range archives {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.AddPackage(pkg); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// TestCompilingTwiceGivesTheSame compiles packages in engines of their own.
func TestCompilingTwiceGivesTheSame(t *testing.T) {
	for _, source := range forms(t) {
		once, again := compileOne(t, source), compileOne(t, source)
		if once.Bytes() != again.Bytes() {
			t.Error("two compilations of a package differ")
		}
	}
}

// TestCompiledCodeIsThatOfTheCompiler compares the code that is read with what is compiled from the syntax tree.
func TestCompiledCodeIsThatOfTheCompiler(t *testing.T) {
	for _, source := range forms(t) {
		pkg := assemble(t, source)
		c := compileOne(t, source)
		e := withStable(t)
		e.AddCompiled(c)
		if err := e.ReadAll(); err != nil {
			t.Fatal(err)
		}
		// Written again, what was read has the same bytes: nothing was lost.
		again, err := e.encodePackage(pkg)
		if err != nil {
			t.Fatal(err)
		}
		if again != c.Bytes() {
			t.Errorf("package %s changes when its code is read and written", pkg.Metadata.Name)
		}
	}
}

// TestCompiledPackagesCostTheSame runs a transaction in both forms: participants must agree on each step.
func TestCompiledPackagesCostTheSame(t *testing.T) {
	trees, packages := newEngine(t, iou)
	bytes := New(DefaultLimits())
	bytes.AddCompiled(compileOne(t, iou))
	var results []*Result
	for _, e := range []*Engine{trees, bytes} {
		r := e.Submit([]Command{createIou(packages[0].ID, 7)}, Input{Submitters: partyList("Bank"), Seed: tx.Hash{1}})
		if err := answerWith(nil, r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r.Result())
	}
	if a, b := results[0], results[1]; a.Steps != b.Steps || a.Allocated != b.Allocated || a.Transaction.Seeds[0] != b.Transaction.Seeds[0] {
		t.Errorf("compiled from trees: %d steps, %d bytes; read: %d steps, %d bytes", a.Steps, a.Allocated, b.Steps, b.Allocated)
	}
}

func createIou(id lf.PackageID, amount int64) Command {
	return &CreateCommand{TypeRef{string(id), "M", "Iou"}, &value.Record{
		Fields: []value.Value{value.Party("Bank"), value.Party("Alice"), value.Int64(amount)},
	}}
}

// TestOutlinesAreNotRun refuses packages without expressions.
func TestOutlinesAreNotRun(t *testing.T) {
	err := New(DefaultLimits()).AddPackage(compileOne(t, iou).Outline)
	if err == nil || !strings.Contains(err.Error(), "without its expressions") {
		t.Errorf("got %v", err)
	}
}

// TestPackagesAreValidatedAgainstCompiledOnes has a package that uses a value of another, of the right type and of a wrong one.
func TestPackagesAreValidatedAgainstCompiledOnes(t *testing.T) {
	lib := compileOne(t, `language 2.1
metadata ('lib' : '1.0.0')
module M { val one: Int64 = 1; }`)
	e := New(DefaultLimits())
	e.AddCompiled(lib)
	user := func(typ string) *lf.Package {
		return assemble(t, fmt.Sprintf(`language 2.1
metadata ('user' : '1.0.0')
module M { val two: %s = '%s':M:one; }`, typ, lib.ID))
	}
	good := user("Int64")
	if err := e.Validate(good); err != nil {
		t.Error(err)
	}
	c, err := e.Compile(good)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Uses) != 1 || c.Uses[0] != lib.ID {
		t.Errorf("the package uses %v", c.Uses)
	}
	if err := e.Validate(user("Text")); err == nil {
		t.Error("a Text may be an Int64")
	}
	e.AddCompiled(c)
	if v, _, err := e.evaluate(valueRef(good, "two"), nil); err != nil || v != value.Int64(1) {
		t.Errorf("two is %v, %v", v, err)
	}
}

// FuzzCompiled reads what is no compiled form, and runs it: errors are fine, and nothing else.
func FuzzCompiled(f *testing.F) {
	c := compileOne(f, iou)
	f.Add(c.Bytes())
	f.Add(compileOne(f, "language 2.1\nmetadata ('e' : '1.0.0')\nmodule M { val one: Int64 = 1; }").Bytes())
	for at := 0; at < len(c.Bytes()); at += len(c.Bytes()) / 16 {
		f.Add(c.Bytes()[:at])
		f.Add(c.Bytes()[:at] + "\xff" + c.Bytes()[at+1:])
	}
	f.Fuzz(func(t *testing.T, data string) {
		runCompiled(c.ID, data)
	})
}

func runCompiled(id lf.PackageID, data string) error {
	parsed, err := ParseCompiled(id, data)
	if err != nil {
		return err
	}
	e := New(Limits{Steps: 100_000, Memory: 1 << 20, Nodes: 100})
	e.AddCompiled(parsed)
	if err := e.ReadAll(); err != nil {
		return err
	}
	r := e.Submit([]Command{createIou(id, 7)}, Input{Submitters: partyList("Bank"), Seed: tx.Hash{1}})
	return answerWith(nil, r)
}

// TestDamagedCodeIsAnError flips every byte of a compiled form that no checksum protects.
func TestDamagedCodeIsAnError(t *testing.T) {
	c := compileOne(t, iou)
	if err := runCompiled(c.ID, c.Bytes()); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := range len(c.Bytes()) {
		if runCompiled(c.ID, c.Bytes()[:at]) == nil {
			t.Errorf("cut off after %d bytes it is accepted", at)
		}
		for _, bit := range []byte{1, 0x10, 0x80} {
			flipped := []byte(c.Bytes())
			flipped[at] ^= bit
			if runCompiled(c.ID, string(flipped)) != nil {
				refused++
			}
		}
	}
	if refused < len(c.Bytes()) {
		t.Errorf("only %d of %d flips were noticed", refused, 3*len(c.Bytes()))
	}
}
