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
	found.TrustPassed = r.trustPassed(committee)
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
	if err := r.recoverEvidence(&found, committee); err != nil {
		return found, err
	}
	return found, r.recoverStanding(&found)
}

// recoverEvidence reads the evidence of the running epoch and the one before that can be passed on. What the two headers do not prove
// alone stays where it is.
func (r *Replica) recoverEvidence(found *bft.Recovered, running *bft.Committee) (err error) {
	if running.Epoch == 1 {
		found.Previous = r.cfg.Genesis
	} else if running.Epoch > 1 {
		if h, ok := r.cfg.Store.Handover(running.Epoch - 2); ok {
			found.Previous = h.Next()
		}
	}
	scan := r.cfg.Store.Evidence(func(encoded []byte) bool {
		u, bad := bft.DecodeEvidence(encoded)
		if bad != nil {
			err = fmt.Errorf("stored evidence: %w", errors.Join(bad, store.ErrCorrupt))
			return false
		}
		for _, c := range []*bft.Committee{running, found.Previous} {
			if c == nil || c.Epoch != u.Epoch {
				continue
			}
			if v, bad := u.Verify(c, r.verify); bad == nil {
				found.Evidence = append(found.Evidence, v)
			}
		}
		return true
	})
	return errors.Join(err, scan)
}

// trustPassed reports whether the stored chain of hand-overs contains the one that the operator named.
func (r *Replica) trustPassed(running *bft.Committee) bool {
	trusted := r.cfg.Trust.Handover
	switch trusted {
	case bft.Digest{}:
		return false
	case r.cfg.Genesis.Anchor, running.Anchor:
		return true
	}
	for e := running.Epoch; e > 0; e-- {
		if h, ok := r.cfg.Store.Handover(e - 1); ok && h.Digest() == trusted {
			return true
		}
	}
	return false
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
