package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/lf"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// The order in which the parts of an action are evaluated can be seen: by what a program traces, by which of two errors a
// transaction fails with, and by what a host is asked. All participants have to agree on it. Each row below is an action, done in
// some state of the ledger and after something in the same transaction. It is run twice: by a party that may do it, and by one that
// may not, whose run has to end where the row says authorization.

type orderRow struct {
	name   string
	ledger string // what the contract c is: t, other, or unknown; with "disclosed", with a number of contracts of the same key
	before string // bindings of the block before
	do     string
	ty     string // what the action results in
	want   string // what can be seen, in order
	fails  string // the error; "" if it ends well
	keyed  bool   // only where templates have keys
}

const (
	orderInfo  = "precondition, signatories, observers, key, maintainers"
	orderAsk   = "asks contract, " + orderInfo
	orderExe   = "controllers, choice observers"
	orderFirst = "start, "

	makeT    = `c: ContractId M:T <- exercise @M:Before Make b (M:Make {by = by, t = M:t}); `
	makeO    = `o: ContractId I:Other <- exercise @M:Before MakeOther b by; c: ContractId M:T <- upure @(ContractId M:T) (COERCE_CONTRACT_ID @I:Other @M:T o); `
	endC     = `x: Unit <- exercise @M:Before End b (M:Use {by = by, id = c}); `
	endO     = `x: Unit <- exercise @M:Before EndOther b (M:Use {by = by, id = c}); `
	readC    = `x: M:T <- exercise @M:Before Read b (M:Use {by = by, id = c}); `
	readO    = `x: I:Other <- exercise @M:Before ReadOther b (M:Use {by = by, id = c}); `
	askForC  = `x: Int64 <- exercise @M:Before Query b by; `
	deepKey  = `M:T {M:t with key = I:Key {(I:key I:alice) with nest = I:nest 100}}`
	idKey    = `I:Key {(I:key I:alice) with about = Some @(ContractId Unit) (COERCE_CONTRACT_ID @M:T @Unit c)}`
	noKey    = `I:Key {(I:key I:alice) with by = Nil @Party}`
	deepGo   = `(I:Go {deep = I:nest 100, result = 0})`
	deepEnd  = `(I:Go {deep = I:nest 0, result = 100})`
	asNapper = `(COERCE_CONTRACT_ID @M:T @I:Napping c)`
	byKeyTy  = "Tuple2 (ContractId M:T) M:T"
)

func orderRows() []orderRow {
	var rows []orderRow
	add := func(r ...orderRow) { rows = append(rows, r...) }
	for _, form := range []struct{ name, create, ty string }{
		{"create", "create @M:T (%s)", "ContractId M:T"},
		{"create by interface", "create_by_interface @I:Napping (to_interface @I:Napping @M:T (%s))", "ContractId I:Napping"},
	} {
		create := func(name, before, arg, want, fails string, keyed bool) {
			add(orderRow{form.name + ": " + name, "t", before, fmt.Sprintf(form.create, arg), form.ty, want, fails, keyed})
		}
		create("well", "", "M:t", orderInfo+", authorization, end", "", false)
		create("precondition does not hold", "", "M:T {M:t with ok = False}", "precondition", "TEMPLATE_PRECONDITION_VIOLATED", false)
		create("a contract has the key already", makeT, "M:t", orderInfo+", authorization, end", "", true)
		create("nobody maintains the key", "", "M:T {M:t with key = "+noKey+"}", orderInfo, "CREATE_EMPTY_CONTRACT_KEY_MAINTAINERS", true)
		create("contract id in the key", "", "M:T {M:t with key = "+idKey+"}", orderInfo, "CONTRACT_ID_IN_CONTRACT_KEY", true)
		create("argument too deep", "", "M:T {M:t with nest = I:nest 100}", orderInfo, "VALUE_NESTING", false)
		create("key too deep", "", deepKey, orderInfo, "VALUE_NESTING", true)
	}
	const (
		exercise = "exercise @M:T Go c I:go"
		nap      = "exercise_interface @I:Napping Nap " + asNapper + " I:go"
		fetch    = "fetch_template @M:T c"
		fetchI   = "fetch_interface @I:Napping " + asNapper
	)
	for _, form := range []struct{ name, do, ty, after, wrong string }{
		{"exercise", exercise, "I:Nest", orderExe + ", authorization, body, end", "WRONGLY_TYPED_CONTRACT"},
		{"exercise by interface", nap, "I:Nest", orderExe + ", authorization, body, end", "CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE"},
		{"fetch", fetch, "M:T", "authorization, end", "WRONGLY_TYPED_CONTRACT"},
		{"fetch by interface", fetchI, "I:Napping", "authorization, end", "CONTRACT_DOES_NOT_IMPLEMENT_INTERFACE"},
	} {
		row := func(name, ledger, before, want, fails string) {
			add(orderRow{form.name + ": " + name, ledger, before, form.do, form.ty, want, fails, false})
		}
		row("of the ledger", "t", "", orderAsk+", "+form.after, "")
		row("of the ledger, of another template", "other", "", "asks contract", form.wrong)
		row("of the ledger, unknown", "unknown", "", "asks contract", "CONTRACT_NOT_FOUND")
		row("read before", "t", readC, form.after, "")
		row("read before, of another template", "other", readO, "", form.wrong)
		row("archived before", "t", endC, "", "CONTRACT_NOT_ACTIVE")
		row("archived before, of another template", "other", endO, "", "CONTRACT_NOT_ACTIVE")
		row("disclosed", "disclosed t", "", orderInfo+", "+form.after, "")
		row("disclosed, of another template", "disclosed other", "", "", form.wrong)
		row("disclosed, archived before", "disclosed t", endC, "", "CONTRACT_NOT_ACTIVE")
		row("local", "t", makeT, form.after, "")
		row("local, of another template", "t", makeO, "", form.wrong)
		row("local, archived before", "t", makeT+endC, "", "CONTRACT_NOT_ACTIVE")
		row("local, archived before, of another template", "t", makeO+endO, "", "CONTRACT_NOT_ACTIVE")
		until, _, _ := strings.Cut(form.after, "authorization")
		add(orderRow{form.name + ": of a key that has no contracts", "t lost", askForC, form.do, form.ty,
			strings.TrimSuffix(orderAsk+", "+until, ", "), "INCONSISTENT_CONTRACT_KEY", true})
	}
	for _, form := range []struct{ name, deep, end string }{
		{"exercise", "exercise @M:T Go c " + deepGo, "exercise @M:T Go c " + deepEnd},
		{"exercise by interface", "exercise_interface @I:Napping Nap " + asNapper + deepGo, "exercise_interface @I:Napping Nap " + asNapper + deepEnd},
	} {
		add(orderRow{form.name + ": argument too deep", "t", "", form.deep, "I:Nest", orderAsk + ", " + orderExe, "VALUE_NESTING", false},
			orderRow{form.name + ": result too deep", "t", "", form.end, "I:Nest", orderAsk + ", " + orderExe + ", authorization, body", "VALUE_NESTING", false})
	}
	const found = "maintainers, asks key, "
	for _, form := range []struct{ name, do, ty, after string }{
		{"exercise by key", "exercise_by_key @M:T Go %s I:go", "I:Nest", orderExe + ", authorization, body, end"},
		{"fetch by key", "fetch_by_key @M:T %s", byKeyTy, "authorization, end"},
	} {
		row := func(name, ledger, before, key, want, fails string) {
			add(orderRow{form.name + ": " + name, ledger, before, fmt.Sprintf(form.do, "("+key+")"), form.ty, want, fails, true})
		}
		key := "I:key I:alice"
		row("of the ledger", "t", "", key, found+orderInfo+", "+form.after, "")
		row("of the ledger, the newest of five", "5 t", "", key, found+orderInfo+", "+form.after, "")
		row("read before", "t", readC, key, found+form.after, "")
		row("archived before", "t", endC, key, found+"asks key", "CONTRACT_KEY_NOT_FOUND") // for the next page
		row("archived before, another is left", "2 t", endC, key, found+"asks key, "+orderInfo+", "+form.after, "")
		row("disclosed", "disclosed t", "", key, found+orderInfo+", "+form.after, "")
		row("local", "t", makeT, key, "maintainers, "+form.after, "")
		row("local, archived before", "unknown", makeT+endC, key, found, "CONTRACT_KEY_NOT_FOUND")
		row("unknown", "unknown", "", key, found, "CONTRACT_KEY_NOT_FOUND")
		row("nobody maintains the key", "t", "", noKey, "maintainers", "FETCH_EMPTY_CONTRACT_KEY_MAINTAINERS")
		row("contract id in the key", "t", "", idKey, "maintainers", "CONTRACT_ID_IN_CONTRACT_KEY")
		row("key too deep", "t", "", "I:Key {(I:key I:alice) with nest = I:nest 100}", "maintainers", "VALUE_NESTING")
	}
	add(orderRow{"exercise by key: argument too deep", "t", "", "exercise_by_key @M:T Go (I:key I:alice) " + deepGo, "I:Nest",
		found + orderInfo + ", " + orderExe, "VALUE_NESTING", true},
		orderRow{"exercise by key: result too deep", "t", "", "exercise_by_key @M:T Go (I:key I:alice) " + deepEnd, "I:Nest",
			found + orderInfo + ", " + orderExe + ", authorization, body", "VALUE_NESTING", true})
	for _, n := range []int{1, 2, 5} {
		query := func(name, ledger, before, key, want, fails string) {
			add(orderRow{fmt.Sprintf("query by key for %d: %s", n, name), ledger, before, fmt.Sprintf("query_n_by_key @M:T %d (%s)", n, key),
				"Optional (List (" + byKeyTy + "))", want, fails, true})
		}
		key, of := "I:key I:alice", fmt.Sprintf("%d t", n)
		read := func(n int) string { return strings.Repeat(orderInfo+", ", n) }
		const asks = "maintainers, authorization, asks key, "
		query("of the ledger", of, "", key, asks+read(n)+"end", "")
		query("one read before", of, readC, key, asks+read(n-1)+"end", "")
		query("one archived before", of, endC, key, asks+"asks key, "+read(n-1)+"end", "")
		if n == 1 {
			query("one local", of, makeT, key, "maintainers, authorization, end", "")
		} else {
			query("one local", fmt.Sprintf("%d t", n-1), makeT, key, asks+read(n-1)+"end", "")
		}
		query("a local one archived before", of, makeT+endC, key, asks+read(n)+"end", "")
		query("unknown", "unknown", "", key, asks+"end", "")
		query("nobody maintains the key", of, "", noKey, "maintainers", "FETCH_EMPTY_CONTRACT_KEY_MAINTAINERS")
		query("contract id in the key", of, "", idKey, "maintainers", "CONTRACT_ID_IN_CONTRACT_KEY")
		query("key too deep", of, "", "I:Key {(I:key I:alice) with nest = I:nest 100}", "maintainers", "VALUE_NESTING")
	}
	return rows
}

// orderWorld has the packages of the rows, in LF text, and contracts for them.
type orderWorld struct {
	t       *testing.T
	e       *Engine
	base    lf.PackageID
	one     lf.PackageID // version 1 of the package of M
	two     lf.PackageID // version 2, whose T has another field, and signatories if told so
	keyed   bool
	forged  bool // the ids of contracts bind other arguments
	made    map[string]*tx.Create
	resolve map[string]string
}

var orderNames = regexp.MustCompile(`\b[IMN]:|\bTuple2\b`)

// words replaces names of modules of the rows by those of packages: I is the base, M version 1 and N version 2 of the templates.
func (w *orderWorld) words(source string) string {
	return orderNames.ReplaceAllStringFunc(source, func(name string) string {
		switch name {
		case "I:":
			return fmt.Sprintf("'%s':I:", w.base)
		case "M:":
			return fmt.Sprintf("'%s':M:", w.one)
		case "N:":
			return fmt.Sprintf("'%s':M:", w.two)
		}
		return fmt.Sprintf("'%s':DA.Types:Tuple2", tuple2.ID.Package)
	})
}

func (w *orderWorld) add(source string) lf.PackageID {
	w.t.Helper()
	dar, err := text.Assemble(source, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range slices.Backward(dar.Packages) {
		pkg, err := a.Decode(archive.Limits{})
		if err != nil {
			w.t.Fatal(err)
		}
		if err := w.e.Validate(pkg); err != nil {
			w.t.Fatal(err)
		}
		if err := w.e.AddPackage(pkg); err != nil {
			w.t.Fatal(err)
		}
	}
	return dar.Main().ID
}

func newOrderWorld(t *testing.T, keyed bool, signatory string) *orderWorld {
	t.Helper()
	w := &orderWorld{t: t, e: New(DefaultLimits()), keyed: keyed, made: map[string]*tx.Create{}}
	file := func(name string) string {
		source, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(source)
	}
	w.base = w.add(file("order-base.lf"))
	fill := func(version, tag, sig, more, none string) lf.PackageID {
		language, key, query := "2.2", "", ""
		if keyed {
			language = "2.3"
			key = `key @I:Key (I:at @I:Key "` + tag + `key" (M:T {boom} this) (M:T {key} this))
      (\(k: I:Key) -> I:at @(List Party) "` + tag + `maintainers" (I:Key {boom} k) (I:Key {by} k));`
			query = `choice @nonConsuming Query (self) (by: Party): Int64, controllers I:list by
      to ubind q: Optional (List (Tuple2 (ContractId M:T) M:T)) <- query_n_by_key @M:T 1 (I:key I:alice) in upure @Int64 0;`
		}
		source := strings.NewReplacer("$LANGUAGE", language, "$VERSION", version, "$TAG", tag, "$SIG", sig, "$MORE", more, "$NONE", none,
			"$KEY", key, "$QUERY", query).Replace(file("order.lf"))
		own := orderNames.ReplaceAllStringFunc(source, func(name string) string {
			if name == "M:" {
				return name
			}
			return w.words(name)
		})
		return w.add(own)
	}
	w.one = fill("1.0.0", "", "sig", "", "")
	w.two = fill("2.0.0", "v2 ", signatory, ", more: Optional Int64", ", more = None @Int64")
	w.resolve = map[string]string{"order": string(w.one), "order-base": string(w.base)}
	w.makeContracts()
	return w
}

// rows adds a package with a value for each program, and returns the references of these values.
func (w *orderWorld) rows(programs []string) []lf.Ref {
	w.t.Helper()
	language := "2.2"
	if w.keyed {
		language = "2.3"
	}
	var source strings.Builder
	fmt.Fprintf(&source, "language %s\nmetadata ('rows-%d' : '1.0.0')\nmodule R {\n", language, len(programs))
	refs := make([]lf.Ref, len(programs))
	for i, p := range programs {
		name := fmt.Sprintf("row%d", i)
		fmt.Fprintf(&source, "val %s: Party -> ContractId M:Before -> ContractId M:T -> %s;\n", name, p)
		refs[i] = lf.Ref{Module: "R", Name: lf.DottedName(name)}
	}
	source.WriteString("}")
	id := w.add(w.words(source.String()))
	for i := range refs {
		refs[i].Package = id
	}
	return refs
}

// program is the text of a row: what was before, and the action between two marks.
func (r *orderRow) program() string {
	return fmt.Sprintf(`Update Unit = \(by: Party) (b: ContractId M:Before) (c: ContractId M:T) ->
  ubind %s s: Unit <- I:mark "start"; it: %s <- %s; e: Unit <- I:mark "end" in upure @Unit ()`, r.before, r.ty, r.do)
}

func (w *orderWorld) makeContracts() {
	programs := map[string]string{
		"t":     "Update (ContractId M:T) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) -> create @M:T M:t`,
		"other": "Update (ContractId I:Other) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) -> create @I:Other (I:Other {sig = I:alice})`,
		"before": "Update (ContractId M:Before) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) ->
  create @M:Before (M:Before {sig = I:alice, all = Cons @Party [I:party "mallory"] (Nil @Party)})`,
		"t2": "Update (ContractId N:T) = " + `\(by: Party) (b: ContractId M:Before) (c: ContractId M:T) ->
  create @N:T (N:T {(N:T {N:t with obs = I:alice}) with more = Some @Int64 7})`,
	}
	names := slices.Sorted(maps.Keys(programs))
	var sources []string
	for _, name := range names {
		sources = append(sources, programs[name])
	}
	for i, ref := range w.rows(sources) {
		out := w.run(ref, "alice", "", Input{})
		if out.err != nil {
			w.t.Fatal(out.err)
		}
		w.made[names[i]] = out.result.Transaction.Nodes[0].(*tx.Create)
	}
}

type orderOutcome struct {
	seen   string
	err    error
	result *Result
}

// contract makes a contract of the ledger, of which there may be several.
func (w *orderWorld) contract(what string, number int) *Contract {
	c := stored(w.made[what])
	c.ID += value.ContractID(fmt.Sprint(what, number))
	if w.forged && what != "before" {
		c.Authenticate = func(tx.Hash) bool { return false }
	}
	return c
}

// run runs a row as a party, with what its ledger says.
func (w *orderWorld) run(ref lf.Ref, by value.Party, ledger string, in Input) orderOutcome {
	w.t.Helper()
	in.Submitters = Submitters(by)
	in.PackageResolution = w.resolve
	contracts := map[value.ContractID]*Contract{}
	var keyed []*Contract // what the ledger answers for the key, newest first
	c := value.ContractID("\x00" + strings.Repeat("u", 32) + "unknown")
	if before := w.made["before"]; before != nil {
		b := w.contract("before", 0)
		contracts[b.ID] = b
	}
	kind, disclosed := strings.CutPrefix(ledger, "disclosed ")
	kind, lost := strings.CutSuffix(kind, " lost")
	count := 1
	if n, rest, several := strings.Cut(kind, " "); several {
		fmt.Sscan(n, &count)
		kind = rest
	}
	if w.made[kind] != nil {
		c = w.contract(kind, 0).ID
		for i := range count {
			one := w.contract(kind, i)
			if disclosed {
				in.Disclosed = append(in.Disclosed, one)
				continue
			}
			contracts[one.ID] = one
			if one.Key != nil && !lost {
				keyed = append(keyed, one)
			}
		}
	}
	r := w.start(ref, by, c, in)
	err := w.answer(r, contracts, keyed)
	seen := r.m.traces
	for len(seen) > 0 && seen[0] != "start" {
		seen = seen[1:]
	}
	return orderOutcome{strings.Join(seen, ", "), err, r.result}
}

// start begins a run of a row as a party, on a contract.
func (w *orderWorld) start(ref lf.Ref, by value.Party, c value.ContractID, in Input) *Run {
	r := w.e.newRun(in, tx.NewBuilder(in.Submitters, in.Seed, 0, in.Rollback))
	r.start = func() error {
		g, err := w.e.global(ref)
		if err != nil {
			return err
		}
		f, err := r.m.functionOf(g)
		if err != nil {
			return err
		}
		return r.m.call(same{}, false, f, by, w.beforeID(), c, token)
	}
	return r
}

// runOn runs a row on a contract that the ledger need not have.
func (w *orderWorld) runOn(ref lf.Ref, by value.Party, c value.ContractID) orderOutcome {
	r := w.start(ref, by, c, Input{Submitters: Submitters(by)})
	err := w.answer(r, nil, nil)
	return orderOutcome{err: err, result: r.result}
}

func (w *orderWorld) beforeID() value.ContractID {
	if w.made["before"] == nil {
		return ""
	}
	return w.contract("before", 0).ID
}

// answer answers the questions of a run, and notes them among its traces.
func (w *orderWorld) answer(r *Run, contracts map[value.ContractID]*Contract, keyed []*Contract) error {
	for {
		q, err := r.Next(context.Background())
		if err != nil || q == nil {
			return err
		}
		switch q := q.(type) {
		case *NeedContract:
			r.m.traces = append(r.m.traces, "asks contract")
			r.AnswerContract(contracts[q.ID])
		case *NeedKeys:
			r.m.traces = append(r.m.traces, "asks key")
			from := 0
			if q.Token != nil {
				fmt.Sscan(string(q.Token), &from)
			}
			to := min(from+q.Limit, len(keyed))
			page := KeyPage{Contracts: keyed[from:to]}
			if to-from == q.Limit { // whether there are more, the ledger has not looked
				page.Token = []byte(fmt.Sprint(to))
			}
			r.AnswerKeys(page)
		default:
			return fmt.Errorf("unexpected question %T", q)
		}
	}
}

func (w *orderWorld) want(list string) []string {
	var all []string
	for part := range strings.SplitSeq(list, ", ") {
		if part != "" && (w.keyed || part != "key" && part != "maintainers" && part != "v2 key" && part != "v2 maintainers") {
			all = append(all, part)
		}
	}
	return all
}

func failsWith(err error, code string) bool {
	var f *Failure
	return errors.As(err, &f) && f.Code == code
}

// TestOrderOfEvaluation runs all rows, with and without contract keys.
func TestOrderOfEvaluation(t *testing.T) {
	for _, keyed := range []bool{false, true} {
		t.Run(fmt.Sprintf("keys=%v", keyed), func(t *testing.T) {
			w := newOrderWorld(t, keyed, "sig")
			var rows []orderRow
			var programs []string
			for _, r := range orderRows() {
				if keyed || !r.keyed {
					rows = append(rows, r)
					programs = append(programs, r.program())
				}
			}
			for i, ref := range w.rows(programs) {
				t.Run(rows[i].name, func(t *testing.T) { w.check(t, &rows[i], ref) })
			}
		})
	}
}

func (w *orderWorld) check(t *testing.T, r *orderRow, ref lf.Ref) {
	want := w.want(orderFirst + r.want)
	at := slices.Index(want, "authorization")
	all := strings.Join(slices.DeleteFunc(slices.Clone(want), func(s string) bool { return s == "authorization" }), ", ")
	got := w.run(ref, "alice", r.ledger, Input{})
	if got.seen != all || (got.err == nil) != (r.fails == "") || got.err != nil && !failsWith(got.err, r.fails) {
		t.Errorf("seen: %s\nwant: %s\nerror: %v\nwant:  %s", got.seen, all, got.err, r.fails)
	}
	until, fails := all, r.fails // what comes before authorization is the same for those without
	if at >= 0 {
		until, fails = strings.Join(want[:at], ", "), "DAML_AUTHORIZATION_ERROR"
	}
	if strings.Contains(r.before, "@N:T Archive") {
		return // which needs authority itself
	}
	got = w.run(ref, "mallory", r.ledger, Input{})
	if got.seen != until || !failsWith(got.err, fails) {
		t.Errorf("without authority\nseen: %s\nwant: %s\nerror: %v\nwant:  %s", got.seen, until, got.err, fails)
	}
}
