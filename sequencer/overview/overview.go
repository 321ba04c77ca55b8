// Package overview puts what all sequencers of a network tell their operators into one table. Each describes itself and how it sees the
// others; so one that does not answer is still there, as the others see it. Nothing here asks anybody: [Join] takes answers.
//
// The sequencers are believed: this is for the eyes of who runs them.
package overview

import (
	"cmp"
	"slices"
	"strings"
	"time"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
)

// Answer is what a sequencer said when it was asked for its status.
type Answer struct {
	Asked   string                     // its name, or the address where it was asked
	Status  *adminv1.GetStatusResponse // nil if it did not answer
	Failure error                      // then says why
}

// Row is one sequencer as it describes itself, or as others see it. The names of its fields in JSON are for programs.
type Row struct {
	Name        string    `json:"name"`
	Reached     bool      `json:"reached"` // the next four are known
	Ready       bool      `json:"ready"`
	Epoch       uint64    `json:"epoch"`
	Height      uint64    `json:"height"`
	Lag         uint64    `json:"lag"`           // blocks behind the highest that anybody has
	RoundTripUs uint64    `json:"round_trip_us"` // the median of what others measure, of two in the middle the longer; 0 if nobody has
	Score       float64   `json:"score"`         // the lowest that others give, 0 if nobody gives one
	LastBlock   time.Time `json:"last_block"`    // its own newest, as others saw it; zero for none
	Why         string    `json:"why"`           // it is not ready, or did not answer
}

// orders are what rows can be sorted by.
var orders = map[string]func(a, b Row) int{
	"name":       func(a, b Row) int { return strings.Compare(a.Name, b.Name) },
	"height":     func(a, b Row) int { return cmp.Compare(b.Height, a.Height) },
	"lag":        func(a, b Row) int { return cmp.Compare(b.Lag, a.Lag) },
	"rtt":        func(a, b Row) int { return cmp.Compare(b.RoundTripUs, a.RoundTripUs) },
	"score":      func(a, b Row) int { return cmp.Compare(a.Score, b.Score) },
	"last-block": func(a, b Row) int { return a.LastBlock.Compare(b.LastBlock) },
}

// Order is how rows are sorted by name, height (highest first), lag, rtt, score or last-block (worst first); nil if there is no such
// order.
func Order(by string) func(a, b Row) int { return orders[by] }

// Join makes one row of each sequencer that answered, was asked, or is a member in the eyes of one that answered.
func Join(answers []Answer) []Row {
	t := table{at: map[string]int{}}
	var highest uint64
	for _, a := range answers {
		if a.Status == nil {
			t.row(a.Asked).Why = a.Failure.Error()
			continue
		}
		highest = max(highest, a.Status.GetHighestSeen(), a.Status.GetHeight())
		t.describe(a.Status)
		for _, m := range a.Status.GetStandings() {
			t.see(m)
		}
	}
	rows := make([]Row, 0, len(t.rows))
	for _, r := range t.rows {
		if r.Reached {
			r.Lag = highest - r.Height
		}
		if len(r.trips) > 0 {
			slices.Sort(r.trips)
			r.RoundTripUs = r.trips[len(r.trips)/2]
		}
		if len(r.scores) > 0 {
			r.Score = slices.Min(r.scores)
		}
		rows = append(rows, r.Row)
	}
	return rows
}

// table is the rows while answers come in.
type table struct {
	rows []seen
	at   map[string]int // by name
}

// seen is a row with what others say.
type seen struct {
	Row
	trips  []uint64
	scores []float64
}

func (t *table) row(name string) *seen {
	if _, ok := t.at[name]; !ok {
		t.at[name] = len(t.rows)
		t.rows = append(t.rows, seen{Row: Row{Name: name}})
	}
	return &t.rows[t.at[name]]
}

// describe takes what a sequencer says of itself.
func (t *table) describe(s *adminv1.GetStatusResponse) {
	r := t.row(s.GetName())
	r.Reached, r.Ready, r.Epoch, r.Height, r.Why = true, s.GetReady(), s.GetEpoch(), s.GetHeight(), s.GetNotReadyReason()
}

// see takes what one sequencer says of a member.
func (t *table) see(m *adminv1.MemberStanding) {
	r := t.row(m.GetName())
	if stamped := m.GetLastBlockAt(); stamped > 0 && time.UnixMicro(stamped).After(r.LastBlock) {
		r.LastBlock = time.UnixMicro(stamped).UTC()
	}
	if m.GetSelf() {
		return
	}
	r.scores = append(r.scores, m.GetScore())
	if m.GetRoundTripUs() > 0 {
		r.trips = append(r.trips, m.GetRoundTripUs())
	}
}
