package members

import (
	"testing"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// The first event that is listened to may follow one from before; each further one follows the one told before it.
func TestFollows(t *testing.T) {
	const from = 100
	for name, tc := range map[string]struct {
		last, previous, at sequencing.Time
		want               bool
	}{
		"the first of all":               {0, 0, 101, true},
		"the first, after one of before": {0, 100, 101, true},
		"the first, and one is missing":  {0, 101, 105, false},
		"one of before":                  {0, 50, 100, false},
		"the next":                       {101, 101, 105, true},
		"one is missing":                 {101, 103, 105, false},
		"the one before is another":      {101, 99, 105, false},
		"told again":                     {105, 105, 105, false},
	} {
		l := &listener{run: &run{from: from}, known: from, last: tc.last}
		if got := l.follows(&sequencing.Delivery{Time: tc.at, Previous: tc.previous}); got != tc.want {
			t.Errorf("%s: event at %d after %d, where %d was last: %v", name, tc.at, tc.previous, tc.last, got)
		}
	}
}
