package script_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// These tests are about goroutines that share an engine. "make test" runs them under the race detector.

const sharers = 8

// TestStoriesShareAnEngine tells all stories at once on one engine, which knows nothing at first: packages are added and code is
// compiled, or read, by whoever needs it first. What each story prints is what it prints alone.
func TestStoriesShareAnEngine(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no stories", err)
	}
	var stories []*telling
	var want [][]byte
	for _, path := range files {
		story, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		told := prepare(t, story)
		alone, err := told.tell(t.Context(), newEngine(), nil)
		if err != nil {
			t.Fatal(err)
		}
		stories, want = append(stories, told), append(want, alone)
	}
	for name, cache := range map[string]engine.Cache{"from syntax trees": nil, "from compiled form": openCache(t, t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			e := newEngine()
			var wait sync.WaitGroup
			for sharer := range sharers {
				wait.Go(func() {
					for i := range stories {
						n := (i + sharer/2) % len(stories) // two tell the same, others another
						if got, err := stories[n].tell(t.Context(), e, cache); err != nil || !bytes.Equal(got, want[n]) {
							t.Errorf("%s, told beside others: %v, got:\n%s", files[n], err, got)
						}
					}
				})
			}
			wait.Wait()
		})
	}
}

// TestRunsShareAnEngine interprets different commands on one engine at once. Each run is asked for the package, for contracts, or for
// both, and is answered by its own goroutine. All come to what they come to alone.
func TestRunsShareAnEngine(t *testing.T) {
	source, err := os.ReadFile("../../examples/iou/iou.lf")
	if err != nil {
		t.Fatal(err)
	}
	dar, err := text.Assemble(string(source), nil)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := compileDAR(dar)
	if err != nil {
		t.Fatal(err)
	}
	alone := newEngine()
	var want []string
	for n := range sharers {
		both, err := issueAndTransfer(t.Context(), alone, compiled, n)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, both)
	}
	for range 20 { // everything is used for the first time again
		e := newEngine()
		begin := make(chan struct{})
		var wait sync.WaitGroup
		for n := range sharers {
			wait.Go(func() {
				<-begin
				if got, err := issueAndTransfer(t.Context(), e, compiled, n); err != nil || got != want[n] {
					t.Errorf("run %d beside others comes to %x, %v; alone to %x", n, got, err, want[n])
				}
			})
		}
		wait.Go(func() { // a fork looks at the packages meanwhile
			<-begin
			fork := e.Fork()
			for _, p := range compiled {
				fork.AddCompiled(p)
			}
			if err := fork.ReadAll(); err != nil {
				t.Error(err)
			}
			e.Adopt(fork)
		})
		close(begin)
		wait.Wait()
	}
}

func compileDAR(dar *archive.DAR) ([]*engine.Compiled, error) {
	var packages []*engine.Compiled
	e := newEngine()
	for _, a := range archive.InOrder(dar.Packages) {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			return nil, err
		}
		made, err := e.Compile(pkg)
		if err != nil {
			return nil, err
		}
		e.AddCompiled(made)
		packages = append(packages, made)
	}
	return packages, nil
}

// issueAndTransfer creates a contract and transfers it, and returns both transactions encoded.
func issueAndTransfer(ctx context.Context, e *engine.Engine, packages []*engine.Compiled, n int) (string, error) {
	iou := engine.TypeRef{Package: string(packages[len(packages)-1].ID), Module: "Iou", Entity: "Iou"}
	amount, err := value.ParseNumericAt(fmt.Sprint(n+1), 10)
	if err != nil {
		return "", err
	}
	owner := value.Party(fmt.Sprint("Owner", n))
	arg := &value.Record{Fields: []value.Value{
		value.Party("Bank"), owner, &value.Record{Fields: []value.Value{amount, value.Text("USD")}}, value.Empty(),
	}}
	contracts := map[value.ContractID]*engine.Contract{}
	run := e.Submit([]engine.Command{&engine.CreateCommand{Template: iou, Arg: arg}},
		engine.Input{Submitters: engine.Submitters("Bank"), Seed: tx.Hash{byte(n)}})
	if err := answerAll(ctx, e, run, packages, contracts); err != nil {
		return "", err
	}
	issued := run.Result().Transaction
	created := issued.Nodes[0].(*tx.Create)
	c := &engine.Contract{Contract: created.Contract, Arg: created.Arg, Authenticate: func(tx.Hash) bool { return true }}
	c.ID += "suffix"
	contracts[c.ID] = c
	transfer := &engine.ExerciseCommand{Type: iou, ID: c.ID, Choice: "Transfer", Arg: &value.Record{Fields: []value.Value{value.Party("Carol")}}}
	run = e.Submit([]engine.Command{transfer}, engine.Input{Submitters: engine.Submitters(owner), Seed: tx.Hash{byte(n), 1}})
	if err := answerAll(ctx, e, run, packages, contracts); err != nil {
		return "", err
	}
	var both string
	for _, t := range []*tx.Transaction{issued, run.Result().Transaction} {
		encoded, err := tx.Encode(t)
		if err != nil {
			return "", err
		}
		both += string(encoded)
	}
	return both, nil
}

func answerAll(ctx context.Context, e *engine.Engine, run *engine.Run, packages []*engine.Compiled, contracts map[value.ContractID]*engine.Contract) error {
	for {
		question, err := run.Next(ctx)
		if err != nil || question == nil {
			return err
		}
		switch q := question.(type) {
		case *engine.NeedPackage:
			for _, p := range packages {
				if string(p.ID) == q.ID {
					e.AddCompiled(p)
				}
			}
		case *engine.NeedContract:
			run.AnswerContract(contracts[q.ID])
		}
	}
}
