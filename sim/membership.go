package sim

import (
	"slices"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/bft/quorum"
)

// changeMembers lets the owners of the network order a change of the committee:
// a member joins, leaves, or goes on under a new key. A newcomer is ordered in
// only when it has caught up.
func (w *World) changeMembers() {
	if w.clients.orders > w.carriedOut() {
		return // one change at a time
	}
	members := w.electorate().Members
	var leave, join *member
	switch w.random.IntN(3) {
	case 0:
		join = w.newcomer()
	case 1:
		leave = w.leaver(members, len(members)-1)
	default:
		if leave = w.leaver(members, len(members)); leave != nil {
			join = w.newcomer()
		}
	}
	if join != nil {
		w.story.tell(w.now, join.name, "is started as a newcomer")
		w.whenCaughtUp(join, func() { w.order(leave, join) })
	} else if leave != nil {
		w.order(leave, nil)
	}
}

// carriedOut is the highest number of an order that an honest member's
// application has carried out.
func (w *World) carriedOut() (highest uint64) {
	w.honest(func(m *member) bool {
		if m.state != nil {
			highest = max(highest, m.state.orders)
		}
		return true
	})
	return highest
}

// newcomer starts a member that is in no committee yet.
func (w *World) newcomer() *member {
	if len(w.members) >= maxMembers {
		return nil
	}
	m := w.addMember(w.keys.mint(w.opts.Seed, len(w.members)))
	m.start()
	w.startClients(m)
	return m
}

// leaver picks an honest member without which a committee of the given size
// still tolerates those that are faulty for good.
func (w *World) leaver(members []bft.PublicKey, size int) *member {
	if size < 1 || quorum.Faults(size) < w.chaos.spent {
		return nil
	}
	m := w.byKey[members[w.random.IntN(len(members))]]
	if m.liar != nil || m.rejoin {
		return nil
	}
	return m
}

func (w *World) whenCaughtUp(m *member, do func()) {
	w.later(300*bft.Millisecond, func() {
		switch {
		case w.chaos.over:
		case m.up && m.applied+20 >= w.checker.head:
			do()
		default:
			w.whenCaughtUp(m, do)
		}
	})
}

// order submits the order to a member that is up, and again if that one loses
// it. The number makes a second copy harmless.
func (w *World) order(leave, join *member) {
	if w.chaos.over || w.clients.orders > w.carriedOut() {
		return
	}
	w.clients.orders++
	o := order{number: w.clients.orders}
	text := ""
	if leave != nil {
		o.leave, text = leave.key, "leaves "+leave.name
	}
	if join != nil {
		o.join, text = join.key, text+" joins "+join.name
	}
	w.report.Orders++
	w.story.tell(w.now, "-", "order %d: %s", o.number, text)
	w.submitUntilDone(o)
	if leave != nil {
		w.retireWhenGone(leave)
	}
}

func (w *World) submitUntilDone(o order) {
	if w.carriedOut() >= o.number {
		return
	}
	if m := w.victim(true); m != nil && slices.Contains(w.electorate().Members, m.key) {
		w.submitOrder(m, o)
	}
	w.later(3*bft.Second, func() { w.submitUntilDone(o) })
}

// entered reports whether all members of the newest committee have entered its
// epoch: until then they may need what only those who leave have.
func (w *World) entered() bool {
	c := w.electorate()
	return !slices.ContainsFunc(c.Members, func(key bft.PublicKey) bool {
		m := w.byKey[key]
		return !m.up || m.committee.Epoch < c.Epoch
	})
}

// retireWhenGone switches a member off some time after it left the committee,
// and no longer expects its clients' requests to be ordered.
func (w *World) retireWhenGone(m *member) {
	w.later(500*bft.Millisecond, func() {
		if slices.Contains(w.electorate().Members, m.key) || !w.entered() {
			w.retireWhenGone(m)
			return
		}
		w.story.tell(w.now, m.name, "has left")
		m.retired = true
		m.stop(0)
		w.checker.stopped(m)
	})
}
