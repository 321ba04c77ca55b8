package bft

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// picker draws a number below n: from rapid, which shrinks what it finds, or
// from a seed.
type picker func(n int) int

func (p picker) oneIn(n int) bool { return p(n) == 0 }

// shuffled returns the numbers 0 to n-1 in some order.
func (p picker) shuffled(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
		j := p(i + 1)
		list[i], list[j] = list[j], list[i]
	}
	return list
}

// wildDAG is a DAG as asynchrony and f equivocators can make it: honest members
// build one block a round on any quorum of the round before, or miss rounds;
// equivocators make up to three, each on what suits it.
type wildDAG struct {
	c      *Committee
	blocks []*Block
}

func newWildDAG(pick picker) wildDAG {
	n := 4 + pick(4)
	c := testCommittee(n, func(p *Params) {
		p.DemotionWindow = CommitIndex(1 + pick(4))
		p.GCDepth = Round(4 + pick(8))
	})
	d := wildDAG{c: c}
	f := c.Witness() - 1
	liars := make([]bool, n)
	for _, a := range pick.shuffled(n)[:f] {
		liars[a] = true
	}
	made := [][][]*Block{make([][]*Block, n)} // by round and author
	newest := make([]*Block, n)
	for r := Round(1); r <= Round(8+pick(12)); r++ {
		layer := make([][]*Block, n)
		for a := range n {
			variants := 1
			if liars[a] {
				variants = pick(4)
			} else if pick.oneIn(12) {
				variants = 0
			}
			for range variants {
				if parents := d.parents(pick, Author(a), r, made, newest[a]); parents != nil {
					b := blockBy(c, Author(a), r, parents, func(h *Header) {
						h.Payload[0] = byte(len(layer[a]))
						h.Timestamp += Time(pick(5)) * Millisecond
					})
					layer[a] = append(layer[a], b)
					d.blocks = append(d.blocks, b)
				}
			}
		}
		for a, l := range layer {
			if len(l) > 0 {
				newest[a] = l[len(l)-1]
			}
		}
		made = append(made, layer)
	}
	return d
}

// parents picks parents for a block: at least a quorum of the round before, at
// most one of each author, sometimes an older one of those left out. It returns
// nil if there is no quorum.
func (d wildDAG) parents(pick picker, a Author, r Round, made [][][]*Block, own *Block) []Ref {
	n, q := d.c.Size(), d.c.Quorum()
	first := d.c.Root(a)
	if own != nil {
		first = own.Ref()
	}
	parents := []Ref{first}
	previous := 0
	if first.Round == r-1 {
		previous++
	}
	want := q + pick(n-q+1)
	for _, p := range pick.shuffled(n) {
		if Author(p) == a {
			continue
		}
		if previous < want && r == 1 {
			parents = append(parents, d.c.Root(Author(p)))
			previous++
			continue
		}
		for s := r - 1; s >= 1 && s+6 > r; s-- {
			if l := made[s][p]; len(l) > 0 && (s < r-1 || previous < want) {
				parents = append(parents, l[pick(len(l))].Ref())
				if s == r-1 {
					previous++
				}
				break
			}
			if !pick.oneIn(3) {
				break
			}
		}
	}
	if previous < q {
		return nil
	}
	return parents
}

// watch feeds a member the blocks in some causal order, some of them not at
// all, and returns what it commits.
func (d wildDAG) watch(pick picker, rules Rules) ([]*Commit, error) {
	e := observer(d.c, rules)
	last := len(d.blocks) - pick(len(d.blocks)/3+1)
	reach := (1 + pick(8)) * d.c.Size() // how far later blocks overtake earlier ones
	waiting := append([]*Block(nil), d.blocks[:last]...)
	var commits []*Commit
	for len(waiting) > 0 {
		// Any of the first blocks that can be accepted: the order is causal
		// and otherwise as the network likes.
		i := pick(min(len(waiting), reach))
		for e.missingParents(waiting[i].Head) != nil {
			i--
		}
		b := waiting[i]
		waiting = append(waiting[:i], waiting[i+1:]...)
		if e.dag.has(b.Ref()) {
			continue
		}
		e.begin(e.now)
		e.take(b)
		if !pick.oneIn(3) {
			e.decide()
		}
		for _, f := range effects[Deliver](e.finish()) {
			commits = append(commits, f.Commit)
		}
	}
	return commits, wellFormed(commits)
}

// wellFormed checks what one member can see by itself.
func wellFormed(commits []*Commit) error {
	seen := map[Ref]CommitIndex{}
	var before *Commit
	for i, c := range commits {
		if c.Index != CommitIndex(i+1) {
			return fmt.Errorf("commit %d in place %d", c.Index, i+1)
		}
		if before != nil && (c.Previous != before.Digest() || c.Time <= before.LastTime()) {
			return fmt.Errorf("commit %d does not follow the one before", c.Index)
		}
		for _, ref := range c.Blocks {
			if seen[ref] != 0 {
				return fmt.Errorf("%s is in commits %d and %d", ref, seen[ref], c.Index)
			}
			seen[ref] = c.Index
		}
		if n := len(c.Blocks); n == 0 || c.Blocks[n-1] != c.Leader {
			return fmt.Errorf("commit %d does not end with its leader", c.Index)
		}
		before = c
	}
	return nil
}

// disagree shows one wild DAG to two members and returns how they differ.
func disagree(pick picker, rules Rules) error {
	d := newWildDAG(pick)
	if len(d.blocks) == 0 {
		return nil
	}
	a, err := d.watch(pick, rules)
	if err != nil {
		return err
	}
	b, err := d.watch(pick, rules)
	if err != nil {
		return err
	}
	for i := range min(len(a), len(b)) {
		if a[i].Digest() != b[i].Digest() {
			return fmt.Errorf("n=%d: commit %d is led by %s (%d blocks) and by %s (%d blocks)",
				d.c.Size(), i+1, a[i].Leader, len(a[i].Blocks), b[i].Leader, len(b[i].Blocks))
		}
	}
	return nil
}

// Two members that accept the same blocks in different orders, and not all of
// them, commit the same, one perhaps more than the other.
func TestMembersAgreeOnWildDAGs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "pick") }
		if err := disagree(pick, Rules{}); err != nil {
			t.Fatal(err)
		}
	})
}

func seeded(seed uint64) picker {
	rng := rand.New(rand.NewPCG(seed, 1))
	return rng.IntN
}

func TestMembersAgreeOnManyWildDAGs(t *testing.T) {
	committed := 0
	for seed := range uint64(400) {
		if err := disagree(seeded(seed), Rules{}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		pick := seeded(seed)
		list, _ := newWildDAG(pick).watch(pick, Rules{})
		committed += len(list)
	}
	if committed < 400 {
		t.Errorf("only %d commits in 400 DAGs: the test tests nothing", committed)
	}
}

// The same test finds members that break one rule. (Breaking the median or
// counting votes per block is shown in testdata/decide.)
func TestWildDAGsExposeBrokenRules(t *testing.T) {
	for _, rule := range []string{"quorum-off-by-one", "emit-past-window-end", "skip-indirect", "gc-by-local-state"} {
		t.Run(rule, func(t *testing.T) {
			for seed := range uint64(2000) {
				if err := disagree(seeded(seed), brokenRules(t, rule)); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("2000 DAGs did not expose it")
		})
	}
}
