package bft

import (
	"slices"
	"strings"
	"testing"
)

// trailOf is a chain of hand-overs from a committee on, without changes.
func trailOf(c *Committee, n int) (list []*Handover) {
	for range n {
		h := handoverAt(c, Vote{Index: c.Base + 10, Digest: Digest{byte(c.Epoch), 1}})
		list = append(list, h)
		c = h.Next()
	}
	return list
}

// answerHandovers answers requests for hand-overs as Answer does, until there are
// no more, and returns all that the engine wanted done.
func answerHandovers(e *Engine, peer PublicKey, list []*Handover, out []Effect) (all []Effect) {
	for range 20 {
		all = append(all, out...)
		requests, _ := sent[*HandoverRequest](out)
		out = nil
		for _, r := range requests {
			if int(r.From) >= len(list) {
				continue
			}
			page := list[r.From:min(len(list), int(r.From)+MaxHandovers)]
			out = append(out, e.Step(e.now, MessageArrived{From: peer, Message: &HandoverMessage{Handovers: page}})...)
		}
	}
	return all
}

// A member that was away for more epochs than one answer has hand-overs asks on,
// and takes the state after the newest of all, which the others still keep.
func TestATrailOfManyPagesLeadsToTheNewestState(t *testing.T) {
	e, peer, _ := behind(t)
	list := trailOf(e.committee, 600)
	out := e.Step(e.now, MessageArrived{From: peer, Message: &ChainResponse{Lowest: 5000}})
	all := answerHandovers(e, peer, list, out)
	installs := effects[InstallSnapshot](all)
	if len(installs) != 1 || installs[0].Handover.Epoch != 599 {
		t.Fatalf("%d snapshots are installed, want that after epoch 599", len(installs))
	}
	// The others have gone on meanwhile.
	list = trailOf(e.committee, 602)
	all = answerHandovers(e, peer, list, e.Step(e.now, SnapshotUnavailable{Handover: installs[0].Handover}))
	installs = effects[InstallSnapshot](all)
	if len(installs) != 1 || installs[0].Handover.Epoch != 601 {
		t.Fatalf("after the others went on %d snapshots are installed, want that after epoch 601", len(installs))
	}
	out = e.Step(e.now, SnapshotInstalled{Handover: installs[0].Handover})
	if e.committee.Epoch != 602 || e.last.Index != list[601].End {
		t.Errorf("in epoch %d at commit %d", e.committee.Epoch, e.last.Index)
	}
	if stored := effects[Persist](out)[0].Handovers; len(stored) != 602 || stored[0].Epoch != 0 || stored[601].Epoch != 601 {
		t.Errorf("%d hand-overs are stored, want all 602 in order", len(stored))
	}
}

// Two histories, both signed by a quorum: no rule can tell which is the
// network's.
func TestConflictingHandoversStopAMember(t *testing.T) {
	for why, at := range map[string]int{"of the running epoch": 0, "of a later epoch": 2} {
		t.Run(why, func(t *testing.T) {
			e, peer, _ := behind(t)
			list := trailOf(e.committee, 4)
			e.Step(e.now, MessageArrived{From: peer, Message: &HandoverMessage{Handovers: list}})
			other := *list[at]
			other.State = Digest{0xbd}
			signers := e.committee
			if at > 0 {
				signers = list[at-1].Next()
			}
			unsigned := other
			halts := effects[Halt](e.Step(e.now, MessageArrived{From: peer, Message: &HandoverMessage{Handovers: []*Handover{&unsigned}}}))
			if len(halts) != 0 {
				t.Fatal("a forged hand-over stops the member")
			}
			other.Signatures = nil
			for a := range Author(signers.Quorum()) {
				other.Signatures = append(other.Signatures, MemberSignature{Author: a, Signature: testSign(signers.Members[a])(other.signedBytes())})
			}
			halts = effects[Halt](e.Step(e.now, MessageArrived{From: peer, Message: &HandoverMessage{Handovers: []*Handover{&other}}}))
			if len(halts) != 1 || !strings.Contains(halts[0].Reason, "both signed by a quorum") {
				t.Errorf("halts: %v", halts)
			}
		})
	}
}

func TestAConflictWithTheEpochBeforeStopsAMember(t *testing.T) {
	e := ended(t, 4, 0, Digest{1})
	var others []*HandoverVote
	for _, a := range []Author{1, 2, 3} {
		others = append(others, voteFor(e, a, Digest{1}))
	}
	first := e.committee
	for _, v := range others {
		e.Step(e.now, MessageArrived{From: first.Members[v.Author], Message: v})
	}
	if e.committee.Epoch != 1 {
		t.Fatal("the next epoch did not start")
	}
	h := handoverAt(first, Vote{Index: 5, Digest: Digest{0xbd}})
	if halts := effects[Halt](e.Step(e.now, MessageArrived{From: testKey(2), Message: &HandoverMessage{Handovers: []*Handover{h}}})); len(halts) != 1 {
		t.Error("the member goes on with a history that a quorum contradicts")
	}
}

// A member whose newest commit is older than the trust period goes nowhere
// without its operator.
func TestTrustPeriod(t *testing.T) {
	c := testCommittee(4, nil)
	list := trailOf(c, 300)
	const period = 14 * 24 * 3600 * Second
	start := func(age Time, handover Digest) (*Engine, []Effect) {
		return New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits(), Trust: Trust{Period: period, Handover: handover}},
			Recovered{Genesis: c}, Clock{Wall: c.Start + age, Mono: Second})
	}
	t.Run("young", func(t *testing.T) {
		if e, out := start(period, Digest{}); e.halted || !e.mayPropose() || len(effects[Halt](out)) > 0 {
			t.Error("a member within the trust period does not go on")
		}
	})
	t.Run("old", func(t *testing.T) {
		e, out := start(period+Second, Digest{})
		halts := effects[Halt](out)
		if len(halts) != 1 || !strings.Contains(halts[0].Reason, hexOf(c.Anchor)) || !strings.Contains(halts[0].Reason, "trust.handover") {
			t.Fatalf("halts: %v", halts)
		}
		if proposed, _ := sent[*BlockMessage](out); len(proposed) > 0 || e.propose.own != nil {
			t.Error("it proposes")
		}
	})
	t.Run("the operator vouches for the newest here", func(t *testing.T) {
		if e, out := start(period+Second, c.Anchor); e.halted || !e.mayPropose() || len(effects[Halt](out)) > 0 {
			t.Error("it does not go on")
		}
	})
	t.Run("the operator names a later one", func(t *testing.T) {
		e, _ := start(period+Second, list[270].Digest())
		peer := testKey(1)
		out := e.Step(e.now, PeerUp{Peer: peer})
		arrive(t, e, newGrid(c).rounds(1, 9, 1, 2, 3)...)
		if e.dag.size != 0 || e.mayPropose() {
			t.Error("it takes in blocks of an epoch whose keys it does not trust")
		}
		out = append(out, after(e, 2*Second)...)
		all := answerHandovers(e, peer, list, out)
		installs := effects[InstallSnapshot](all)
		if len(installs) != 1 || installs[0].Handover.Epoch != 299 {
			t.Fatalf("%d snapshots are installed, want that after epoch 299", len(installs))
		}
		e.Step(e.now, SnapshotInstalled{Handover: installs[0].Handover})
		if e.distrusting || e.committee.Epoch != 300 || !e.mayPropose() {
			t.Errorf("it does not go on from epoch 300: in epoch %d", e.committee.Epoch)
		}
	})
	t.Run("no chain of trust runs through the named one", func(t *testing.T) {
		e, _ := start(period+Second, Digest{0xbd})
		e.Step(e.now, PeerUp{Peer: testKey(1)})
		all := answerHandovers(e, testKey(1), list, after(e, 2*Second))
		if len(effects[InstallSnapshot](all)) != 0 || e.mayPropose() || !e.Progress().Distrusting {
			t.Error("it follows a history that its operator did not name")
		}
		if again := slices.Concat(after(e, 2*Second), after(e, 2*Second)); len(again) == 0 {
			t.Error("it stops asking")
		}
		// But not for ever.
		for !e.halted && e.trustAsks < maxTrustAsks {
			after(e, 2*Second)
		}
		if e.halted {
			t.Fatal("it gives up early")
		}
		if halts := effects[Halt](after(e, 2*Second)); len(halts) != 1 || !strings.Contains(halts[0].Reason, hexOf(Digest{0xbd})) {
			t.Errorf("after it has asked %d times: halts %v", maxTrustAsks, halts)
		}
	})
	t.Run("nobody to ask", func(t *testing.T) {
		e, _ := start(period+Second, Digest{0xbd})
		for range 2 * maxTrustAsks {
			after(e, 2*Second)
		}
		if e.halted {
			t.Error("it gives up though nobody was asked")
		}
	})
}

// The whole network was down at the end of an epoch: two members hold the
// hand-over, two only the end commit. There is no state to fetch.
func TestTheTrustedHandoverMayEndWhatIsHere(t *testing.T) {
	c := testCommittee(4, nil)
	const period = 14 * 24 * 3600 * Second
	k := &Commit{Index: 10, Epoch: 0, Leader: Ref{Round: 12, Author: 1}, Time: c.Start + c.Params.EpochDuration + 1}
	k.seal(c.Network)
	s := newSchedule(4, k.LastTime())
	s.Round = 12
	start := func(trust Trust) *Engine {
		e, _ := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits(), Trust: trust},
			Recovered{Genesis: c, Last: &CommitRecord{Commit: k, Schedule: s}}, Clock{Wall: c.Start + 2*period, Mono: Second})
		e.Step(e.now, EpochEnded{Index: 10, State: Digest{1}, Members: c.Members, Params: c.Params})
		return e
	}
	h := &Handover{HandoverContent: *start(Trust{}).handover.content}
	for a := range Author(c.Quorum()) {
		h.Signatures = append(h.Signatures, MemberSignature{Author: a, Signature: testSign(c.Members[a])(h.signedBytes())})
	}
	e := start(Trust{Period: period, Handover: h.Digest()})
	if !e.distrusting {
		t.Fatal("it trusts whom it should not")
	}
	for _, m := range c.Members[1:] {
		e.Step(e.now, PeerUp{Peer: m})
	}
	for i := range 20 {
		out := after(e, 2*Second)
		if asked, _ := sent[*HandoverRequest](out); len(asked) > 0 {
			out = append(out, e.Step(e.now, MessageArrived{From: testKey(1 + i%3), Message: &HandoverMessage{Handovers: []*Handover{h}}})...)
		}
		if len(effects[InstallSnapshot](out)) > 0 {
			t.Fatal("it installs the state that it has")
		}
	}
	if e.distrusting || e.committee.Epoch != 1 {
		t.Errorf("it has the trusted hand-over and everything up to it, and is still distrusting in epoch %d", e.committee.Epoch)
	}
}

// What an operator names must lie on the own chain or on the way ahead, and be
// young enough to be worth something.
func TestATrustedHandoverIsPassedOnceAndNeverContradicted(t *testing.T) {
	c := testCommittee(4, nil)
	const period = 100 * Second
	list := trailOf(c, 600) // one second each
	here := list[299]       // this member is in epoch 300
	start := func(age Time, trusted Digest, passed bool) (*Engine, []Effect) {
		e, out := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits(), Trust: Trust{Period: period, Handover: trusted}},
			Recovered{Genesis: c, Handover: here, TrustPassed: passed}, Clock{Wall: here.Schedule.LastTime + age, Mono: Second})
		return e, append(out, e.Step(e.now, PeerUp{Peer: testKey(1)})...)
	}
	said := func(out []Effect) (n int) {
		for _, r := range effects[Report](out) {
			if r.Event.Kind == EventTrustPassed {
				n++
			}
		}
		return n
	}
	halted := func(t *testing.T, out []Effect, why string) {
		t.Helper()
		if halts := effects[Halt](out); len(halts) != 1 || !strings.Contains(halts[0].Reason, why) || !strings.Contains(halts[0].Reason, "another operator's sequencer") {
			t.Errorf("halts %v, want one for %q", halts, why)
		}
		if n := len(effects[InstallSnapshot](out)); n != 0 {
			t.Errorf("%d states are installed", n)
		}
	}
	t.Run("it lies behind", func(t *testing.T) {
		e, out := start(period, list[3].Digest(), true)
		out = append(out, after(e, Second)...)
		if e.halted || e.distrusting || !e.mayPropose() || said(out) != 1 {
			t.Errorf("halted %v, distrusting %v, said %d times that the setting can be removed", e.halted, e.distrusting, said(out))
		}
	})
	t.Run("it lies behind and is needed", func(t *testing.T) {
		_, out := start(period+1, list[3].Digest(), true)
		halted(t, out, "names a hand-over before it")
	})
	t.Run("it lies behind and is needed after a time", func(t *testing.T) {
		e, _ := start(0, list[3].Digest(), true)
		now := e.now
		now.Wall += 2 * period
		now.Mono += 2 * period
		out := e.Step(now, MessageArrived{From: testKey(1), Message: &HandoverMessage{Handovers: list[300:]}})
		halted(t, out, "names a hand-over before it")
	})
	t.Run("it lies ahead, and nothing is old", func(t *testing.T) {
		e, out := start(0, list[450].Digest(), false)
		if !e.distrusting || e.mayPropose() {
			t.Fatal("it goes on without the hand-over that its operator named")
		}
		all := answerHandovers(e, testKey(1), list, append(out, after(e, 2*Second)...))
		installs := effects[InstallSnapshot](all)
		if len(installs) != 1 {
			t.Fatalf("%d states are installed", len(installs))
		}
		if out := e.Step(e.now, SnapshotInstalled{Handover: installs[0].Handover}); said(out) != 1 || e.distrusting || e.committee.Epoch != 600 {
			t.Errorf("in epoch %d it said %d times that the setting can be removed", e.committee.Epoch, said(out))
		}
	})
	t.Run("it lies ahead and is too old itself", func(t *testing.T) {
		e, out := start(148*Second+period+1, list[449].Digest(), false)
		halted(t, answerHandovers(e, testKey(1), list, append(out, after(e, 2*Second)...)), "is itself")
		e, out = start(148*Second+period, list[449].Digest(), false)
		if out = answerHandovers(e, testKey(1), list, append(out, after(e, 2*Second)...)); len(effects[InstallSnapshot](out)) != 1 {
			t.Error("it refuses a hand-over that is as old as one may be")
		}
	})
	for _, at := range []int{299, 100, 3} { // the newest here, and one on each page of older ones
		t.Run("another one is here", func(t *testing.T) {
			var other *Handover
			for i, signers := 0, c; i <= at; i++ { // another history from epoch at on
				other = handoverAt(signers, Vote{Index: signers.Base + 10, Digest: Digest{byte(i), 1}})
				if i == at {
					other = handoverAt(signers, Vote{Index: signers.Base + 10, Digest: Digest{0xbd}})
				}
				signers = other.Next()
			}
			e, all := start(0, other.Digest(), false)
			theirs := slices.Clone(list)
			theirs[at] = other
			for range 10 {
				all = append(all, answerHandovers(e, testKey(1), theirs, after(e, 2*Second))...)
			}
			halted(t, all, "ended here with another hand-over")
		})
	}
}

// The operator named the true history. A false one, signed with retired keys,
// came first.
func TestAFalseTrailGivesWayToTheTrustedOne(t *testing.T) {
	c := testCommittee(4, nil)
	const period = 14 * 24 * 3600 * Second
	list := trailOf(c, 5)
	e, _ := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits(), Trust: Trust{Period: period, Handover: list[4].Digest()}},
		Recovered{Genesis: c}, Clock{Wall: c.Start + period + 2*Second, Mono: Second})
	false_ := handoverAt(c, Vote{Index: 7, Digest: Digest{0xbd}})
	e.Step(e.now, MessageArrived{From: testKey(3), Message: &HandoverMessage{Handovers: []*Handover{false_}}})
	out := e.Step(e.now, MessageArrived{From: testKey(1), Message: &HandoverMessage{Handovers: list}})
	if h := effects[Halt](out); len(h) > 0 || len(effects[InstallSnapshot](out)) == 0 {
		t.Errorf("halts %v, installs %d", h, len(effects[InstallSnapshot](out)))
	}
}

// All keys of the committee of an early epoch were retired and stolen, and sign a history that is longer than the network's. Whoever
// joins with a hand-over of the true one follows it in no order of arrival, whatever its age.
func TestAJoinerRefusesALongerForgedChain(t *testing.T) {
	c := testCommittee(4, nil)
	const period = 1000 * Second
	list := trailOf(c, 30)
	change := *list[29]
	change.Members, change.Signatures = []PublicKey{testKey(20), testKey(21), testKey(22), testKey(23)}, nil
	for a := range Author(c.Quorum()) {
		change.Signatures = append(change.Signatures, MemberSignature{Author: a, Signature: testSign(c.Members[a])(change.signedBytes())})
	}
	list[29] = &change
	list = append(list, trailOf(change.Next(), 270)...)
	forged := slices.Clone(list[:20])
	for signers := list[19].Next(); len(forged) < 700; signers = forged[len(forged)-1].Next() {
		forged = append(forged, handoverAt(signers, Vote{Index: signers.Base + 99, Digest: Digest{0xbd}}))
	}
	for name, row := range map[string]struct {
		age   Time
		first []*Handover
		later []*Handover
	}{
		"the forged one first": {period, forged, list},
		"the true one first":   {period, list, forged},
		"in a young network":   {301 * Second, forged, list},
	} {
		t.Run(name, func(t *testing.T) {
			trusted := list[250].Digest()
			e, out := New(Config{Self: testKey(9), Sign: testSign(testKey(9)), Verify: testVerify, Limits: DefaultLimits(), Trust: Trust{Period: period, Handover: trusted}},
				Recovered{Genesis: c}, Clock{Wall: c.Start + row.age, Mono: Second})
			out = append(out, e.Step(e.now, PeerUp{Peer: testKey(1)})...)
			all := answerHandovers(e, testKey(1), row.first, append(out, after(e, 2*Second)...))
			for from := 0; from < len(row.later); from += MaxHandovers {
				page := row.later[from:min(len(row.later), from+MaxHandovers)]
				all = append(all, e.Step(e.now, MessageArrived{From: testKey(2), Message: &HandoverMessage{Handovers: page}})...)
			}
			installs := effects[InstallSnapshot](all)
			if halts := effects[Halt](all); len(halts) != 0 || len(installs) != 1 || installs[0].Handover.Digest() != list[299].Digest() {
				t.Fatalf("halts %v, %d states are installed", halts, len(installs))
			}
			e.Step(e.now, SnapshotInstalled{Handover: installs[0].Handover})
			if e.distrusting || e.committee.Epoch != 300 || e.committee.Anchor != list[299].Digest() {
				t.Errorf("it is in epoch %d", e.committee.Epoch)
			}
			// Behind what the operator named, two histories are for people again.
			h := handoverAt(list[298].Next(), Vote{Index: 5000, Digest: Digest{0xbd}})
			e.previous = list[298].Next()
			if halts := effects[Halt](e.Step(e.now, MessageArrived{From: testKey(2), Message: &HandoverMessage{Handovers: []*Handover{h}}})); len(halts) != 1 {
				t.Error("two conflicting hand-overs do not stop it")
			}
		})
	}
}

// A process that stays up but is cut off, or whose machine sleeps, for longer
// than the period.
func TestTrustEndsWhileRunningToo(t *testing.T) {
	c := testCommittee(4, nil)
	const period = 14 * 24 * 3600 * Second
	e, _ := New(Config{Self: testKey(0), Sign: testSign(testKey(0)), Verify: testVerify, Limits: DefaultLimits(), Trust: Trust{Period: period}},
		Recovered{Genesis: c}, Clock{Wall: c.Start, Mono: Second})
	now := e.now
	now.Wall += 10 * period
	now.Mono += 10 * period
	e.Step(now, Tick{})
	e.Step(now, MessageArrived{From: testKey(1), Message: &HandoverMessage{Handovers: trailOf(c, 5)}})
	e.catchUp.claim(testKey(2), 5, 1000)
	e.catchUp.claim(testKey(3), 5, 1000)
	if len(e.catchUp.handovers) > 0 {
		t.Errorf("it follows %d hand-overs after %d periods without a commit", len(e.catchUp.handovers), 10)
	}
}
