package bft

import "testing"

// rejoining returns an engine of member A of four that lost its disk.
func rejoining(t *testing.T, n int) *Engine {
	t.Helper()
	c := testCommittee(n, nil)
	e, out := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits()},
		Recovered{Genesis: c, Rejoin: true, Nonce: 42}, Clock{Wall: c.Start, Mono: Second})
	if q, _ := sent[*RejoinQuery](out); len(q) != 1 || q[0].Nonce != 42 {
		t.Fatalf("asked %v, want one query with the nonce", q)
	}
	return e
}

// Answers count once a member, with the right nonce, and only as far as this
// member can follow: it proposes two epochs after the highest of a quorum.
func TestRejoinAfterALostDisk(t *testing.T) {
	type answer struct {
		from  int
		nonce uint64
		epoch Epoch
	}
	for _, row := range []struct {
		why     string
		answers []answer
		want    Epoch // 0: still asking
	}{
		{"two answers", []answer{{1, 42, 0}, {2, 42, 0}}, 0},
		{"three answers", []answer{{1, 42, 0}, {2, 42, 0}, {3, 42, 0}}, 2},
		{"one twice", []answer{{1, 42, 0}, {2, 42, 0}, {2, 42, 0}}, 0},
		{"an old nonce", []answer{{1, 42, 0}, {2, 42, 0}, {3, 41, 0}}, 0},
		{"a stranger", []answer{{1, 42, 0}, {2, 42, 0}, {9, 42, 0}}, 0},
		{"its own answer", []answer{{1, 42, 0}, {2, 42, 0}, {0, 42, 0}}, 0},
		{"a claim that it cannot follow", []answer{{1, 42, 0}, {2, 42, 0}, {3, 42, ^Epoch(0)}}, 0},
	} {
		t.Run(row.why, func(t *testing.T) {
			e := rejoining(t, 4)
			var stored []Epoch
			for _, a := range row.answers {
				for _, p := range effects[Persist](e.Step(e.now, MessageArrived{From: testKey(a.from), Message: &RejoinAnswer{Nonce: a.nonce, Epoch: a.epoch}})) {
					if p.ProposeFrom != nil {
						stored = append(stored, *p.ProposeFrom)
					}
				}
			}
			if e.mayPropose() {
				t.Error("it proposes in an epoch in which it may have signed")
			}
			if row.want == 0 && (len(stored) > 0 || !e.rejoin.active) {
				t.Errorf("no longer asking, proposes from %v", stored)
			}
			if row.want > 0 && (len(stored) != 1 || stored[0] != row.want || e.propose.from != row.want) {
				t.Errorf("proposes from %v, want %d, and stored once", stored, row.want)
			}
		})
	}
}

func TestRejoinAsksAgain(t *testing.T) {
	e := rejoining(t, 4)
	p := e.committee.Params
	if q, _ := sent[*RejoinQuery](after(e, p.LeaderTimeout+p.IdleInterval)); len(q) != 1 {
		t.Errorf("%d queries after a pause, want 1", len(q))
	}
}

// A restart goes on above the highest own round, even where own blocks are
// newer than all that is left of the others'.
func TestRestartContinuesAboveTheOwnNewestBlock(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	blocks := g.rounds(1, 5, membersOf(4)...)
	var heads []*Head
	for _, b := range blocks {
		if b.Round < 5 || b.Author == 0 {
			heads = append(heads, b.Head)
		}
	}
	e, out := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits()},
		Recovered{Genesis: c, Blocks: heads, Own: g.blocks["A5"]}, Clock{Wall: c.Start + Second, Mono: Second})
	if m, _ := sent[*BlockMessage](out); len(m) == 0 || m[0].Block != g.blocks["A5"] {
		t.Error("the newest own block is not sent again")
	}
	out = after(e, 10*Second)
	out = append(out, arrive(t, e, blocks[17:]...)...)
	out = append(out, after(e, 10*Second)...)
	for _, b := range effects[Persist](out) {
		for _, b := range b.Blocks {
			if b.Author == 0 && b.Round <= 5 {
				t.Fatalf("%s is a second block for its round", b.Ref())
			}
		}
	}
	wantProposed(t, e, 6, "when round 5 is complete")
	if p := e.propose.own.Parents[0]; p != g.ref(0, 5) {
		t.Errorf("the own parent is %s", p)
	}
}

// A block that bears this member's signature and is not on its disk ends
// proposing for the epoch: the disk is not what it was.
func TestAForgottenOwnBlockEndsProposing(t *testing.T) {
	c := testCommittee(4, nil)
	e := engineOf(c, testKey(0), Rules{})
	g := newGrid(c)
	out := arrive(t, e, g.rounds(1, 3, membersOf(4)...)...)
	own := e.propose.round
	stopped := 0
	for _, r := range effects[Report](out) {
		if r.Event.Kind == EventProposingStopped {
			stopped++
		}
	}
	if stopped != 1 || e.Progress().Proposing {
		t.Errorf("stopped %d times, proposing %v", stopped, e.Progress().Proposing)
	}
	for _, b := range g.rounds(4, 9, membersOf(4)...) {
		arrive(t, e, b)
	}
	for range 9 { // what was refused unasked is welcome as an ancestor of others' blocks
		for r := Round(1); r <= 9; r++ {
			arrive(t, e, g.blocks[blockName(0, r)])
		}
	}
	after(e, 10*Second)
	if e.propose.round != own {
		t.Error("it went on proposing")
	}
	if e.last.Index == 0 {
		t.Error("it no longer follows the others")
	}
}

// A restart behind the last commit of an epoch asks the application again, and
// hands over.
func TestRestartBetweenEpochs(t *testing.T) {
	c := testCommittee(4, func(p *Params) { p.EpochDuration = 15 * Millisecond })
	first := observer(c, Rules{})
	out := arrive(t, first, newGrid(c).rounds(1, 6, membersOf(4)...)...)
	var last *CommitRecord
	var commits []*Commit
	for _, p := range effects[Persist](out) {
		for _, r := range p.Commits {
			last, commits = r, append(commits, r.Commit)
		}
	}
	if !first.ended {
		t.Fatal("the epoch has not ended")
	}
	e, out := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits()},
		Recovered{Genesis: c, Last: last, Commits: commits}, Clock{Wall: c.Start + Second, Mono: Second})
	d := effects[Deliver](out)
	if len(d) != 1 || !d[0].EndsEpoch || d[0].Commit.Index != last.Index {
		t.Fatalf("delivered %v, want the last commit of the epoch again", d)
	}
	out = e.Step(e.now, EpochEnded{Index: last.Index, State: Digest{1}, Members: c.Members, Params: c.Params})
	if v, _ := sent[*HandoverVote](out); len(v) != 1 || v[0].Content.End != last.Index {
		t.Errorf("votes %v, want one for the end at %d", v, last.Index)
	}
}
