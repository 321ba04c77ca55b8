package sim

import (
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
)

// quick are parameters under which leaders change and epochs end often, for
// bugs that show at the start of an epoch or the end of a window.
func quick(epoch bft.Time, window bft.CommitIndex, depth bft.Round) *bft.Params {
	p := bft.DefaultParams()
	p.LeaderTimeout, p.IdleInterval = 100*bft.Millisecond, 50*bft.Millisecond
	p.EpochDuration, p.DemotionWindow, p.GCDepth = epoch, window, depth
	return &p
}

// planted are bugs, each with a kind of world in which the checker notices it.
var planted = []struct {
	bug   string
	plant func(*Options)
	world Options
	seeds uint64 // within which it is found
}{
	{
		bug:   "certificates need one vote less",
		plant: func(o *Options) { o.Rules.QuorumOffByOne = true },
		world: Options{Nodes: 4, Load: 20, Faults: Faults{Drop, Slow, Partition, ByzEquivocate}},
		seeds: 40,
	},
	{
		bug:   "an equivocator's variants count each",
		plant: func(o *Options) { o.Rules.CountVotesPerBlock = true },
		world: Options{Nodes: 7, Load: 5, Params: quick(bft.Second, 300, 100), Faults: Faults{Drop, Slow, ByzVariants}},
		seeds: 100,
	},
	{
		bug:   "own blocks are sent before they are durable",
		plant: func(o *Options) { o.Rules.SendBeforeSync = true },
		world: Options{Nodes: 4, Load: 20},
		seeds: 1,
	},
	{
		bug:   "what is committed depends on the local DAG",
		plant: func(o *Options) { o.Rules.GCByLocalState = true },
		world: Options{Nodes: 4, Load: 20, Faults: Faults{Drop, Slow, Partition, Pause}},
		seeds: 10,
	},
	{
		bug:   "rounds do not wait for votes",
		plant: func(o *Options) { o.Rules.NoWaitForVotes = true },
		world: Options{Nodes: 4, Load: 20, Faults: Faults{ByzNoVote}},
		seeds: 10,
	},
	{
		bug:   "who was late once is never waited for",
		plant: func(o *Options) { o.Rules.NeverWaitForSuspects = true },
		world: Options{Nodes: 7, Load: 5, Faults: Faults{Slow, Isolate, ByzNoVote}},
		seeds: 20,
	},
	{
		bug:   "nothing is sent twice",
		plant: func(o *Options) { o.Rules.NoRetransmission = true },
		world: Options{Nodes: 2, Load: 20, Faults: Faults{Drop}}, // either one's block is needed
		seeds: 20,
	},
	{
		bug:   "time is the median over all parents",
		plant: func(o *Options) { o.Rules.MedianOverAll = true },
		world: Options{Nodes: 4, Load: 20, Faults: Faults{Drop, Slow, Pause, ByzEquivocate}},
		seeds: 20,
	},
	{
		bug:   "decisions survive a change of leaders",
		plant: func(o *Options) { o.Rules.EmitPastWindowEnd = true },
		world: Options{Nodes: 7, Load: 20, Params: quick(30*bft.Second, 3, 100), Faults: Faults{Drop, Slow, Isolate, Pause}},
		seeds: 20,
	},
	{
		bug:   "undecided slots are skipped at the first anchor",
		plant: func(o *Options) { o.Rules.SkipIndirect = true },
		world: Options{Nodes: 4, Load: 20, Faults: Faults{Drop, Slow, Pause, ByzEquivocate}},
		seeds: 150,
	},
	{
		bug:   "catch-up believes any chain",
		plant: func(o *Options) { o.Rules.AcceptAnyChain = true },
		world: Options{Nodes: 4, Load: 20, Faults: Faults{Crash, Isolate, Pause, ByzServe}},
		seeds: 40,
	},
	{
		bug:   "the state's digest depends on the order of a map",
		plant: func(o *Options) { o.UnorderedState = true },
		world: Options{Nodes: 4, Load: 20, Params: quick(2*bft.Second, 10, 100)},
		seeds: 1,
	},
	{
		bug:   "commits are applied before they are durable",
		plant: func(o *Options) { o.DeliverBeforeSync = true },
		world: Options{Nodes: 4, Load: 20},
		seeds: 1,
	},
}

// TestPlantedBugs breaks one rule at a time and asserts that the checker
// notices within a few seeds, and that the same worlds are well without the
// bug.
func TestPlantedBugs(t *testing.T) {
	for _, p := range planted {
		t.Run(p.bug, func(t *testing.T) {
			if testing.Short() && p.world.Nodes > 4 {
				t.Skip("takes seconds")
			}
			t.Parallel()
			o := p.world
			o.Duration = 4 * time.Second
			seed := uint64(1)
			for found := false; !found; seed++ {
				if seed > p.seeds {
					t.Fatalf("not noticed in %d worlds", p.seeds)
				}
				o.Seed = seed
				broken := o
				p.plant(&broken)
				r := mustRun(t, broken)
				if found = r.Failure != ""; found {
					t.Logf("seed %d: %.200s", seed, r.Failure)
				}
			}
			for o.Seed = 1; o.Seed < seed; o.Seed++ {
				if r := mustRun(t, o); r.Failure != "" {
					t.Errorf("without the bug: %s\n%s", r.Failure, r.Replay)
				}
			}
		})
	}
}

func mustRun(t *testing.T, o Options) Report {
	t.Helper()
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
