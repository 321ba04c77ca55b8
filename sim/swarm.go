package sim

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Summary is the outcome of many runs.
type Summary struct {
	Runs      int `json:"runs"`
	Commits   int `json:"commits"`
	Epochs    int `json:"epochs"`
	Ordered   int `json:"requests_ordered"`
	Crashes   int `json:"crashes"`
	Rejoins   int `json:"rejoins"`
	Snapshots int `json:"snapshots"`
	Messages  int `json:"messages"`
	// VirtualSeconds passed in the worlds, RealSeconds outside.
	VirtualSeconds float64 `json:"virtual_s"`
	RealSeconds    float64 `json:"real_s"`
	// Speed is virtual seconds for each real one.
	Speed float64 `json:"speed"`
	// SlowestSettled is the longest that a world took after its faults to do
	// all it owed.
	SlowestSettled float64   `json:"slowest_settled_s"`
	Failures       []Failure `json:"failures"`
}

// Failure is a run that broke a promise.
type Failure struct {
	Seed   uint64 `json:"seed"`
	Reason string `json:"reason"`
	Replay string `json:"replay"`
}

// Swarm runs the worlds of all seeds from first to last, or fewer if until
// comes earlier (zero: it does not), as many at a time as there are
// processors. See is called after each run, by one goroutine at a time; it may
// be nil. The summary does not depend on the order in which runs end, but for
// the times in it.
func Swarm(o Options, first, last uint64, until time.Time, see func(Report)) (Summary, error) {
	if err := o.Validate(); err != nil {
		return Summary{}, err
	}
	o.Story = nil
	began := time.Now()
	seeds := make(chan uint64)
	reports := make(chan Report)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := range seeds {
				one := o
				one.Seed = seed
				r, _ := Run(one) // the options are valid
				reports <- r
			}
		})
	}
	go func() {
		for seed := first; seed <= last && (until.IsZero() || time.Now().Before(until)); seed++ {
			seeds <- seed
		}
		close(seeds)
		workers.Wait()
		close(reports)
	}()
	var s Summary
	for r := range reports {
		s.add(r)
		if see != nil {
			see(r)
		}
	}
	slices.SortFunc(s.Failures, func(a, b Failure) int { return cmp.Compare(a.Seed, b.Seed) })
	s.RealSeconds = time.Since(began).Seconds()
	s.Speed = s.VirtualSeconds / s.RealSeconds
	return s, nil
}

func (s *Summary) add(r Report) {
	s.Runs++
	s.Commits += r.Commits
	s.Epochs += r.Epochs
	s.Ordered += r.Ordered
	s.Crashes += r.Crashes
	s.Rejoins += r.Rejoins
	s.Snapshots += r.Snapshots
	s.Messages += r.Messages
	s.VirtualSeconds += r.Virtual.Seconds()
	s.SlowestSettled = max(s.SlowestSettled, r.Settled.Seconds())
	if r.Failure != "" {
		s.Failures = append(s.Failures, Failure{Seed: r.Seed, Reason: r.Failure, Replay: r.Replay})
	}
}
