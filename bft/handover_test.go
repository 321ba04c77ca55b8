package bft

import (
	"strings"
	"testing"
)

// ended returns an engine of member key whose epoch has ended with commit 3 and
// whose application answered with state.
func ended(t *testing.T, n, key int, state Digest) *Engine {
	t.Helper()
	c := testCommittee(n, func(p *Params) { p.EpochDuration = 15 * Millisecond })
	e := engineOf(c, testKey(key), Rules{})
	e.Step(e.now, RequestsQueued{Requests: 1, Bytes: 8}) // keeps it from proposing
	arrive(t, e, newGrid(c).rounds(1, 6, membersOf(n)[n-c.Quorum():]...)...)
	if !e.ended {
		t.Fatal("the epoch has not ended")
	}
	e.Step(e.now, EpochEnded{Index: e.last.Index, State: state, Members: c.Members, Params: c.Params})
	if e.handover.content == nil {
		t.Fatal("no hand-over")
	}
	return e
}

// voteFor is a member's signature under the hand-over that e expects, with
// another state.
func voteFor(e *Engine, a Author, state Digest) *HandoverVote {
	v := &HandoverVote{Content: *e.handover.content, Author: a}
	v.Content.State = state
	v.Signature = testSign(e.committee.Members[a])(v.Content.signedBytes())
	return v
}

func TestHandoverVotes(t *testing.T) {
	mine, other, third := Digest{1}, Digest{2}, Digest{3}
	for _, row := range []struct {
		why   string
		votes map[Author]Digest
		want  string // "", "next epoch", "alarm" or a part of the reason to halt
	}{
		{"one other agrees", map[Author]Digest{1: mine}, ""},
		{"two others agree", map[Author]Digest{1: mine, 2: mine}, "next epoch"},
		{"a liar does not matter", map[Author]Digest{1: other, 2: mine, 3: mine}, "next epoch"},
		{"one disagrees", map[Author]Digest{1: other}, ""},
		{"two disagree alike", map[Author]Digest{1: other, 2: other}, "alarm"},
		{"a quorum disagrees", map[Author]Digest{1: other, 2: other, 3: other}, "its state diverged"},
		{"no state can get a quorum any more", map[Author]Digest{1: other, 2: third}, "no state after commit"},
	} {
		t.Run(row.why, func(t *testing.T) {
			e := ended(t, 4, 0, mine)
			var out []Effect
			for a := range Author(4) {
				if state, ok := row.votes[a]; ok {
					out = append(out, e.Step(e.now, MessageArrived{From: testKey(int(a)), Message: voteFor(e, a, state)})...)
				}
			}
			got := ""
			if len(effects[EpochStarted](out)) > 0 {
				got = "next epoch"
			}
			for _, r := range effects[Report](out) {
				if r.Event.Kind == EventDivergence {
					got = "alarm"
				}
			}
			for _, h := range effects[Halt](out) {
				got = h.Reason
			}
			if got != row.want && (row.want == "" || !strings.Contains(got, row.want)) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// Votes count once and only with a good signature by a member.
func TestHandoverVotesThatDoNotCount(t *testing.T) {
	mine := Digest{1}
	e := ended(t, 4, 0, mine)
	send := func(v *HandoverVote) {
		t.Helper()
		if out := e.Step(e.now, MessageArrived{From: testKey(1), Message: v}); len(effects[EpochStarted](out)) > 0 || len(effects[Halt](out)) > 0 {
			t.Fatalf("a vote by %d counted", v.Author)
		}
	}
	good := voteFor(e, 1, mine)
	send(good)
	send(good)
	forged := voteFor(e, 2, mine)
	forged.Signature[0]++
	send(forged)
	stranger := voteFor(e, 2, mine)
	stranger.Author = 4
	send(stranger)
	stranger.Author = 65535
	send(stranger)
	foreign := voteFor(e, 2, mine)
	foreign.Content.Network[0]++
	send(foreign)
	for _, epoch := range []Epoch{1, ^Epoch(0)} {
		later := voteFor(e, 2, mine)
		later.Content.Epoch, later.Content.End = epoch, ^CommitIndex(0)
		send(later)
	}
	second := voteFor(e, 1, Digest{9})
	send(second) // the first one counts
	if e.handover.votes[1] != good {
		t.Error("a second vote replaced the first")
	}
}

// A member that is late signs again and again until somebody who has moved on
// answers with the proof.
func TestHandoverVoteIsRepeatedUntilProven(t *testing.T) {
	mine := Digest{1}
	e := ended(t, 4, 0, mine)
	for range 3 {
		out := after(e, e.committee.Params.LeaderTimeout)
		if votes, _ := sent[*HandoverVote](out); len(votes) != 1 {
			t.Fatalf("%d votes sent after a timeout, want 1", len(votes))
		}
	}
	h := &Handover{HandoverContent: *e.handover.content}
	for _, a := range []Author{1, 2, 3} {
		h.Signatures = append(h.Signatures, MemberSignature{a, voteFor(e, a, mine).Signature})
	}
	out := e.Step(e.now, MessageArrived{From: testKey(2), Message: &HandoverMessage{Handovers: []*Handover{h}}})
	if len(effects[EpochStarted](out)) != 1 {
		t.Fatal("a proven hand-over does not start the epoch")
	}
	if p := effects[Persist](out); len(p) == 0 || len(p[0].Handovers) != 1 {
		t.Error("the hand-over is not made durable")
	}
	// Whoever is still voting for the old epoch is given the proof.
	out = e.Step(e.now, MessageArrived{From: testKey(3), Message: &HandoverVote{Content: h.HandoverContent, Author: 3}})
	if s := effects[Serve](out); len(s) != 1 || *s[0].Request.(*HandoverRequest) != (HandoverRequest{From: 0}) {
		t.Errorf("a late voter is answered with %v", out)
	}
}

func TestHandoverVerify(t *testing.T) {
	e := ended(t, 4, 0, Digest{1})
	c := e.committee
	sign := func(h *Handover, authors ...Author) {
		h.Signatures = nil
		for _, a := range authors {
			var s Signature
			if int(a) < c.Size() {
				s = testSign(c.Members[a])(h.signedBytes())
			}
			h.Signatures = append(h.Signatures, MemberSignature{a, s})
		}
	}
	for _, row := range []struct {
		why    string
		change func(h *Handover)
		valid  bool
	}{
		{"a quorum", func(h *Handover) { sign(h, 0, 2, 3) }, true},
		{"all", func(h *Handover) { sign(h, 0, 1, 2, 3) }, true},
		{"one short", func(h *Handover) { sign(h, 0, 2) }, false},
		{"one twice", func(h *Handover) { sign(h, 0, 2, 2) }, false},
		{"a stranger", func(h *Handover) { sign(h, 0, 2, 3, 4) }, false},
		{"a false signature", func(h *Handover) { sign(h, 0, 2, 3); h.Signatures[1].Signature[0]++ }, false},
		{"another network", func(h *Handover) { h.Network[0]++; sign(h, 0, 1, 2) }, false},
		{"another epoch", func(h *Handover) { h.Epoch++; sign(h, 0, 1, 2) }, false},
		{"no members", func(h *Handover) { h.Members = nil; sign(h, 0, 1, 2) }, false},
		{"a member twice", func(h *Handover) { h.Members = append(h.Members[:3:3], h.Members[0]); sign(h, 0, 1, 2) }, false},
		{"impossible parameters", func(h *Handover) { h.Params.GCDepth = 0; sign(h, 0, 1, 2) }, false},
		{"too few standings", func(h *Handover) { h.Schedule.Standings = h.Schedule.Standings[:3]; sign(h, 0, 1, 2) }, false},
		{"too many standings", func(h *Handover) { h.Schedule.Standings = make([]Standing, 5); sign(h, 0, 1, 2) }, false},
		{"a round in the schedule", func(h *Handover) { h.Schedule.Round = 1; sign(h, 0, 1, 2) }, false},
	} {
		h := &Handover{HandoverContent: *e.handover.content}
		row.change(h)
		if err := h.Verify(c, testVerify); (err == nil) != row.valid {
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

// An application that names an impossible next committee keeps the old one.
func TestAnImpossibleCommitteeKeepsTheOld(t *testing.T) {
	c := testCommittee(4, func(p *Params) { p.EpochDuration = 15 * Millisecond })
	for name, in := range map[string]EpochEnded{
		"empty":      {Params: c.Params},
		"duplicate":  {Members: []PublicKey{{1}, {1}}, Params: c.Params},
		"parameters": {Members: c.Members},
	} {
		e := observer(c, Rules{})
		arrive(t, e, newGrid(c).rounds(1, 6, membersOf(4)...)...)
		in.Index = e.last.Index
		e.Step(e.now, in)
		if h := e.handover.content; h == nil || len(h.Members) != 4 || h.Params != c.Params {
			t.Errorf("%s: the hand-over is %+v", name, h)
		}
	}
}
