package history

import (
	"slices"
	"testing"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// output is what a block yields that took so many bytes, with records at some times.
func output(bytes int, times ...sequencing.Time) *sequencing.Output {
	out := &sequencing.Output{Bytes: bytes}
	for _, t := range times {
		out.Records = append(out.Records, sequencing.Record{Time: t})
	}
	return out
}

func TestRecentKeepsTheNewestBlocksThatFit(t *testing.T) {
	for name, c := range map[string]struct {
		blocks []*sequencing.Output
		want   []sequencing.Time
	}{
		"nothing":                      {nil, nil},
		"all that fit":                 {[]*sequencing.Output{output(40, 1, 3), output(60, 4)}, []sequencing.Time{1, 3, 4}},
		"the oldest go":                {[]*sequencing.Output{output(40, 1), output(40, 2, 5), output(40, 6, 7)}, []sequencing.Time{2, 5, 6, 7}},
		"several go at once":           {[]*sequencing.Output{output(40, 1), output(40, 2), output(90, 3)}, []sequencing.Time{3}},
		"a block without records":      {[]*sequencing.Output{output(40, 1), output(90), output(60, 2)}, []sequencing.Time{1, 2}},
		"one too large leaves nothing": {[]*sequencing.Output{output(40, 1), output(101, 2)}, nil},
		"and what comes then is kept":  {[]*sequencing.Output{output(101, 2), output(100, 3)}, []sequencing.Time{3}},
	} {
		t.Run(name, func(t *testing.T) {
			var r recent
			for _, b := range c.blocks {
				r.add(b, 100)
			}
			var have []sequencing.Time
			for at := range sequencing.Time(10) {
				if record := r.record(at); record != nil {
					if record.Time != at {
						t.Errorf("asked for the record of %d: that of %d", at, record.Time)
					}
					have = append(have, at)
				}
			}
			if !slices.Equal(have, c.want) {
				t.Errorf("there are records of %v, want %v", have, c.want)
			}
		})
	}
}

// A reader keeps what it saw, whatever is added meanwhile.
func TestRecentIsNotChangedUnderAReader(t *testing.T) {
	var r recent
	var seen []recent
	for at := range sequencing.Time(100) {
		r.add(output(10, 2*at, 2*at+1), 100)
		seen = append(seen, r)
	}
	for i, then := range seen {
		for at := range sequencing.Time(200) {
			want := at >= sequencing.Time(2*i-18) && at <= sequencing.Time(2*i+1)
			if record := then.record(at); (record != nil) != want || want && record.Time != at {
				t.Fatalf("after %d blocks, the record of %d is %v, want one: %v", i+1, at, record, want)
			}
		}
	}
}

// Blocks of ever so many bytes keep no more than twice the limit alive, however long they come.
func TestRecentIsBounded(t *testing.T) {
	var r recent
	for at := range sequencing.Time(100_000) {
		r.add(output(10, at), 1_000)
		if len(r.blocks) > 100 || cap(r.blocks) > 512 {
			t.Fatalf("after %d blocks of which 100 fit: %d, in a list of %d", at+1, len(r.blocks), cap(r.blocks))
		}
	}
}
