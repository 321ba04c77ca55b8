package bft

import (
	"slices"
	"strings"
	"testing"
)

// twoBlocks are two blocks of an author for one round, as they prove it to others.
func twoBlocks(c *Committee, a Author) UnverifiedEvidence {
	g := newGrid(c)
	b := g.full(a, 1, membersOf(c.Size())...)
	other := blockBy(c, a, 1, b.Parents, func(h *Header) { h.Timestamp++ })
	v := Evidence{Kind: Equivocation, Epoch: c.Epoch, First: b.Head, Other: other.Head}
	return v.unverified()
}

// told feeds evidence as it arrives from a peer.
func told(e *Engine, from PublicKey, u UnverifiedEvidence) []Effect {
	m, err := DecodeMessage(encoded(&UnverifiedEvidenceMessage{Evidence: u}), e.committee.Network)
	if err != nil {
		panic(err)
	}
	return e.Step(e.now, MessageArrived{From: from, Message: m})
}

func stored(out []Effect) (n int) {
	for _, p := range effects[Persist](out) {
		n += len(p.Evidence)
	}
	return n
}

func reported(out []Effect, kind EventKind) (about []PublicKey) {
	for _, r := range effects[Report](out) {
		if r.Event.Kind == kind {
			about = append(about, r.Event.Member)
		}
	}
	return about
}

// counting is an engine of member 0 of seven, linked to all, that counts the signatures it verifies.
func counting(found Recovered) (e *Engine, verified *int) {
	verified = new(int)
	verify := func(k PublicKey, m []byte, s Signature) bool { *verified++; return testVerify(k, m, s) }
	c := found.Committee()
	e, _ = New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: verify, Limits: DefaultLimits()}, found, Clock{Wall: c.Start + Second, Mono: Second})
	for _, k := range c.Members[1:] {
		e.Step(e.now, PeerUp{Peer: k})
	}
	return e, verified
}

// What a peer proves is stored and passed on once to whoever may lack it, at most once again on a new link, and never to whom it came
// from or whom it is about. Repeating it is no fault and costs no signature.
func TestEvidenceIsPassedOnOnce(t *testing.T) {
	c := testCommittee(7, nil)
	e, verified := counting(Recovered{Genesis: c})
	u := twoBlocks(c, 3)
	out := told(e, testKey(1), u)
	if _, to := sent[*EvidenceMessage](out); stored(out) != 1 || len(to) != 1 || !slices.Equal(to[0], []PublicKey{testKey(2), testKey(4), testKey(5), testKey(6)}) {
		t.Fatalf("%d pieces are stored, passed on to %v", stored(out), to)
	}
	if about := reported(out, EventEvidence); len(about) != 1 || about[0] != testKey(3) || !e.dag.shunned[3] {
		t.Errorf("reported about %v", about)
	}
	before := *verified
	for range 1000 {
		for _, from := range []int{1, 2, 6} {
			if out := told(e, testKey(from), u); stored(out) != 0 || len(effects[Send](out)) != 0 || len(effects[Report](out)) != 0 {
				t.Fatalf("a repetition leads to %v", out)
			}
		}
	}
	if *verified != before {
		t.Errorf("repetitions cost %d signatures", *verified-before)
	}
	for _, row := range []struct{ peer, want int }{{5, 1}, {6, 0}, {3, 0}} { // lacks it; has shown it; is the accused
		if list, _ := sent[*EvidenceMessage](e.Step(e.now, PeerUp{Peer: testKey(row.peer)})); len(list) != row.want {
			t.Errorf("on a new link member %d is told %d pieces, want %d", row.peer, len(list), row.want)
		}
	}
	// Without its link nothing is known of what it has.
	e.Step(e.now, PeerDown{Peer: testKey(6)})
	if list, _ := sent[*EvidenceMessage](e.Step(e.now, PeerUp{Peer: testKey(6)})); len(list) != 1 {
		t.Errorf("a peer that comes back is told %d pieces", len(list))
	}
}

// False evidence is the fault of who sends it, and looking at it is bounded.
func TestFalseEvidenceIsItsSendersFault(t *testing.T) {
	c := testCommittee(7, nil)
	for name, change := range map[string]func(*UnverifiedEvidence){
		"a forged signature":             func(u *UnverifiedEvidence) { u.Other.Signature[5] ^= 1 },
		"one block twice":                func(u *UnverifiedEvidence) { u.Other = u.First },
		"blocks of two rounds":           func(u *UnverifiedEvidence) { u.Other.Header.Round = 2 },
		"blocks of two authors":          func(u *UnverifiedEvidence) { u.First = twoBlocks(c, 4).First },
		"by nobody":                      func(u *UnverifiedEvidence) { u.First.Header.Author, u.Other.Header.Author = 99, 99 },
		"no parents":                     func(u *UnverifiedEvidence) { u.Other.Header.Parents = nil },
		"an unknown kind":                func(u *UnverifiedEvidence) { u.Kind = 9 },
		"time that went on":              func(u *UnverifiedEvidence) { u.Kind = TimeViolation },
		"a block of another epoch in it": func(u *UnverifiedEvidence) { u.First.Header.Epoch = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			e, verified := counting(Recovered{Genesis: c})
			before, blamed := *verified, 0
			for range 1000 {
				u := twoBlocks(c, 3)
				change(&u)
				out := told(e, testKey(1), u)
				if stored(out) != 0 || e.dag.shunned[3] || len(reported(out, EventEvidence)) > 0 {
					t.Fatal("it is believed")
				}
				for _, who := range reported(out, EventFalseEvidence) {
					if who != testKey(1) {
						t.Errorf("%v is blamed", who)
					}
					blamed++
				}
			}
			if blamed != maxWrong || *verified-before > 2*maxWrong {
				t.Errorf("the sender is blamed %d times, want %d, and cost %d signatures", blamed, maxWrong, *verified-before)
			}
			if out := told(e, testKey(2), twoBlocks(c, 3)); stored(out) != 1 {
				t.Error("a true piece by another member is not taken in")
			}
		})
	}
}

// Evidence that cannot be judged here is nobody's fault; that against this member is its own affair.
func TestEvidenceOfOtherEpochsIsDropped(t *testing.T) {
	c := testCommittee(7, nil)
	e, verified := counting(Recovered{Genesis: c})
	ahead := *c
	ahead.Epoch = 4
	before := *verified
	for _, u := range []UnverifiedEvidence{twoBlocks(&ahead, 3), twoBlocks(c, 0)} {
		if out := told(e, testKey(1), u); len(effects[Report](out)) > 0 || stored(out) > 0 || *verified != before {
			t.Errorf("it leads to %v", out)
		}
	}
}

// A restart finds what was stored, builds on nobody whom it accuses, and offers it to the others; so does the next epoch.
func TestEvidenceSurvivesARestart(t *testing.T) {
	c := testCommittee(7, nil)
	u := twoBlocks(c, 3)
	v, err := u.Verify(c, testVerify)
	if err != nil {
		t.Fatal(err)
	}
	h := handoverAt(c, Vote{Index: 10, Digest: Digest{1}})
	for name, found := range map[string]Recovered{
		"in its epoch":      {Genesis: c, Evidence: []*Evidence{v}},
		"in the one behind": {Genesis: c, Handover: h, Previous: c, Evidence: []*Evidence{v}},
	} {
		e, _ := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits()}, found, Clock{Wall: c.Start + 2*Second, Mono: Second})
		if list, _ := sent[*EvidenceMessage](e.Step(e.now, PeerUp{Peer: testKey(1)})); len(list) != 1 || !e.dag.shunned[3] {
			t.Errorf("%s: %d pieces are offered, shunned %v", name, len(list), e.dag.shunned[3])
		}
		if out := told(e, testKey(2), u); stored(out) != 0 {
			t.Errorf("%s: it is stored again", name)
		}
	}
}

// Both ways of lying about time that two headers prove are passed on; the third, which the blocks that they name prove, is not.
func TestEvidenceOfTimeIsJudged(t *testing.T) {
	c := testCommittee(4, nil)
	g := newGrid(c)
	g.rounds(1, 1, membersOf(4)...)
	first := g.blocks["d1"]
	if first == nil {
		first = g.blocks[blockName(3, 1)]
	}
	back := blockBy(c, 3, 2, []Ref{g.ref(3, 1), g.ref(0, 1), g.ref(1, 1)}, func(h *Header) { h.Timestamp = first.Timestamp })
	early := blockBy(c, 3, 1, []Ref{g.ref(3, 0), g.ref(0, 0), g.ref(1, 0)}, func(h *Header) { h.Timestamp = c.Start })
	for name, row := range map[string]struct {
		v    Evidence
		want string
	}{
		"before the block before":  {Evidence{Kind: TimeViolation, First: first.Head, Other: back.Head}, ""},
		"before the epoch":         {Evidence{Kind: TimeViolation, First: early.Head, Other: early.Head}, ""},
		"no earlier than allowed":  {Evidence{Kind: TimeViolation, First: first.Head, Other: first.Head}, "do not prove it"},
		"too many requests or not": {Evidence{Kind: TimeViolation, First: early.Head, Other: back.Head}, "do not prove it"},
	} {
		u := row.v.unverified()
		if _, err := u.Verify(c, testVerify); (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
