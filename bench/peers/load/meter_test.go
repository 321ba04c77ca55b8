package load

import (
	"testing"
	"time"
)

func TestPausesCountOnlyInsideTheWindow(t *testing.T) {
	const ms = int64(time.Millisecond)
	for _, c := range []struct {
		name         string
		deliveries   []int64 // milliseconds; the window is [1000, 2000)
		longest, sum time.Duration
	}{
		{"steady", []int64{990, 1050, 1100, 1190, 1280, 1370, 1460, 1550, 1640, 1730, 1820, 1910, 1990}, 90 * time.Millisecond, 0},
		{"a pause before the window counts from its begin", []int64{500, 1300, 1390, 1400, 1990}, 590 * time.Millisecond, 890 * time.Millisecond},
		{"a pause at the end counts up to it", []int64{1000, 1050, 1100, 9000}, 900 * time.Millisecond, 900 * time.Millisecond},
		{"nothing at all", nil, time.Second, time.Second},
		{"nodes that report out of order", []int64{1000, 1700, 1690, 1990}, 700 * time.Millisecond, 990 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p pauses
			for _, d := range c.deliveries {
				p.delivered(d*ms, 1000*ms, 2000*ms)
			}
			longest, sum := p.close(1000*ms, 2000*ms)
			if longest != c.longest || sum != c.sum {
				t.Errorf("got %v longest and %v in all, want %v and %v", longest, sum, c.longest, c.sum)
			}
		})
	}
}

// A request counts at its home only, and its latency only if it was due in the
// window.
func TestMeterCountsAtHome(t *testing.T) {
	m := newMeter(Workload{Nodes: 2, Size: 64, Outstanding: 10})
	f := newFiller(64)
	m.from.Store(m.now())
	m.to.Store(notYet)

	m.expect(0, m.now(), 1)
	m.expect(1, m.from.Load()-1, 0) // due before the window
	for range 2 {
		m.window.acquire()
	}
	block := [][]byte{f.request(0), f.request(1)}
	m.ordered(0, block)
	m.ordered(1, block)

	ordered, latency := m.totals()
	if ordered != 2 || latency.TotalCount() != 1 {
		t.Errorf("got %d ordered and %d latencies, want 2 and 1", ordered, latency.TotalCount())
	}
	if m.window.free != 10 {
		t.Errorf("window has room for %d, want all 10 back", m.window.free)
	}
}
