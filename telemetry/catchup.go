package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Catchup measures how a node that was away gets back, and what it gives to others that were.
type Catchup struct {
	scraped[CatchupState]
	Applied prometheus.Counter // commits applied from peers' ranges
	Served  prometheus.Counter // blocks given to peers
	Refused prometheus.Counter // ranges from peers that did not verify
}

// CatchupState is whether and how far this node is behind.
type CatchupState struct {
	Active bool
	Target uint64 // highest commit proven to exist; 0 when not catching up
	// Highest is the highest commit that an honest member must know, or the own one.
	Highest uint64
	// Claimed is the highest commit that any one peer says it has, or the own one.
	Claimed uint64
}

func newCatchup(d *declarer) *Catchup {
	c := &Catchup{
		Applied: d.counter("catchup_applied_commits_total", "Commits that this node took from peers because it was behind."),
		Served:  d.counter("catchup_served_blocks_total", "Blocks that this node gave to peers that lacked them."),
		Refused: d.counter("catchup_refused_ranges_total", "Ranges of commits from peers that did not verify."),
	}
	c.gauge(d, "catchup_active", "1 while this node takes commits from peers because it is behind.", func(s CatchupState) float64 {
		if s.Active {
			return 1
		}
		return 0
	})
	c.gauge(d, "catchup_highest_height", "Highest ordered block that this node or, by what enough of them say, its peers know.", func(s CatchupState) float64 { return float64(s.Highest) })
	c.gauge(d, "catchup_claimed_height", "Highest ordered block that this node or, by its own word alone, any of its peers knows. A peer may lie: what is far above catchup_highest_height is one that does, or members that are cut off.", func(s CatchupState) float64 { return float64(s.Claimed) })
	c.gauge(d, "catchup_target_height", "Height that this node catches up to; 0 when it is not behind.", func(s CatchupState) float64 { return float64(s.Target) })
	d.registry.MustRegister(c)
	return c
}
