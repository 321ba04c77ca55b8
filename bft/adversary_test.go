package bft

import (
	"slices"
	"testing"
)

// A reference names an author and a round beside the digest. A Byzantine
// member can lie about both, so that one block seems to be several: A4's vote
// would count for three and one vote would be a certificate.
func TestReferencesThatMisnameABlockAreNeverAccepted(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	history := g.rounds(1, 3, membersOf(4)...)
	single := g.ref(0, 3).Digest
	for name, parents := range map[string][]Ref{
		"author": {g.ref(3, 3), {Round: 3, Author: 1, Digest: single}, {Round: 3, Author: 2, Digest: single}},
		"round":  {g.ref(3, 3), g.ref(0, 3), g.ref(1, 3), {Round: 2, Author: 2, Digest: g.ref(2, 3).Digest}},
		"own":    {{Round: 3, Author: 3, Digest: single}, g.ref(1, 3), g.ref(2, 3)},
	} {
		e := observer(c, Rules{})
		forged := blockBy(c, 3, 4, parents, nil)
		arrive(t, e, append(history, forged)...)
		if e.dag.has(forged.Ref()) {
			t.Errorf("a block that misnames the %s of a parent was accepted", name)
		}
	}
}

// The same lie, told before the block it misnames is here.
func TestAMisnamedReferenceIsNotSatisfiedByTheBlockOfThatDigest(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	arrive(t, e, g.rounds(1, 2, membersOf(4)...)...)
	late := g.rounds(3, 3, membersOf(4)...)
	forged := blockBy(c, 3, 4, []Ref{g.ref(3, 3), {Round: 3, Author: 1, Digest: g.ref(0, 3).Digest}, g.ref(2, 3)}, nil)
	honest := g.full(0, 4, membersOf(4)...)
	arrive(t, e, forged, honest)
	arrive(t, e, late...)
	if e.dag.has(forged.Ref()) {
		t.Error("a block that misnames the author of a parent was accepted")
	}
	if !e.dag.has(honest.Ref()) {
		t.Error("an honest block was held back by another's lie about its parent")
	}
}

// F and G, two members of seven, send blocks of round 6 that skip their own
// blocks of round 5. Whoever then followed only the line of their own parents
// would name four blocks of round 5, sign a block that all others refuse, and
// be out for the epoch: it may not sign another one for that round.
func TestMembersThatSkipTheirOwnPastLeaveOthersAValidBlock(t *testing.T) {
	c := testCommittee(7, nil)
	g := newGrid(c)
	e := engineOf(c, testKey(0), Rules{})
	e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8}) // A waits for its payload meanwhile
	arrive(t, e, g.rounds(1, 5, 1, 2, 3, 4, 5, 6)...)
	for _, a := range []Author{5, 6} {
		parents := []Ref{g.ref(a, 4)}
		for _, p := range []Author{1, 2, 3, 4, 11 - a} {
			parents = append(parents, g.ref(p, 5))
		}
		arrive(t, e, g.add(a, 6, parents...))
	}
	own, _ := sent[*BlockMessage](payload(e, 1))
	if len(own) != 1 || own[0].Block.Round != 6 {
		t.Fatalf("want one own block of round 6, got %d blocks", len(own))
	}
	wire(t, c, own[0].Block)
}

// Three members of four were just a quorum while A was away. When one of them
// then turns out to have equivocated, the others can still only build on its
// old blocks: rounds that were complete stay complete. (Were they not, nobody
// could propose before A filled the gap, and A cannot fill rounds that are
// forgotten.)
func TestAnEquivocatorExposedAtTheQuorumStopsNobody(t *testing.T) {
	c := testCommittee(4, func(p *Params) { p.GCDepth = 10 })
	g := newGrid(c)
	e := engineOf(c, testKey(0), Rules{})
	e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8}) // A waits for its payload meanwhile
	arrive(t, e, g.rounds(1, 30, 1, 2, 3)...)
	if e.dag.gc == 0 {
		t.Fatal("nothing was forgotten")
	}
	variant := blockBy(c, 3, 30, g.blocks["D30"].Parents, func(h *Header) { h.Timestamp++ })
	if n := len(effects[Persist](arrive(t, e, variant))[0].Evidence); n != 1 {
		t.Fatalf("%d proofs of equivocation, want 1", n)
	}
	own, _ := sent[*BlockMessage](payload(e, 1))
	if len(own) != 1 || own[0].Block.Round != 31 {
		t.Fatalf("want an own block of round 31, got %d blocks", len(own))
	}
	wire(t, c, own[0].Block)
}

// D never showed a block. Now it sends one on top of an own block that nobody
// has, and when that is asked for, one that again needs an unknown one, and so
// on down: all of them empty. What waits is bounded in bytes all the same.
func TestBlocksThatWaitForTheirPastAreBounded(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	e.limits.WaitingBytes = 64 << 10
	arrive(t, e, g.rounds(1, 400, 0, 1, 2)...)
	top := e.dag.complete
	var chain []*Block
	own := Ref{Round: 1, Author: 3, Digest: Digest{1}}
	for r := Round(2); r <= top+1; r++ {
		chain = append(chain, blockBy(c, 3, r, []Ref{own, g.ref(0, r-1), g.ref(1, r-1), g.ref(2, r-1)}, nil))
		own = chain[len(chain)-1].Ref()
	}
	for _, b := range slices.Backward(chain) {
		arrive(t, e, b)
	}
	p := e.Progress()
	if limit := e.limits.WaitingBytes / 256; p.Waiting > limit {
		t.Errorf("%d blocks wait, limit %d for %d bytes", p.Waiting, limit, e.limits.WaitingBytes)
	}
	if len(e.waiting.wanted) > 2*p.Waiting+1 {
		t.Errorf("%d blocks are wanted for %d that wait", len(e.waiting.wanted), p.Waiting)
	}
}

// D builds on nothing that exists, in round after round, until no more may
// wait. An honest block that waits for an ancestor stays all the same.
func TestGarbagePushesOutNoHonestBlock(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	e.limits.WaitingBytes = 16 << 10
	arrive(t, e, g.rounds(1, 60, 0, 1, 2)...)
	g.full(0, 61, 0, 1, 2) // withheld
	b, d := g.full(1, 61, 0, 1, 2), g.full(2, 61, 0, 1, 2)
	honest := g.full(1, 62, 0, 1, 2)
	arrive(t, e, b, d, honest)
	own := Ref{Round: 1, Author: 3, Digest: Digest{1}}
	for r := Round(2); r <= 61; r++ {
		d := blockBy(c, 3, r, []Ref{own, g.ref(0, r-1), g.ref(1, r-1), g.ref(2, r-1)}, nil)
		own = d.Ref()
		arrive(t, e, d)
	}
	if e.waiting.byRef[honest.Ref()] == nil {
		t.Error("the honest block was dropped")
	}
	if e.waiting.bytes > e.limits.WaitingBytes {
		t.Errorf("%d bytes wait, limit %d", e.waiting.bytes, e.limits.WaitingBytes)
	}
}

// DAGEnd can claim any round. An honest answer that follows is continued all
// the same.
func TestALyingDAGEndDoesNotEndTheNextAnswer(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	for _, k := range c.Members {
		e.Step(e.now, PeerUp{Peer: k})
	}
	early, _ := g.rounds(1, 8, membersOf(4)...), g.rounds(9, 30, membersOf(4)...)
	liar, honest := c.Members[3], c.Members[0]
	e.Step(e.now, BlockArrived{From: liar, Block: g.blocks["D20"]})
	e.Step(e.now, MessageArrived{From: liar, Message: &DAGEnd{Through: ^Round(0), More: true}})
	after(e, 3*Second)
	out := e.Step(e.now, MessageArrived{From: honest, Message: &Status{Round: 30}})
	if requests, to := sent[*DAGRequest](out); len(requests) != 1 || to[0][0] != honest || requests[0].Above != 0 {
		t.Fatalf("requests %v to %v, want one to the honest member", requests, to)
	}
	for _, b := range early {
		e.Step(e.now, BlockArrived{From: honest, Block: b})
	}
	out = e.Step(e.now, MessageArrived{From: honest, Message: &DAGEnd{Through: 8, More: true}})
	if requests, _ := sent[*DAGRequest](out); len(requests) != 1 || requests[0].Above > 8 {
		t.Errorf("after an answer up to round 8 of 30 the next requests are %v", requests)
	}
}

// While an epoch waits for its hand-over rounds go on, so that members that
// are late see it end. They must not fill memory however long it takes.
func TestAnEpochThatWaitsForItsHandoverStaysSmall(t *testing.T) {
	c := testCommittee(1, func(p *Params) { p.EpochDuration = Second })
	e := engineOf(c, testKey(0), Rules{})
	for range 400 {
		after(e, 10*Millisecond)
	}
	if !e.ended {
		t.Fatal("the epoch has not ended")
	}
	before := e.Progress().Blocks
	for range 60 * 100 {
		after(e, 10*Millisecond)
	}
	if grown := e.Progress().Blocks - before; grown > 200 {
		t.Errorf("the DAG grew by %d blocks in a minute in which nothing can be committed", grown)
	}
}

// D is known to equivocate. Each of its new blocks stands on another past: a
// whole line of variants. One line is accepted before anybody can know; after
// that D's blocks come in only where others built on them.
func TestAnEquivocatorCannotFillTheDAG(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	arrive(t, e, g.rounds(1, 40, 0, 1, 2)...)
	for line := range Time(10) {
		own := c.Root(3)
		var blocks []*Block
		for r := Round(1); r <= 31+Round(line); r++ {
			parents := []Ref{own, g.ref(0, r-1), g.ref(1, r-1), g.ref(2, r-1)}
			blocks = append(blocks, blockBy(c, 3, r, parents, func(h *Header) { h.Timestamp += line }))
			own = blocks[len(blocks)-1].Ref()
		}
		for _, b := range slices.Backward(blocks) {
			arrive(t, e, b)
		}
	}
	if p := e.Progress(); p.Blocks+p.Waiting > 3*40+2*41 {
		t.Errorf("%d blocks are held and %d wait, of which A, B and C made %d", p.Blocks, p.Waiting, 3*40)
	}
}
