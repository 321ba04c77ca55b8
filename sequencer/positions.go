package sequencer

import (
	"sync"
	"sync/atomic"

	"github.com/synod-network/synod/ordering"
)

// positions is where the open subscriptions stand in the order.
type positions struct {
	mu  sync.Mutex
	all map[*position]bool
}

// position is the height that one subscriber gets next.
type position struct{ next atomic.Uint64 }

func (p *positions) open(from ordering.Height) *position {
	s := &position{}
	s.next.Store(uint64(max(1, from)))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[*position]bool{}
	}
	p.all[s] = true
	return s
}

func (p *positions) close(s *position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, s)
}

// lag returns the number of subscriptions, and how many blocks the slowest is
// behind the head.
func (p *positions) lag(head ordering.Height) (subscribers int, slowest uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.all {
		if next := s.next.Load(); next <= uint64(head) {
			slowest = max(slowest, uint64(head)+1-next)
		}
	}
	return len(p.all), slowest
}
