package replica

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// How a member that is far behind takes over the state of the others:
//
//  1. It fetches the manifest that the hand-over's digest proves, and then the
//     pieces that the manifest lists, from all peers. Each piece is stored when it
//     arrives, so that a stop loses nothing, also if the state that is fetched
//     afterwards is a newer one: what both list is fetched once.
//  2. Once all are here, a record says so on disk, and behind it the hand-overs:
//     from here on the member is in the new epoch.
//  3. The application installs the state and keeps it; record and pieces go. If
//     it is stopped before, it does so when it starts.

// Keys of small values in the store.
const (
	fetchKey       = "application/fetch"
	installKey     = "application/install"
	proposeFromKey = "engine/propose-from"
)

// pieceKey is where a piece of a snapshot is kept until the state is installed.
func pieceKey(id bft.Digest) string { return "application/piece/" + hex.EncodeToString(id[:]) }

// fetched is a state whose pieces are all here.
type fetched struct {
	handover *bft.Handover
	manifest []byte
	pieces   map[bft.Digest][]byte
}

func (f *fetched) piece(id bft.Digest) ([]byte, error) { return f.pieces[id], nil }

// record is what is stored in step 2.
func (f *fetched) record() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(f.handover.Epoch)), f.manifest...)
}

// pendingInstall returns the record and the epoch after which its state is; nil
// if there is none.
func (r *Replica) pendingInstall() (bft.Epoch, []byte, error) {
	record, err := r.cfg.Store.Meta(installKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return 0, nil, nil
	case err != nil:
		return 0, nil, fmt.Errorf("read what is to be installed: %w", err)
	case len(record) == 0:
		return 0, nil, nil // emptied by forgetInstall: the store sets values and removes none
	case len(record) < 8:
		return 0, nil, fmt.Errorf("%w: the record of what is to be installed has %d bytes", store.ErrCorrupt, len(record))
	}
	return bft.Epoch(binary.BigEndian.Uint64(record)), record, nil
}

// install has the application take over a state, by the record of it.
func (r *Replica) install(h *bft.Handover, record []byte, piece func(bft.Digest) ([]byte, error)) error {
	manifest := record[8:]
	pieces, err := r.cfg.Application.Verify(h.State, manifest)
	if err != nil {
		return fmt.Errorf("install the state after commit %d: %w", h.End, err)
	}
	state, err := r.cfg.Application.Install(manifest, func(i int) ([]byte, error) { return piece(pieces.ID(i)) })
	if err != nil {
		return fmt.Errorf("install the state after commit %d: %w", h.End, err)
	}
	r.server.setSnapshot(&snapshot{epoch: h.Epoch, index: h.End, state: state})
	return r.forgetInstall(h, record)
}

// beginFetch notes what is fetched from now on, and forgets the pieces of an
// earlier attempt that are of no use for it.
func (r *Replica) beginFetch(t *transfer) {
	const digest = len(bft.Digest{})
	if earlier, err := r.cfg.Store.Meta(fetchKey); err == nil && len(earlier) >= digest {
		if list, err := r.cfg.Application.Verify(bft.Digest(earlier[:digest]), earlier[digest:]); err == nil {
			for i := range list.Count() {
				if _, listed := t.pieces[list.ID(i)]; !listed {
					r.forgetPiece(list.ID(i))
				}
			}
		}
	}
	r.writer.add(work{key: fetchKey, value: append(t.handover.State[:], t.manifest...)})
}

func (r *Replica) forgetPiece(id bft.Digest) {
	if data, err := r.cfg.Store.Meta(pieceKey(id)); err == nil && len(data) > 0 {
		r.writer.add(work{key: pieceKey(id)})
	}
}

// forgetInstall empties the record and the pieces of a state that is installed.
func (r *Replica) forgetInstall(h *bft.Handover, record []byte) error {
	pieces, err := r.cfg.Application.Verify(h.State, record[8:])
	if err != nil {
		return fmt.Errorf("forget the pieces of the state after commit %d: %w", h.End, err)
	}
	r.writer.add(work{key: installKey})
	for i := range pieces.Count() {
		r.writer.add(work{key: pieceKey(pieces.ID(i))})
	}
	return nil
}
