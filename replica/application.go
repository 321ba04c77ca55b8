package replica

import (
	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/ordering"
)

// Application is the deterministic state machine that stands on the order. All
// honest members' applications go through the same states.
//
// An application keeps its state itself. After a restart the blocks behind what
// it kept are applied again. The replica calls it from one goroutine, but for
// Keep and for reading snapshots.
type Application interface {
	// Start returns the newest block whose effects are kept, 0 for the state
	// before the first, and the snapshot as of then, nil if there is none to give
	// to others.
	Start() (bft.CommitIndex, Snapshot, error)

	// Apply carries out the next block.
	Apply(b ordering.Block) error

	// EndEpoch answers the last block of an epoch, which was just applied.
	EndEpoch() (Ended, error)

	// Keep makes a state that EndEpoch returned durable: a later Start must not
	// return less. It is called once the hand-over that ends the epoch is durable,
	// with states in their order, though some may be left out. Applying goes on
	// meanwhile.
	Keep(Snapshot) error

	// Verify returns what a manifest lists, if it is that of the state that a
	// hand-over names. It comes from another member and is not believed.
	Verify(state bft.Digest, manifest []byte) (Pieces, error)

	// Install replaces the state, and what is kept, by that of a manifest, whose
	// pieces were checked. The next block is the one after it.
	Install(manifest []byte, piece func(int) ([]byte, error)) (Snapshot, error)
}

// Ended is an application's answer to the last block of an epoch.
type Ended struct {
	// State is a digest of the state, from which Verify knows the manifest of
	// Snapshot.
	State bft.Digest
	// Members and Params are who orders in the next epoch, and how.
	Members  []bft.PublicKey
	Params   bft.Params
	Snapshot Snapshot
}

// Snapshot is a state of the application: a manifest and the pieces that it
// lists. It stays as it is while the application goes on, and may be read from
// any goroutine.
type Snapshot interface {
	Manifest() []byte
	Count() int
	// Piece returns a piece by its place in the manifest, of at most MaxPiece bytes.
	Piece(i int) ([]byte, error)
}

// Pieces are the pieces that a manifest lists.
type Pieces interface {
	Count() int
	// ID names a piece by its content.
	ID(i int) bft.Digest
	// Check says whether data is the piece.
	Check(i int, data []byte) error
}

// Limits of a snapshot that a member sends, in bytes.
const (
	MaxPiece    = 1 << 20
	MaxManifest = 4 << 20
)
