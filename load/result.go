package load

import "time"

// Result is what a workload measured, and its verdict.
type Result struct {
	// Requests: sent; answered as queued; delivered by any sequencer.
	Submitted int64 `json:"submitted"`
	Accepted  int64 `json:"accepted"`
	Ordered   int64 `json:"ordered"`

	// Over the time from the start to the last delivery.
	OrderedPerSecond float64 `json:"ordered_per_second"`
	BytesPerSecond   float64 `json:"bytes_per_second"`

	// From when a request was due to its first delivery.
	P50  float64 `json:"p50_ms"`
	P90  float64 `json:"p90_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`

	// Lost: accepted over a connection that lived, or delivered by one sequencer,
	// and missing at a sequencer that is up in the end.
	Lost int64 `json:"lost"`
	// Duplicated: delivered more often than once by one sequencer, or delivered
	// though refused.
	Duplicated int64 `json:"duplicated"`
	// Reordered: not at the same height and place at all sequencers, and blocks
	// that break the numbering, the chain of digests or the times.
	Reordered int64 `json:"reordered"`
	// Unknown: handed to a sequencer whose connection then broke, and delivered
	// by nobody.
	Unknown int64 `json:"unknown"`
	// Rejected: refused by a sequencer, mostly because it was overloaded.
	Rejected int64 `json:"rejected"`

	// LongestPause without any delivery while submitting.
	LongestPause float64 `json:"longest_pause_ms"`
	Duration     float64 `json:"duration_s"`

	// Clean: something was ordered, and nothing lost, duplicated or reordered.
	Clean bool `json:"clean"`
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
