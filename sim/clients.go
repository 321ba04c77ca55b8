package sim

import "github.com/synod-network/synod/bft"

// clients hand requests to the members, each at its own rate, in bursts, and
// remember which were accepted.
type clients struct {
	next    requestID
	orders  uint64
	stopped bool
	silent  bft.Time // nobody submits until then
}

// startClients begins the traffic of one member's clients.
func (w *World) startClients(m *member) {
	pause := func() bft.Time {
		return 1 + bft.Time(w.random.ExpFloat64()*float64(bft.Second)/w.opts.Load)
	}
	var arrive func()
	arrive = func() {
		if w.clients.stopped || m.retired {
			return
		}
		if w.clients.silent <= w.now {
			burst := 1
			if w.chance(0.01) {
				burst = 1 + w.random.IntN(100)
			}
			for range burst {
				w.submit(m)
			}
		}
		w.later(pause(), arrive)
	}
	w.later(pause(), arrive)
}

// submit hands a request to a member. Clients turn to members of the committee
// only: a newcomer could not order anything yet.
func (w *World) submit(m *member) {
	if !m.up || !m.elected() {
		return
	}
	padding := w.random.IntN(100)
	if w.chance(0.002) {
		padding = int(w.opts.Params.RequestLimit) - requestHead
	}
	w.clients.next++
	id := w.clients.next
	w.checker.submits(m, id)
	if m.submit(encodeRequest(id, m.number, padding)) {
		w.report.Submitted++
	} else {
		w.checker.refused(id)
	}
}

// submitOrder hands an order of the network's owners to a member and reports
// whether it was accepted.
func (w *World) submitOrder(m *member, o order) bool {
	w.clients.next++
	id := w.clients.next
	w.checker.submits(m, id)
	if !m.submit(encodeOrder(id, m.number, o)) {
		w.checker.refused(id)
		return false
	}
	return true
}
