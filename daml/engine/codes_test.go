package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/value"
)

// TestLocalIDsAreNotComparedWithTheirOwnFinalForm: whether a contract of this transaction is one of the ledger whose id begins alike
// cannot be known yet, so neither answer would be right.
func TestLocalIDsAreNotComparedWithTheirOwnFinalForm(t *testing.T) {
	w := newOrderWorld(t, false, "sig")
	compare := func(operator string) string {
		return "Update Bool = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) ->
  ubind l: ContractId M:T <- create @M:T M:t in upure @Bool (` + operator + ` @(ContractId M:T) l c)`
	}
	refs := w.rows([]string{
		"Update (ContractId M:T) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) -> create @M:T M:t`, compare("EQUAL"), compare("LESS")})
	first := w.run(refs[0], "alice", "t", Input{})
	if first.err != nil {
		t.Fatal(first.err)
	}
	local := first.result.Value.(value.ContractID)
	for i, ref := range refs[1:] {
		// The same program makes the same id again, since its seed is the same.
		got := w.runOn(ref, "alice", local+"suffix")
		if !failsWith(got.err, "CONTRACT_ID_COMPARABILITY") {
			t.Errorf("comparison %d of a local id with its final form: %v", i, got.err)
		}
		if got := w.runOn(ref, "alice", value.ContractID("\x00"+strings.Repeat("z", 32)+"suffix")); got.err != nil {
			t.Errorf("comparison %d of a local id with another of the ledger: %v", i, got.err)
		}
		if got := w.runOn(ref, "alice", local); got.err != nil {
			t.Errorf("comparison %d of a local id with itself: %v", i, got.err)
		}
	}
}

// TestHostsThatLieAreInternalErrors answers a question for a key with a contract that has none.
func TestHostsThatLieAreInternalErrors(t *testing.T) {
	w := newOrderWorld(t, true, "sig")
	other := w.contract("other", 0)
	m := TypeRef{string(w.one), "M", "T"}
	arg := &value.Record{Fields: []value.Value{untyped(w.made["t"].Arg).(*value.Record).Fields[4], value.Int64(0)}}
	r := w.e.Submit([]Command{&ExerciseByKeyCommand{m, w.made["t"].Key.Value, "Go", arg}}, Input{Submitters: Submitters("alice")})
	q, err := r.Next(t.Context())
	if _, ok := q.(*NeedKeys); !ok {
		t.Fatalf("got %v, %v; want a question for a key", q, err)
	}
	r.AnswerKeys(KeyPage{Contracts: []*Contract{other}})
	if _, err := r.Next(t.Context()); !failsWith(err, "LEDGER_API_INTERNAL_ERROR") || !errors.Is(err, ErrInternal) {
		t.Errorf("got %v, want an internal error", err)
	}
}

func TestBudgetsHaveACode(t *testing.T) {
	w := newOrderWorld(t, false, "sig")
	refs := w.rows([]string{
		"Update (ContractId M:T) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) -> create @M:T M:t`,
		"Update (ContractId M:T) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) ->
  ubind x: ContractId M:T <- create @M:T M:t; y: ContractId M:T <- create @M:T M:t in create @M:T M:t`,
	})
	for _, tc := range []struct {
		name   string
		row    int
		limits Limits
		want   error
	}{
		{"enough", 1, Limits{Steps: 10_000, Memory: 1 << 20, Nodes: 3}, nil},
		{"steps", 0, Limits{Steps: 3, Memory: 1 << 20, Nodes: 3}, ErrSteps},
		{"memory", 0, Limits{Steps: 10_000, Memory: 1 << 10, Nodes: 3}, ErrMemory},
		{"actions", 1, Limits{Steps: 10_000, Memory: 1 << 20, Nodes: 2}, ErrNodes},
	} {
		got := w.run(refs[tc.row], "alice", "t", Input{Limits: &tc.limits})
		if tc.want == nil && got.err != nil || tc.want != nil && (!errors.Is(got.err, tc.want) || !failsWith(got.err, "INTERPRETATION_BUDGET_EXCEEDED")) {
			t.Errorf("%s: got %v, want %v", tc.name, got.err, tc.want)
		}
	}
}
