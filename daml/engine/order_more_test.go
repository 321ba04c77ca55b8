package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// altered makes a contract of the ledger whose argument has another field. Its id binds that argument, and nothing else of it is
// as its template says.
func (w *orderWorld) altered(what string, field int, to value.Value) {
	c := *w.made[what]
	arg := *c.Arg.(*value.Record)
	arg.Fields = append([]value.Value(nil), arg.Fields...)
	arg.Fields[field] = to
	c.Arg = &arg
	w.made["altered"] = &c
}

// TestWhatCanBeCaught throws at each part of an action inside a try block, under both rules of what may be rolled back.
func TestWhatCanBeCaught(t *testing.T) {
	w := newOrderWorld(t, true, "sig")
	parts := strings.Split(orderInfo, ", ")
	type row struct {
		name, ledger, before, do, ty string
		boom                         string // of the contract of the ledger
		want                         string // ends in "caught" if it is
		fails, fails34               string
	}
	var rows []row
	until := func(list []string, part string) string {
		all := strings.Join(list, ", ")
		return all[:strings.Index(all, part)+len(part)]
	}
	thrown := damlFailure
	booming := func(part string) string {
		if part == "maintainers" {
			return `(M:T {M:t with key = I:Key {(I:key I:alice) with boom = "maintainers"}})`
		}
		return fmt.Sprintf("(M:T {M:t with boom = %q})", part)
	}
	for _, part := range parts {
		rows = append(rows,
			row{"create, " + part, "t", "", "create @M:T " + booming(part), "ContractId M:T", "", until(parts, part) + ", caught", "", ""},
			row{"fetch, " + part, "altered", "", "fetch_template @M:T c", "M:T", part, "asks contract, " + until(parts, part), thrown, thrown},
			row{"fetch by interface, " + part, "altered", "", "fetch_interface @I:Napping " + asNapper, "I:Napping", part,
				"asks contract, " + until(parts, part), thrown, thrown},
			row{"exercise, " + part, "altered", "", "exercise @M:T Go c I:go", "I:Nest", part, "asks contract, " + until(parts, part), thrown, thrown},
		)
		if part != "maintainers" {
			var v2 []string
			for _, p := range parts {
				v2 = append(v2, "v2 "+p)
			}
			rows = append(rows, row{"local, as of another version, " + part, "t",
				`c: ContractId M:T <- exercise @M:Before Make b (M:Make {by = by, t = M:T {M:t with boom = "v2 ` + part + `"}}); `,
				"fetch_template @N:T (COERCE_CONTRACT_ID @M:T @N:T c)", "N:T", "", until(v2, "v2 "+part), thrown, thrown})
		}
	}
	made := func(boom string) string {
		return `c: ContractId M:T <- exercise @M:Before Make b (M:Make {by = by, t = M:T {M:t with boom = "` + boom + `"}}); `
	}
	rows = append(rows,
		row{"exercise, controllers", "t", made("controllers"), "exercise @M:T Go c I:go", "I:Nest", "", "controllers", thrown, thrown},
		row{"exercise, choice observers", "t", made("choice observers"), "exercise @M:T Go c I:go", "I:Nest", "", orderExe, thrown, thrown},
		row{"exercise, body", "t", made("body"), "exercise @M:T Go c I:go", "I:Nest", "", orderExe + ", body", "DAML_EFFECTFUL_ROLLBACK_ERROR", ""},
		row{"exercise by interface, controllers", "t", made("controllers"), "exercise_interface @I:Napping Nap " + asNapper + " I:go", "I:Nest", "",
			"controllers", thrown, thrown},
		row{"exercise by interface, body", "t", made("body"), "exercise_interface @I:Napping Nap " + asNapper + " I:go", "I:Nest", "",
			orderExe + ", body, caught", "", ""},
		row{"view", "t", made("view"),
			"ubind i: I:Napping <- fetch_interface @I:Napping " + asNapper + "; v: I:View <- upure @I:View (view_interface @I:Napping i) in upure @I:View v",
			"I:View", "", "view, caught", "", ""},
		row{"exercise by key, maintainers", "t", "", `exercise_by_key @M:T Go (I:Key {(I:key I:alice) with boom = "maintainers"}) I:go`, "I:Nest", "",
			"maintainers", thrown, thrown},
		row{"fetch by key, maintainers", "t", "", `fetch_by_key @M:T (I:Key {(I:key I:alice) with boom = "maintainers"})`, byKeyTy, "",
			"maintainers", thrown, thrown},
		row{"query by key, maintainers", "t", "", `query_n_by_key @M:T 5 (I:Key {(I:key I:alice) with boom = "maintainers"})`,
			"Optional (List (" + byKeyTy + "))", "", "maintainers", thrown, thrown},
		// What is no exception cannot be caught either.
		row{"precondition does not hold", "t", "", "create @M:T (M:T {M:t with ok = False})", "ContractId M:T", "", "precondition",
			"TEMPLATE_PRECONDITION_VIOLATED", "TEMPLATE_PRECONDITION_VIOLATED"},
		row{"no authority", "t", "", `create @M:T (M:T {M:t with sig = I:bob})`, "ContractId M:T", "", orderInfo,
			"DAML_AUTHORIZATION_ERROR", "DAML_AUTHORIZATION_ERROR"},
		row{"not active", "t", endC, "fetch_template @M:T c", "M:T", "", "", "CONTRACT_NOT_ACTIVE", "CONTRACT_NOT_ACTIVE"},
		row{"no such key", "unknown", "", "fetch_by_key @M:T (I:key I:alice)", byKeyTy, "", "maintainers, asks key",
			"CONTRACT_KEY_NOT_FOUND", "CONTRACT_KEY_NOT_FOUND"},
		// After a create, what throws cannot be undone any more.
		row{"create and throw", "t", "", `ubind c: ContractId M:T <- create @M:T M:t in uembed_expr @Unit (throw @(Update Unit) @I:Boom (I:Boom {at = ""}))`,
			"Unit", "", orderInfo, "DAML_EFFECTFUL_ROLLBACK_ERROR", ""},
		row{"fetch and throw", "t", "", `ubind x: M:T <- fetch_template @M:T c in uembed_expr @Unit (throw @(Update Unit) @I:Boom (I:Boom {at = ""}))`,
			"Unit", "", orderAsk + ", caught", "", ""},
	)
	var programs []string
	for _, r := range rows {
		programs = append(programs, (&orderRow{before: r.before, ty: "Unit", do: fmt.Sprintf(
			`try @Unit (ubind it: %s <- %s in upure @Unit ()) catch e -> Some @(Update Unit) (I:mark "caught")`, r.ty, r.do)}).program())
	}
	for i, ref := range w.rows(programs) {
		r := &rows[i]
		t.Run(r.name, func(t *testing.T) {
			switch {
			case r.boom == "maintainers":
				key := *w.made["t"].Arg.(*value.Record).Fields[3].(*value.Record)
				key.Fields = append(append([]value.Value(nil), key.Fields[:3]...), value.Text(r.boom))
				w.altered("t", 3, &key)
			case r.boom != "":
				w.altered("t", 5, value.Text(r.boom))
			}
			w.caught(t, ref, r.ledger, r.want, r.fails, tx.EffectsStay)
			w.caught(t, ref, r.ledger, r.want, r.fails34, tx.EffectsRollBack)
		})
	}
}

// caught runs a row under a rule. What is seen before an error is the same under both rules; only whether it is one differs.
func (w *orderWorld) caught(t *testing.T, ref lf.Ref, ledger, want, fails string, rule tx.RollbackRule) {
	t.Helper()
	want = strings.TrimSuffix(orderFirst+want, ", ")
	if fails == "" {
		want = strings.TrimSuffix(want, ", caught") + ", caught, end"
	}
	got := w.run(ref, "alice", ledger, Input{Rollback: rule})
	if got.seen != want || (got.err == nil) != (fails == "") || got.err != nil && !failsWith(got.err, fails) {
		t.Errorf("rule %d\nseen: %s\nwant: %s\nerror: %v\nwant:  %s", rule, got.seen, want, got.err, fails)
	}
}

// TestOrderAfterRollback acts on contracts that a try block, which was rolled back, created or archived.
func TestOrderAfterRollback(t *testing.T) {
	w := newOrderWorld(t, true, "sig")
	const (
		fails   = `uembed_expr @Unit (throw @(Update Unit) @I:Boom (I:Boom {at = ""}))`
		archive = `x: Unit <- try @Unit (ubind x: Unit <- exercise @M:Before End b (M:Use {by = by, id = c}) in ` + fails + `)
      catch e -> Some @(Update Unit) (upure @Unit ()); `
		// The id of the contract leaves the try block with the exception.
		create = `c: ContractId M:T <- try @(ContractId M:T)
      (ubind l: ContractId M:T <- exercise @M:Before Make b (M:Make {by = by, t = M:t})
        in uembed_expr @(ContractId M:T) (throw @(Update (ContractId M:T)) @R:Leak (R:Leak {id = l})))
      catch e -> case from_any_exception @R:Leak e of
          Some l -> Some @(Update (ContractId M:T)) (upure @(ContractId M:T) (R:Leak {id} l))
        | None -> None @(Update (ContractId M:T)); `
	)
	rows := []orderRow{
		{"fetch of an archived one", "t", archive, "fetch_template @M:T c", "M:T", "end", "", true},
		{"exercise of an archived one", "t", archive, "exercise @M:T Go c I:go", "I:Nest", orderExe + ", body, end", "", true},
		{"an archived one by key", "t", archive, "fetch_by_key @M:T (I:key I:alice)", byKeyTy, "maintainers, asks key, end", "", true},
		{"a local one archived inside", "t", makeT + archive, "exercise @M:T Go c I:go", "I:Nest", orderExe + ", body, end", "", true},
		{"archived before and inside", "t", makeT + endC + `y: Unit <- try @Unit (` + fails + `) catch e -> Some @(Update Unit) (upure @Unit ()); `,
			"fetch_template @M:T c", "M:T", "", "CONTRACT_NOT_ACTIVE", true},
		{"fetch of a created one", "t", create, "fetch_template @M:T c", "M:T", "", "CONTRACT_NOT_FOUND", true},
		{"exercise of a created one", "t", create, "exercise @M:T Go c I:go", "I:Nest", "", "CONTRACT_NOT_FOUND", true},
		{"fetch of a created one by interface", "t", create, "fetch_interface @I:Napping " + asNapper, "I:Napping", "", "CONTRACT_NOT_FOUND", true},
		{"fetch of a created one as of another version", "t", create, "fetch_template @N:T (COERCE_CONTRACT_ID @M:T @N:T c)", "N:T", "", "CONTRACT_NOT_FOUND", true},
		{"a created one by key", "unknown", create, "fetch_by_key @M:T (I:key I:alice)", byKeyTy, "maintainers, asks key", "CONTRACT_KEY_NOT_FOUND", true},
		{"query of a created one", "unknown", create, "query_n_by_key @M:T 2 (I:key I:alice)", "Optional (List (" + byKeyTy + "))",
			"maintainers, asks key, end", "", true},
	}
	var programs []string
	for _, r := range rows {
		programs = append(programs, r.program())
	}
	const leak = "\n  record @serializable Leak = { id: ContractId M:T };\n  exception Leak = { message \\(l: R:Leak) -> \"\" };\n"
	programs[len(programs)-1] += ";" + leak + "val last: Unit = ()"
	for i, ref := range w.rows(programs) {
		r := &rows[i]
		t.Run(r.name, func(t *testing.T) {
			got := w.run(ref, "alice", r.ledger, Input{Rollback: tx.EffectsRollBack})
			want := strings.TrimSuffix(orderFirst+r.want, ", ")
			if got.seen != want || (got.err == nil) != (r.fails == "") || got.err != nil && !failsWith(got.err, r.fails) {
				t.Errorf("seen: %s\nwant: %s\nerror: %v\nwant:  %s", got.seen, want, got.err, r.fails)
			}
		})
	}
}

// TestOrderBetweenVersions reads contracts as of versions of their template other than that which created them.
func TestOrderBetweenVersions(t *testing.T) {
	var v2 []string
	for _, part := range strings.Split(orderInfo, ", ") {
		v2 = append(v2, "v2 "+part)
	}
	info := strings.Join(v2, ", ")
	const (
		asTwo  = "(COERCE_CONTRACT_ID @M:T @N:T c)"
		fetch  = "fetch_template @N:T " + asTwo
		goTwo  = "exercise @N:T Go " + asTwo + " I:go"
		choose = "v2 controllers, v2 choice observers, authorization, v2 body, end"
		nap    = "exercise_interface @I:Napping Nap " + asNapper + " I:go"
		failed = "INTERPRETATION_UPGRADE_ERROR_"
	)
	for _, world := range []struct {
		name, signatory string
		prefer          string // the version of the package
		forged          bool   // contracts' ids bind other arguments
		rows            []orderRow
	}{
		{"same", "sig", "2", false, []orderRow{
			{"fetch", "t", "", fetch, "N:T", "asks contract, " + info + ", authorization, end", "", false},
			{"exercise", "t", "", goTwo, "I:Nest", "asks contract, " + info + ", " + choose, "", false},
			{"exercise by interface", "t", "", nap, "I:Nest", "asks contract, " + info + ", controllers, choice observers, authorization, body, end", "", false},
			{"disclosed", "disclosed t", "", fetch, "N:T", info + ", authorization, end", "", false},
			{"local", "t", makeT, goTwo, "I:Nest", info + ", " + choose, "", false},
			{"local by interface", "t", makeT, nap, "I:Nest", info + ", controllers, choice observers, authorization, body, end", "", false},
			{"read as the first before", "t", readC, goTwo, "I:Nest", info + ", " + choose, "", false},
			{"archived before as the first", "t", endC, goTwo, "I:Nest", "", "CONTRACT_NOT_ACTIVE", false},
			{"by key", "t", "", "fetch_by_key @N:T (I:key I:alice)", "Tuple2 (ContractId N:T) N:T",
				"v2 maintainers, asks key, " + info + ", authorization, end", "", true},
			{"a new field that is set", "t2", "", "fetch_template @M:T c", "M:T", "asks contract", failed + "TRANSLATION_FAILED", false},
			{"a new field that is set, archived before", "t2", "x: Unit <- exercise @N:T Archive " + asTwo + " (); ",
				"fetch_template @M:T c", "M:T", "", "CONTRACT_NOT_ACTIVE", false},
		}},
		{"other signatories", "obs", "2", false, []orderRow{
			{"fetch", "t", "", fetch, "N:T", "asks contract, " + info, failed + "VALIDATION_FAILED", false},
			{"exercise", "t", "", goTwo, "I:Nest", "asks contract, " + info, failed + "VALIDATION_FAILED", false},
			{"exercise by interface", "t", "", nap, "I:Nest", "asks contract, " + info, failed + "VALIDATION_FAILED", false},
			{"local", "t", makeT, goTwo, "I:Nest", info, failed + "VALIDATION_FAILED", false},
		}},
		{"forged", "sig", "1", true, []orderRow{
			{"fetch", "t", "", "fetch_template @M:T c", "M:T", orderAsk, failed + "AUTHENTICATION_FAILED", false},
			{"exercise", "t", "", "exercise @M:T Go c I:go", "I:Nest", orderAsk, failed + "AUTHENTICATION_FAILED", false},
			{"exercise by interface", "t", "", nap, "I:Nest", orderAsk, failed + "AUTHENTICATION_FAILED", false},
			{"disclosed", "disclosed t", "", "fetch_template @M:T c", "M:T", orderInfo, failed + "AUTHENTICATION_FAILED", false},
		}},
		{"none preferred", "sig", "", false, []orderRow{
			{"fetch", "t", "", "fetch_template @M:T c", "M:T", orderAsk + ", authorization, end", "", false},
			{"fetch by interface", "t", "", "fetch_interface @I:Napping " + asNapper, "I:Napping", "asks contract", "UNRESOLVED_PACKAGE_NAME", false},
			{"exercise by interface", "t", makeT, nap, "I:Nest", "", "UNRESOLVED_PACKAGE_NAME", false},
			{"exercise by interface, archived before", "t", makeT + endC, nap, "I:Nest", "", "CONTRACT_NOT_ACTIVE", false},
		}},
	} {
		for _, keyed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, keys=%v", world.name, keyed), func(t *testing.T) {
				w := newOrderWorld(t, keyed, world.signatory)
				w.forged = world.forged
				switch world.prefer {
				case "2":
					w.resolve["order"] = string(w.two)
				case "":
					delete(w.resolve, "order")
				}
				var rows []orderRow
				var programs []string
				for _, r := range world.rows {
					if r.keyed && !keyed {
						continue
					}
					rows = append(rows, r)
					programs = append(programs, r.program())
				}
				for i, ref := range w.rows(programs) {
					t.Run(rows[i].name, func(t *testing.T) { w.check(t, &rows[i], ref) })
				}
			})
		}
	}
}

// TestOrderOfCommands runs commands of clients, which are checked all before the first is run.
func TestOrderOfCommands(t *testing.T) {
	w := newOrderWorld(t, true, "sig")
	m := TypeRef{"#order", "M", "T"}
	good, nap := w.made["t"].Arg.(*value.Record), TypeRef{"#order-base", "I", "Napping"}
	with := func(field int, v value.Value) *value.Record {
		return &value.Record{Fields: append(append(append([]value.Value(nil), good.Fields[:field]...), v), good.Fields[field+1:]...)}
	}
	nest := func(depth int) value.Value {
		v := value.Value(&value.Record{Fields: []value.Value{value.None()}})
		for range depth {
			v = &value.Record{Fields: []value.Value{value.Some(v)}}
		}
		return v
	}
	arg := &value.Record{Fields: []value.Value{nest(0), value.Int64(0)}}
	create := &CreateCommand{m, good}
	key := good.Fields[3]
	ofLedger := w.contract("t", 0).ID
	const created = orderInfo + ", authorization"
	for _, tc := range []struct {
		name, ledger, want, fails string
		commands                  []Command
	}{
		{"create", "t", created, "", []Command{create}},
		{"create, precondition does not hold", "t", "precondition", "TEMPLATE_PRECONDITION_VIOLATED", []Command{&CreateCommand{m, with(2, value.Bool(false))}}},
		{"create, too deep", "t", "", "COMMAND_PREPROCESSING_FAILED", []Command{&CreateCommand{m, with(4, nest(100))}}},
		{"two creates, the second of no such type", "t", "", "COMMAND_PREPROCESSING_FAILED", []Command{create, &CreateCommand{m, with(2, value.Int64(0))}}},
		{"exercise", "t", orderAsk + ", " + orderExe + ", authorization, body", "", []Command{&ExerciseCommand{m, ofLedger, "Go", arg}}},
		{"exercise, unknown", "other", "asks contract", "CONTRACT_NOT_FOUND", []Command{&ExerciseCommand{m, ofLedger, "Go", arg}}},
		{"exercise by interface", "t", orderAsk + ", " + orderExe + ", authorization, body", "", []Command{&ExerciseCommand{nap, ofLedger, "Nap", arg}}},
		{"exercise twice", "t", orderAsk + ", " + orderExe + ", authorization, body", "CONTRACT_NOT_ACTIVE",
			[]Command{&ExerciseCommand{m, ofLedger, "Go", arg}, &ExerciseCommand{m, ofLedger, "Go", arg}}},
		{"exercise by key", "t", "maintainers, asks key, " + orderInfo + ", " + orderExe + ", authorization, body", "",
			[]Command{&ExerciseByKeyCommand{m, key, "Go", arg}}},
		{"exercise by a key that nobody has", "unknown", "maintainers, asks key", "CONTRACT_KEY_NOT_FOUND", []Command{&ExerciseByKeyCommand{m, key, "Go", arg}}},
		{"create and exercise", "t", created + ", " + orderExe + ", body", "", []Command{&CreateAndExerciseCommand{m, good, "Go", arg}}},
		{"create and exercise, controllers throw", "t", created + ", controllers", damlFailure,
			[]Command{&CreateAndExerciseCommand{m, with(5, value.Text("controllers")), "Go", arg}}},
		{"create and exercise, no such choice", "t", "", "COMMAND_PREPROCESSING_FAILED", []Command{&CreateAndExerciseCommand{m, good, "Went", arg}}},
		{"create, then exercise by key the new one", "t", created + ", maintainers, " + orderExe + ", body", "",
			[]Command{create, &ExerciseByKeyCommand{m, key, "Go", arg}}},
		{"fetch", "t", orderAsk + ", authorization", "", []Command{&FetchCommand{Type: m, ID: ofLedger}}},
		{"fetch by interface", "t", orderAsk + ", authorization", "", []Command{&FetchCommand{Type: nap, ID: ofLedger}}},
		{"fetch by key", "t", "maintainers, asks key, " + orderInfo + ", authorization", "", []Command{&FetchCommand{Type: m, ByKey: key}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, by := range []value.Party{"alice", "mallory"} {
				contracts := map[value.ContractID]*Contract{}
				var keyed []*Contract
				if tc.ledger == "t" {
					c := w.contract("t", 0)
					contracts[c.ID], keyed = c, []*Contract{c}
				}
				r := w.e.Submit(tc.commands, Input{Submitters: Submitters(by), PackageResolution: w.resolve})
				err := w.answer(r, contracts, keyed)
				want, fails := w.want(tc.want), tc.fails
				if at := slices.Index(want, "authorization"); at >= 0 && by == "mallory" {
					want, fails = want[:at], "DAML_AUTHORIZATION_ERROR"
				}
				want = slices.DeleteFunc(want, func(s string) bool { return s == "authorization" })
				if !slices.Equal(r.m.traces, want) || (err == nil) != (fails == "") || err != nil && !failsWith(err, fails) {
					t.Errorf("by %s\nseen: %s\nwant: %s\nerror: %v\nwant:  %s", by, r.m.traces, want, err, fails)
				}
			}
		})
	}
}
