package bft

import "testing"

// One request for every n µs of the time that passed by the medians.
func TestAllowance(t *testing.T) {
	for _, row := range []struct {
		then, now Time
		want      int
	}{
		{1000, 1000, 0}, {1000, 900, 0}, {1000, 1003, 0}, {1000, 1004, 1}, {1000, 40999, 9999}, {1000, 41000, 10000},
		{unknownTime, 1000, maxInt}, {1000, unknownTime, maxInt},
	} {
		if got := allowance(row.then, row.now, 4); got != row.want {
			t.Errorf("from %d to %d: %d requests, want %d", row.then, row.now, got, row.want)
		}
	}
}

// The lower median of the parents in the round before: older parents and
// whoever is absurd have no say.
func TestMedianOfParents(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	for a, at := range []Time{70, 10, 1 << 60, 50} {
		b := g.full(Author(a), 1, 0, 1, 2, 3)
		b = blockBy(c, b.Author, 1, b.Parents, func(h *Header) { h.Timestamp = c.Start + at })
		g.blocks[blockName(b.Author, 1)] = b
		arrive(t, e, b)
	}
	arrive(t, e, g.rounds(2, 2, 0, 1, 2, 3)...)
	if m := e.dag.newest[0].parents[0].median; m != c.Start {
		t.Errorf("the roots' median is %d, want the epoch's start", m)
	}
	if m := e.dag.newest[0].median - c.Start; m != 50 {
		t.Errorf("the median of 70, 10, 2^60 and 50 is %d, want 50", m)
	}
}

// A clock that is far ahead does its member no good and the others no harm.
func TestRacingClockIsHarmless(t *testing.T) {
	w := newNet(t, 4, DefaultParams())
	w.nodes[3].skew = 3600 * Second
	for range 200 {
		w.nodes[3].submit(1)
		w.runFor(5 * Millisecond)
	}
	w.runFor(2 * Second)
	w.agree()
	if x := w.nodes[0]; x.done != 200 || x.events[EventEvidence] > 0 {
		t.Errorf("%d of 200 requests of the member are ordered, with %d reports of evidence", x.done, x.events[EventEvidence])
	}
	if lead := w.nodes[0].engine.Progress().LastTime - w.now; lead > Second {
		t.Errorf("agreed time is %d µs ahead of the other clocks", lead)
	}
}

// All clocks are set back by a minute: time goes on, more slowly, and so do
// clients.
func TestClocksSetBackStopNoClient(t *testing.T) {
	w := newNet(t, 4, DefaultParams())
	w.nodes[0].submit(1)
	w.runFor(Second)
	for _, x := range w.nodes {
		x.skew = -60 * Second
	}
	for range 100 {
		w.nodes[1].submit(5)
		w.runFor(10 * Millisecond)
	}
	w.runFor(Second)
	w.agree()
	if x := w.nodes[0]; x.done != 501 {
		t.Errorf("%d of 501 requests are ordered", x.done)
	}
	w.runFor(200 * Second)
	if lead := w.nodes[0].engine.Progress().LastTime - (w.now - 60*Second); lead > Second {
		t.Errorf("agreed time is still %d µs ahead of the clocks", lead)
	}
}

// After all members were down for a day agreed time catches up by itself.
func TestTimeCatchesUpAfterAnOutage(t *testing.T) {
	p := DefaultParams()
	p.EpochDuration = 30 * 24 * 3600 * Second
	w := newNet(t, 4, p)
	w.nodes[0].submit(1)
	w.runFor(Second)
	for _, x := range w.nodes {
		x.skew = 24 * 3600 * Second
	}
	w.runFor(60 * Second)
	w.nodes[0].submit(1)
	w.runFor(Second)
	w.agree()
	if lag := w.now + 24*3600*Second - w.nodes[0].engine.Progress().LastTime; lag > 2*Second || w.nodes[0].done != 2 {
		t.Errorf("agreed time is %d µs behind, %d of 2 requests are ordered", lag, w.nodes[0].done)
	}
}

// A block with more requests than time has passed exposes its author, whatever
// its timestamps say.
func TestMoreRequestsThanTimeAreAViolation(t *testing.T) {
	for _, row := range []struct {
		requests int
		shunned  bool
	}{{1000, false}, {200_000, true}} {
		w := newNet(t, 4, DefaultParams())
		w.nodes[0].submit(1)
		w.runFor(Second)
		e, liar := w.nodes[0].engine, w.nodes[3].engine
		w.dead[3] = true
		h := Header{
			Network: w.genesis.Network, Round: liar.buildsOn() + 1, Author: 3, Timestamp: w.now + 3600*Second,
			Parents: liar.chooseParents(liar.propose.own.Ref()), Requests: uint32(row.requests),
		}
		w.nodes[0].step(BlockArrived{From: testKey(3), Block: build(h, nil, testSign(testKey(3)))})
		if e.dag.shunned[3] != row.shunned {
			t.Errorf("with %d requests the author is shunned: %v", row.requests, e.dag.shunned[3])
		}
	}
}

// C's clock is a second ahead. By its choice of parents D moves the median up and
// down, but the second counts once.
func TestTheSameTimeCannotBeFilledTwice(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	stamped := func(a Author, r Round, at Time, requests uint32, parents ...Ref) {
		b := blockBy(c, a, r, parents, func(h *Header) { h.Timestamp, h.Requests = c.Start+at+Time(r)*Millisecond, requests })
		g.blocks[blockName(a, r)] = b
		e.Step(e.now, BlockArrived{From: c.Members[a], Block: b}) // its payload is of no interest
	}
	for r := Round(1); r <= 5; r++ {
		all := []Ref{g.ref(0, r-1), g.ref(1, r-1), g.ref(2, r-1), g.ref(3, r-1)}
		stamped(0, r, 0, 0, all[0], all[1], all[2])
		stamped(1, r, 0, 0, all[1], all[0], all[2])
		stamped(2, r, Second, 0, all[2], all[0], all[1])
		low, high := []Ref{all[3], all[0], all[1]}, []Ref{all[3], all[0], all[2]}
		parents, requests := low, uint32(0)
		if r%2 == 1 && r > 1 {
			parents, requests = high, 200_000
		}
		stamped(3, r, 2*Second, requests, parents...)
		if shunned := r == 5; e.dag.shunned[3] != shunned {
			t.Fatalf("after round %d the author is shunned: %v", r, e.dag.shunned[3])
		}
	}
}

// A member that restarts has forgotten how high the medians of its old blocks
// were. The others, who have not, must not hold it to them.
func TestARestartedMemberIsNotAccused(t *testing.T) {
	c := testCommittee(4, func(p *Params) { p.GCDepth = 10 })
	g := newGrid(c)
	verifier := observer(c, Rules{})
	author := observer(c, Rules{}) // sees the same blocks, restarts later
	var stored []*Block
	stamped := func(a Author, r Round, at Time, requests uint32, parents ...Ref) *Block {
		b := blockBy(c, a, r, parents, func(h *Header) { h.Timestamp, h.Requests = c.Start+at+Time(r)*Millisecond, requests })
		g.blocks[blockName(a, r)] = b
		verifier.Step(verifier.now, BlockArrived{From: c.Members[a], Block: b})
		author.Step(author.now, BlockArrived{From: c.Members[a], Block: b})
		stored = append(stored, b)
		return b
	}
	// C's clock is 100 ms ahead, D's too. In round 3 A is late at D.
	for r := Round(1); r <= 30; r++ {
		p := func(l ...Author) (refs []Ref) {
			for _, a := range l {
				refs = append(refs, g.ref(a, r-1))
			}
			return
		}
		stamped(0, r, 0, 0, p(0, 1, 2, 3)...)
		stamped(1, r, 0, 0, p(1, 0, 2, 3)...)
		stamped(2, r, 100*Millisecond, 0, p(2, 0, 1, 3)...)
		if r == 3 {
			stamped(3, r, 100*Millisecond, 0, p(3, 1, 2)...)
		} else {
			stamped(3, r, 100*Millisecond, 0, p(3, 0, 1, 2)...)
		}
	}
	if verifier.dag.gc < 4 {
		t.Fatalf("gc %d, commits %d", verifier.dag.gc, verifier.last.Index)
	}
	rec := Recovered{Genesis: c}
	k := &Commit{Index: verifier.last.Index, Epoch: 0, Leader: Ref{Round: verifier.schedule.Round}, Time: verifier.schedule.LastTime}
	k.digest = verifier.last.Digest
	rec.Last = &CommitRecord{Commit: k, Schedule: verifier.schedule.clone()}
	for _, b := range stored {
		if b.Round > verifier.dag.gc {
			rec.Blocks = append(rec.Blocks, b.Head)
		}
		if b.Author == 3 {
			rec.Own = b
		}
	}
	d, out := New(Config{Self: testKey(3), Sign: testSign(testKey(3)), Verify: testVerify, Limits: DefaultLimits()}, rec, Clock{Wall: c.Start + 131*Millisecond, Mono: Second})
	stamp := func(b *Block) {
		verifier.Step(verifier.now, BlockArrived{From: c.Members[b.Author], Block: b})
	}
	blocks, _ := sent[*BlockMessage](out)
	stamp(blocks[len(blocks)-1].Block)
	g.blocks["D31"] = blocks[len(blocks)-1].Block
	g.blocks[blockName(3, 31)] = g.blocks["D31"]
	d.Step(d.now, RequestsQueued{Requests: 1000, Bytes: 8000})
	for a := range Author(3) {
		at := []Time{0, 0, 100 * Millisecond}[a]
		b := blockBy(c, a, 31, []Ref{g.ref(a, 30), g.ref((a+1)%3, 30), g.ref((a+2)%3, 30), g.ref(3, 30)}, func(h *Header) { h.Timestamp = c.Start + at + 31*Millisecond })
		stamp(b)
		out = append(out, d.Step(Clock{Wall: c.Start + 132*Millisecond, Mono: 2 * Second}, BlockArrived{From: c.Members[a], Block: b})...)
	}
	ask := effects[RequestPayload](out)
	if len(ask) == 0 {
		t.Fatalf("no payload asked; own %d complete %d", d.propose.round, d.dag.complete)
	}
	out = payload(d, ask[0].Requests)
	blocks, _ = sent[*BlockMessage](out)
	for _, m := range blocks {
		verifier.Step(verifier.now, BlockArrived{From: testKey(3), Block: m.Block})
	}
	if verifier.dag.shunned[3] {
		t.Errorf("an honest member that restarted is shunned for a time violation")
	}
}

// With the parents of the two blocks in it, evidence of too many requests proves
// the fault.
func TestEvidenceOfTooManyRequestsProvesIt(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	e := observer(c, Rules{})
	times := map[Ref]Time{}
	var out []Effect
	stamped := func(a Author, r Round, at Time, requests uint32, parents ...Ref) {
		b := blockBy(c, a, r, parents, func(h *Header) { h.Timestamp, h.Requests = c.Start+at+Time(r)*Millisecond, requests })
		g.blocks[blockName(a, r)] = b
		times[b.Ref()] = b.Timestamp
		out = append(out, e.Step(e.now, BlockArrived{From: c.Members[a], Block: b})...)
	}
	for r := Round(1); r <= 5; r++ {
		all := []Ref{g.ref(0, r-1), g.ref(1, r-1), g.ref(2, r-1), g.ref(3, r-1)}
		stamped(0, r, 0, 0, all[0], all[1], all[2])
		stamped(1, r, 0, 0, all[1], all[0], all[2])
		stamped(2, r, Second, 0, all[2], all[0], all[1])
		parents, requests := []Ref{all[3], all[0], all[1]}, uint32(0)
		if r%2 == 1 && r > 1 {
			parents, requests = []Ref{all[3], all[0], all[2]}, 200_000
		}
		stamped(3, r, 2*Second, requests, parents...)
	}
	for _, p := range effects[Persist](out) {
		for _, v := range p.Evidence {
			m := func(h *Head) Time {
				var vs []*vertex
				for _, p := range h.Parents {
					vs = append(vs, e.dag.byRef[p])
				}
				return e.dag.medianOf(&h.Header, vs)
			}
			if allowed := allowance(m(v.First), m(v.Other), 4); int(v.Other.Requests) <= allowed {
				t.Errorf("evidence %v, %v with the parents of both: %d requests, %d allowed", v.First.Ref(), v.Other.Ref(), v.Other.Requests, allowed)
			}
		}
	}
}
