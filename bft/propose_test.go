package bft

import "testing"

// ownBlocks picks the own blocks that were sent to others, by round.
func ownBlocks(out []Effect) (rounds []Round) {
	messages, _ := sent[*BlockMessage](out)
	for _, m := range messages {
		if len(rounds) == 0 || rounds[len(rounds)-1] != m.Block.Round {
			rounds = append(rounds, m.Block.Round)
		}
	}
	return rounds
}

// member is the engine of member A, with B, C and D played by a grid whose
// blocks build on each other alone.
func member(t *testing.T, change func(*Params)) (*Engine, *grid) {
	t.Helper()
	c := testCommittee(4, change)
	g := newGrid(c)
	return engineOf(c, testKey(0), Rules{}), g
}

func wantProposed(t *testing.T, e *Engine, r Round, when string) {
	t.Helper()
	if e.propose.round != r {
		t.Fatalf("%s: the newest own block is of round %d, want %d", when, e.propose.round, r)
	}
}

// The first block needs nothing but the roots.
func TestTheFirstRoundStartsAtOnce(t *testing.T) {
	e, _ := member(t, nil)
	wantProposed(t, e, 1, "at the start")
}

// busy gives A something to order, so that rounds run as fast as they can, and
// the other members' blocks of round 1.
func busy(t *testing.T, e *Engine, g *grid) {
	t.Helper()
	e.propose.pendingPayloads++
	arrive(t, e, g.rounds(1, 1, 1, 2, 3)...)
}

func TestARoundWaitsForItsLeader(t *testing.T) {
	e, g := member(t, nil)
	busy(t, e, g)
	wantProposed(t, e, 2, "after a complete round 1 with its leader B")
	// Round 2 is C's. A, B and D are a quorum, but C is waited for.
	arrive(t, e, g.full(1, 2, 1, 2, 3), g.full(3, 2, 1, 2, 3))
	after(e, g.c.Params.LeaderTimeout-10*Millisecond)
	wantProposed(t, e, 2, "before the timeout, without C2")
	arrive(t, e, g.full(2, 2, 1, 2, 3))
	wantProposed(t, e, 3, "when C2 is here")
}

func TestALeaderIsWaitedForOnlyOnce(t *testing.T) {
	e, g := member(t, nil)
	busy(t, e, g)
	arrive(t, e, g.full(1, 2, 1, 2, 3), g.full(3, 2, 1, 2, 3))
	timeout := g.c.Params.LeaderTimeout
	out := after(e, timeout)
	wantProposed(t, e, 3, "after the timeout, without C2")
	if !e.suspects[2] {
		t.Error("C is not suspected")
	}
	events := 0
	for _, r := range effects[Report](out) {
		if r.Event.Kind == EventLeaderTimeout {
			events++
		}
	}
	if events != 1 {
		t.Errorf("%d leader timeouts reported, want 1", events)
	}
	if got := e.leaderTimeout(); got != 2*timeout {
		t.Errorf("after a failure the timeout is %d, want twice %d", got, timeout)
	}
	for range 10 {
		e.propose.failures++
	}
	if got := e.leaderTimeout(); got != 8*timeout {
		t.Errorf("after many failures the timeout is %d, want eight times %d", got, timeout)
	}
	e.propose.committed()
	if got := e.leaderTimeout(); got != timeout {
		t.Errorf("after a commit the timeout is %d, want %d", got, timeout)
	}
	// A block in time ends the suspicion.
	arrive(t, e, g.add(2, 2, g.ref(2, 1), g.ref(1, 1), g.ref(3, 1)))
	if e.suspects[2] {
		t.Error("C is still suspected")
	}
}

// The leader of round 1 has two votes in round 2, and C may still bring the
// third: that is worth waiting for. Once it cannot, it is not.
func TestARoundWaitsForVotesThatMayStillCome(t *testing.T) {
	for _, row := range []struct {
		why   string
		votes bool // D2 votes for B1
		want  Round
	}{
		{"two votes and one absent", false, 2},
		{"three votes", true, 3},
	} {
		t.Run(row.why, func(t *testing.T) {
			e, g := member(t, nil)
			busy(t, e, g)
			g.blocks["A1"] = &Block{Head: e.dag.layer(1).first[0].head}
			g.full(2, 2, 0, 1, 2, 3)
			// Leader C2 and D2 are here, B2 is not; A2 and C2 vote for B1.
			d := g.add(3, 2, g.ref(3, 1), g.ref(0, 1), g.ref(2, 1))
			if row.votes {
				d = g.full(3, 2, 0, 1, 2, 3)
			}
			arrive(t, e, g.blocks["C2"], d)
			wantProposed(t, e, row.want, row.why)
		})
	}
}

// With nothing to order a round is made every idle interval; a request or
// another member's payload starts one at once.
func TestIdleRounds(t *testing.T) {
	quiet := func(t *testing.T) (*Engine, *grid) {
		e, g := member(t, nil)
		arrive(t, e, g.rounds(1, 1, 1, 2, 3)...)
		wantProposed(t, e, 1, "idle, right after round 1")
		return e, g
	}
	t.Run("interval", func(t *testing.T) {
		e, g := quiet(t)
		after(e, g.c.Params.IdleInterval-10*Millisecond)
		wantProposed(t, e, 1, "before the interval is over")
		after(e, 10*Millisecond)
		wantProposed(t, e, 2, "after the idle interval")
	})
	t.Run("request", func(t *testing.T) {
		e, _ := quiet(t)
		out := e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8})
		if len(effects[RequestPayload](out)) != 1 {
			t.Fatal("no payload is asked for")
		}
		if rounds := ownBlocks(payload(e, 1)); len(rounds) != 1 || rounds[0] != 2 {
			t.Errorf("own blocks of rounds %v, want round 2", rounds)
		}
	})
	t.Run("payload of another", func(t *testing.T) {
		e, g := quiet(t)
		b := g.full(2, 2, 1, 2, 3)
		arrive(t, e, b)
		wantProposed(t, e, 2, "after an empty block of round 2, the first that C sends")
	})
	t.Run("empty blocks are followed seldom", func(t *testing.T) {
		e, g := quiet(t)
		arrive(t, e, g.rounds(2, 2, 1, 2, 3)...)
		wantProposed(t, e, 2, "after round 2")
		followed := 2
		for r := Round(3); r <= 30; r++ {
			arrive(t, e, g.rounds(r, r, 1, 2, 3)...)
			if int(e.propose.round) > followed {
				followed++
				if e.propose.round < r {
					t.Fatalf("A is at round %d while others are at %d", e.propose.round, r)
				}
			}
		}
		if followed > 6 {
			t.Errorf("A followed %d empty rounds within 100 ms", followed)
		}
	})
}

// A block carries a request for every n µs by which the median of its parents
// lies above that of the own previous block, whatever the own clock says, and
// none while the application lags.
func TestPayloadLimit(t *testing.T) {
	e, g := member(t, nil)
	arrive(t, e, g.rounds(1, 1, 1, 2, 3)...)
	median := e.nextMedian(e.chooseParents(e.propose.own.Ref()))
	own := e.dag.byRef[e.propose.own.Ref()]
	for _, row := range []struct {
		passed Time
		want   int
	}{{-Second, 0}, {0, 0}, {3, 0}, {4, 1}, {4000, 1000}, {Second, 10000}} {
		own.median, e.dag.start = median-row.passed, median-2*Second
		if got := e.payloadLimit(); got != row.want {
			t.Errorf("%d µs after the own previous block %d requests fit, want %d", row.passed, got, row.want)
		}
	}
	own.median = unknownTime
	if got := e.payloadLimit(); got != 0 {
		t.Errorf("not knowing how much time has passed %d requests fit", got)
	}
	own.median = median - Second
	e.last.Index = e.applied + e.limits.MaxUnapplied + 1
	if got := e.payloadLimit(); got != 0 {
		t.Errorf("while the application lags %d requests fit", got)
	}
}

// A payload that no block can carry any more goes back.
func TestAPayloadThatCameTooLateGoesBack(t *testing.T) {
	e, _ := member(t, nil)
	e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8})
	out := payload(e, 1) // round 1 is A's own; round 2 has not begun
	if back := effects[ReturnPayload](out); len(back) != 1 || back[0].Requests != 1 {
		t.Errorf("got %v, want the payload back", out)
	}
}

// The own newest block is sent again until a quorum has built on it, and only
// to those who have not.
func TestRetransmission(t *testing.T) {
	e, g := member(t, nil)
	pause := g.c.Params.LeaderTimeout + g.c.Params.IdleInterval
	again := func() [][]PublicKey {
		_, to := sent[*BlockMessage](after(e, pause))
		return to
	}
	if to := again(); len(to) != 1 || len(to[0]) != 3 {
		t.Fatalf("sent again to %v, want all three others", to)
	}
	e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8}) // A waits for its payload meanwhile
	g.blocks["A1"] = e.propose.own
	arrive(t, e, g.rounds(1, 1, 1, 2, 3)...)
	arrive(t, e, g.full(1, 2, 0, 1, 2, 3))
	if to := again(); len(to) != 1 || len(to[0]) != 2 || to[0][0] != testKey(2) {
		t.Fatalf("sent again to %v, want C and D, since B has built on it", to)
	}
	arrive(t, e, g.full(2, 2, 0, 1, 2, 3))
	if to := again(); len(to) != 0 {
		t.Fatalf("sent again to %v, though a quorum has built on it", to)
	}
	// Reconnecting brings the newest block and the own status.
	out := e.Step(e.now, PeerUp{Peer: testKey(2)})
	if m, _ := sent[*BlockMessage](out); len(m) == 0 || m[0].Block != e.propose.own {
		t.Error("the newest own block is not sent to a peer whose link came up")
	}
	if m, _ := sent[*Status](out); len(m) != 1 {
		t.Error("the own status is not sent to a peer whose link came up")
	}
}

// What is sent waits for what it builds on to be durable.
func TestNothingIsSentBeforeItIsDurable(t *testing.T) {
	e, g := member(t, nil)
	busy(t, e, g)
	out := arrive(t, e, g.full(1, 2, 1, 2, 3), g.full(2, 2, 1, 2, 3))
	stored := map[Ref]uint64{}
	for _, p := range effects[Persist](out) {
		for _, b := range p.Blocks {
			stored[b.Ref()] = p.Seq
		}
	}
	checked := 0
	for _, s := range effects[Send](out) {
		m, ok := s.Message.(*BlockMessage)
		if !ok {
			continue
		}
		for _, ref := range append([]Ref{m.Block.Ref()}, m.Block.Parents...) {
			if stored[ref] > s.After {
				t.Errorf("%s goes out after record %d, and %s is in %d", m.Block.Ref(), s.After, ref, stored[ref])
			}
			checked++
		}
		if stored[m.Block.Ref()] == 0 {
			t.Errorf("%s is not stored", m.Block.Ref())
		}
	}
	if checked == 0 {
		t.Error("nothing was sent")
	}
}

// An own block that falls behind the garbage collection round gives its
// requests back, once; so does the end of its epoch. Nothing else does.
func TestRequeue(t *testing.T) {
	e, g := member(t, func(p *Params) { p.GCDepth = 10 })
	arrive(t, e, g.rounds(1, 1, 1, 2, 3)...)
	after(e, Second)
	e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8})
	var out []Effect
	if e.propose.sealing {
		out = payload(e, 2)
	}
	if e.propose.own.Requests == 0 {
		arrive(t, e, g.rounds(2, 2, 1, 2, 3)...)
		out = payload(e, 2)
	}
	own := e.propose.own
	if own.Requests != 2 {
		t.Fatalf("the own block carries %d requests (%v)", own.Requests, out)
	}
	// B, C and D go on without ever building on it.
	var back []Requeue
	for r := own.Round; r <= 40; r++ {
		for _, a := range []Author{1, 2, 3} {
			if g.blocks[blockName(a, r)] == nil {
				back = append(back, effects[Requeue](arrive(t, e, g.full(a, r, 1, 2, 3)))...)
			}
		}
		if e.dag.gc < own.Round && len(back) > 0 {
			t.Fatalf("requests of round %d returned while round %d is forgotten", own.Round, e.dag.gc)
		}
	}
	if len(back) != 1 || back[0].Block != own.Ref() {
		t.Errorf("requeued %v, want %s once", back, own.Ref())
	}
}
