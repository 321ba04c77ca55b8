package replica

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
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

// startTransfer begins to fetch the application's state after a hand-over.
func (r *Replica) startTransfer(h *bft.Handover) {
	r.transfer = newTransfer(h, r.cfg.TransferPatience, time.Now())
	r.log.Info("fetching the state after the newest hand-over, which peers give instead of the commits that this sequencer lacks", "epoch", uint64(h.Epoch), "commit", uint64(h.End))
	r.askSnapshot()
}

// askSnapshot asks connected peers for what is missing.
func (r *Replica) askSnapshot() {
	for _, a := range r.transfer.next(time.Now(), r.donors()) {
		m := snapshotInput{kind: kindPieceRequest, epoch: r.transfer.handover.Epoch, piece: a.place}
		if a.place == manifestPlace {
			m.kind, m.piece = kindManifestRequest, 0
		}
		// What is lost with a link is asked for again.
		_ = r.links.Send(keys.PublicKey(a.to), p2p.Bulk, m.parts()...)
	}
}

// donors are the peers that can be asked.
func (r *Replica) donors() (up []bft.PublicKey) {
	for _, p := range r.links.Stats() {
		if p.Bulk.Connected {
			up = append(up, bft.PublicKey(p.Peer))
		}
	}
	return up
}

// pursueSnapshot asks again for what has not come, and gives up a state that
// nobody has any more: the engine then looks for a newer one.
func (r *Replica) pursueSnapshot() error {
	t := r.transfer
	if t == nil {
		return nil
	}
	if now := time.Now(); t.hopeless(now) {
		r.transfer = nil
		r.log.Warn("no peer gives the state after the hand-over; asking which is the newest, and for that. What is here already is kept",
			slog.Uint64("epoch", uint64(t.handover.Epoch)), slog.Int("missing", t.missing), slog.Any("sent_what_is_wrong", r.liars(t)))
		return r.step(bft.SnapshotUnavailable{Handover: t.handover})
	}
	t.expire(time.Now(), r.donors())
	r.askSnapshot()
	return nil
}

// liars names the peers that sent what is wrong.
func (r *Replica) liars(t *transfer) []string {
	names := []string{}
	for key, d := range t.donors {
		if d.lies > 0 {
			names = append(names, r.name(key))
		}
	}
	slices.Sort(names)
	return names
}

// asks reports whether a message asks for something, which the server answers; the loop takes the answers of others.
func (m snapshotInput) asks() bool {
	return m.kind == kindManifestRequest || m.kind == kindPieceRequest
}

// snapshotMessage takes what a peer answered.
func (r *Replica) snapshotMessage(from bft.PublicKey, m snapshotInput) error {
	t := r.transfer
	if t == nil || m.epoch != t.handover.Epoch {
		return nil
	}
	worth, err := t.take(time.Now(), from, m, r.cfg.Application.Verify)
	switch worth {
	case wrong:
		r.observe(bft.Event{Kind: bft.EventBadAnswer, Member: from, Text: err.Error()})
	case useful:
		if m.kind == kindManifest {
			r.resume(t)
		} else {
			// Kept for the case that this sequencer stops before it has all.
			r.writer.add(work{key: pieceKey(t.list.ID(int(m.piece))), value: m.data})
		}
	}
	if t.complete() {
		return r.fetchedAll(t)
	}
	r.askSnapshot()
	return nil
}

// resume takes over the pieces that an earlier run has fetched.
func (r *Replica) resume(t *transfer) {
	r.beginFetch(t)
	taken := 0
	for i := range t.list.Count() {
		if data, err := r.cfg.Store.Meta(pieceKey(t.list.ID(i))); err == nil && len(data) > 0 {
			if fresh, _ := t.keep(uint32(i), data, nil); fresh { // damaged on disk: fetched again
				taken++
			}
		}
	}
	if taken > 0 {
		r.log.Info("going on with the state of which an earlier run fetched a part", slog.Int("here", taken), slog.Int("missing", t.missing))
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
