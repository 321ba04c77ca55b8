package bench_test

import (
	"math"
	"testing"

	"github.com/synod-network/synod/load/bench"
)

// TestWorkloadsThatMeanNothing: the suite is valid, and each of its workloads with one number changed to nonsense is not.
func TestWorkloadsThatMeanNothing(t *testing.T) {
	for _, w := range bench.Suite() {
		if err := w.Validate(); err != nil {
			t.Errorf("%s: %v", w.Name, err)
		}
		for name, change := range map[string]func(*bench.Workload){
			"no bytes":            func(w *bench.Workload) { w.Size = 0 },
			"rate -5":             func(w *bench.Workload) { w.Rate = -5 },
			"rate NaN":            func(w *bench.Workload) { w.Rate = math.NaN() },
			"endless rate":        func(w *bench.Workload) { w.Rate = math.Inf(1) },
			"nothing in flight":   func(w *bench.Workload) { w.Outstanding = 0 },
			"no time":             func(w *bench.Workload) { w.Measure = 0 },
			"time back":           func(w *bench.Workload) { w.WarmUp = -1 },
			"crash before":        func(w *bench.Workload) { w.CrashAfter = -1 },
			"fewer than nobody":   func(w *bench.Workload) { w.Members = -1 },
			"more than there are": func(w *bench.Workload) { w.Members, w.Recipients = 2, 3 },
		} {
			nonsense := w
			if change(&nonsense); nonsense.Validate() == nil {
				t.Errorf("%s: %s is accepted", w.Name, name)
			}
		}
	}
}
