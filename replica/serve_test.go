package replica

import (
	"context"
	"testing"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
)

// hungry is a snapshot that counts what is read of it.
type hungry struct{ read int }

func (h *hungry) Manifest() []byte          { return []byte("manifest") }
func (h *hungry) Count() int                { return 100 }
func (h *hungry) Piece(int) ([]byte, error) { h.read++; return make([]byte, 1000), nil }

// TestPeersTakeTurnsToBeServed: whoever asks for all it may delays another peer by one answer, and makes this member read no more than
// what waits.
func TestPeersTakeTurnsToBeServed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	greedy, modest := bft.PublicKey{1}, bft.PublicKey{2}
	var sent []bft.PublicKey
	s := newServer(nil, 1<<30, func(to bft.PublicKey, _ [][]byte) error {
		if sent = append(sent, to); len(sent) == servePerPeer+1 {
			cancel()
		}
		return nil
	}, func() {})
	state := &hungry{}
	s.setSnapshot(&snapshot{epoch: 7, state: state})
	for i := range 10 * servePerPeer {
		s.add(greedy, request{snapshot: snapshotInput{kind: kindPieceRequest, epoch: 7, piece: uint32(i % 100)}})
	}
	s.add(modest, request{snapshot: snapshotInput{kind: kindManifestRequest, epoch: 7}})
	for _, nothing := range []snapshotInput{{kind: kindPieceRequest, epoch: 7, piece: 100}, {kind: kindManifestRequest, epoch: 6}} {
		s.add(modest, request{snapshot: nothing})
	}
	if err := s.run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(sent) != servePerPeer+1 || sent[0] != greedy || sent[1] != modest || state.read != servePerPeer {
		t.Errorf("%d answers, %d pieces read; the second answer went to %x", len(sent), state.read, sent[1][:1])
	}
	if len(s.waiting) > 0 || len(s.turns) > 0 {
		t.Errorf("%d peers, %d turns are left", len(s.waiting), len(s.turns))
	}
}

// TestAskingForPiecesDoesNotOccupyTheLoop: a piece costs thousands of times what it costs to ask for it.
func TestAskingForPiecesDoesNotOccupyTheLoop(t *testing.T) {
	peer := bft.PublicKey{1}
	r := &Replica{inbox: newInbox(), server: newServer(nil, 1, nil, nil)}
	for range 10 * servePerPeer {
		parts := snapshotInput{kind: kindPieceRequest, epoch: 7}.parts()
		if err := r.frame(t.Context(), keys.PublicKey(peer), 0, parts[0]); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.inbox.ch) > 0 || len(r.server.waiting[peer]) != servePerPeer {
		t.Errorf("%d requests wait for the loop, %d for the server", len(r.inbox.ch), len(r.server.waiting[peer]))
	}
}
