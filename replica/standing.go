package replica

import (
	"errors"
	"log/slog"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
	"github.com/synod-network/synod/telemetry"
)

// Warden holds what this replica thinks of its peers.
func (r *Replica) Warden() *warden.Warden { return r.warden }

// meet is how the links treat a peer.
func (r *Replica) meet(peer keys.PublicKey) p2p.Treatment {
	standing, notice := r.warden.Treatment(peer)
	return p2p.Treatment{Limited: standing == trust.Limited, Banned: standing == trust.Banned, Notice: notice}
}

// faulted enters what a peer's link carried that is not even a frame.
func (r *Replica) faulted(peer keys.PublicKey, what p2p.Refusal, err error) {
	r.warden.Record(peer, trust.JunkFrame, what.String()+": "+err.Error())
}

func (r *Replica) lost(peer keys.PublicKey, err error) {
	r.warden.Record(peer, trust.LostLink, err.Error())
}

// verifyFrom verifies a block, and holds it against its sender if it is wrong. A signature that fails is looked at a
// second time, by other code: what is quick for known keys must not make this member blame others for its own defect.
func (r *Replica) verifyFrom(from keys.PublicKey, u *bft.UnverifiedBlock, c *bft.Committee) (*bft.Block, error) {
	b, defect, err := verifyTwice(u, c, r.verify, verifySlowly)
	if defect {
		r.log.Error("this member's own verification of signatures is defective: the quick way refuses a block that is right. Look at its memory, and report it",
			slog.String("from", r.name(bft.PublicKey(from))))
	}
	switch {
	case errors.Is(err, bft.ErrWrongEpoch):
		r.warden.Record(from, trust.WrongEpoch, err.Error()) // ahead or behind: hardly a fault
	case err != nil:
		r.warden.Record(from, trust.InvalidBlock, err.Error())
	}
	return b, err
}

// verifyTwice verifies a block by the quick way, and by the slow one if the quick one refuses the signature. Where they
// differ, the slow one counts, and the quick one has a defect.
func verifyTwice(u *bft.UnverifiedBlock, c *bft.Committee, quick, slow bft.Verifier) (b *bft.Block, defect bool, err error) {
	if b, err = u.Verify(c, quick); !errors.Is(err, bft.ErrBadSignature) {
		return b, false, err
	}
	if second, wrong := u.Verify(c, slow); wrong == nil {
		return second, true, nil
	}
	return nil, false, err
}

func verifySlowly(key bft.PublicKey, message []byte, sig bft.Signature) bool {
	return keys.Verify(keys.PublicKey(key), message, keys.Signature(sig))
}

// prove enters evidence that the engine found, or was shown by another member and verified.
func (r *Replica) prove(list []*bft.Evidence) {
	for _, e := range list {
		kind := trust.Equivocation
		if e.Kind == bft.TimeViolation {
			kind = trust.TimeViolation
		}
		r.warden.Prove(keys.PublicKey(e.Member), kind, e.First.Ref().String()+" and "+e.Other.Ref().String(), e.Encode())
	}
}

// blames says which of the engine's reports bear on a peer's score.
func blames(kind bft.EventKind) (trust.Action, bool) {
	switch kind {
	case bft.EventBadAnswer:
		return trust.BadAnswer, true
	case bft.EventFalseEvidence:
		return trust.FalseEvidence, true
	case bft.EventEvicted:
		return trust.EvictedBlock, true
	case bft.EventLeaderTimeout:
		return trust.LeaderTimeout, true
	}
	return "", false
}

// blame enters a report of the engine, if it bears on a peer's score.
func (r *Replica) blame(e bft.Event) {
	if action, ok := blames(e.Kind); ok && e.Member != (bft.PublicKey{}) {
		r.warden.Record(keys.PublicKey(e.Member), action, e.Text)
	}
}

// trustState is what a scrape sees; the admin service shows the same report.
func (r *Replica) trustState() telemetry.TrustState {
	report := r.warden.Report()
	c := report.Counters
	s := telemetry.TrustState{
		Scores: map[string]float64{}, Strikes: map[string]int{}, BanUntil: map[string]float64{}, Actions: map[telemetry.ActionLabels]uint64{}, Bans: map[telemetry.BanLabels]uint64{},
		Unbans: map[string]uint64{}, Banned: map[string]int{}, PutOff: c.PutOff, Evidence: map[string]uint64{},
		Guarded: c.QuorumGuard, Suspects: report.SuspectsUntil != 0, Suspicions: c.Suspicions,
		Rejections: r.links.Refused()[p2p.BannedPeer],
	}
	others := c.Actions
	for _, o := range report.Peers {
		for a, n := range o.Actions {
			s.Actions[telemetry.ActionLabels{Action: string(a), Peer: r.name(bft.PublicKey(o.Peer))}] += n
			others[a] -= n
		}
		kind := "other"
		if o.Member {
			kind = "member"
			name := r.name(bft.PublicKey(o.Peer))
			s.Scores[name], s.Strikes[name], s.BanUntil[name] = o.Score, o.Strikes, 0
			if o.Ban != nil {
				s.BanUntil[name] = float64(report.Time(o.Ban.Until).UnixMicro()) / 1e6
			}
		}
		switch {
		case o.Standing == trust.Banned:
			s.Banned[kind]++
		case o.Standing == trust.Limited:
			s.Limited++
		}
		if o.OnHold {
			s.OnHold++
		}
		if o.BannedBy != nil {
			s.BannedBy++
		}
	}
	for a, n := range others {
		s.Actions[telemetry.ActionLabels{Action: string(a), Peer: "other"}] = n
	}
	for kind, n := range c.Bans {
		s.Bans[telemetry.BanLabels{Reason: string(kind.Reason), Origin: string(kind.Origin)}] = n
	}
	for cause, n := range c.Unbans {
		s.Unbans[string(cause)] = n
	}
	for kind, n := range c.Evidence {
		s.Evidence[string(kind)] = n
	}
	return s
}
