package load

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// slots is the size of the table of outstanding requests; a power of two.
const slots = 1 << 20

// A slot remembers one request from the moment it is due until it is
// delivered. id is written last and read first, so a slot that is being reused
// for another request is recognised.
type slot struct {
	id   atomic.Int64 // the request's number plus 1; 0: none
	due  atomic.Int64 // nanoseconds since the meter's epoch
	home atomic.Int32
}

// A meter takes the deliveries of all nodes and keeps what the result needs.
type meter struct {
	epoch   time.Time
	nodes   []*sequence
	perHome []homeMeter
	window  *window
	table   []slot

	// from and to bound the measured window, in nanoseconds since epoch; both
	// are math.MaxInt64 until it is known.
	from, to atomic.Int64

	pauses pauses
}

// homeMeter is what was delivered at one node of the requests handed to it.
// The node's delivering goroutine owns it until the run has ended.
type homeMeter struct {
	mu      sync.Mutex
	latency *hdrhistogram.Histogram // microseconds, of requests due in the window
	ordered int                     // delivered in the window
}

const (
	longestLatency = int64(2 * time.Minute / time.Microsecond)
	notYet         = int64(1<<63 - 1)
)

func newMeter(w Workload) *meter {
	m := &meter{
		epoch:   time.Now(),
		window:  newWindow(w.Outstanding),
		table:   make([]slot, slots),
		perHome: make([]homeMeter, w.Nodes),
	}
	m.from.Store(notYet)
	m.to.Store(notYet)
	for i := range w.Nodes {
		m.nodes = append(m.nodes, &sequence{size: w.Size})
		m.perHome[i].latency = hdrhistogram.New(1, longestLatency, 3)
	}
	return m
}

func (m *meter) now() int64 { return int64(time.Since(m.epoch)) }

// expect notes a request before it is handed over.
func (m *meter) expect(id uint64, due int64, home int) {
	s := &m.table[id%slots]
	s.id.Store(0)
	s.due.Store(due)
	s.home.Store(int32(home))
	s.id.Store(int64(id) + 1)
}

// ordered takes the requests that a node delivered.
func (m *meter) ordered(node int, requests [][]byte) {
	now := m.now()
	from, to := m.from.Load(), m.to.Load()
	home := &m.perHome[node]
	mine := 0
	home.mu.Lock()
	m.nodes[node].append(requests, func(id uint64) {
		s := &m.table[id%slots]
		if s.id.Load() != int64(id)+1 || int(s.home.Load()) != node {
			return
		}
		mine++
		if due := s.due.Load(); due >= from && due < to {
			// Values above the bound are recorded as the bound.
			home.latency.RecordValue(min(max((now-due)/1000, 1), longestLatency))
		}
	})
	if now >= from && now < to {
		home.ordered += mine
	}
	home.mu.Unlock()
	m.window.release(mine)
	m.pauses.delivered(now, from, to)
}

// totals adds up what was delivered at the homes of the requests.
func (m *meter) totals() (ordered int, latency *hdrhistogram.Histogram) {
	latency = hdrhistogram.New(1, longestLatency, 3)
	for i := range m.perHome {
		h := &m.perHome[i]
		h.mu.Lock()
		ordered += h.ordered
		latency.Merge(h.latency)
		h.mu.Unlock()
	}
	return ordered, latency
}

// pauses keeps the times inside the window in which nothing was delivered
// anywhere.
type pauses struct {
	mu      sync.Mutex
	last    int64
	longest int64
	sum     int64 // of those above worthSumming
}

const worthSumming = int64(100 * time.Millisecond)

// delivered notes a delivery at time now; the window is [from, to).
func (p *pauses) delivered(now, from, to int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now < p.last {
		return // another node was faster to take the lock
	}
	pause := min(now, to) - max(p.last, from)
	p.last = now
	if pause > p.longest {
		p.longest = pause
	}
	if pause > worthSumming {
		p.sum += pause
	}
}

// close counts the time up to the end of the window and returns the longest
// pause and the sum of the long ones.
func (p *pauses) close(from, to int64) (longest, sum time.Duration) {
	p.mu.Lock()
	end := max(p.last, to)
	p.mu.Unlock()
	p.delivered(end, from, to)
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Duration(p.longest), time.Duration(p.sum)
}
