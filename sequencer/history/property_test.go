package history_test

import (
	"testing"

	"github.com/synod-network/synod/sequencer/historytest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"pgregory.net/rapid"
)

// rapidT lets rapid's own T run parts of the suite; what it opens is ended by the
// property.
type rapidT struct{ *rapid.T }

// Whatever the course of appending, reading, pruning and restarting, each member is
// told the same stream without a gap.
func TestAnyInterleavingTellsTheSame(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := subject(small)
		h := s.Open(rapidT{rt})
		story, m := historytest.NewStory(rapid.Uint64Range(0, 1<<20).Draw(rt, "story")), &historytest.Model{}
		var last *sequencing.Output
		read := func(rt *rapid.T) {
			after := sequencing.Time(0)
			if now := h.Position().Time; now > 0 {
				after = sequencing.Time(rapid.Int64Range(int64(historytest.Start)-1, int64(now)+1).Draw(rt, "after"))
			}
			if err := m.CheckAll(h, after, rapid.IntRange(0, 9).Draw(rt, "limit")); err != nil {
				rt.Fatal(err)
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				last = story.Next()
				if err := h.Append(last); err != nil {
					rt.Fatal(err)
				}
				m.Append(last)
			},
			"append again": func(rt *rapid.T) {
				if last != nil {
					if err := h.Append(last); err != nil {
						rt.Fatal(err)
					}
				}
			},
			"read": read,
			"prune": func(rt *rapid.T) {
				now := h.Position().Time
				upTo := now - sequencing.Time(rapid.Int64Range(0, 60_000_000).Draw(rt, "keep"))
				if err := h.Prune(upTo, now); err != nil {
					rt.Fatal(err)
				}
				m.Prune(upTo)
			},
			"restart": func(rt *rapid.T) { h = s.Restart(rapidT{rt}, h) },
		})
		read(rt)
	})
}
