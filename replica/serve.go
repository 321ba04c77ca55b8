package replica

import (
	"context"
	"fmt"
	"sync"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
	"golang.org/x/time/rate"
)

// server answers peers' requests from the store and from the snapshots, one after
// the other and no faster than its limit, so that members that are behind do not
// slow those that are not. Peers take turns: one that asks for much delays nobody
// else by more than the answer that is being sent.
type server struct {
	archive *store.Store
	send    func(to bft.PublicKey, parts [][]byte) error
	served  func() // called for each block sent
	limiter *rate.Limiter

	mu      sync.Mutex
	waiting map[bft.PublicKey][]request // not empty
	turns   []bft.PublicKey             // of those who wait, whose turn it is first
	wake    chan struct{}
	// newest is the application's newest snapshot, previous the one before: a
	// peer may be one hand-over behind.
	newest, previous *snapshot
}

// request is for something from the store or, if archive is nil, from a snapshot.
type request struct {
	archive  *bft.Serve
	snapshot snapshotInput
}

// servePerPeer bounds the requests of one peer that wait; further ones are
// dropped and will be repeated. A peer that catches up asks for each block as
// soon as its window has room, so many small requests wait at a time: dropping
// those of an honest peer costs it the time until it asks again.
const servePerPeer = 256

func newServer(s *store.Store, bytesPerSecond int, send func(bft.PublicKey, [][]byte) error, served func()) *server {
	return &server{archive: s, send: send, served: served, limiter: rate.NewLimiter(rate.Limit(bytesPerSecond), max(bytesPerSecond, bft.ServeLimit)),
		waiting: map[bft.PublicKey][]request{}, wake: make(chan struct{}, 1)}
}

func (s *server) add(from bft.PublicKey, q request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	mine := s.waiting[from]
	if len(mine) >= servePerPeer {
		return
	}
	if len(mine) == 0 {
		s.turns = append(s.turns, from)
	}
	s.waiting[from] = append(mine, q)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// open is how many requests wait.
func (s *server) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, mine := range s.waiting {
		n += len(mine)
	}
	return n
}

func (s *server) take() (from bft.PublicKey, q request, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.turns) == 0 {
		return from, q, false
	}
	from = s.turns[0]
	mine := s.waiting[from]
	q, mine = mine[0], mine[1:]
	s.turns = s.turns[1:]
	if len(mine) == 0 {
		delete(s.waiting, from)
		return from, q, true
	}
	s.waiting[from], s.turns = mine, append(s.turns, from)
	return from, q, true
}

func (s *server) run(ctx context.Context) error {
	for {
		from, q, ok := s.take()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-s.wake:
			}
			continue
		}
		if q.archive == nil {
			if err := s.serveSnapshot(ctx, from, q.snapshot); err != nil {
				return err
			}
			continue
		}
		bft.Answer(*q.archive, s.archive, func(m bft.Message) bool {
			if !s.pace(ctx, from, bft.EncodeMessage(m)) {
				return false
			}
			if _, ok := m.(*bft.UnverifiedBlockMessage); ok {
				s.served()
			}
			return true
		})
	}
}

// pace sends a message within the limit. It returns false if there is no use in sending more.
func (s *server) pace(ctx context.Context, to bft.PublicKey, parts [][]byte) bool {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	return s.limiter.WaitN(ctx, min(size, s.limiter.Burst())) == nil && s.send(to, parts) == nil
}

// serveSnapshot answers from a snapshot, if it is still here.
func (s *server) serveSnapshot(ctx context.Context, to bft.PublicKey, m snapshotInput) error {
	n := s.snapshot(m.epoch)
	if n == nil {
		return nil
	}
	answer := snapshotInput{kind: kindManifest, epoch: m.epoch}
	if m.kind == kindManifestRequest {
		answer.data = n.state.Manifest()
	} else {
		if int64(m.piece) >= int64(n.state.Count()) {
			return nil
		}
		var err error
		answer.kind, answer.piece = kindPiece, m.piece
		if answer.data, err = n.state.Piece(int(m.piece)); err != nil {
			return fmt.Errorf("serve the state after epoch %d: %w", m.epoch, err)
		}
	}
	s.pace(ctx, to, answer.parts())
	return nil
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
