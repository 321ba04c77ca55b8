package replica

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
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

// snapshotInput is one message of the snapshot protocol: a request for the
// state after an epoch, or a piece of it.
type snapshotInput struct {
	bft.Input
	kind  byte
	epoch bft.Epoch
	chunk uint32
	data  []byte
}

var errSnapshotMessage = errors.New("malformed snapshot message")

func decodeSnapshotMessage(b []byte) (m snapshotInput, err error) {
	if len(b) < 13 || b[0] > kindChunk {
		return m, errSnapshotMessage
	}
	m = snapshotInput{kind: b[0], epoch: bft.Epoch(binary.BigEndian.Uint64(b[1:])), chunk: binary.BigEndian.Uint32(b[9:]), data: b[13:]}
	if len(m.data) > 0 && (m.kind == kindManifestRequest || m.kind == kindChunkRequest) || len(m.data) > SnapshotChunk && m.kind == kindChunk {
		return m, errSnapshotMessage
	}
	return m, nil
}

func (m snapshotInput) parts() [][]byte {
	b := binary.BigEndian.AppendUint64([]byte{m.kind}, uint64(m.epoch))
	return [][]byte{binary.BigEndian.AppendUint32(b, m.chunk), m.data}
}

// startTransfer begins to fetch the application's state after a hand-over.
func (r *Replica) startTransfer(h *bft.Handover) {
	r.transfer = &transfer{handover: h}
	r.log.Info("peers no longer keep the commits this sequencer lacks; fetching the state after the newest hand-over", "epoch", uint64(h.Epoch), "commit", uint64(h.End))
	r.askSnapshot()
}

// askSnapshot asks the next connected peer for what is missing.
func (r *Replica) askSnapshot() {
	t := r.transfer
	t.asked = time.Now()
	var up []keys.PublicKey
	for _, p := range r.links.Stats() {
		if p.Bulk.Connected {
			up = append(up, p.Peer)
		}
	}
	if len(up) == 0 {
		return
	}
	if t.manifest == nil {
		t.next++
		r.sendSnapshot(up[t.next%len(up)], snapshotInput{kind: kindManifestRequest, epoch: t.handover.Epoch})
		return
	}
	asked := 0
	for i, c := range t.chunks {
		if c != nil || asked == chunksAtATime {
			continue
		}
		asked++
		t.next++
		r.sendSnapshot(up[t.next%len(up)], snapshotInput{kind: kindChunkRequest, epoch: t.handover.Epoch, chunk: uint32(i)})
	}
}

const (
	// snapshotPatience is how long a peer may take to send a piece before
	// another is asked; after snapshotAttempts in vain nobody has the state.
	snapshotPatience = time.Second
	snapshotAttempts = 10
)

// pursueSnapshot asks again for what has not come, and gives up a state that
// nobody has any more.
func (r *Replica) pursueSnapshot() error {
	t := r.transfer
	if t == nil || time.Since(t.asked) < snapshotPatience {
		return nil
	}
	if t.attempts++; t.attempts > snapshotAttempts {
		r.transfer = nil
		r.log.Warn("no peer has the state after the hand-over any more; asking for a newer one", slog.Uint64("epoch", uint64(t.handover.Epoch)))
		return r.step(bft.SnapshotUnavailable{Handover: t.handover})
	}
	r.askSnapshot()
	return nil
}

// chunksAtATime bounds the pieces of a snapshot asked for at once.
const chunksAtATime = 8

func (r *Replica) sendSnapshot(to keys.PublicKey, m snapshotInput) {
	_ = r.links.Send(to, p2p.Bulk, m.parts()...)
}

// snapshotMessage handles one message of the snapshot protocol.
func (r *Replica) snapshotMessage(from bft.PublicKey, m snapshotInput) error {
	switch m.kind {
	case kindManifestRequest, kindChunkRequest:
		r.serveSnapshot(from, m)
		return nil
	}
	t := r.transfer
	if t == nil || m.epoch != t.handover.Epoch {
		return nil
	}
	progress := false
	if m.kind == kindManifest {
		if manifest, err := decodeManifest(m.data); err == nil {
			progress = t.takeManifest(manifest)
			r.resume(t)
		}
	} else if progress = t.takeChunk(m.chunk, m.data); progress {
		// Kept for the case that this sequencer stops before it has all.
		r.writer.add(work{key: chunkKey(t.manifest.Chunks[m.chunk]), value: m.data})
	}
	if !progress {
		return nil
	}
	t.attempts = 0
	if !t.complete() {
		if t.missing%chunksAtATime == 0 || m.kind == kindManifest {
			r.askSnapshot()
		}
		return nil
	}
	r.install(t)
	return nil
}

// resume takes over the pieces that an earlier run has fetched.
func (r *Replica) resume(t *transfer) {
	if t.manifest == nil {
		return
	}
	for i, d := range t.manifest.Chunks {
		if data, err := r.cfg.Store.Meta(chunkKey(d)); err == nil {
			t.takeChunk(uint32(i), data)
		}
	}
}

func (r *Replica) serveSnapshot(from bft.PublicKey, m snapshotInput) {
	s := r.server.snapshot(m.epoch)
	if s == nil {
		return
	}
	if m.kind == kindManifestRequest {
		r.sendSnapshot(keys.PublicKey(from), snapshotInput{kind: kindManifest, epoch: m.epoch, data: NewManifest(s.data).encode()})
		return
	}
	at := int(m.chunk) * SnapshotChunk
	if at >= len(s.data) {
		return
	}
	r.sendSnapshot(keys.PublicKey(from), snapshotInput{
		kind: kindChunk, epoch: m.epoch, chunk: m.chunk, data: s.data[at:min(at+SnapshotChunk, len(s.data))],
	})
}

// install makes the fetched state the application's own. The engine asks for one
// state at a time.
func (r *Replica) install(t *transfer) {
	r.transfer = nil
	h := t.handover
	r.restores <- restore{handover: h, snapshot: &snapshot{epoch: h.Epoch, index: h.End, data: t.bytes(), pieces: t.manifest.Chunks}}
	r.chain.jump(h.End)
}

// restore hands a fetched snapshot to the goroutine of the application.
type restore struct {
	handover *bft.Handover
	snapshot *snapshot
}
