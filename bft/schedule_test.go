package bft

import (
	"fmt"
	"slices"
	"testing"
)

// window plays one demotion window: member a leads led[a] slots and loses
// lost[a] of them.
func window(s *Schedule, led, lost []uint32) {
	for a := range s.Standings {
		s.Standings[a].Led, s.Standings[a].Lost = led[a], lost[a]
	}
	s.turnWindow()
}

func same4(v uint32) []uint32 { return []uint32{v, v, v, v} }

func TestWhoIsDemoted(t *testing.T) {
	for _, row := range []struct {
		why       string
		led, lost []uint32
		want      []Author
	}{
		{"nobody lost", same4(9), same4(0), nil},
		{"less than a third is forgiven", same4(9), []uint32{0, 0, 2, 0}, nil},
		{"a third is not", same4(9), []uint32{0, 0, 3, 0}, []Author{2}},
		{"at most n-q, the worst", same4(9), []uint32{3, 9, 5, 0}, []Author{1}},
		{"ties by index", same4(9), []uint32{0, 5, 5, 5}, []Author{1}},
		{"seven members: two", []uint32{9, 9, 9, 9, 9, 9, 9}, []uint32{3, 4, 0, 9, 0, 9, 0}, []Author{3, 5}},
		{"three members: one", []uint32{9, 9, 9}, []uint32{9, 9, 9}, []Author{0}},
		{"two members: none", []uint32{9, 9}, []uint32{9, 9}, nil},
		{"one member: none", []uint32{9}, []uint32{9}, nil},
	} {
		s := newSchedule(len(row.led), 0)
		window(&s, row.led, row.lost)
		if got := s.DemotedMembers(); !slices.Equal(got, row.want) {
			t.Errorf("%s: demoted %v, want %v", row.why, got, row.want)
		}
		for _, m := range s.Standings {
			if m.Led != 0 || m.Lost != 0 {
				t.Errorf("%s: the new window starts with counts %+v", row.why, m)
			}
		}
	}
}

// A member that fails whenever it leads is demoted for 1, 2, 4 … 64 windows.
func TestTermsDouble(t *testing.T) {
	s := newSchedule(4, 0)
	var terms []int
	for len(terms) < 9 {
		window(&s, same4(9), []uint32{0, 9, 0, 0})
		term := 0
		for ; s.Standings[1].Demoted > 0; term++ {
			if s.Leader(1) == 1 || s.Leader(2) == 1 || s.Leader(3) == 1 {
				t.Fatal("a demoted member leads")
			}
			window(&s, []uint32{12, 0, 12, 12}, same4(0))
		}
		terms = append(terms, term)
	}
	if want := []int{1, 2, 4, 8, 16, 32, 64, 64, 64}; !slices.Equal(terms, want) {
		t.Errorf("terms %v, want %v", terms, want)
	}
	window(&s, same4(9), same4(0))
	window(&s, same4(9), []uint32{0, 9, 0, 0})
	if d := s.Standings[1].Demoted; d != 1 {
		t.Errorf("after a window led well the next term is %d, want 1", d)
	}
}

// Slots between two committed leaders were lost by those who led them.
func TestAdvanceCountsSkippedSlots(t *testing.T) {
	s := newSchedule(4, 0)
	commit := func(i CommitIndex, r Round) bool {
		return s.advance(&Commit{Index: i, Leader: Ref{Round: r, Author: s.Leader(r)}, Time: Time(i)}, 3)
	}
	for _, row := range []struct {
		i     CommitIndex
		r     Round
		ended bool
	}{{1, 1, false}, {2, 3, false}, {3, 4, true}} {
		if ended := commit(row.i, row.r); ended != row.ended {
			t.Errorf("commit %d ends the window: %v", row.i, ended)
		}
		if s.Round != row.r || s.LastTime != Time(row.i) {
			t.Errorf("commit %d: at round %d, time %d", row.i, s.Round, s.LastTime)
		}
	}
	if got := s.DemotedMembers(); !slices.Equal(got, []Author{2}) {
		t.Errorf("demoted %v, want [C], whose slot 2 was skipped", got)
	}
	var leaders []Author
	for r := Round(5); r <= 10; r++ {
		leaders = append(leaders, s.Leader(r))
	}
	if got := fmt.Sprint(leaders); got != "[A D A B A B]" {
		t.Errorf("leaders of rounds 5 to 10 are %s", got)
	}
}

// Standings follow the keys into the next committee, newcomers start clean, and
// a smaller committee keeps only as many demoted as it can spare.
func TestStandingsFollowKeys(t *testing.T) {
	old := []PublicKey{testKey(0), testKey(1), testKey(2), testKey(3), testKey(4), testKey(5), testKey(6)}
	s := newSchedule(7, 77)
	s.Round = 99
	s.Standings[1] = Standing{Demoted: 4, Term: 4}
	s.Standings[6] = Standing{Demoted: 8, Term: 8}
	s.Standings[2] = Standing{Led: 5, Lost: 1}

	same := s.carry(old, old)
	if !slices.Equal(same.Standings, s.Standings) || same.Round != 0 || same.LastTime != 77 {
		t.Errorf("an unchanged committee starts with %+v", same)
	}
	to := []PublicKey{testKey(6), testKey(9), testKey(1), testKey(2)}
	next := s.carry(old, to)
	want := []Standing{{Demoted: 8, Term: 8}, {}, {Demoted: 0, Term: 4}, {Led: 5, Lost: 1}}
	if !slices.Equal(next.Standings, want) {
		t.Errorf("got %+v, want %+v", next.Standings, want)
	}
	if alone := s.carry(old, []PublicKey{testKey(6)}); alone.Standings[0].Demoted != 0 || alone.Leader(5) != 0 {
		t.Errorf("a committee of one starts with %+v", alone.Standings)
	}
}

// Every third round can settle an undecided one. Whatever the number of
// leaders, all of them get to lead among those rounds: a few that lie cannot
// have them to themselves.
func TestEveryLeaderLeadsAmongThirdRounds(t *testing.T) {
	for leaders := 1; leaders <= 30; leaders++ {
		s := newSchedule(leaders, 0)
		for first := Round(1); first <= 3; first++ {
			led := map[Author]bool{}
			for i := range Round(3 * leaders) {
				led[s.Leader(first+3*i)] = true
			}
			if len(led) != leaders {
				t.Errorf("of %d leaders %d lead among rounds %d, %d, %d …", leaders, len(led), first, first+3, first+6)
			}
		}
	}
}

// All lead equally often.
func TestLeadersTakeTurns(t *testing.T) {
	for leaders := 1; leaders <= 30; leaders++ {
		s := newSchedule(leaders, 0)
		turns := make([]int, leaders)
		for r := range Round(6 * leaders) {
			turns[s.Leader(r)]++
		}
		for a, n := range turns {
			if n != 6 {
				t.Errorf("of %d leaders %s leads %d of %d rounds", leaders, Author(a), n, 6*leaders)
			}
		}
	}
}
