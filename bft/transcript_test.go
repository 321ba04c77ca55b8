package bft

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestTranscripts draws DAGs in text and writes down what members that see
// parts of them decide. After a change of the rules
//
//	go test ./bft -run Transcripts -rewrite
//
// writes the transcripts anew, for review.
//
// A block is named by its author and round: B2 is member B's block of round 2,
// and B2' is another block that B made for that round. B2@25ms gives it a
// timestamp, counted from the start of the epoch (default: 10 ms a round), B2#3
// a payload of three requests. The commands are
//
//	network n=4 [gc=ROUNDS] [window=COMMITS]
//	    Starts afresh with members A, B, C, D.
//	dag
//	    Adds blocks, one group a line: the blocks, a colon, their parents. "*"
//	    stands for the unprimed blocks of the round before, "-B2" leaves one
//	    out, "B2'" replaces the parent by B. A block's own previous one is
//	    always a parent. The answer lists, for each leader's blocks, who votes
//	    for them and which blocks of two rounds later are certificates.
//	view NAME [break=RULE] [times]
//	    Shows a member the named blocks with all their ancestors, beyond what it
//	    has seen, and lists what it knows of each slot and what it commits. With
//	    break=RULE it is a member whose engine breaks one rule.
//	agree NAME NAME
//	    Compares what two members committed.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/decide", func(t *testing.T, path string) {
		var s *sketch
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd == "network" {
				s = newSketch(t, d)
				return s.describe()
			}
			switch d.Cmd {
			case "dag":
				return s.draw(d)
			case "view":
				return s.view(d)
			case "agree":
				return s.agree(d.CmdArgs[0].Key, d.CmdArgs[1].Key)
			}
			d.Fatalf(t, "unknown command")
			return ""
		})
	})
}

// sketch is a DAG drawn in text and the members that see parts of it.
type sketch struct {
	t       *testing.T
	c       *Committee
	blocks  map[string]*Block
	names   map[Ref]string
	order   []string // as drawn: parents before children
	members map[string]*viewer
}

// viewer is an engine that is shown parts of a sketch.
type viewer struct {
	engine  *Engine
	commits []*Commit
	// decided are the slots that the viewer takes for decided: "commit C2" or
	// "skip".
	decided map[Round]string
}

func newSketch(t *testing.T, d *datadriven.TestData) *sketch {
	n := 4
	d.MaybeScanArgs(t, "n", &n)
	c := testCommittee(n, func(p *Params) {
		var gc, window uint64
		if d.MaybeScanArgs(t, "gc", &gc) {
			p.GCDepth = Round(gc)
		}
		if d.MaybeScanArgs(t, "window", &window) {
			p.DemotionWindow = CommitIndex(window)
		}
	})
	s := &sketch{t: t, c: c, blocks: map[string]*Block{}, names: map[Ref]string{}, members: map[string]*viewer{}}
	for a := range Author(n) {
		s.names[c.Root(a)] = a.String() + "0"
	}
	return s
}

func (s *sketch) describe() string {
	schedule := newSchedule(s.c.Size(), 0)
	var leaders []string
	for r := Round(1); r <= Round(s.c.Size()); r++ {
		leaders = append(leaders, fmt.Sprintf("%s%d", schedule.Leader(r), r))
	}
	return fmt.Sprintf("n=%d q=%d f+1=%d, slots %s …", s.c.Size(), s.c.Quorum(), s.c.Witness(), strings.Join(leaders, " "))
}

var blockToken = regexp.MustCompile(`^([A-Z])(\d+)('*)(?:@(-?\d+)ms)?(?:#(\d+))?$`)

// token is a block's name taken apart.
type token struct {
	name     string
	author   Author
	round    Round
	variant  int
	at       Time
	requests uint32
}

func (s *sketch) token(text string) token {
	m := blockToken.FindStringSubmatch(text)
	if m == nil {
		s.t.Fatalf("%q is not a block", text)
	}
	number := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	}
	k := token{name: m[1] + m[2] + m[3], author: Author(m[1][0] - 'A'), round: Round(number(m[2])), variant: len(m[3]), requests: uint32(number(m[5]))}
	k.at = 10 * Millisecond * Time(k.round)
	if m[4] != "" {
		k.at = Time(number(m[4])) * Millisecond
	}
	return k
}

func (s *sketch) draw(d *datadriven.TestData) string {
	var refused strings.Builder
	for line := range strings.Lines(d.Input) {
		line, _, _ = strings.Cut(line, "//")
		blocks, parents, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for _, text := range strings.Fields(blocks) {
			if err := s.drawBlock(s.token(text), strings.Fields(parents)); err != nil {
				fmt.Fprintf(&refused, "%s is refused: %v\n", text, err)
			}
		}
	}
	return refused.String() + s.votes()
}

func (s *sketch) drawBlock(k token, parents []string) error {
	b := blockBy(s.c, k.author, k.round, s.parents(k, parents), func(h *Header) {
		h.Timestamp = s.c.Start + k.at
		h.Requests = k.requests
		h.Payload[0] = byte(k.variant) // tells variants apart
	})
	u := UnverifiedBlock{Header: b.Header}
	if err := u.checkHeader(s.c); err != nil {
		return err
	}
	s.blocks[k.name], s.names[b.Ref()] = b, k.name
	s.order = append(s.order, k.name)
	return nil
}

func (s *sketch) ref(k token) Ref {
	if k.round == 0 {
		return s.c.Root(k.author)
	}
	b := s.blocks[k.name]
	if b == nil {
		s.t.Fatalf("no block %s yet", k.name)
	}
	return b.Ref()
}

func (s *sketch) parents(k token, list []string) []Ref {
	chosen := make([]*Ref, s.c.Size())
	set := func(text string) {
		p := s.token(text)
		ref := s.ref(p)
		chosen[p.author] = &ref
	}
	for _, text := range list {
		switch {
		case text == "*":
			for a := range Author(s.c.Size()) {
				if name := fmt.Sprintf("%s%d", a, k.round-1); k.round == 1 || s.blocks[name] != nil {
					set(name)
				}
			}
		case text[0] == '-':
			chosen[s.token(text[1:]).author] = nil
		default:
			set(text)
		}
	}
	for r := k.round - 1; chosen[k.author] == nil; r-- {
		if name := fmt.Sprintf("%s%d", k.author, r); r == 0 || s.blocks[name] != nil {
			set(name)
		}
	}
	parents := []Ref{*chosen[k.author]}
	for a, p := range chosen {
		if p != nil && Author(a) != k.author {
			parents = append(parents, *p)
		}
	}
	return parents
}

// votes lists, slot by slot, what an observer of everything sees.
func (s *sketch) votes() string {
	e := observer(s.c, Rules{})
	e.begin(e.now)
	for _, name := range s.order {
		e.take(s.blocks[name])
	}
	var out strings.Builder
	for r := Round(1); r+1 <= e.dag.top(); r++ {
		found := false
		e.leaderBlocks(r, e.schedule.Leader(r), func(l *vertex) bool {
			found = true
			var votes, certificates []string
			e.dag.blocks(r+1, func(v *vertex) bool {
				if ref, ok := v.vote(l.head.Author); ok && ref == l.head.Ref() {
					votes = append(votes, s.names[v.head.Ref()])
				}
				return true
			})
			e.dag.blocks(r+2, func(v *vertex) bool {
				if e.certifies(v, l) {
					certificates = append(certificates, s.names[v.head.Ref()])
				}
				return true
			})
			fmt.Fprintf(&out, "%s: votes %s; certificates %s\n", s.names[l.head.Ref()], listed(votes), listed(certificates))
			return true
		})
		if !found {
			fmt.Fprintf(&out, "%s%d: missing\n", e.schedule.Leader(r), r)
		}
	}
	return out.String()
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

// brokenRules maps the names of broken rules to them.
func brokenRules(t testing.TB, name string) (r Rules) {
	switch name {
	case "":
	case "quorum-off-by-one":
		r.QuorumOffByOne = true
	case "count-votes-per-block":
		r.CountVotesPerBlock = true
	case "gc-by-local-state":
		r.GCByLocalState = true
	case "median-over-all":
		r.MedianOverAll = true
	case "emit-past-window-end":
		r.EmitPastWindowEnd = true
	case "skip-indirect":
		r.SkipIndirect = true
	default:
		t.Fatalf("no rule %q", name)
	}
	return r
}

func (s *sketch) view(d *datadriven.TestData) string {
	name, rule := d.CmdArgs[0].Key, ""
	d.MaybeScanArgs(s.t, "break", &rule)
	v := s.members[name]
	if v == nil {
		v = &viewer{engine: observer(s.c, brokenRules(s.t, rule)), decided: map[Round]string{}}
		s.members[name] = v
	}
	return s.decide(v, s.history(strings.Fields(d.Input)), d.HasArg("times"))
}

// history returns the named blocks and their ancestors in drawn order.
func (s *sketch) history(tips []string) (list []*Block) {
	wanted := map[Ref]bool{}
	for _, text := range tips {
		wanted[s.ref(s.token(text))] = true
	}
	for _, name := range slices.Backward(s.order) {
		if b := s.blocks[name]; wanted[b.Ref()] {
			list = append(list, b)
			for _, p := range b.Parents {
				wanted[p] = true
			}
		}
	}
	slices.Reverse(list)
	return list
}

// decide takes the blocks in and lets the engine decide, as Engine.decide does,
// writing down the slots on the way.
func (s *sketch) decide(v *viewer, blocks []*Block, times bool) string {
	e := v.engine
	e.begin(e.now)
	for _, b := range blocks {
		if !e.dag.has(b.Ref()) {
			e.take(b)
		}
	}
	slots := map[Round]string{}
	var out, commits strings.Builder
	for more := true; more; {
		more = !e.ended && e.evaluate()
		base := e.schedule.Round
		maps.DeleteFunc(v.decided, func(r Round, _ string) bool { return r > base })
		s.slots(v, slots)
		if more {
			more = e.emitPrefix()
		}
		for r := base + 1; slots[r] != ""; r++ {
			if r <= e.schedule.Round || !more {
				fmt.Fprintln(&out, slots[r])
			}
		}
		clear(slots)
	}
	for _, f := range e.finish() {
		switch f := f.(type) {
		case Deliver:
			v.commits = append(v.commits, f.Commit)
			fmt.Fprintln(&commits, s.commit(f.Commit, times))
		case Report:
			if f.Event.Kind == EventScheduleChanged {
				fmt.Fprintf(&commits, "leaders change after round %d\n", f.Event.Round)
			}
		}
	}
	if demoted := e.schedule.DemotedMembers(); len(demoted) > 0 {
		fmt.Fprintf(&commits, "demoted: %v\n", demoted)
	}
	return out.String() + commits.String()
}

// slots writes down every slot that the engine has looked at.
func (s *sketch) slots(v *viewer, slots map[Round]string) {
	e := v.engine
	for i, slot := range e.slots {
		r := e.schedule.Round + 1 + Round(i)
		how := "indirectly"
		if e.decideDirectly(r).decision != undecided {
			how = "directly"
		}
		switch slot.decision {
		case undecided:
			slots[r] = fmt.Sprintf("slot %s%d: undecided", e.schedule.Leader(r), r)
		case skipped:
			v.decided[r] = "skip"
			slots[r] = fmt.Sprintf("slot %s%d: skip %s", e.schedule.Leader(r), r, how)
		case committed:
			v.decided[r] = "commit " + s.names[slot.block.head.Ref()]
			slots[r] = fmt.Sprintf("slot %s%d: %s %s", e.schedule.Leader(r), r, v.decided[r], how)
		}
	}
}

func (s *sketch) commit(c *Commit, times bool) string {
	var blocks []string
	for _, ref := range c.Blocks {
		blocks = append(blocks, s.names[ref])
	}
	text := fmt.Sprintf("commit %d: %s", c.Index, strings.Join(blocks, " "))
	if times {
		text += fmt.Sprintf("; time %+d µs, %d requests, last %+d µs", c.Time-s.c.Start, c.Requests, c.LastTime()-s.c.Start)
	}
	return text
}

func (s *sketch) agree(p, q string) string {
	a, b := s.members[p], s.members[q]
	both := 0
	for r := Round(1); r <= max(a.engine.dag.top(), b.engine.dag.top()); r++ {
		x, y := a.decided[r], b.decided[r]
		if x != "" && y != "" && x != y {
			return fmt.Sprintf("FORK at slot %d: %s has %q, %s has %q", r, p, x, q, y)
		}
		if x != "" && x == y {
			both++
		}
	}
	n := min(len(a.commits), len(b.commits))
	for i := range n {
		if a.commits[i].Digest() != b.commits[i].Digest() {
			return fmt.Sprintf("FORK\n%s has %s\n%s has %s", p, s.commit(a.commits[i], false), q, s.commit(b.commits[i], false))
		}
	}
	return fmt.Sprintf("%s and %s agree on %d slots and %d commits", p, q, both, n)
}
