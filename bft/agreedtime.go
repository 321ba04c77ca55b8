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
	if v.head.Timestamp <= previous {
		e.evidence(TimeViolation, first, v.head)
		return
	}
	then, at := e.dag.reachedBefore(v.head.Round, v.parents[0])
	if int(v.head.Requests) > allowance(then, v.median, e.committee.Size()) {
		if at != nil {
			first = at.head
		}
		e.evidence(TimeViolation, first, v.head)
	}
}

// allowance is the number of requests that a block may carry: one for every n
// µs by which the median of its parents' timestamps lies above those of its
// author's earlier blocks, as far as these lie within the depth of garbage
// collection: that far back an author knows them after a restart too. (Above that of the previous one alone would not do:
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

// reachedBefore is the highest median on which an author's blocks rested that
// count for its block of a round, whose own parent is given, and which block
// that was: nil for the epoch's start.
func (d *dag) reachedBefore(r Round, own *vertex) (Time, *vertex) {
	counts := func(v *vertex) bool { return v != nil && v.head.Round+d.depth > r }
	then := unknownTime
	if r <= d.depth {
		then = d.start
	}
	if !counts(own) {
		return then, nil
	}
	for counts(own.higher) {
		own = own.higher
	}
	if own.median <= then {
		return then, nil
	}
	return own.median, own
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
