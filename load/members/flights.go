package members

import (
	"math/bits"
	"time"
)

// flights are one member's submissions under way, below the member's mutex.
type flights struct {
	next  uint64 // number of the next submission, from 1
	open  map[uint64]*flight
	known int // of open: those whose sender waits for a receipt
	// room is signalled when a receipt came.
	room chan struct{}
}

// flight is one submission.
type flight struct {
	due      time.Duration // since the start of the run
	via      int           // the sequencer to which it was sent
	accepted bool
	astray   bool   // the connection broke: it takes no room any more
	refused  bool   // by a deliver error
	receipts uint64 // by listener, one bit each
	came     []int  // deliveries, by listener
}

// whole reports whether nothing more will come.
func (f *flight) whole(listeners, recipients int) bool {
	if bits.OnesCount64(f.receipts) < listeners {
		return false
	}
	if f.refused {
		return true
	}
	for _, n := range f.came {
		if n < recipients {
			return false
		}
	}
	return true
}

// roomy reports whether another submission may be under way.
func (m *member) roomy(window int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.flights.known < window
}

// begin opens a flight.
func (m *member) begin(due time.Duration, via, listeners int) (number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.flights.next++
	m.flights.open[m.flights.next] = &flight{due: due, via: via, came: make([]int, listeners)}
	m.flights.known++
	return m.flights.next
}

// landed makes room once the sender knows the fate of a submission.
func (m *member) landed() {
	m.flights.known--
	select {
	case m.flights.room <- struct{}{}:
	default:
	}
}

// accept notes that submissions were queued.
func (m *member) accept(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.flights.open[number]; f != nil {
		f.accepted = true
	}
}

// refuse forgets a submission that the sequencer did not take.
func (m *member) refuse(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.flights.open[number]; f != nil {
		delete(m.flights.open, number)
		if f.receipts == 0 {
			m.landed()
		}
	}
}

// lose notes that nobody answered for a submission. It may still come out.
func (m *member) lose(number uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f := m.flights.open[number]; f != nil && !f.astray {
		f.astray = true
		if f.receipts == 0 {
			m.landed()
		}
	}
}

// forsake notes that the connection to a sequencer broke. What it had accepted and not ordered is lost if it stopped:
// that is what "queued" means.
func (m *member) forsake(via int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.flights.open {
		if f.via != via || f.receipts != 0 {
			continue
		}
		f.accepted = false
		if !f.astray {
			f.astray = true
			m.landed()
		}
	}
}

// outcome is what an event meant for a flight.
type outcome struct {
	first bool // the first receipt, or the first delivery
	twice bool // it should not have come again
	due   time.Duration
}

// receipt notes a receipt or a deliver error of the member's own submission.
func (m *member) receipt(number uint64, listener int, refused bool, recipients int) outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights.open[number]
	if f == nil || f.receipts&(1<<listener) != 0 {
		return outcome{twice: true}
	}
	o := outcome{first: f.receipts == 0, due: f.due}
	if o.first && !f.astray {
		m.landed()
	}
	f.receipts |= 1 << listener
	f.refused = f.refused || refused
	if f.whole(len(f.came), recipients) {
		delete(m.flights.open, number)
	}
	return o
}

// delivered notes that a recipient got the member's submission at one of the sequencers
// at which it listens.
func (m *member) delivered(number uint64, listener, recipients int) outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.flights.open[number]
	if f == nil || f.came[listener] >= recipients {
		return outcome{twice: true}
	}
	o := outcome{first: true, due: f.due}
	for _, n := range f.came {
		o.first = o.first && n == 0
	}
	f.came[listener]++
	if f.whole(len(f.came), recipients) {
		delete(m.flights.open, number)
	}
	return o
}

// remains counts what has not come out of what should have: what was accepted, or came out somewhere, and is missing
// elsewhere; and what was handed over to a connection that then broke. Of sequencers that are down nothing is expected.
func (m *member) remains(r *run) (lost, unknown int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for number, f := range m.flights.open {
		came := f.receipts != 0
		for _, n := range f.came {
			came = came || n > 0
		}
		switch {
		case !f.accepted && !came:
			unknown++
		case r.misses(m, number, f):
			lost++
		}
	}
	return lost, unknown
}

// misses reports whether a sequencer that is up has not told of a flight. The caller holds the sender's mutex.
func (r *run) misses(m *member, number uint64, f *flight) bool {
	for k := range f.came {
		if r.up(m.home, k) && f.receipts&(1<<k) == 0 {
			return true
		}
		if f.refused {
			continue
		}
		expected := 0
		for i := range r.config.Recipients {
			if r.up(r.recipient(m, number, i).home, k) {
				expected++
			}
		}
		if f.came[k] < expected {
			return true
		}
	}
	return false
}

// up reports whether the sequencer works at which members of a home listen with their k-th listener.
func (r *run) up(home, k int) bool {
	return r.network.sequencers[r.network.listening(home, k)].up.Load()
}
