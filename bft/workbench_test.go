package bft

import (
	"fmt"
	"testing"
)

// The workbench holds what the tests of this package share: a committee, blocks
// made to measure and an engine that watches without proposing, so that its DAG
// is exactly what a test fed it.

// testCommittee returns the genesis committee of n members whose keys are
// testKey(0) to testKey(n-1).
func testCommittee(n int, change func(*Params)) *Committee {
	keys := make([]PublicKey, n)
	for i := range keys {
		keys[i] = testKey(i)
	}
	params := DefaultParams()
	if change != nil {
		change(&params)
	}
	return Genesis(NetworkID{1}, keys, params, 1_000_000*Second)
}

const observerKey = 1000

func observer(c *Committee, rules Rules) *Engine {
	return engineOf(c, testKey(observerKey), rules)
}

func engineOf(c *Committee, key PublicKey, rules Rules) *Engine {
	e, _ := New(Config{Self: key, Sign: testSign(key), Verify: testVerify, Limits: DefaultLimits(), Rules: rules},
		Recovered{Genesis: c}, Clock{Wall: c.Start + Second, Mono: Second})
	return e
}

// blockBy returns a signed block without payload. Its timestamp is ten
// milliseconds a round after the start of the epoch, unless change says
// otherwise.
func blockBy(c *Committee, a Author, r Round, parents []Ref, change func(*Header)) *Block {
	h := Header{Network: c.Network, Epoch: c.Epoch, Round: r, Author: a, Timestamp: c.Start + 10*Millisecond*Time(r), Parents: parents}
	if change != nil {
		change(&h)
	}
	return build(h, nil, testSign(c.Members[a]))
}

// wire sends a block through its encoding and its checks, as a peer's arrives.
func wire(t testing.TB, c *Committee, b *Block) *Block {
	t.Helper()
	head, payload := EncodeBlock(b)
	u, err := DecodeBlock(append(head, payload...))
	if err != nil {
		t.Fatal(err)
	}
	v, err := u.Verify(c, testVerify)
	if err != nil {
		t.Fatalf("%s: %v", b.Ref(), err)
	}
	return v
}

// grid builds whole rounds: every member of authors has a block in each of the
// rounds 1 to last with all blocks of the round before as parents.
type grid struct {
	c      *Committee
	blocks map[string]*Block
}

func newGrid(c *Committee) *grid { return &grid{c: c, blocks: map[string]*Block{}} }

func (g *grid) ref(a Author, r Round) Ref {
	if r == 0 {
		return g.c.Root(a)
	}
	b := g.blocks[blockName(a, r)]
	if b == nil {
		panic(fmt.Sprintf("no block %s%d", a, r))
	}
	return b.Ref()
}

func blockName(a Author, r Round) string { return fmt.Sprintf("%s%d", a, r) }

// add makes one block with the given parents, own first.
func (g *grid) add(a Author, r Round, parents ...Ref) *Block {
	b := blockBy(g.c, a, r, parents, nil)
	g.blocks[blockName(a, r)] = b
	return b
}

// full makes one block on top of the blocks that authors have in the round
// before, own first.
func (g *grid) full(a Author, r Round, authors ...Author) *Block {
	parents := []Ref{g.ref(a, r-1)}
	for _, p := range authors {
		if p != a {
			parents = append(parents, g.ref(p, r-1))
		}
	}
	return g.add(a, r, parents...)
}

// rounds makes full rounds of authors and returns their blocks in order.
func (g *grid) rounds(from, to Round, authors ...Author) (made []*Block) {
	for r := from; r <= to; r++ {
		for _, a := range authors {
			made = append(made, g.full(a, r, authors...))
		}
	}
	return made
}

// arrive feeds blocks to an engine as from their authors, and returns what it
// did.
func arrive(t testing.TB, e *Engine, blocks ...*Block) (out []Effect) {
	t.Helper()
	for _, b := range blocks {
		now := e.now
		now.Mono += Millisecond
		now.Wall += Millisecond
		out = append(out, e.Step(now, BlockArrived{From: e.committee.Members[b.Author], Block: wire(t, e.committee, b)})...)
	}
	return out
}

// after lets time pass and ticks once.
func after(e *Engine, d Time) []Effect {
	now := e.now
	now.Mono += d
	now.Wall += d
	return e.Step(now, Tick{})
}

// effects picks the effects of one type.
func effects[T Effect](out []Effect) (list []T) {
	for _, f := range out {
		if x, ok := f.(T); ok {
			list = append(list, x)
		}
	}
	return list
}

// sent picks the messages of one type that were sent, with their receivers.
func sent[M Message](out []Effect) (list []M, to [][]PublicKey) {
	for _, s := range effects[Send](out) {
		if m, ok := s.Message.(M); ok {
			list = append(list, m)
			to = append(to, s.To)
		}
	}
	return list, to
}

// membersOf returns the authors 0 to n-1.
func membersOf(n int) (all []Author) {
	for a := range n {
		all = append(all, Author(a))
	}
	return all
}

// payload answers a RequestPayload with k requests of eight bytes.
func payload(e *Engine, k int) []Effect {
	var w writer
	for i := range k {
		w.U32(8)
		w.U64(uint64(i))
	}
	in := PayloadReady{Payload: w.Buf, Requests: k}
	if k > 0 {
		in.Digest = PayloadDigest(w.Buf)
	}
	return e.Step(e.now, in)
}
