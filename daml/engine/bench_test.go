package engine

import (
	"testing"

	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// BenchmarkCreateAndExercise interprets a create and an exercise that archives the contract, as two transactions.
func BenchmarkCreateAndExercise(b *testing.B) {
	e, packages := newEngine(b, iou)
	ref := TypeRef{string(packages[0].ID), "M", "Iou"}
	arg := &value.Record{Fields: []value.Value{value.Party("Bank"), value.Party("Alice"), value.Int64(100)}}
	bank, alice := partyList("Bank"), partyList("Alice")
	var steps, allocated int64
	b.ReportAllocs()
	for b.Loop() {
		r := e.Submit([]Command{&CreateCommand{ref, arg}}, Input{Submitters: bank, Seed: tx.Hash{1}})
		if err := answerWith(nil, r); err != nil {
			b.Fatal(err)
		}
		c := stored(r.Result().Transaction.Nodes[0].(*tx.Create))
		x := e.Submit([]Command{&ExerciseCommand{ref, c.ID, "Settle", value.Unit{}}}, Input{Submitters: alice, Seed: tx.Hash{2}})
		if err := answerWith(map[value.ContractID]*Contract{c.ID: c}, x); err != nil {
			b.Fatal(err)
		}
		steps += r.Result().Steps + x.Result().Steps
		allocated += r.Result().Allocated + x.Result().Allocated
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
	b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
	b.ReportMetric(float64(allocated)/float64(steps), "counted-B/step")
}

// BenchmarkSteps runs a loop of a recursive function: the speed of the inner loop.
func BenchmarkSteps(b *testing.B) {
	const source = `language 2.1
metadata ('loop' : '1.0.0')
module M {
  val sum: Int64 -> Int64 -> Int64 = \(n: Int64) (acc: Int64) ->
    case LESS_EQ @Int64 n 0 of True -> acc | False -> M:sum (SUB_INT64 n 1) (ADD_INT64 acc n);
  val it: Int64 = M:sum 10000 0;
}`
	e, packages := newEngine(b, source)
	var steps int64
	b.ReportAllocs()
	for b.Loop() {
		_, r, err := e.evaluate(valueRef(packages[0], "it"), nil)
		if err != nil {
			b.Fatal(err)
		}
		steps += r.Steps
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
}
