package members

import (
	"cmp"
	"slices"
	"time"
)

// Result is what a workload measured, and its verdict.
type Result struct {
	Members int `json:"members"`
	// Submissions: sent; answered as queued, some of which may stay Unknown; not taken by
	// the sequencer; sequenced, by their receipts; refused by a deliver error.
	Submitted int64 `json:"submitted"`
	Accepted  int64 `json:"accepted"`
	Rejected  int64 `json:"rejected"`
	Receipts  int64 `json:"receipts"`
	Refused   int64 `json:"refused"`
	// Deliveries to recipients, at all sequencers together.
	Deliveries int64 `json:"deliveries"`

	ReceiptsPerSecond float64 `json:"receipts_per_second"`

	// From when a submission was due to the receipt at its sender, and to the first
	// delivery.
	P50         float64 `json:"p50_ms"`
	P90         float64 `json:"p90_ms"`
	P99         float64 `json:"p99_ms"`
	P999        float64 `json:"p999_ms"`
	DeliveryP50 float64 `json:"delivery_p50_ms"`
	DeliveryP99 float64 `json:"delivery_p99_ms"`

	// Lost: accepted over a connection that lived, or seen at one sequencer, and missing at
	// another at which its sender or recipient listens and that is up in the end.
	// Duplicated: came twice, or though it was not taken. Reordered: a stream with a gap, or
	// different from another of the same member. Forged: not signed by the sequencer.
	// Unknown: handed to a connection that broke before the receipt, and seen nowhere,
	// whether accepted or not: what a sequencer has queued and not ordered goes with it.
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
	Forged     int64 `json:"forged"`
	Unknown    int64 `json:"unknown"`

	// Suspects are the sequencers that something speaks against, most suspect first. Of two that tell a member different
	// things either may lie; who does so to all members comes first.
	Suspects []Suspect `json:"suspects,omitempty"`

	// Reconnects counts connections and streams that broke, Trouble says most often why,
	// Reasons why submissions were not taken.
	Reconnects int64  `json:"reconnects"`
	Trouble    string `json:"trouble,omitempty"`
	Reasons    string `json:"reasons,omitempty"`

	LongestPause float64 `json:"longest_pause_ms"`
	Duration     float64 `json:"duration_s"`

	// Clean: something was sequenced, and nothing lost, duplicated, reordered or forged.
	// What is unknown does not count.
	Clean bool `json:"clean"`
}

// Suspect is a sequencer, and how often what speaks against it.
type Suspect struct {
	Sequencer string `json:"sequencer"`
	Address   string `json:"address"`
	// Forged: responses that it did not sign. Gaps: events that do not follow the one before. Differences: events that it
	// told otherwise than another sequencer told them to the same member.
	Forged      int64 `json:"forged"`
	Gaps        int64 `json:"gaps"`
	Differences int64 `json:"differences"`
}

func (s Suspect) weight() int64 { return s.Forged + s.Gaps + s.Differences }

// suspects lists them. The caller holds the mutex.
func (r *run) suspects() (list []Suspect) {
	for _, s := range r.network.sequencers {
		if one := s.suspect; one.weight() > 0 {
			one.Sequencer, one.Address = string(s.id), s.address
			list = append(list, one)
		}
	}
	slices.SortStableFunc(list, func(x, y Suspect) int { return cmp.Compare(y.weight(), x.weight()) })
	return list
}

func (r *run) verdict(lost, unknown int64) Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.result
	out.Members, out.Lost, out.Unknown = len(r.members), lost, unknown
	out.Duration = r.last.Seconds()
	if r.last > 0 {
		out.ReceiptsPerSecond = float64(out.Receipts) / r.last.Seconds()
	}
	at := func(q float64) float64 { return float64(r.receipts.ValueAtQuantile(q)) / 1000 }
	out.P50, out.P90, out.P99, out.P999 = at(50), at(90), at(99), at(99.9)
	out.DeliveryP50, out.DeliveryP99 = float64(r.arrivals.ValueAtQuantile(50))/1000, float64(r.arrivals.ValueAtQuantile(99))/1000
	out.LongestPause = float64(r.longest) / float64(time.Millisecond)
	out.Suspects = r.suspects()
	out.Trouble, out.Reasons = most(r.breakages), most(r.refusals)
	out.Clean = out.Receipts > 0 && out.Lost == 0 && out.Duplicated == 0 && out.Reordered == 0 && out.Forged == 0
	return out
}

// most is the most frequent of some reasons.
func most(counts map[string]int64) (why string) {
	for text, n := range counts {
		if n > counts[why] || n == counts[why] && text < why {
			why = text
		}
	}
	return why
}
