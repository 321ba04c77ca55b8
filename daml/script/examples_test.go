package script_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/synod-network/synod/daml/archive"
	"github.com/synod-network/synod/daml/engine"
	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/lfjson"
	"github.com/synod-network/synod/daml/script"
	"github.com/synod-network/synod/daml/text"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// runExample runs examples/name/run.json, with the DARs of other examples that its text names.
func runExample(t *testing.T, name string, deps ...string) *ledger.Ledger {
	t.Helper()
	var paths []string
	for _, dep := range deps {
		path := filepath.Join(t.TempDir(), dep+".dar")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := assembleExample(t, dep, nil).Write(f); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	l := ledger.New(engine.New(engine.DefaultLimits()))
	main, err := l.Upload(assembleExample(t, name, paths))
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("../../examples/" + name + "/run.json")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := script.Parse(source)
	if err != nil {
		t.Fatal(err)
	}
	r := &script.Runner{Ledger: l, Main: main}
	if err := r.Run(t.Context(), steps, func(*script.Outcome) error { return nil }); err != nil {
		t.Fatal(err)
	}
	return l
}

func assembleExample(t *testing.T, name string, deps []string) *archive.DAR {
	t.Helper()
	source, err := os.ReadFile("../../examples/" + name + "/" + name + ".lf")
	if err != nil {
		t.Fatal(err)
	}
	dar, err := text.Assemble(string(source), deps)
	if err != nil {
		t.Fatal(err)
	}
	return dar
}

// seen lists what a party sees of all transactions: a line for each with the nodes of its view.
func seen(l *ledger.Ledger, party value.Party) string {
	var b strings.Builder
	for _, c := range l.Commits() {
		view, _ := tx.Project(c.Transaction, c.Blinding, party)
		var nodes []string
		for _, n := range view.Nodes {
			switch n := n.(type) {
			case *tx.Create:
				nodes = append(nodes, "create "+n.Template.Entity)
			case *tx.Exercise:
				nodes = append(nodes, n.Template.Entity+"."+n.Choice)
			case *tx.Fetch:
				nodes = append(nodes, "fetch "+n.Template.Entity)
			default:
				nodes = append(nodes, fmt.Sprintf("%T", n))
			}
		}
		if nodes != nil {
			fmt.Fprintf(&b, "%d: %s\n", c.Number, strings.Join(nodes, ", "))
		}
	}
	return b.String()
}

func active(l *ledger.Ledger, party value.Party) string {
	var all []string
	for _, c := range l.Active(party) {
		all = append(all, c.Template.Entity)
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

type exampleView struct{ seen, active string }

func checkViews(t *testing.T, l *ledger.Ledger, want map[value.Party]exampleView) {
	t.Helper()
	for _, party := range slices.Sorted(maps.Keys(want)) {
		w := want[party]
		var lines strings.Builder
		for line := range strings.Lines(strings.TrimSpace(w.seen)) {
			lines.WriteString(strings.TrimSpace(line) + "\n")
		}
		if got := seen(l, party); got != lines.String() {
			t.Errorf("%s sees\n%s\nwant\n%s", party, got, lines.String())
		}
		if got := active(l, party); got != w.active {
			t.Errorf("%s ends with %q, want %q", party, got, w.active)
		}
	}
	for _, c := range l.Commits() {
		for _, witnesses := range c.Blinding.Witnesses {
			for _, w := range witnesses {
				if _, ok := want[w]; !ok {
					t.Errorf("%s sees something too, of transaction %d", w, c.Number)
				}
			}
		}
	}
}

func TestIouExample(t *testing.T) {
	l := runExample(t, "iou")
	checkViews(t, l, map[value.Party]exampleView{
		"Bank": {seen: `
			1: create Iou
			2: Iou.Share, create Iou
			3: Iou.Transfer, create Iou
			4: Iou.Call, create GetCash`, active: "GetCash"},
		"Alice": {seen: `
			1: create Iou
			2: Iou.Share, create Iou
			3: Iou.Transfer, create Iou`},
		"Accountant": {seen: `
			2: create Iou
			3: Iou.Transfer, create Iou`},
		"Bob": {seen: `
			3: create Iou
			4: Iou.Call, create GetCash`, active: "GetCash"},
	})
}

// TestPaintExample: the bank sees a claim change hands, and never what was painted, nor that anything was.
func TestPaintExample(t *testing.T) {
	l := runExample(t, "paint", "iou")
	checkViews(t, l, map[value.Party]exampleView{
		"Bank": {seen: `
			1: create Iou
			3: Iou.Transfer, create Iou
			4: Iou.Call, create GetCash
			5: create Iou
			7: Iou.Transfer, create Iou`, active: "GetCash Iou"},
		"Alice": {seen: `
			1: create Iou
			2: create OfferToPaintHouseByPainter
			3: OfferToPaintHouseByPainter.AcceptByOwner, Iou.Transfer, create Iou, create PaintHouse`, active: "PaintHouse"},
		"Painter": {seen: `
			2: create OfferToPaintHouseByPainter
			3: OfferToPaintHouseByPainter.AcceptByOwner, Iou.Transfer, create Iou, create PaintHouse
			4: Iou.Call, create GetCash
			6: create OfferToPaintHouseByOwner
			7: OfferToPaintHouseByOwner.AcceptByPainter, Iou.Transfer, create Iou, create PaintHouse`, active: "GetCash Iou PaintHouse PaintHouse"},
		"Bob": {seen: `
			5: create Iou
			6: create OfferToPaintHouseByOwner
			7: OfferToPaintHouseByOwner.AcceptByPainter, Iou.Transfer, create Iou, create PaintHouse`, active: "PaintHouse"},
	})
	for _, c := range l.Commits() {
		view, _ := tx.Project(c.Transaction, c.Blinding, "Bank")
		for _, n := range view.Nodes {
			if shown := show(t, n); strings.Contains(shown, "Paint:") || strings.Contains(shown, "House") {
				t.Errorf("the bank sees %s", shown)
			}
		}
	}
	for _, c := range l.Active("Bank") {
		if c.Template.Module != "Iou" {
			t.Errorf("the bank holds %s", c.Template)
		}
	}
}

// show writes all of a node, values too.
func show(t *testing.T, n tx.Node) string {
	t.Helper()
	var values []value.Value
	switch n := n.(type) {
	case *tx.Create:
		values = []value.Value{n.Arg}
	case *tx.Exercise:
		values = []value.Value{n.Arg, n.Result}
	}
	shown := fmt.Sprintf("%+v", n)
	for _, v := range values {
		if v == nil {
			continue
		}
		text, err := lfjson.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		shown += " " + string(text)
	}
	return shown
}
