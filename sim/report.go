package sim

import (
	"slices"
	"time"

	"github.com/synod-network/synod/bft"
)

// Report is the outcome of one run.
type Report struct {
	Seed   uint64 `json:"seed"`
	Nodes  int    `json:"nodes"`
	Faults Faults `json:"faults"`

	Commits   int `json:"commits"`
	Epochs    int `json:"epochs"`
	Submitted int `json:"requests_submitted"`
	Ordered   int `json:"requests_ordered"`
	Requeued  int `json:"requests_requeued"`
	// Latency is from submission to the first delivery, in virtual time.
	LatencyP50 time.Duration `json:"latency_p50_ns"`
	LatencyP99 time.Duration `json:"latency_p99_ns"`

	Messages  int `json:"messages"`
	Dropped   int `json:"messages_dropped"`
	Malformed int `json:"messages_malformed"`
	Refused   int `json:"blocks_refused"`
	Stale     int `json:"blocks_stale"`
	Crashes   int `json:"crashes"`
	Rejoins   int `json:"rejoins"`
	Snapshots int `json:"snapshots"`
	Orders    int `json:"membership_orders"`
	Events    int `json:"events"`
	Steps     int `json:"steps"`
	// Observed counts what the engines reported.
	Observed map[bft.EventKind]int `json:"observed"`

	// Virtual is how much time passed in the world, Real outside. Settled is
	// how long after the last fault everything owed was done.
	Virtual time.Duration `json:"virtual_ns"`
	Settled time.Duration `json:"settled_ns"`
	Real    time.Duration `json:"-"`

	// Failure says what must never happen and did; empty for a good run.
	Failure string `json:"failure,omitempty"`
	// Replay is the command that repeats the run.
	Replay string `json:"replay"`

	latencies []bft.Time
}

func (r *Report) init(o Options) {
	*r = Report{Seed: o.Seed, Nodes: o.Nodes, Faults: o.Faults, Observed: map[bft.EventKind]int{}}
}

func (r *Report) committed(w *World, c *bft.Commit) {
	r.Commits++
	if r.Commits%500 == 0 {
		w.story.tell(w.now, "-", "%d commits, %d requests ordered", r.Commits, r.Ordered)
	}
}

func (r *Report) ordered(latency bft.Time) {
	r.Ordered++
	if len(r.latencies) < 100_000 {
		r.latencies = append(r.latencies, latency)
	}
}

func (r *Report) finish() {
	slices.Sort(r.latencies)
	if n := len(r.latencies); n > 0 {
		r.LatencyP50 = virtual(r.latencies[n/2])
		r.LatencyP99 = virtual(r.latencies[n*99/100])
	}
	r.latencies = nil
}

func virtual(t bft.Time) time.Duration { return time.Duration(t) * time.Microsecond }
