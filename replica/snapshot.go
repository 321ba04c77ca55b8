package replica

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
)

// Kinds of the replica's own messages, beyond those of the engine.
const (
	kindManifestRequest = bft.FirstForeignKind + iota
	kindManifest
	kindPieceRequest
	kindPiece
	kindNote
)

// snapshotInput is one message of the snapshot protocol: a request for the
// state after an epoch, or a piece of it.
type snapshotInput struct {
	bft.Input
	kind  byte
	epoch bft.Epoch
	piece uint32
	data  []byte
}

var errSnapshotMessage = errors.New("malformed snapshot message")

func decodeSnapshotMessage(b []byte) (m snapshotInput, err error) {
	if len(b) < 13 || b[0] > kindPiece {
		return m, errSnapshotMessage
	}
	m = snapshotInput{kind: b[0], epoch: bft.Epoch(binary.BigEndian.Uint64(b[1:])), piece: binary.BigEndian.Uint32(b[9:]), data: b[13:]}
	limit := map[byte]int{kindManifest: MaxManifest, kindPiece: MaxPiece}[m.kind]
	if len(m.data) > limit {
		return m, errSnapshotMessage
	}
	return m, nil
}

func (m snapshotInput) parts() [][]byte {
	b := binary.BigEndian.AppendUint64([]byte{m.kind}, uint64(m.epoch))
	return [][]byte{binary.BigEndian.AppendUint32(b, m.piece), m.data}
}

// transfer fetches a snapshot from peers: the manifest first, which the
// hand-over's state digest proves, then each piece, which the manifest proves.
// The loop owns it.
type transfer struct {
	fetched
	list     Pieces // nil until the manifest is here
	missing  int
	next     int // peer to ask next
	asked    time.Time
	attempts int // since the last progress
}

func (t *transfer) takeManifest(manifest []byte, list Pieces) {
	t.manifest, t.list, t.missing = manifest, list, 0
	for i := range list.Count() {
		if _, twice := t.pieces[list.ID(i)]; !twice {
			t.pieces[list.ID(i)] = nil
			t.missing++
		}
	}
}

// takePiece reports whether the piece is one that was missing.
func (t *transfer) takePiece(i uint32, data []byte) bool {
	if t.list == nil || int(i) >= t.list.Count() || t.pieces[t.list.ID(int(i))] != nil || len(data) == 0 || t.list.Check(int(i), data) != nil {
		return false
	}
	t.pieces[t.list.ID(int(i))] = data
	t.missing--
	return true
}

// Transfer is how much is here of a state that is fetched. Pieces is 0 until it is known of how many the state consists.
type Transfer struct {
	Epoch        bft.Epoch // after which the state is
	Have, Pieces int
}

// publishTransfer shows to other goroutines what is fetched.
func (r *Replica) publishTransfer() {
	t := r.transfer
	if t == nil {
		r.fetching.Store(nil)
		return
	}
	shown := &Transfer{Epoch: t.handover.Epoch}
	if t.list != nil {
		shown.Pieces = len(t.pieces)
		shown.Have = shown.Pieces - t.missing
	}
	r.fetching.Store(shown)
}

// Fetching returns how much is here of the state that is fetched now; nil if none is.
func (r *Replica) Fetching() *Transfer { return r.fetching.Load() }

// Installing reports whether the application is taking over a state that is here.
func (r *Replica) Installing() bool { return r.installing.Load() }

func (t *transfer) complete() bool { return t.list != nil && t.missing == 0 }

// startTransfer begins to fetch the application's state after a hand-over.
func (r *Replica) startTransfer(h *bft.Handover) {
	r.transfer = &transfer{fetched: fetched{handover: h, pieces: map[bft.Digest][]byte{}}}
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
	if t.list == nil {
		t.next++
		r.sendSnapshot(up[t.next%len(up)], snapshotInput{kind: kindManifestRequest, epoch: t.handover.Epoch})
		return
	}
	asked := 0
	for i := 0; i < t.list.Count() && asked < piecesAtATime; i++ {
		if t.pieces[t.list.ID(i)] != nil {
			continue
		}
		asked++
		t.next++
		r.sendSnapshot(up[t.next%len(up)], snapshotInput{kind: kindPieceRequest, epoch: t.handover.Epoch, piece: uint32(i)})
	}
}

const (
	// snapshotPatience is how long a peer may take to send a piece before
	// another is asked; after snapshotAttempts in vain nobody has the state.
	snapshotPatience = time.Second
	snapshotAttempts = 10
	// piecesAtATime bounds the pieces of a snapshot asked for at once.
	piecesAtATime = 8
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

func (r *Replica) sendSnapshot(to keys.PublicKey, m snapshotInput) {
	_ = r.links.Send(to, p2p.Bulk, m.parts()...)
}

// asks reports whether a message asks for something, which the server answers; the loop takes the answers of others.
func (m snapshotInput) asks() bool {
	return m.kind == kindManifestRequest || m.kind == kindPieceRequest
}

// snapshotMessage takes what a peer answered.
func (r *Replica) snapshotMessage(m snapshotInput) error {
	t := r.transfer
	if t == nil || m.epoch != t.handover.Epoch {
		return nil
	}
	progress := false
	if m.kind == kindManifest && t.list == nil {
		if list, err := r.cfg.Application.Verify(t.handover.State, m.data); err == nil {
			progress = true
			t.takeManifest(m.data, list)
			r.resume(t)
		}
	} else if progress = t.takePiece(m.piece, m.data); progress {
		// Kept for the case that this sequencer stops before it has all.
		r.writer.add(work{key: pieceKey(t.list.ID(int(m.piece))), value: m.data})
	}
	if !progress {
		return nil
	}
	t.attempts = 0
	if !t.complete() {
		if t.missing%piecesAtATime == 0 || m.kind == kindManifest {
			r.askSnapshot()
		}
		return nil
	}
	return r.fetchedAll(t)
}

// resume takes over the pieces that an earlier run has fetched.
func (r *Replica) resume(t *transfer) {
	for i := range t.list.Count() {
		if data, err := r.cfg.Store.Meta(pieceKey(t.list.ID(i))); err == nil {
			t.takePiece(uint32(i), data)
		}
	}
}

// fetchedAll moves on to the new epoch; the application follows. The engine asks
// for one state at a time.
func (r *Replica) fetchedAll(t *transfer) error {
	r.transfer = nil
	r.writer.add(work{key: installKey, value: t.record()})
	r.installing.Store(true)
	r.installs <- &t.fetched
	r.chain.jump(t.handover.End)
	return r.step(bft.SnapshotInstalled{Handover: t.handover})
}
