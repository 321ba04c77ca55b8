package overview_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/sequencer/overview"
)

// status is what a sequencer says that is ready.
func status(name string, height, highest uint64, others ...*adminv1.MemberStanding) overview.Answer {
	return overview.Answer{Asked: name, Status: &adminv1.GetStatusResponse{Name: name, Ready: true, Epoch: 3, Height: height, HighestSeen: highest, Standings: others}}
}

func sees(name string, roundTrip uint64, score float64, block int64) *adminv1.MemberStanding {
	return &adminv1.MemberStanding{Name: name, RoundTripUs: roundTrip, Score: score, LastBlockAt: block}
}

func self(name string, block int64) *adminv1.MemberStanding {
	return &adminv1.MemberStanding{Name: name, Self: true, LastBlockAt: block}
}

func down(asked string) overview.Answer {
	return overview.Answer{Asked: asked, Failure: errors.New("nothing listens there")}
}

func at(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

func TestJoin(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []overview.Answer
		want    []overview.Row
	}{
		"nobody answers":  {[]overview.Answer{down("a"), down("127.0.0.1:1")}, []overview.Row{{Name: "a", Why: "nothing listens there"}, {Name: "127.0.0.1:1", Why: "nothing listens there"}}},
		"nobody is asked": {nil, []overview.Row{}},
		"the lag is behind the highest that anybody has, or has seen": {
			[]overview.Answer{status("a", 10, 10), status("b", 7, 9), status("c", 11, 12)},
			[]overview.Row{{Name: "a", Lag: 2, Height: 10}, {Name: "b", Lag: 5, Height: 7}, {Name: "c", Lag: 1, Height: 11}},
		},
		"one that says it has seen less than it has": {[]overview.Answer{status("a", 10, 0), status("b", 8, 8)}, []overview.Row{{Name: "a", Height: 10}, {Name: "b", Lag: 2, Height: 8}}},
		"one that is down is there as the others see it, without height and lag": {
			[]overview.Answer{down("a"), status("b", 10, 10, sees("a", 700, -0.1, 5), self("b", 9)), status("c", 10, 10, sees("a", 900, -0.3, 6), sees("b", 800, 0, 8))},
			[]overview.Row{
				{Name: "a", RoundTripUs: 900, Score: -0.3, LastBlock: at(6), Why: "nothing listens there"},
				{Name: "b", Height: 10, RoundTripUs: 800, LastBlock: at(9)}, {Name: "c", Height: 10},
			},
		},
		"the median of three, and no measurement is none": {
			[]overview.Answer{status("a", 1, 1, sees("d", 5, 0, 0)), status("b", 1, 1, sees("d", 900, 0, 0)), status("c", 1, 1, sees("d", 7, 0, 0), sees("a", 0, 0, 0))},
			[]overview.Row{{Name: "a", Height: 1}, {Name: "d", RoundTripUs: 7}, {Name: "b", Height: 1}, {Name: "c", Height: 1}},
		},
		"the lowest score, also of good ones": {
			[]overview.Answer{status("a", 1, 1, sees("b", 0, 0.2, 0)), status("b", 1, 1, sees("a", 0, -0.4, 0)), status("c", 1, 1, sees("a", 0, 0.1, 0), sees("b", 0, 0.1, 0))},
			[]overview.Row{{Name: "a", Height: 1, Score: -0.4}, {Name: "b", Height: 1, Score: 0.1}, {Name: "c", Height: 1}},
		},
		"what it says of itself counts for its last block alone": {
			[]overview.Answer{status("a", 1, 1, &adminv1.MemberStanding{Name: "a", Self: true, Score: -1, RoundTripUs: 1, LastBlockAt: 4})},
			[]overview.Row{{Name: "a", Height: 1, LastBlock: at(4)}},
		},
		"why it is not ready": {
			[]overview.Answer{{Status: &adminv1.GetStatusResponse{Name: "a", NotReadyReason: "2 of 4"}}}, []overview.Row{{Name: "a", Reached: true, Why: "2 of 4"}},
		},
	} {
		for i := range tc.want {
			if r := &tc.want[i]; r.Height > 0 { // of these
				r.Reached, r.Ready, r.Epoch = true, true, 3
			}
		}
		if got := overview.Join(tc.answers); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%+v, want\n%+v", name, got, tc.want)
		}
	}
}

func TestOrder(t *testing.T) {
	rows := []overview.Row{
		{Name: "b", Height: 7, Lag: 3, RoundTripUs: 5, Score: 0.1, LastBlock: at(30)},
		{Name: "c", Height: 10, Lag: 0, RoundTripUs: 9, Score: -0.5, LastBlock: at(20)},
		{Name: "a", Height: 9, Lag: 1, RoundTripUs: 7, Score: 0, LastBlock: at(40)},
		{Name: "d"}, // did not answer
	}
	for by, want := range map[string]string{"name": "abcd", "height": "cabd", "lag": "bacd", "rtt": "cabd", "score": "cadb", "last-block": "dcba"} {
		sorted := slices.Clone(rows)
		slices.SortStableFunc(sorted, overview.Order(by))
		got := ""
		for _, r := range sorted {
			got += r.Name
		}
		if got != want {
			t.Errorf("by %s: %s, want %s", by, got, want)
		}
	}
	if overview.Order("colour") != nil {
		t.Error("there is an order by colour")
	}
}

// Programs read the fields by name.
func TestRowKeepsItsFieldNames(t *testing.T) {
	row, err := json.Marshal(overview.Row{})
	const want = `{"name":"","reached":false,"ready":false,"epoch":0,"height":0,"lag":0,"round_trip_us":0,"score":0,"last_block":"0001-01-01T00:00:00Z","why":""}`
	if err != nil || string(row) != want {
		t.Errorf("%s, %v; want %s", row, err, want)
	}
}
