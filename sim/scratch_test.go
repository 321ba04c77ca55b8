package sim

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

func TestScratch(t *testing.T) {
	fs, err := ParseFaults(os.Getenv("F"))
	random := os.Getenv("F") == "random"
	if err != nil && !random {
		t.Fatal(err)
	}
	a, _ := strconv.ParseUint(os.Getenv("A"), 10, 64)
	b, _ := strconv.ParseUint(os.Getenv("B"), 10, 64)
	n, _ := strconv.Atoi(os.Getenv("N"))
	d, _ := time.ParseDuration(os.Getenv("D"))
	if d == 0 {
		d = 10 * time.Second
	}
	for s := a; s <= b; s++ {
		o := Options{Seed: s, Nodes: n, Faults: fs, Random: random, Duration: d}
		if os.Getenv("S") != "" {
			o.Story = os.Stdout
		}
		r, err := Run(o)
		if err != nil {
			t.Fatal(err)
		}
		fail := r.Failure
		if len(fail) > 1500 {
			fail = fail[:1500]
		}
		fmt.Printf("%d n=%d %s commits=%d epochs=%d req=%d/%d requeued=%d p50=%v p99=%v msgs=%d mal=%d ref=%d stale=%d crash=%d rejoin=%d snap=%d ord=%d virt=%v settled=%v real=%v x%.0f %v\n   %s\n", s, r.Nodes, r.Faults, r.Commits, r.Epochs, r.Ordered, r.Submitted, r.Requeued, r.LatencyP50, r.LatencyP99, r.Messages, r.Malformed, r.Refused, r.Stale, r.Crashes, r.Rejoins, r.Snapshots, r.Orders, r.Virtual, r.Settled, r.Real, r.Virtual.Seconds()/r.Real.Seconds(), r.Observed, fail)
	}
}
