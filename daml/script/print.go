package script

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/synod-network/synod/daml/ledger"
	"github.com/synod-network/synod/daml/lfjson"
	"github.com/synod-network/synod/daml/tx"
	"github.com/synod-network/synod/daml/value"
)

// Printer writes outcomes for people: of each transaction the whole tree, and then the part that each party sees.
type Printer struct {
	Out     io.Writer
	Color   bool
	Whole   bool // do not shorten values
	Parties bool // also write what each party sees

	names   map[string]string     // of contract ids: transaction and node that created them
	creates map[string]*tx.Create // of contract ids
}

// maxLine is how much of a value is shown in a line.
const maxLine = 160

// paint colors text. The codes are those of terminals: 1 bold, 2 faint, 31 red, 32 green, 33 yellow, 34 blue, 35 magenta, 36 cyan.
func (p *Printer) paint(code, text string) string {
	if !p.Color || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Outcome writes what became of a step.
func (p *Printer) Outcome(o *Outcome) error {
	var b strings.Builder
	if o.Step.Comment != "" {
		fmt.Fprintf(&b, "%s\n", p.paint("1", "— "+o.Step.Comment))
	}
	switch {
	case o.Step.SetTime != nil:
		fmt.Fprintf(&b, "time is %s\n", o.Step.SetTime)
	case o.Err != nil:
		mark, code := "failed as expected", "33"
		if o.check() != nil {
			mark, code = "failed", "31"
		}
		fmt.Fprintf(&b, "%s  as %s\n  %s\n", p.paint(code, mark), p.parties(o.Step.As), o.Err)
		p.explain(&b, o.Err.Error())
	default:
		p.commit(&b, o)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(p.Out, b.String())
	return err
}

func (p *Printer) parties(all []value.Party) string {
	return p.paint("35", strings.Join(strs(all), ", "))
}

func (p *Printer) commit(b *strings.Builder, o *Outcome) {
	c := o.Commit
	p.learn(c)
	fmt.Fprintf(b, "%s  %s  as %s\n", p.paint("1;32", fmt.Sprintf("#%d", c.Number)), p.paint("2", c.Time.String()), p.parties(c.Submitters))
	p.tree(b, c.Transaction, c.Blinding.Witnesses, true)
	for _, trace := range c.Traces {
		fmt.Fprintf(b, "  %s %s\n", p.paint("2", "trace:"), trace)
	}
	if o.Step.Name != "" {
		fmt.Fprintf(b, "  %s = %s\n", p.paint("1", "$"+o.Step.Name), p.value(c.Result))
	}
	if p.Parties {
		p.views(b, c)
	}
}

// learn gives contract ids names that people can tell apart.
func (p *Printer) learn(c *ledger.Commit) {
	if p.names == nil {
		p.names, p.creates = map[string]string{}, map[string]*tx.Create{}
	}
	for id, n := range c.Transaction.Nodes {
		if create, ok := n.(*tx.Create); ok {
			p.names[create.ID.String()] = fmt.Sprintf("#%d:%d", c.Number, id)
			p.creates[create.ID.String()] = create
		}
	}
}

// explain says which contracts the ids in an error are, and who may use them.
func (p *Printer) explain(b *strings.Builder, text string) {
	for _, id := range slices.Sorted(maps.Keys(p.creates)) {
		if c := p.creates[id]; strings.Contains(text, id) {
			fmt.Fprintf(b, "  %s… is %s %s, a contract of %s\n", id[:16], p.contract(c.ID), c.Template.Qualified(), p.parties(c.Stakeholders))
		}
	}
}

func (p *Printer) contract(id value.ContractID) string {
	if name, ok := p.names[id.String()]; ok {
		return p.paint("33", name)
	}
	return p.paint("33", id.String()[:16]+"…")
}

func (p *Printer) value(v value.Value) string {
	text, err := lfjson.Encode(v)
	if err != nil {
		return err.Error()
	}
	s := string(text)
	for id, name := range p.names {
		s = strings.ReplaceAll(s, id, name)
	}
	if runes := []rune(s); !p.Whole && len(runes) > maxLine {
		return string(runes[:maxLine]) + "…"
	}
	return s
}

// tree writes the nodes of a transaction below each other. Details are arguments, results and witnesses.
func (p *Printer) tree(b *strings.Builder, t *tx.Transaction, witnesses [][]value.Party, details bool) {
	type open struct {
		ids    []tx.NodeID
		indent string
	}
	stack := []open{{t.Roots, "  "}}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if len(top.ids) == 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		id := top.ids[0]
		top.ids = top.ids[1:]
		branch, below := "├─ ", "│  "
		if len(top.ids) == 0 {
			branch, below = "└─ ", "   "
		}
		indent := top.indent
		n := t.Nodes[id]
		fmt.Fprintf(b, "%s%s%s", p.paint("2", indent+branch), p.paint("2", fmt.Sprintf("%d ", id)), p.head(n))
		if details {
			fmt.Fprintf(b, "  %s %s\n", p.paint("2", "seen by"), p.parties(witnesses[id]))
			rule := below
			if len(tx.Children(n)) > 0 {
				rule += "│    "
			} else {
				rule += "     "
			}
			for _, line := range p.details(n) {
				fmt.Fprintf(b, "%s%s\n", p.paint("2", indent+rule), line)
			}
		} else {
			b.WriteByte('\n')
		}
		if children := tx.Children(n); len(children) > 0 {
			stack = append(stack, open{children, indent + below})
		}
	}
}

func (p *Printer) head(n tx.Node) string {
	switch n := n.(type) {
	case *tx.Create:
		return fmt.Sprintf("%s %s %s", p.paint("32", "create"), p.contract(n.ID), n.Template.Qualified())
	case *tx.Fetch:
		return fmt.Sprintf("%s %s %s", p.paint("36", "fetch"), p.contract(n.ID), through(n.Template, n.Interface))
	case *tx.Exercise:
		what := p.paint("34", "exercise")
		if n.Consuming {
			what = p.paint("34", "exercise and archive")
		}
		return fmt.Sprintf("%s %s %s %s by %s", what, p.contract(n.ID), through(n.Template, n.Interface), p.paint("1", n.Choice), p.parties(n.Actors))
	case *tx.QueryByKey:
		more := ""
		if n.Exhaustive {
			more = ", and no others"
		}
		return fmt.Sprintf("%s %s: %d found%s", p.paint("36", "query by key"), n.Key.Template.Qualified(), len(n.Result), more)
	}
	return p.paint("31", "rolled back")
}

func through(template value.Identifier, iface *value.Identifier) string {
	if iface == nil {
		return template.Qualified()
	}
	return template.Qualified() + " as " + iface.Qualified()
}

func (p *Printer) details(n tx.Node) []string {
	switch n := n.(type) {
	case *tx.Create:
		return []string{p.value(n.Arg)}
	case *tx.Exercise:
		lines := []string{p.value(n.Arg)}
		if n.Result != nil {
			lines = append(lines, p.paint("2", "→ ")+p.value(n.Result))
		}
		return lines
	case *tx.QueryByKey:
		return []string{p.value(n.Key.Value)}
	}
	return nil
}

// views writes what each party sees of a transaction, if that is not all of it.
func (p *Printer) views(b *strings.Builder, c *ledger.Commit) {
	involved := map[value.Party]bool{}
	for _, witnesses := range c.Blinding.Witnesses {
		for _, w := range witnesses {
			involved[w] = true
		}
	}
	for _, party := range slices.Sorted(maps.Keys(involved)) {
		view, origin := tx.Project(c.Transaction, c.Blinding, party)
		if len(view.Nodes) == len(c.Transaction.Nodes) {
			fmt.Fprintf(b, "  %s sees all of it\n", p.parties([]value.Party{party}))
			continue
		}
		fmt.Fprintf(b, "  %s sees nodes %s:\n", p.parties([]value.Party{party}), strings.Trim(fmt.Sprint(origin), "[]"))
		var inner strings.Builder
		p.tree(&inner, view, nil, false)
		for line := range strings.Lines(inner.String()) {
			b.WriteString("  " + line)
		}
	}
}

// Active writes the contracts that each party has at the end.
func (p *Printer) Active(l *ledger.Ledger) error {
	parties := map[value.Party]bool{}
	for _, c := range l.Commits() {
		for _, witnesses := range c.Blinding.Witnesses {
			for _, w := range witnesses {
				parties[w] = true
			}
		}
	}
	var b strings.Builder
	for _, party := range slices.Sorted(maps.Keys(parties)) {
		active := l.Active(party)
		fmt.Fprintf(&b, "%s has %d active contracts\n", p.parties([]value.Party{party}), len(active))
		for _, c := range active {
			fmt.Fprintf(&b, "  %s %s %s\n", p.contract(c.ID), c.Template.Qualified(), p.value(c.Arg))
		}
	}
	_, err := io.WriteString(p.Out, b.String())
	return err
}
