package bft

import (
	"fmt"
	"slices"
)

// gcRound is the round up to which history below a committed leader is neither
// emitted nor looked at: a function of the leader alone, never of what a
// member happens to have collected.
func (e *Engine) gcRound(leader Round) Round {
	depth := e.committee.Params.GCDepth
	if leader <= depth {
		return 0
	}
	return leader - depth
}

// linearise turns a decided leader block into the commit that follows the
// newest one: the part of its history not committed before, by round, author
// and digest, and the leader itself, which is the only one of its round.
func (e *Engine) linearise(leader *vertex) *Commit {
	gc := e.gcRound(leader.head.Round)
	if top := e.dag.top(); e.rules.GCByLocalState && top > 6 {
		gc = max(gc, min(top-6, leader.head.Round-1))
	}
	var blocks []Ref
	requests := uint32(0)
	e.dag.history(leader,
		func(v *vertex) bool { return v.commit == 0 && v.head.Round > gc },
		func(v *vertex) {
			blocks = append(blocks, v.head.Ref())
			requests += v.head.Requests
		})
	slices.SortFunc(blocks, Ref.Compare)
	c := &Commit{
		Index: e.last.Index + 1, Previous: e.last.Digest, Epoch: e.committee.Epoch, Leader: leader.head.Ref(),
		Time: e.commitTime(leader), Requests: requests, Blocks: blocks,
	}
	c.seal(e.committee.Network)
	return c
}

// commitTime is the median timestamp of the leader's parents in the round
// before, of whom at most f lie: the lower median lies within what honest
// members said. It is at least one µs after the last time given out.
func (e *Engine) commitTime(leader *vertex) Time {
	median := leader.median
	if e.rules.MedianOverAll {
		median = medianOverAll(leader, e.committee.Start)
	}
	return max(median, e.schedule.LastTime+1)
}

// medianOverAll is a planted bug: parents of earlier rounds have a say.
func medianOverAll(leader *vertex, start Time) Time {
	var times []Time
	for i, p := range leader.head.Parents {
		if p.Round == 0 {
			times = append(times, start)
		} else if leader.parents[i] != nil {
			times = append(times, leader.parents[i].head.Timestamp)
		}
	}
	slices.Sort(times)
	return times[(len(times)-1)/2]
}

// commit makes a commit the newest one: decided here or certified by others.
// It reports whether the leaders of later rounds changed.
func (e *Engine) commit(c *Commit) (leadersChanged bool) {
	next := e.catchUp.next()
	if next != nil && next.digest != c.digest {
		e.halt(fmt.Sprintf("commit %d decided here is %s, but others certified %s: this member's order diverges; keep its data for analysis and rejoin it with an empty store", c.Index, c.digest, next.digest))
		return false
	}
	before := e.schedule.DemotedMembers()
	for r := e.schedule.Round + 1; r < c.Leader.Round; r++ {
		e.report(Event{Kind: EventSlotSkipped, Member: e.committee.Members[e.schedule.Leader(r)], Round: r})
	}
	gc := e.gcRound(c.Leader.Round)
	decided := c.Leader.Round - e.schedule.Round
	leadersChanged = e.schedule.advance(c, e.committee.Params.DemotionWindow)
	if leadersChanged && !e.rules.EmitPastWindowEnd || int(decided) > len(e.slots) {
		e.slots = nil
	} else {
		e.slots = e.slots[decided:]
	}
	if after := e.schedule.DemotedMembers(); !slices.Equal(before, after) {
		e.report(Event{Kind: EventScheduleChanged, Count: len(after), Round: c.Leader.Round})
	}
	for _, ref := range c.Blocks {
		if v := e.dag.byRef[ref]; v != nil && v.commit == 0 {
			v.commit = c.Index
			if e.member && v.head.Author == e.me {
				e.propose.orderedAt = e.now.Mono
			}
			if v.head.Requests > 0 {
				e.propose.pendingPayloads--
			}
		}
	}
	e.last = Vote{Index: c.Index, Digest: c.digest}
	e.lastCommit = e.now.Mono
	e.unsynced = append(e.unsynced, unsyncedCommit{seq: e.persist.Seq, vote: e.last})
	e.persist.Commits = append(e.persist.Commits, &CommitRecord{Commit: c, Schedule: e.schedule.clone()})
	e.ended = c.Time >= e.committee.Start+e.committee.Params.EpochDuration
	e.emit(Deliver{Commit: c, EndsEpoch: e.ended, Certified: next != nil, After: e.propose.ownSeq})
	e.propose.committed()
	e.catchUp.committed(c)
	e.trimVotes()
	e.collectGarbage(gc)
	return leadersChanged
}
