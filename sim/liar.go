package sim

import (
	"github.com/synod-network/synod/bft"
)

// liar is what makes a member Byzantine. Behind it runs an honest engine, which
// keeps up with the network, so that the member takes part in hand-overs and
// can tell plausible lies; what the engine wants to send passes through here.
// Ways that need blocks which no honest engine would make let a forger make
// them instead.
type liar struct {
	m      *member
	way    Fault
	forger *forger // nil: blocks are the engine's
}

func newLiar(m *member, way Fault) *liar {
	l := &liar{m: m, way: way}
	if way == ByzNoVote {
		m.world.hurry(m)
	}
	switch way {
	case ByzSilent, ByzSlow, ByzServe:
	default:
		l.forger = newForger(m, way)
	}
	return l
}

// saw lets the forger know a block of the others.
func (l *liar) saw(b *bft.Block) {
	if l.forger != nil {
		l.forger.saw(b)
	}
}

// enter begins an epoch.
func (l *liar) enter(c *bft.Committee) {
	if l.forger != nil {
		l.forger.enter(c)
	}
}

// transmit sends, or not, what the engine wants sent.
func (l *liar) transmit(peer *member, message bft.Message, f *frame) {
	w := l.m.world
	if b, ok := message.(*bft.BlockMessage); ok && l.forger != nil && b.Block.Author == l.author() {
		return // the forger's blocks go out instead
	}
	switch l.way {
	case ByzSilent:
	case ByzSlow:
		l.m.later(w.between(100*bft.Millisecond, 2*bft.Second), func() { w.transmit(l.m, peer, f) })
	case ByzServe:
		w.transmit(l.m, peer, encodeFrame(l.twist(message)))
	default:
		w.transmit(l.m, peer, f)
	}
}

func (l *liar) author() bft.Author {
	a, _ := l.m.committee.Author(l.m.key)
	return a
}

// twist makes a wrong answer of a right one.
func (l *liar) twist(message bft.Message) bft.Message {
	w := l.m.world
	if w.chance(0.3) {
		return message // a liar is believed only if it sometimes is right
	}
	switch t := message.(type) {
	case *bft.ChainResponse:
		return l.twistChain(t)
	case *bft.HandoverMessage:
		list := make([]*bft.Handover, len(t.Handovers))
		for i, h := range t.Handovers {
			wrong := *h
			wrong.State[0] ^= 1
			list[i] = &wrong
		}
		return &bft.HandoverMessage{Handovers: list}
	case *bft.HandoverVote:
		wrong := *t
		wrong.Content.State[0] ^= 1
		wrong.Signature = l.signHandover(&wrong.Content)
		return &wrong
	case *bft.Status:
		return &bft.Status{Epoch: t.Epoch + bft.Epoch(w.random.IntN(3)), Round: t.Round + bft.Round(w.random.IntN(1000)), Commit: t.Commit + bft.CommitIndex(w.random.IntN(1000))}
	case *bft.RejoinAnswer:
		return &bft.RejoinAnswer{Nonce: t.Nonce, Epoch: bft.Epoch(w.random.IntN(int(t.Epoch) + 3))}
	case *bft.DAGEnd:
		return &bft.DAGEnd{Epoch: t.Epoch, Through: t.Through + bft.Round(w.random.IntN(100)), More: !t.More}
	}
	return message
}

// signHandover signs a hand-over by asking the verification what it would
// check, since only the engine knows the bytes.
func (l *liar) signHandover(c *bft.HandoverContent) (sig bft.Signature) {
	all := make([]bft.MemberSignature, 1)
	all[0].Author = l.author()
	h := &bft.Handover{HandoverContent: *c, Signatures: all}
	_ = h.Verify(l.m.committee, func(_ bft.PublicKey, message []byte, _ bft.Signature) bool {
		sig = l.m.sign(message)
		return true
	})
	return sig
}

// twistChain changes what one commit says and chains the others to it, so that
// only the proof can give it away.
func (l *liar) twistChain(r *bft.ChainResponse) bft.Message {
	wrong := *r
	wrong.Commits = nil
	var previous bft.Digest
	for i, c := range r.Commits {
		k := *c
		if i == len(r.Commits)/2 {
			k.Time++
		}
		if i > 0 {
			k.Previous = previous
		}
		sealed, err := bft.DecodeCommit(k.Encode(), l.m.world.genesis.Network)
		if err != nil {
			return r
		}
		wrong.Commits = append(wrong.Commits, sealed)
		previous = sealed.Digest()
	}
	if l.m.world.chance(0.2) {
		wrong.Lowest += 1000
		wrong.Commits = nil
	}
	return &wrong
}

// archive is what the member answers requests from.
func (l *liar) archive(a bft.Archive) bft.Archive {
	if l.forger != nil {
		return &forgedArchive{Archive: a, forger: l.forger}
	}
	return a
}

// snapshot is what the member serves of its application's state.
func (l *liar) snapshot(s *state) *state {
	if s == nil || l.way != ByzServe {
		return s
	}
	wrong := *s
	wrong.orders++
	return &wrong
}
