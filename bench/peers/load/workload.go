// Package load drives a cluster of ordering nodes with requests and measures
// what comes out, in the same way for every engine.
//
// A run has five parts: the first request reaches every node; a warm-up; the
// measured window; a drain, in which the nodes catch up with each other; and a
// verdict from comparing the sequences that the nodes delivered. Only a run
// with a clean verdict has a [Result].
package load

import (
	"fmt"
	"time"
)

// A Workload is one line of the comparison: what is asked of a cluster.
type Workload struct {
	Name  string `json:"name"`
	Nodes int    `json:"nodes"`
	Size  int    `json:"size"` // bytes per request
	// Rate is in requests per second and open loop: requests are due at fixed
	// times whatever the cluster does. 0 is a closed loop, as fast as it goes.
	Rate int `json:"rate"`
	// Outstanding bounds the requests handed over but not yet ordered. It is
	// what makes the closed loop closed, and only protects memory in an open one.
	Outstanding int           `json:"outstanding"`
	WarmUp      time.Duration `json:"warm_up_ns"`
	Measure     time.Duration `json:"measure_ns"`
	// CrashAfter, when positive, is how far into the measured window the node
	// whose loss hurts most stops without a word.
	CrashAfter time.Duration `json:"crash_after_ns"`
}

// MinRequestSize is the smallest request in bytes: a number in front and its
// check at the end.
const MinRequestSize = 16

// openLoopBound is the outstanding bound of open-loop workloads: over ten
// seconds of the fastest one.
const openLoopBound = 200_000

// Validate reports the first field that cannot be run.
func (w Workload) Validate() error {
	switch {
	case w.Nodes < 1 || w.Nodes > 64:
		return fmt.Errorf("workload %s: %d nodes, want 1 to 64", w.Name, w.Nodes)
	case w.Size < MinRequestSize || w.Size > 1<<20:
		return fmt.Errorf("workload %s: requests of %d bytes, want %d to %d", w.Name, w.Size, MinRequestSize, 1<<20)
	case w.Rate < 0:
		return fmt.Errorf("workload %s: rate %d is negative", w.Name, w.Rate)
	case w.Outstanding < 1 || w.Outstanding > slots/2:
		return fmt.Errorf("workload %s: %d outstanding requests, want 1 to %d", w.Name, w.Outstanding, slots/2)
	case w.Measure <= 0 || w.WarmUp < 0:
		return fmt.Errorf("workload %s: measuring %v after %v of warm-up is no window", w.Name, w.Measure, w.WarmUp)
	case w.CrashAfter < 0 || w.CrashAfter >= w.Measure:
		return fmt.Errorf("workload %s: a crash after %v is outside the measured %v", w.Name, w.CrashAfter, w.Measure)
	}
	return nil
}

// Bound is the longest that a run of this workload may take, start-up, drain
// and a stuck cluster included.
func (w Workload) Bound() time.Duration {
	return readyWithin + w.WarmUp + w.Measure + drainWithin + closeWithin
}

// Standard lists the workloads of the comparison, in the order of the table.
func Standard(warmUp, measure time.Duration) []Workload {
	list := []Workload{
		{Name: "saturate-1k", Nodes: 4, Size: 1024, Outstanding: 16384},
		{Name: "saturate-256", Nodes: 4, Size: 256, Outstanding: 32768},
		{Name: "paced-200", Nodes: 4, Size: 1024, Rate: 200, Outstanding: openLoopBound},
		{Name: "paced-5000", Nodes: 4, Size: 1024, Rate: 5000, Outstanding: openLoopBound},
		{Name: "paced-15000", Nodes: 4, Size: 1024, Rate: 15000, Outstanding: openLoopBound},
		{Name: "seven-nodes-1k", Nodes: 7, Size: 1024, Outstanding: 16384},
		{Name: "crash-2000", Nodes: 4, Size: 1024, Rate: 2000, Outstanding: openLoopBound, CrashAfter: measure / 4},
	}
	for i := range list {
		list[i].WarmUp, list[i].Measure = warmUp, measure
	}
	return list
}
