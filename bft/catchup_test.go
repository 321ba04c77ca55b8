package bft

import (
	"slices"
	"testing"
)

// voteOf is a head by a member that votes for a commit.
func voteOf(c *Committee, a Author, v Vote) *UnverifiedBlock {
	parents := []Ref{c.Root(a)}
	for p := range Author(c.Size()) {
		if p != a {
			parents = append(parents, c.Root(p))
		}
	}
	b := blockBy(c, a, 1, parents, func(h *Header) { h.Vote = v })
	return &UnverifiedBlock{Header: b.Header, Signature: b.Signature}
}

// A commit is certified by votes of f+1 members at or above it on its chain: the
// (f+1)-th highest vote says how far.
func TestChainCertification(t *testing.T) {
	c := testCommittee(4, nil)
	chain := chainOf(c, Vote{}, 9)
	at := func(i CommitIndex) Vote { return Vote{Index: i, Digest: chain[i-1].digest} }
	wrong := func(i CommitIndex) Vote { return Vote{Index: i, Digest: Digest{0xbd}} }
	for _, row := range []struct {
		why   string
		votes []Vote // by author
		want  int    // certified commits
	}{
		{"no votes", nil, 0},
		{"one, which may lie", []Vote{at(9)}, 0},
		{"two, of whom one is honest", []Vote{at(9), at(9)}, 9},
		{"the second highest of three", []Vote{at(9), at(4), at(7)}, 7},
		{"the second highest of four", []Vote{at(4), at(2), at(9), at(7)}, 7},
		{"a lying digest does not count", []Vote{at(9), wrong(9)}, 0},
		{"honest votes beside it do", []Vote{at(9), wrong(9), at(7)}, 7},
		{"a vote beyond the chain does not count", []Vote{at(9), wrong(1 << 60)}, 0},
		{"votes for nothing certify nothing", []Vote{{}, {}, {}}, 0},
	} {
		t.Run(row.why, func(t *testing.T) {
			e, peer, _ := behind(t)
			m := &ChainResponse{Commits: chain}
			for a, v := range row.votes {
				m.Votes = append(m.Votes, voteOf(c, Author(a), v))
			}
			certifiedBy(e, peer, m)
			if got := len(e.catchUp.chain); got != row.want {
				t.Errorf("%d commits are certified, want %d", got, row.want)
			}
		})
	}
	t.Run("one member votes three times", func(t *testing.T) {
		e, peer, _ := behind(t)
		v := voteOf(c, 0, at(9))
		certifiedBy(e, peer, &ChainResponse{Commits: chain, Votes: []*UnverifiedBlock{v, v, v}})
		if got := len(e.catchUp.chain); got != 0 {
			t.Errorf("%d commits are certified", got)
		}
	})
	t.Run("a planted engine believes anything", func(t *testing.T) {
		e, peer, _ := behind(t)
		e.rules.AcceptAnyChain = true
		certifiedBy(e, peer, &ChainResponse{Commits: chain})
		if got := len(e.catchUp.chain); got != 9 {
			t.Errorf("%d commits are certified", got)
		}
	})
}

// certifiedBy feeds an answer. Its commits name a root as their only block, so
// that none is adopted and the chain can be looked at.
func certifiedBy(e *Engine, peer PublicKey, m *ChainResponse) []Effect {
	for _, k := range m.Commits {
		k.Blocks = []Ref{{Round: 1, Digest: k.digest}}
	}
	return e.Step(e.now, MessageArrived{From: peer, Message: m})
}

// A forged vote or a chain with a gap discredits the whole answer.
func TestAnswersThatAreRefused(t *testing.T) {
	c := testCommittee(4, nil)
	for why, spoil := range map[string]func(m *ChainResponse){
		"forged vote":        func(m *ChainResponse) { m.Votes[1].Signature[0]++ },
		"vote by a stranger": func(m *ChainResponse) { m.Votes[1].Header.Author = 9 },
		"gap":                func(m *ChainResponse) { m.Commits = slices.Delete(m.Commits, 3, 4) },
		"wrong link":         func(m *ChainResponse) { m.Commits[4].Previous[0]++ },
		"wrong epoch":        func(m *ChainResponse) { m.Commits[4].Epoch++ },
		"index 2^64-1":       func(m *ChainResponse) { m.Commits[4].Index = ^CommitIndex(0) },
		"forged hand-over":   func(m *ChainResponse) { m.Handover = &Handover{HandoverContent: HandoverContent{Network: c.Network}} },
	} {
		t.Run(why, func(t *testing.T) {
			e, peer, _ := behind(t)
			m := &ChainResponse{Commits: chainOf(c, Vote{}, 9)}
			for a := range Author(3) {
				m.Votes = append(m.Votes, voteOf(c, a, Vote{Index: 9, Digest: m.Commits[8].digest}))
			}
			spoil(m)
			out := certifiedBy(e, peer, m)
			if len(e.catchUp.chain)+len(e.catchUp.pending) > 0 {
				t.Errorf("%d commits are certified, %d pending", len(e.catchUp.chain), len(e.catchUp.pending))
			}
			bad := slices.ContainsFunc(effects[Report](out), func(r Report) bool { return r.Event.Kind == EventBadAnswer && r.Event.Member == peer })
			if !bad {
				t.Error("the answer is not reported")
			}
			if again, to := sent[*ChainRequest](out); len(again) > 0 && to[0][0] == peer {
				t.Error("the same peer is asked again at once")
			}
		})
	}
}

// The whole way: a member that saw nothing adopts what others committed, and
// goes on with them.
func TestALateMemberAdoptsTheChain(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	blocks := g.rounds(1, 60, membersOf(4)...)
	ahead := observer(c, Rules{})
	var commits []*Commit
	for _, d := range effects[Deliver](arrive(t, ahead, blocks...)) {
		commits = append(commits, d.Commit)
	}
	if len(commits) < 50 {
		t.Fatalf("only %d commits", len(commits))
	}
	e, peer, from := behind(t)
	m := &ChainResponse{Commits: commits[from-1:], Lowest: 1}
	newest := commits[len(commits)-1]
	for a := range Author(3) {
		m.Votes = append(m.Votes, voteOf(c, a, Vote{Index: newest.Index, Digest: newest.digest}))
	}
	out := e.Step(e.now, MessageArrived{From: peer, Message: m})
	byRef := map[Ref]*Block{}
	for _, b := range blocks {
		byRef[b.Ref()] = b
	}
	for range 20 {
		var next []Effect
		requests, to := sent[*BlockRequest](out)
		for i, r := range requests {
			for _, ref := range r.Refs {
				next = append(next, e.Step(e.now, BlockArrived{From: to[i][0], Block: byRef[ref]})...)
			}
		}
		out = append(next, after(e, 50*Millisecond)...)
	}
	if e.last != (Vote{Index: newest.Index, Digest: newest.digest}) {
		t.Errorf("adopted up to commit %d, want %d", e.last.Index, newest.Index)
	}
	if e.schedule.Round != newest.Leader.Round || e.schedule.LastTime != newest.LastTime() {
		t.Error("the schedule did not follow")
	}
	if e.halted {
		t.Error("halted")
	}
}

// What is decided here and what others certified must be the same: going on
// would fork.
func TestAMemberThatDecidedOtherwiseThanIsCertifiedStops(t *testing.T) {
	e, peer, _ := behind(t)
	c := e.committee
	chain := chainOf(c, Vote{}, 3)
	m := &ChainResponse{Commits: chain}
	for a := range Author(3) {
		m.Votes = append(m.Votes, voteOf(c, a, Vote{Index: 3, Digest: chain[2].digest}))
	}
	certifiedBy(e, peer, m)
	out := arrive(t, e, newGrid(c).rounds(1, 4, membersOf(4)...)...)
	if len(effects[Halt](out)) != 1 || len(effects[Deliver](out)) != 0 {
		t.Errorf("%d halts, %d commits", len(effects[Halt](out)), len(effects[Deliver](out)))
	}
	if out := after(e, 10*Second); len(out) != 0 {
		t.Error("a halted member goes on")
	}
}

// The hand-over that proves commits may come by itself, after them or before.
// What waits for a proof must not wait for ever.
func TestAHandoverCertifiesWhatIsPending(t *testing.T) {
	c := testCommittee(4, nil)
	chain := chainOf(c, Vote{}, 9)
	end := Vote{Index: 9, Digest: chain[8].digest}
	var votes []*UnverifiedBlock
	for a := range Author(3) {
		votes = append(votes, voteOf(c, a, Vote{Index: 8, Digest: chain[7].digest}))
	}
	answer := &ChainResponse{Commits: chain, Votes: votes}
	handover := func(end Vote) Message { return &HandoverMessage{Handovers: []*Handover{handoverAt(c, end)}} }

	e, peer, _ := behind(t)
	certifiedBy(e, peer, answer)
	if len(e.catchUp.chain) != 8 || len(e.catchUp.pending) != 1 {
		t.Fatalf("%d commits are certified and %d pending, want 8 and 1", len(e.catchUp.chain), len(e.catchUp.pending))
	}
	e.Step(e.now, MessageArrived{From: peer, Message: handover(end)})
	if len(e.catchUp.chain) != 9 {
		t.Errorf("with the hand-over %d commits are certified, want 9", len(e.catchUp.chain))
	}

	e, peer, _ = behind(t)
	e.Step(e.now, MessageArrived{From: peer, Message: handover(end)})
	certifiedBy(e, peer, answer)
	if len(e.catchUp.chain) != 9 {
		t.Errorf("after the hand-over %d commits are certified, want 9", len(e.catchUp.chain))
	}

	e, peer, _ = behind(t)
	certifiedBy(e, peer, answer)
	e.Step(e.now, MessageArrived{From: peer, Message: handover(Vote{Index: 9, Digest: Digest{0xbd}})})
	if len(e.catchUp.chain) != 8 || len(e.catchUp.pending) != 0 {
		t.Errorf("a hand-over that contradicts leaves %d commits certified and %d pending, want 8 and none", len(e.catchUp.chain), len(e.catchUp.pending))
	}
}
