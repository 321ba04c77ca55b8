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
