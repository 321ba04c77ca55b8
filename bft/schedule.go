package bft

import (
	"cmp"
	"slices"

	"github.com/synod-network/synod/bft/quorum"
)

// Standing is what the leader schedule remembers of one member.
type Standing struct {
	// Demoted is the number of demotion windows for which the member still
	// leads nothing.
	Demoted uint16
	// Term is the length of its last demotion in windows; the next one is
	// twice as long. It is forgotten after a window led well.
	Term uint16
	// Led and Lost count the member's slots in the running window that were
	// decided, and those of them that were skipped.
	Led, Lost uint32
}

// maxTerm bounds a demotion, in windows.
const maxTerm = 64

// Schedule says who leads each round: the members not demoted, in turn. It is
// a pure function of the commits, so every honest member has the same one
// after the same commit. It survives epochs; standings follow the member's
// key.
type Schedule struct {
	// Standings has one entry for each member of the committee, by index.
	Standings []Standing
	// Round is the round of the newest committed leader of the epoch; slots
	// up to it are decided.
	Round Round
	// LastTime is the last time given out.
	LastTime Time
}

func newSchedule(n int, lastTime Time) Schedule {
	return Schedule{Standings: make([]Standing, n), LastTime: lastTime}
}

func (s Schedule) clone() Schedule {
	s.Standings = slices.Clone(s.Standings)
	return s
}

// Leader returns the member who leads round r. Where their number is a multiple
// of three, the members' order shifts by one in each cycle. An undecided slot is
// settled by slots that lie three, six, nine … rounds above it: in a fixed order
// these would belong to the same few members for ever, and if all of them lie,
// keeping each other's slots undecided, nothing would ever be decided.
func (s *Schedule) Leader(r Round) Author {
	eligible := 0
	for _, m := range s.Standings {
		if m.Demoted == 0 {
			eligible++
		}
	}
	cycle := uint64(max(1, eligible))
	turn := uint64(r)
	if cycle%3 == 0 {
		turn += turn / cycle
	}
	turn %= cycle
	for a, m := range s.Standings {
		if m.Demoted > 0 {
			continue
		}
		if turn == 0 {
			return Author(a)
		}
		turn--
	}
	return 0
}

// DemotedMembers returns the members that lead nothing at present.
func (s *Schedule) DemotedMembers() (demoted []Author) {
	for a, m := range s.Standings {
		if m.Demoted > 0 {
			demoted = append(demoted, Author(a))
		}
	}
	return demoted
}

// advance accounts for the slots that the commit of leader's block decides:
// its own, and those since the previous committed leader, which were skipped.
// It reports whether the window ended with this commit, in which case the
// schedule is a new one.
func (s *Schedule) advance(c *Commit, window CommitIndex) (ended bool) {
	for r := s.Round + 1; r < c.Leader.Round; r++ {
		m := &s.Standings[s.Leader(r)]
		m.Led++
		m.Lost++
	}
	s.Standings[c.Leader.Author].Led++
	s.Round = c.Leader.Round
	s.LastTime = c.LastTime()
	if c.Index%window != 0 {
		return false
	}
	s.turnWindow()
	return true
}

// turnWindow ends a window: terms run down by one, and the members that lost a
// third or more of their slots are demoted, worst first, ties by index, at
// most n-q at a time so that a quorum can always lead.
func (s *Schedule) turnWindow() {
	n := len(s.Standings)
	demoted := 0
	var failed []Author
	for a := range s.Standings {
		m := &s.Standings[a]
		switch {
		case m.Demoted > 0:
			m.Demoted--
		case m.Lost*3 >= m.Led && m.Lost > 0:
			failed = append(failed, Author(a))
		case m.Led > 0:
			m.Term = 0
		}
		if m.Demoted > 0 {
			demoted++
		}
	}
	slices.SortStableFunc(failed, func(a, b Author) int {
		return cmp.Compare(s.Standings[b].Lost, s.Standings[a].Lost)
	})
	for _, a := range failed {
		if demoted == n-quorum.Size(n) {
			break
		}
		m := &s.Standings[a]
		m.Term = min(max(1, 2*m.Term), maxTerm)
		m.Demoted = m.Term
		demoted++
	}
	for a := range s.Standings {
		s.Standings[a].Led, s.Standings[a].Lost = 0, 0
	}
}

// carry returns the schedule with which the next committee starts: standings
// follow their keys, newcomers start clean, and no more than n-q members of
// the new committee stay demoted (the longest terms first).
func (s *Schedule) carry(from, to []PublicKey) Schedule {
	next := newSchedule(len(to), s.LastTime)
	for i, k := range to {
		if j := slices.Index(from, k); j >= 0 && j < len(s.Standings) {
			next.Standings[i] = s.Standings[j]
		}
	}
	demoted := next.DemotedMembers()
	slices.SortStableFunc(demoted, func(a, b Author) int {
		return cmp.Compare(next.Standings[b].Demoted, next.Standings[a].Demoted)
	})
	for i, a := range demoted {
		if i >= len(to)-quorum.Size(len(to)) {
			next.Standings[a].Demoted = 0
		}
	}
	return next
}

const standingSize = 2 + 2 + 4 + 4

func (s *Schedule) encode(w *writer) {
	w.U32(uint32(len(s.Standings)))
	for _, m := range s.Standings {
		w.U16(m.Demoted)
		w.U16(m.Term)
		w.U32(m.Led)
		w.U32(m.Lost)
	}
	w.U64(uint64(s.Round))
	w.U64(uint64(s.LastTime))
}

func decodeSchedule(r *reader) (s Schedule) {
	n := r.count(MaxMembers, standingSize)
	s.Standings = make([]Standing, n)
	for i := range s.Standings {
		s.Standings[i] = Standing{Demoted: r.U16(), Term: r.U16(), Led: r.U32(), Lost: r.U32()}
	}
	s.Round = Round(r.U64())
	s.LastTime = Time(r.U64())
	return s
}
