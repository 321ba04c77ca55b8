package bft

import "testing"

// behind returns an engine that is far behind: all of its links are up and two
// members, of whom one must be honest, say that they are at commit 1000. It has
// asked somebody for the chain of commits.
func behind(t *testing.T) (e *Engine, asked PublicKey, from CommitIndex) {
	t.Helper()
	c := testCommittee(4, nil)
	e = observer(c, Rules{})
	var out []Effect
	for _, k := range c.Members {
		out = append(out, e.Step(e.now, PeerUp{Peer: k})...)
	}
	for _, k := range c.Members {
		out = append(out, e.Step(e.now, MessageArrived{From: k, Message: &Status{Round: 5000, Commit: 1000}})...)
	}
	asked, from = lastAsked(t, out)
	return e, asked, from
}

func lastAsked(t *testing.T, out []Effect) (PublicKey, CommitIndex) {
	t.Helper()
	requests, to := sent[*ChainRequest](out)
	if len(requests) == 0 {
		t.Fatal("nobody is asked for the chain of commits")
	}
	return to[len(to)-1][0], requests[len(requests)-1].From
}

// chainOf makes commits that nobody decided.
func chainOf(c *Committee, after Vote, n int) (list []*Commit) {
	for range n {
		k := &Commit{Index: after.Index + 1, Previous: after.Digest, Epoch: c.Epoch, Leader: c.Root(0)}
		k.seal(c.Network)
		after = Vote{Index: k.Index, Digest: k.digest}
		list = append(list, k)
	}
	return list
}

// Whatever a liar answers, a member that is behind asks somebody else soon.
func TestALiarCannotHoldCatchUpHostage(t *testing.T) {
	for name, answer := range map[string]func(e *Engine, from CommitIndex) *ChainResponse{
		"nothing":       func(*Engine, CommitIndex) *ChainResponse { return &ChainResponse{} },
		"all is pruned": func(*Engine, CommitIndex) *ChainResponse { return &ChainResponse{Lowest: ^CommitIndex(0)} },
		"commits that nobody voted for": func(e *Engine, _ CommitIndex) *ChainResponse {
			return &ChainResponse{Commits: chainOf(e.committee, e.chainTail(), 1)}
		},
		"long lists of commits that nobody voted for": func(e *Engine, _ CommitIndex) *ChainResponse {
			return &ChainResponse{Commits: chainOf(e.committee, e.chainTail(), MaxChain)}
		},
		"old commits": func(e *Engine, _ CommitIndex) *ChainResponse {
			return &ChainResponse{Commits: []*Commit{{Index: 0}}}
		},
		"long lists of old commits": func(*Engine, CommitIndex) *ChainResponse {
			old := make([]*Commit, MaxChain)
			for i := range old {
				old[i] = &Commit{}
			}
			return &ChainResponse{Commits: old}
		},
		"a broken chain": func(e *Engine, from CommitIndex) *ChainResponse {
			return &ChainResponse{Commits: []*Commit{{Index: from, Previous: Digest{1}}}}
		},
		"the end of the world": func(e *Engine, from CommitIndex) *ChainResponse {
			return &ChainResponse{Commits: []*Commit{{Index: ^CommitIndex(0)}}}
		},
		"absurd votes": func(e *Engine, from CommitIndex) *ChainResponse {
			return &ChainResponse{Commits: chainOf(e.committee, e.chainTail(), 1), Votes: []*UnverifiedBlock{{}, {Header: Header{Author: 999}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, liar, from := behind(t)
			for range 50 {
				out := e.Step(e.now, MessageArrived{From: liar, Message: answer(e, from)})
				out = append(out, e.Step(e.now, MessageArrived{From: liar, Message: &Status{Round: 5000, Commit: 1000}})...)
				if requests, to := sent[*ChainRequest](out); len(requests) > 0 {
					if to[0][0] != liar {
						return
					}
					from = requests[0].From
				}
			}
			t.Errorf("fifty answers later member %s is still the one who is asked; %d commits are pending", liar, len(e.catchUp.pending))
		})
	}
}

// The certified chain reaches the end of the epoch and only blocks are missing.
// What follows belongs to the next epoch: asking for it now would earn an answer
// that looks like a broken chain, and blame an honest peer.
func TestNothingBeyondAProvenEndIsAskedFor(t *testing.T) {
	e, peer, _ := behind(t)
	c := e.committee
	chain := chainOf(c, Vote{}, 3)
	for i, k := range chain { // blocks that are not here yet
		k.Blocks = []Ref{{Round: Round(i + 1), Author: 0, Digest: Digest{byte(i)}}}
		if i > 0 {
			k.Previous = chain[i-1].digest
		}
		k.seal(c.Network)
	}
	h := &Handover{HandoverContent: HandoverContent{Network: c.Network, Epoch: c.Epoch, End: 3, EndDigest: chain[2].digest,
		Schedule: newSchedule(4, c.Start+Second), Members: c.Members, Params: c.Params}}
	for a := range Author(3) {
		h.Signatures = append(h.Signatures, MemberSignature{Author: a, Signature: testSign(c.Members[a])(h.signedBytes())})
	}
	out := e.Step(e.now, MessageArrived{From: peer, Message: &ChainResponse{Commits: chain, Handover: h}})
	if len(e.catchUp.chain) != 3 {
		t.Fatalf("%d commits are certified, want 3", len(e.catchUp.chain))
	}
	if asked, _ := sent[*ChainRequest](out); len(asked) > 0 {
		t.Errorf("commits from %d on are asked for, though the epoch ends at 3", asked[0].From)
	}
}

// A false claim costs one question now and then. It must not keep a member that
// is stuck from asking others for the rounds it may have missed.
func TestAFalseClaimDoesNotKeepAStuckMemberFromAsking(t *testing.T) {
	c := testCommittee(4, nil)
	e := observer(c, Rules{})
	for _, k := range c.Members {
		e.Step(e.now, PeerUp{Peer: k})
	}
	liar := c.Members[3]
	asked := map[PublicKey]bool{}
	for range 600 {
		out := after(e, 100*Millisecond)
		out = append(out, e.Step(e.now, MessageArrived{From: liar, Message: &Status{Commit: 1 << 60}})...)
		_, to := sent[*DAGRequest](out)
		for _, peers := range to {
			asked[peers[0]] = true
		}
	}
	if len(asked) == 0 {
		t.Error("in a minute without a commit nobody was asked for rounds")
	}
}

// handoverAt is a hand-over signed by a quorum.
func handoverAt(c *Committee, end Vote) *Handover {
	h := &Handover{HandoverContent: HandoverContent{Network: c.Network, Epoch: c.Epoch, End: end.Index, EndDigest: end.Digest,
		Schedule: newSchedule(c.Size(), c.Start+Second), Members: c.Members, Params: c.Params}}
	for a := range Author(c.Quorum()) {
		h.Signatures = append(h.Signatures, MemberSignature{Author: a, Signature: testSign(c.Members[a])(h.signedBytes())})
	}
	return h
}

// While the application's state is replaced nothing may be applied to it.
func TestNothingIsDeliveredWhileASnapshotIsInstalled(t *testing.T) {
	e, peer, _ := behind(t)
	c := e.committee
	e.Step(e.now, MessageArrived{From: peer, Message: &ChainResponse{Lowest: 900}})
	h := handoverAt(c, Vote{Index: 899, Digest: Digest{8}})
	out := e.Step(e.now, MessageArrived{From: peer, Message: &HandoverMessage{Handovers: []*Handover{h}}})
	if len(effects[InstallSnapshot](out)) != 1 {
		t.Fatal("no snapshot is installed")
	}
	out = arrive(t, e, newGrid(c).rounds(1, 9, membersOf(4)...)...)
	if d := effects[Deliver](out); len(d) > 0 {
		t.Errorf("%d commits are delivered meanwhile", len(d))
	}
	out = e.Step(e.now, SnapshotInstalled{Handover: h})
	if len(effects[EpochStarted](out)) != 1 || e.last.Index != 899 || e.applied != 899 || e.committee.Epoch != 1 {
		t.Errorf("at commit %d, applied %d, epoch %d", e.last.Index, e.applied, e.committee.Epoch)
	}
}

// One member says that commits are pruned. That alone must not make a member
// that has them all fetch a snapshot when its epoch ends.
func TestAFalseClaimOfPruningFetchesNoSnapshot(t *testing.T) {
	mine := Digest{1}
	e := ended(t, 4, 0, mine)
	e.catchUp.snapshotDue = true // somebody said so when this member was behind
	h := &Handover{HandoverContent: *e.handover.content}
	for _, a := range []Author{1, 2, 3} {
		h.Signatures = append(h.Signatures, MemberSignature{a, voteFor(e, a, mine).Signature})
	}
	out := e.Step(e.now, MessageArrived{From: testKey(2), Message: &HandoverMessage{Handovers: []*Handover{h}}})
	if len(effects[InstallSnapshot](out)) != 0 {
		t.Error("a snapshot of the state that is here is installed")
	}
	if len(effects[EpochStarted](out)) != 1 {
		t.Error("the next epoch did not start")
	}
}
