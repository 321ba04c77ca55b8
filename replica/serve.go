package replica

import (
	"context"
	"sync"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
	"golang.org/x/time/rate"
)

// server answers peers' requests from the store, one after the other and no
// faster than its limit, so that members that are behind do not slow those that
// are not.
type server struct {
	archive *store.Store
	send    func(to bft.PublicKey, parts [][]byte) error
	served  func() // called for each block sent
	limiter *rate.Limiter

	mu      sync.Mutex
	waiting []bft.Serve
	wake    chan struct{}
	// newest is the application's newest snapshot, previous the one before: a
	// peer may be one hand-over behind.
	newest, previous *snapshot
}

// servePerPeer bounds the requests of one peer that wait; further ones are
// dropped and will be repeated. A peer that catches up asks for each block as
// soon as its window has room, so many small requests wait at a time: dropping
// those of an honest peer costs it the time until it asks again.
const servePerPeer = 256

func newServer(s *store.Store, bytesPerSecond int, send func(bft.PublicKey, [][]byte) error, served func()) *server {
	return &server{archive: s, send: send, served: served, limiter: rate.NewLimiter(rate.Limit(bytesPerSecond), max(bytesPerSecond, bft.ServeLimit)), wake: make(chan struct{}, 1)}
}

func (s *server) add(f bft.Serve) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, w := range s.waiting {
		if w.To == f.To {
			n++
		}
	}
	if n >= servePerPeer {
		return
	}
	s.waiting = append(s.waiting, f)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *server) take() (bft.Serve, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return bft.Serve{}, false
	}
	f := s.waiting[0]
	s.waiting = s.waiting[1:]
	return f, true
}

func (s *server) run(ctx context.Context) error {
	for {
		f, ok := s.take()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-s.wake:
			}
			continue
		}
		bft.Answer(f, s.archive, func(m bft.Message) bool {
			parts := bft.EncodeMessage(m)
			size := 0
			for _, p := range parts {
				size += len(p)
			}
			if s.limiter.WaitN(ctx, min(size, s.limiter.Burst())) != nil {
				return false
			}
			if s.send(f.To, parts) != nil {
				return false
			}
			if _, ok := m.(*bft.UnverifiedBlockMessage); ok {
				s.served()
			}
			return true
		})
	}
}

func (s *server) setSnapshot(n *snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil || n.epoch > s.newest.epoch {
		s.previous, s.newest = s.newest, n
	}
}

// snapshotIndex is the commit after which the newest snapshot was taken, from
// which a restart replays.
func (s *server) snapshotIndex() bft.CommitIndex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil {
		return 0
	}
	return s.newest.index
}

func (s *server) snapshot(e bft.Epoch) *snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range []*snapshot{s.newest, s.previous} {
		if n != nil && n.epoch == e {
			return n
		}
	}
	return nil
}
