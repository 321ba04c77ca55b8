package bftorder

import (
	"encoding/binary"
	"fmt"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica"
)

// Tally is the application of a network that only orders: it counts commits
// and requests, and keeps the committee as it is. Its state is what members
// compare at the end of each epoch.
type Tally struct {
	members []bft.PublicKey
	params  bft.Params

	commits  uint64
	requests uint64
	last     bft.Digest
}

var _ replica.Application = (*Tally)(nil)

// NewTally returns the state before the first commit.
func NewTally(genesis *bft.Committee) *Tally {
	return &Tally{members: genesis.Members, params: genesis.Params}
}

// Apply implements replica.Application.
func (t *Tally) Apply(c *bft.Commit, _ replica.Payloads) error {
	if c.Index != bft.CommitIndex(t.commits)+1 || c.Previous != t.last {
		return fmt.Errorf("commit %d does not follow %d", c.Index, t.commits)
	}
	t.commits++
	t.requests += uint64(c.Requests)
	t.last = c.Digest()
	return nil
}

// EndEpoch implements replica.Application.
func (t *Tally) EndEpoch(c *bft.Commit) (bft.EpochEnded, error) {
	state, err := t.Snapshot()
	if err != nil {
		return bft.EpochEnded{}, err
	}
	return bft.EpochEnded{Index: c.Index, State: replica.NewManifest(state).Digest(), Members: t.members, Params: t.params}, nil
}

// Snapshot implements replica.Application.
func (t *Tally) Snapshot() ([]byte, error) {
	b := binary.BigEndian.AppendUint64(nil, t.commits)
	b = binary.BigEndian.AppendUint64(b, t.requests)
	return append(b, t.last[:]...), nil
}

// Restore implements replica.Application.
func (t *Tally) Restore(snapshot []byte) error {
	if snapshot == nil {
		t.commits, t.requests, t.last = 0, 0, bft.Digest{}
		return nil
	}
	if len(snapshot) != 8+8+len(t.last) {
		return fmt.Errorf("snapshot of the tally has %d bytes", len(snapshot))
	}
	t.commits = binary.BigEndian.Uint64(snapshot)
	t.requests = binary.BigEndian.Uint64(snapshot[8:])
	copy(t.last[:], snapshot[16:])
	return nil
}
