package sim

import (
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"

	"github.com/synod-network/synod/bft"
)

// World is one network under a virtual clock. It is used by one goroutine.
type World struct {
	opts    Options
	random  *rand.Rand
	agenda  agenda
	now     bft.Time
	network network
	keys    keyring
	genesis *bft.Committee
	limits  bft.Limits
	retain  bft.CommitIndex

	members []*member
	byKey   map[bft.PublicKey]*member
	clients clients
	chaos   chaos
	checker checker
	story   story
	report  Report
	failure error
	second  int      // events before the running second
	kinds   [256]int // messages sent in the running second, by the first byte
}

// newWorld makes a network that has not started.
func newWorld(o Options) *World {
	w := &World{
		opts: o, random: rand.New(rand.NewPCG(o.Seed, 2)), keys: keyring{map[bft.PublicKey][32]byte{}},
		byKey: map[bft.PublicKey]*member{}, story: story{out: o.Story},
	}
	w.report.init(o)
	w.checker.init(w)
	w.layLinks()
	w.limits = w.chooseLimits()
	w.retain = []bft.CommitIndex{20, 200, 5000}[w.random.IntN(3)]
	keys := make([]bft.PublicKey, o.Nodes)
	for i := range keys {
		keys[i] = w.keys.mint(o.Seed, i)
	}
	var network bft.NetworkID
	copy(network[:], fmt.Sprintf("simulated world %d", o.Seed))
	w.genesis = bft.Genesis(network, keys, *o.Params, noon)
	for _, k := range keys {
		w.addMember(k)
	}
	return w
}

// chooseLimits takes limits small enough to be met.
func (w *World) chooseLimits() bft.Limits {
	l := bft.DefaultLimits()
	if w.chance(0.5) {
		l.Window = 16
		l.WaitingBytes = 1 << 20
		l.CatchUpLag = 8
		l.FetchWindow = 32
		l.MaxUnapplied = 16
	}
	return l
}

func (w *World) addMember(key bft.PublicKey) *member {
	m := newMember(w, len(w.members), key)
	w.members = append(w.members, m)
	w.byKey[key] = m
	return m
}

// fail ends the run: something happened that must never happen.
func (w *World) fail(format string, args ...any) {
	if w.failure != nil {
		return
	}
	w.failure = fmt.Errorf(format, args...)
	w.story.tell(w.now, "-", "FAILURE: %v", w.failure)
}

// later plans something.
func (w *World) later(after bft.Time, do func()) { w.agenda.plan(w.now+after, do) }

// chance comes true with probability p, and draws nothing if p is 0, so that a
// world without a fault is the same as one that does not know the fault.
func (w *World) chance(p float64) bool { return p > 0 && w.random.Float64() < p }

// between draws a duration.
func (w *World) between(low, high bft.Time) bft.Time {
	return low + bft.Time(w.random.Int64N(int64(high-low)+1))
}

// run lets the world go on until a time, a failure, or until done is true.
func (w *World) run(until bft.Time, done func() bool) {
	for w.failure == nil && (done == nil || !done()) {
		e, ok := w.agenda.next()
		if !ok || e.at > until {
			if ok {
				w.agenda.plan(e.at, e.do)
			}
			w.now = until
			return
		}
		w.turn(e.at)
		w.happen(e)
	}
}

// stormLimit is how many events, or steps of one engine without time passing,
// mean that a network is busy with itself.
const stormLimit = 300_000

// turn moves the clock on and fails a world that does too much in too little
// time.
func (w *World) turn(at bft.Time) {
	w.report.Events++
	if at/bft.Second != w.now/bft.Second {
		w.second, w.kinds = w.report.Events, [256]int{}
	}
	w.now = at
	limit := stormLimit * max(1, w.opts.Nodes/4)
	if slices.Contains(w.opts.Faults, ByzFlood) {
		limit *= 4 // the flood itself
	}
	if n := w.report.Events - w.second; n > limit {
		w.fail("a storm: %d events within a second%s", n, w.kindsSent())
	}
}

func (w *World) kindsSent() (text string) {
	for kind, n := range w.kinds {
		if n > 0 {
			text += fmt.Sprintf(", %d messages of kind %d", n, kind)
		}
	}
	return text
}

// happen turns a panic of an engine into a failure of the run.
func (w *World) happen(e event) {
	defer func() {
		if r := recover(); r != nil {
			w.fail("panic: %v\n%s", r, debug.Stack())
		}
	}()
	e.do()
}

// honest returns the members that never lie.
func (w *World) honest(yield func(*member) bool) {
	for _, m := range w.members {
		if m.liar == nil && !yield(m) {
			return
		}
	}
}

// electorate returns the committee of the newest epoch that an honest member
// has entered.
func (w *World) electorate() *bft.Committee {
	newest := w.genesis
	w.honest(func(m *member) bool {
		if m.committee != nil && m.committee.Epoch > newest.Epoch {
			newest = m.committee
		}
		return true
	})
	return newest
}
