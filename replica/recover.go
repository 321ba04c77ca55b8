package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/replica/store"
)

// recover collects from the store what the engine continues from.
func (r *Replica) recover() (found bft.Recovered, err error) {
	s := r.cfg.Store
	found.Genesis = r.cfg.Genesis
	if found.Handover, err = optional(s.LastHandover()); err != nil {
		return found, err
	}
	if found.Last, err = optional(s.LastCommit()); err != nil {
		return found, err
	}
	committee := found.Committee()
	if found.Last != nil && found.Last.Epoch != committee.Epoch {
		found.Last = nil
	}
	gc := bft.Round(0)
	if found.Last != nil {
		gc = gcRound(found.Last.Leader.Round, committee.Params.GCDepth)
		found.Commits = r.recoverCommits(committee, found.Last.Index, gc)
	}
	if err := r.recoverBlocks(&found, committee, gc); err != nil {
		return found, err
	}
	return found, r.recoverStanding(&found)
}

// ErrTrustPassed says that the hand-over which the operator named is of an epoch that this member has passed: following the others, it
// would never find it.
var ErrTrustPassed = errors.New("the hand-over that trust.handover names is behind what is stored here")

// checkTrusted refuses a hand-over to trust that lies behind, where one is needed.
func (r *Replica) checkTrusted(found *bft.Recovered) error {
	trusted, committee := r.cfg.Trust, found.Committee()
	newest := committee.Start
	if found.Last != nil {
		newest = max(newest, found.Last.Commit.Time)
	}
	if trusted.Period == 0 || trusted.Handover == (bft.Digest{}) || trusted.Handover == committee.Anchor || r.clock().Wall-newest <= trusted.Period {
		return nil
	}
	passed := committee.Epoch > 0 && trusted.Handover == r.cfg.Genesis.Anchor
	for e := committee.Epoch; e > 0 && !passed; e-- {
		h, ok := r.cfg.Store.Handover(e - 1)
		passed = ok && h.Digest() == trusted.Handover
	}
	if !passed {
		return nil
	}
	return fmt.Errorf("%w, which is in epoch %d: name the newest hand-over at another operator's sequencer (its log has it at the start of each epoch), or, if the whole network was down, the newest here, %x",
		ErrTrustPassed, committee.Epoch, committee.Anchor)
}

func gcRound(leader, depth bft.Round) bft.Round {
	if leader <= depth {
		return 0
	}
	return leader - depth
}

// recoverCommits reads the commits of the epoch that can contain blocks above
// the garbage collection round.
func (r *Replica) recoverCommits(c *bft.Committee, last bft.CommitIndex, gc bft.Round) (commits []*bft.Commit) {
	for i := last; i > c.Base; i-- {
		k, ok := r.cfg.Store.Commit(i)
		if !ok || k.Leader.Round <= gc {
			break
		}
		commits = append(commits, k)
	}
	for i, j := 0, len(commits)-1; i < j; i, j = i+1, j-1 {
		commits[i], commits[j] = commits[j], commits[i]
	}
	return commits
}

// recoverBlocks reads the heads of the stored blocks. They were verified before
// they were stored, and the store checks what it reads; they are verified once
// more because a wrong one here could fork the network.
func (r *Replica) recoverBlocks(found *bft.Recovered, c *bft.Committee, gc bft.Round) (err error) {
	me, member := c.Author(r.self)
	r.cfg.Store.Refs(c.Epoch, 0, func(ref bft.Ref) bool {
		own := member && ref.Author == me
		if ref.Round <= gc && !own {
			return true
		}
		u, ok := r.cfg.Store.Block(c.Epoch, ref)
		if !ok {
			err = fmt.Errorf("block %s of epoch %d is in the index and not in the log", ref, c.Epoch)
			return false
		}
		b, verr := u.Verify(c, r.verify)
		if verr != nil || b.Ref() != ref {
			err = fmt.Errorf("stored block %s of epoch %d: %w", ref, c.Epoch, errors.Join(verr, store.ErrCorrupt))
			return false
		}
		if ref.Round > gc {
			found.Blocks = append(found.Blocks, b.Head)
		}
		if own && (found.Own == nil || found.Own.Round < b.Round) {
			found.Own = b
		}
		return true
	})
	return err
}

// recoverStanding finds out whether this member may propose.
func (r *Replica) recoverStanding(found *bft.Recovered) (err error) {
	if found.Nonce, err = newNonce(); err != nil {
		return err
	}
	from, err := r.cfg.Store.Meta(proposeFromKey)
	switch {
	case errors.Is(err, store.ErrNotFound):
		found.Rejoin = r.cfg.Rejoin || r.cfg.Store.Origin() == store.Replacement
		return nil
	case err != nil:
		return err
	}
	found.Rejoin = r.cfg.Rejoin
	found.ProposeFrom, err = decodeEpoch(from)
	return err
}

// optional turns "not in the store" into nil.
func optional[T any](v *T, err error) (*T, error) {
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return v, err
}

func encodeEpoch(e bft.Epoch) []byte { return binary.BigEndian.AppendUint64(nil, uint64(e)) }

func decodeEpoch(b []byte) (bft.Epoch, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("stored epoch has %d bytes", len(b))
	}
	return bft.Epoch(binary.BigEndian.Uint64(b)), nil
}
