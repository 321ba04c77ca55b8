package sim

import (
	"fmt"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/bft/quorum"
)

// Run runs one world and returns what came of it. An error means that the
// options make no sense; a broken promise is in Report.Failure.
func Run(o Options) (Report, error) {
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	began := time.Now()
	w := newWorld(o.resolve())
	w.play()
	r := w.report
	r.Virtual = virtual(w.now)
	r.Real = time.Since(began)
	r.Replay = o.Replay()
	if w.failure != nil {
		r.Failure = w.failure.Error()
	}
	r.finish()
	return r, nil
}

// play is the course of every world: members start, faults strike, faults end,
// and within a bound everything owed must be done.
func (w *World) play() {
	w.chooseLiars()
	w.story.tell(0, "-", "a network of %d members, faults: %s", w.opts.Nodes, w.opts.Faults)
	for _, m := range w.members {
		w.later(w.between(0, 200*bft.Millisecond), m.start)
		w.startClients(m)
	}
	w.startChaos()
	end := bft.Time(w.opts.Duration.Microseconds())
	w.run(end, nil)
	w.endFaults()
	w.run(end+bft.Second, nil)
	w.clients.stopped = true
	w.settle(end)
}

// chooseLiars makes up to f members lie, if lying is among the faults.
func (w *World) chooseLiars() {
	ways := w.opts.Faults.byzantine()
	if len(ways) == 0 {
		return
	}
	f := quorum.Faults(w.opts.Nodes)
	for _, i := range w.random.Perm(w.opts.Nodes)[:f] {
		m := w.members[i]
		way := ways[w.random.IntN(len(ways))]
		m.liar = newLiar(m, way)
		w.chaos.spent++
		w.story.tell(0, m.name, "is a liar: %s", way)
	}
}

// patience is how long after the faults a network may take to do everything
// it owes: leader timeouts have grown, members catch up, and one that rejoins
// waits for two epochs to pass.
func (w *World) patience() bft.Time {
	return 60*bft.Second + 4*w.opts.Params.EpochDuration
}

func (w *World) settle(end bft.Time) {
	target := w.checker.head
	ordered := false
	done := func() bool {
		if !ordered && w.checker.pending == 0 {
			ordered, target = true, w.checker.head
		}
		return ordered && w.checker.settled(target)
	}
	w.run(end+w.patience(), done)
	if w.failure != nil {
		return
	}
	if !done() {
		w.failLiveness()
		return
	}
	w.report.Settled = virtual(w.now - end)
	w.story.tell(w.now, "-", "settled: %d commits, %d requests ordered", w.report.Commits, w.report.Ordered)
}

func (w *World) failLiveness() {
	text := ""
	for _, m := range w.members {
		text += "\n  " + m.String()
	}
	stuck := ""
	for id := requestID(1); id <= w.clients.next; id++ {
		if t := w.checker.requests[id]; t != nil && t.expected && t.commit == 0 {
			stuck = fmt.Sprintf("; the oldest is %d, handed to %s at %.3fs", id, w.members[t.origin].name, float64(t.at)/float64(bft.Second))
			break
		}
	}
	w.fail("%.0f s after the faults ended %d requests are not ordered%s, or members are behind commit %d:%s",
		float64(w.patience())/float64(bft.Second), w.checker.pending, stuck, w.checker.head, text)
}
