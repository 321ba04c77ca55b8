package script_test

import (
	"testing"

	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"

	"github.com/synod-network/synod/daml/engine"
)

// transfer prepares the transfer of a real token that has eight nodes, and returns what interprets it once.
func transfer(b *testing.B) (*engine.Engine, func() *engine.Run, map[value.ContractID]*engine.Contract) {
	r := open(b, "splice-amulet-0.1.14.dar")
	s := load(b, "amulet.json")
	var pay *ledger.Commit
	if err := r.Run(b.Context(), s, func(o *script.Outcome) error {
		if o.Commit != nil && len(o.Commit.Transaction.Nodes) == 8 {
			pay = o.Commit
		}
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	contracts := map[value.ContractID]*engine.Contract{}
	for _, id := range pay.Metadata.Inputs {
		c := r.Ledger.Contract(id)
		contracts[id] = &engine.Contract{Contract: c.Contract, Arg: c.Arg, Authenticate: func(tx.Hash) bool { return true }}
	}
	command, err := engine.ReplayCommand(pay.Transaction.Nodes[0])
	if err != nil {
		b.Fatal(err)
	}
	in := engine.Input{
		Submitters: engine.Submitters("Alice", "Bob"), Seed: tx.Hash{1}, Preparation: pay.Time, LedgerTime: pay.Time,
		PackageResolution: pay.Metadata.PackageResolution,
	}
	return r.Ledger.Engine, func() *engine.Run { return r.Ledger.Engine.Submit([]engine.Command{command}, in) }, contracts
}

func answer(b *testing.B, run *engine.Run, contracts map[value.ContractID]*engine.Contract) {
	for {
		q, err := run.Next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if q == nil {
			return
		}
		run.AnswerContract(contracts[q.(*engine.NeedContract).ID])
	}
}

// BenchmarkAmuletTransfer interprets a transfer of a real token: eight nodes, with fees and rewards.
func BenchmarkAmuletTransfer(b *testing.B) {
	_, start, contracts := transfer(b)
	var steps, allocated int64
	b.ReportAllocs()
	for b.Loop() {
		run := start()
		answer(b, run, contracts)
		steps += run.Result().Steps
		allocated += run.Result().Allocated
	}
	b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
	b.ReportMetric(float64(allocated)/float64(steps), "counted-B/step")
}

// BenchmarkAmuletReinterpretation interprets the root action of the same transfer again, as a participant does that confirms it.
func BenchmarkAmuletReinterpretation(b *testing.B) {
	e, start, contracts := transfer(b)
	run := start()
	answer(b, run, contracts)
	t := run.Result().Transaction
	command, err := engine.ReplayCommand(t.Nodes[0])
	if err != nil {
		b.Fatal(err)
	}
	in := engine.Input{
		Submitters: engine.Submitters("Alice", "Bob"), Seed: t.Seeds[0], Preparation: run.Result().Metadata.PreparationTime,
		LedgerTime: run.Result().Metadata.LedgerTime, PackageResolution: run.Result().Metadata.PackageResolution,
	}
	b.ReportAllocs()
	for b.Loop() {
		answer(b, e.Reinterpret(command, in), contracts)
	}
}
