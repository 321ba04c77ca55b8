package sim

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/synod-network/synod/bft"
)

// maxMembers bounds the members that ever live in a world, newcomers included.
const maxMembers = 32

// Options say which world to run. Together with nothing else they determine
// the run.
type Options struct {
	Seed uint64
	// Nodes is the number of members at the start, 1 to 13; 0 lets the seed
	// choose.
	Nodes  int
	Faults Faults
	// Random lets the seed choose the faults; Faults is ignored.
	Random bool
	// Duration is how long faults last, in virtual time.
	Duration time.Duration
	// Load is the number of requests a second at each member; 0 lets the seed
	// choose.
	Load float64
	// Params are the network's; nil lets the seed choose.
	Params *bft.Params
	// Rules breaks the engine, to show that the checker notices.
	Rules bft.Rules
	// UnorderedState breaks the application: its digest depends on an order
	// that members do not share.
	UnorderedState bool
	// DeliverBeforeSync breaks the members: they apply commits that are not
	// durable.
	DeliverBeforeSync bool
	// Story receives a readable account; nil for none.
	Story io.Writer
}

// Validate reports the first option that makes no sense.
func (o Options) Validate() error {
	switch {
	case o.Nodes < 0 || o.Nodes > 13:
		return errors.New("a world has 1 to 13 members at the start")
	case o.Duration <= 0 || o.Duration > 24*time.Hour:
		return errors.New("the duration must be positive and at most 24h of virtual time")
	case !(o.Load >= 0 && o.Load <= 100_000):
		return errors.New("the load must be between 0 and 100000 requests a second")
	}
	return nil
}

// resolve lets the seed choose what was left open.
func (o Options) resolve() Options {
	r := rand.New(rand.NewPCG(o.Seed, 1))
	// Every choice is drawn, whether it is used or not, so that fixing one
	// leaves the others as they were.
	nodes := []int{1, 2, 3, 4, 4, 4, 4, 5, 6, 7, 7, 7, 8, 10, 13}[r.IntN(15)]
	load := []float64{2, 20, 50, 200}[r.IntN(4)]
	params := randomParams(r)
	faults := randomFaults(r)
	if o.Nodes == 0 {
		o.Nodes = nodes
	}
	if o.Load == 0 {
		o.Load = load
	}
	if o.Params == nil {
		o.Params = &params
	}
	if o.Random {
		o.Faults = faults
	}
	return o
}

// randomParams are small, so that a run of seconds sees epochs end, leaders
// change and blocks forgotten.
func randomParams(r *rand.Rand) bft.Params {
	p := bft.DefaultParams()
	p.LeaderTimeout = []bft.Time{100, 250, 500}[r.IntN(3)] * bft.Millisecond
	p.IdleInterval = []bft.Time{50, 200, 500}[r.IntN(3)] * bft.Millisecond
	p.EpochDuration = []bft.Time{2, 4, 10, 30}[r.IntN(4)] * bft.Second
	p.GCDepth = []bft.Round{10, 20, 100, 2000}[r.IntN(4)]
	p.DemotionWindow = []bft.CommitIndex{3, 10, 50, 300}[r.IntN(4)]
	p.PayloadRequests = []uint32{50, 1000, 10_000}[r.IntN(3)]
	p.PayloadLimit = []uint32{4 << 10, 64 << 10, 4 << 20}[r.IntN(3)]
	p.RequestLimit = 64 << 10
	return p
}

// randomFaults picks a few: with all of them at once a network does little
// that could go wrong.
func randomFaults(r *rand.Rand) (list Faults) {
	share := []float64{0.05, 0.15, 0.3, 0.5}[r.IntN(4)]
	for _, f := range AllFaults() {
		if f == ByzWhisper {
			continue // it came later than the seeds that are kept in the corpus
		}
		if r.Float64() < share {
			list = append(list, f)
		}
	}
	return list
}

// Replay returns the command that repeats a run.
func (o Options) Replay() string {
	var b strings.Builder
	fmt.Fprintf(&b, "synod sim --seed %d", o.Seed)
	if o.Nodes != 0 {
		fmt.Fprintf(&b, " --nodes %d", o.Nodes)
	}
	faults := o.Faults.String()
	if o.Random {
		faults = "random"
	}
	fmt.Fprintf(&b, " --faults %s --duration %s", faults, o.Duration)
	if o.Load != 0 {
		fmt.Fprintf(&b, " --load %g", o.Load)
	}
	return b.String()
}
