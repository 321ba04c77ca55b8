package bft

import "slices"

// checkTime applies the two rules about time, which need blocks that a header
// only refers to. A block that breaks them stays, because others may have built
// on it before they could know; its author is shunned.
func (e *Engine) checkTime(v *vertex) {
	previous, first := e.committee.Start, v.head
	if p := v.head.Parents[0]; p.Round > 0 {
		own := v.parents[0]
		if own == nil {
			return
		}
		previous, first = own.head.Timestamp, own.head
	}
	if v.head.Timestamp <= previous || int(v.head.Requests) > allowance(e.dag.reachedBefore(v), v.median, e.committee.Size()) {
		e.evidence(TimeViolation, first, v.head)
	}
}

// allowance is the number of requests that a block may carry: one for every n
// µs by which the median of its parents' timestamps lies above those of all its
// author's earlier blocks. (Above that of the previous one alone would not do:
// by its choice of parents an author can move the median up and down.) Each
// request takes a µs of agreed time, so all members together can fill the time
// that has passed by the clocks of a majority, and nobody can push agreed time
// ahead of them with tiny requests. An author's own timestamps have no say in
// it. Where either time is no longer known here there is no limit.
func allowance(then, now Time, n int) int {
	if then == unknownTime || now == unknownTime {
		return maxInt
	}
	return int(max(0, now-then)) / n
}

const (
	unknownTime Time = -1
	maxInt           = int(^uint(0) >> 1)
)

// reachedBefore is the highest median on which the author of a block rested
// before it.
func (d *dag) reachedBefore(v *vertex) Time {
	switch own := v.parents[0]; {
	case own != nil:
		return own.reached
	case v.head.Parents[0].Round == 0:
		return d.start
	}
	return unknownTime
}

// medianOf is the lower median of the timestamps of a block's parents in the
// round before, of whom at most f lie: it lies within what honest members said.
// Roots have the epoch's start for a timestamp. It is unknown where one of these
// parents has been forgotten.
func (d *dag) medianOf(h *Header, parents []*vertex) Time {
	var times []Time
	for i, p := range h.Parents {
		switch {
		case p.Round+1 != h.Round:
		case p.Round == 0:
			times = append(times, d.start)
		case parents[i] == nil:
			return unknownTime
		default:
			times = append(times, parents[i].head.Timestamp)
		}
	}
	if len(times) == 0 {
		return unknownTime // only in tests: a valid block has a quorum of them
	}
	slices.Sort(times)
	return times[(len(times)-1)/2]
}

// ownTimestamp is the timestamp of the next own block: this member's clock, and
// later than the previous one. A clock that was set back must not stop time,
// which would leave no room for requests: it then goes on at half its pace until
// the clock has caught up.
func (e *Engine) ownTimestamp(previous Time) Time {
	passed := Time(0)
	if e.propose.at != 0 {
		passed = (e.now.Mono - e.propose.at) / 2
	}
	return max(e.now.Wall, previous+max(1, passed))
}
