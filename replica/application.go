package replica

import "github.com/synod-network/synod/bft"

// Application is the deterministic state machine that stands on the order. All
// honest members' applications go through the same states. The replica calls
// it from one goroutine.
//
// The replica keeps the application's state across restarts by replaying:
// it stores a snapshot at the end of each epoch, and after a restart restores
// the newest one and applies the commits since.
type Application interface {
	// Apply takes the next commit. Its blocks' payloads are read by need
	// through Payloads.
	Apply(c *bft.Commit, payloads Payloads) error

	// EndEpoch answers the last commit of an epoch, which was just applied: a
	// digest of the state, which must be Manifest.Digest of the snapshot that
	// Snapshot returns now, and who orders in the next epoch.
	EndEpoch(c *bft.Commit) (bft.EpochEnded, error)

	// Snapshot returns the state as bytes. It is called after EndEpoch.
	Snapshot() ([]byte, error)

	// Restore replaces the state by that of a snapshot. The snapshot was
	// verified against the hand-over; nil is the state before the first
	// commit.
	Restore(snapshot []byte) error
}

// Payloads reads the payloads of a commit's blocks, in the order of
// Commit.Blocks.
type Payloads func() ([][]byte, error)
