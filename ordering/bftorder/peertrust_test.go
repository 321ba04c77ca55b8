package bftorder_test

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/replica/trust"
	"github.com/synod-network/synod/replica/warden"
)

// impostor is a program that has a member's key and sends what no member sends.
type impostor struct {
	links *p2p.Network
	told  [members]atomic.Pointer[trust.Notice] // by member
	stop  func()
}

// impersonate runs an impostor with the key and address of a member that is stopped.
func (c *cluster) impersonate(i int) *impostor {
	m := &impostor{}
	links, err := p2p.New(p2p.Config{
		Key: c.keys[i], Network: [32]byte(c.genesis.Network), Peers: c.peers, Listener: c.listen(c.peers[c.keys[i].Public()]),
		Limits:  p2p.Limits{RedialFrom: 5 * time.Millisecond, RedialTo: 20 * time.Millisecond, RedialBanned: 100 * time.Millisecond},
		Handler: func(context.Context, keys.PublicKey, p2p.Lane, []byte) error { return nil },
		Told: func(by keys.PublicKey, notice []byte) error {
			n, _, err := warden.VerifyNotice([32]byte(c.genesis.Network), notice)
			for j := range members {
				if err == nil && c.keys[j].Public() == by {
					m.told[j].Store(&n)
				}
			}
			return err
		},
	})
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- links.Run(ctx) }()
	m.links = links
	m.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("%v", err)
		}
	}
	return m
}

// pester sends a frame to a member on whichever lane is up.
func (m *impostor) pester(to keys.PublicKey, frame []byte) {
	_ = m.links.Send(to, p2p.Live, frame)
	_ = m.links.Send(to, p2p.Bulk, frame)
}

func (c *cluster) opinion(i, of int) trust.Opinion {
	for _, o := range c.node(i).warden.Report().Peers {
		if o.Peer == c.keys[of].Public() {
			return o
		}
	}
	return trust.Opinion{}
}

func waitFor(ctx context.Context, t *testing.T, what string, ok func() bool) {
	t.Helper()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("waited in vain for %s", what)
		}
		runtime.Gosched()
	}
}

// A member whose key has fallen into the hands of a program that sends junk is slowed, then banned by each of the
// others and told so, while the network orders. The ban outlives a restart of who banned, and one call ends it.
func TestJunkSenderIsLimitedThenBanned(t *testing.T) {
	c, ctx := running(t)
	c.order(ctx, 0, "before")
	c.stop(3)
	m := c.impersonate(3)
	var limited [members]bool
	waitFor(ctx, t, "all three to ban the impostor", func() bool {
		banned := 0
		for i := range 3 {
			m.pester(c.keys[i].Public(), []byte("junk"))
			switch s := c.opinion(i, 3).Standing; s {
			case trust.Limited:
				limited[i] = true
			case trust.Banned:
				banned++
			}
		}
		return banned == 3
	})
	c.order(ctx, 1, "while the impostor is banned")
	for i := range 3 {
		if !limited[i] {
			t.Errorf("member %d banned the impostor without having limited it", i)
		}
		if o := c.opinion(i, (i+1)%3); o.Standing != trust.Welcome || o.Score < -0.1 {
			t.Errorf("member %d thinks %+v of an honest one", i, o)
		}
		waitFor(ctx, t, "the impostor to be told by each", func() bool { return m.told[i].Load() != nil })
		if n := m.told[i].Load(); n.Reason != string(trust.JunkFrame) || n.Until <= n.Issued || n.To != c.keys[3].Public() {
			t.Errorf("member %d says %+v", i, n)
		}
	}
	m.stop()

	// The real member comes back, finds the door closed, and can say so; a restart does not open it.
	c.start(3)
	c.stop(0)
	c.start(0)
	c.order(ctx, 0, "after a restart")
	if o := c.opinion(0, 3); o.Standing != trust.Banned {
		t.Errorf("after a restart member 0 thinks %+v of the banned one", o)
	}
	waitFor(ctx, t, "the real member to know who bans it", func() bool {
		for i := range 3 {
			if b := c.opinion(3, i).BannedBy; b == nil || b.Notice.Reason != string(trust.JunkFrame) {
				return false
			}
		}
		return true
	})
	for i := range 3 {
		if found, err := c.node(i).warden.Unban(c.keys[3].Public()); !found || err != nil {
			t.Fatal(found, err)
		}
	}
	c.order(ctx, 3, "from the one that was banned")
	for i := range 3 {
		waitFor(ctx, t, "no ban to be left", func() bool { return c.opinion(3, i).BannedBy == nil })
	}
}

// A member that signs two blocks for one round, and shows one to each of two others, is banned with the proof, which
// anybody can check; the network orders without it.
func TestEquivocatorIsBannedWithProof(t *testing.T) {
	c, ctx := running(t)
	c.order(ctx, 0, "before")
	c.stop(3)
	m := c.impersonate(3)
	defer c.start(3)
	defer m.stop()
	last := bft.Epoch(0)
	waitFor(ctx, t, "a proof at each of the others", func() bool {
		if committee := c.node(0).replica.Committee(); committee.Epoch != last { // a fresh pair for each epoch, which is short
			// To two of those who do not know yet, or to the last one both: who knows has closed the door.
			var open []int
			for i := range 3 {
				if c.opinion(i, 3).Standing != trust.Banned {
					open = append(open, i)
				}
			}
			for variant := range 2 {
				if len(open) == 0 {
					break
				}
				to := open[min(variant, len(open)-1)]
				b := frameOf(c.block(3, committee, bft.Time(time.Now().UnixMicro()+int64(variant))))
				waitFor(ctx, t, "a link", func() bool {
					return m.links.Send(c.keys[to].Public(), p2p.Live, b) == nil || c.opinion(to, 3).Standing == trust.Banned
				})
			}
			last = committee.Epoch
		}
		proofs := 0
		for i := range 3 {
			proofs += min(1, len(c.opinion(i, 3).Evidence))
		}
		return proofs == 3
	})
	c.order(ctx, 1, "without the equivocator")
	for i := range 3 {
		o := c.opinion(i, 3)
		if o.Standing != trust.Banned || o.Ban.Reason != trust.Equivocation || o.Evidence[0].Kind != trust.Equivocation || len(o.Evidence[0].Proof) == 0 {
			t.Errorf("member %d thinks %+v", i, o)
		}
	}
}

// What one member alone was shown, the others know from it, with the proof, once, and after a restart. Who accuses an honest
// member has a fault to its name.
func TestEvidenceReachesThoseWhoSawNothing(t *testing.T) {
	c, ctx := running(t)
	c.order(ctx, 0, "before")
	c.stop(3)
	m := c.impersonate(3)
	defer c.start(3)
	defer m.stop()
	tell := func(i int, frames ...[]byte) {
		for _, frame := range frames {
			waitFor(ctx, t, "a link", func() bool {
				return m.links.Send(c.keys[i].Public(), p2p.Live, frame) == nil || c.opinion(i, 3).Standing == trust.Banned
			})
		}
	}
	pair := func(author int, committee *bft.Committee) (first, other *bft.UnverifiedBlock) {
		now := bft.Time(time.Now().UnixMicro())
		return c.block(author, committee, now), c.block(author, committee, now+1)
	}
	accused := func(i int) (n int) {
		for _, line := range c.opinion(i, 3).History {
			if line.Action == string(trust.FalseEvidence) {
				n += line.Count
			}
		}
		return n
	}
	last := bft.Epoch(0)
	waitFor(ctx, t, "the false accusation to be held against its sender", func() bool {
		if committee := c.node(0).replica.Committee(); committee.Epoch != last {
			last = committee.Epoch
			first, other := pair(1, committee)
			other.Signature[3] ^= 1
			first.Payload, other.Payload = nil, nil
			tell(0, bytes.Join(bft.EncodeMessage(&bft.UnverifiedEvidenceMessage{Evidence: bft.UnverifiedEvidence{
				Kind: bft.Equivocation, Epoch: committee.Epoch, First: *first, Other: *other,
			}}), nil))
		}
		return accused(0) > 0
	})
	if n := len(c.opinion(0, 1).Evidence); n != 0 {
		t.Errorf("%d false proofs against an honest member are kept", n)
	}
	last = 0
	waitFor(ctx, t, "a proof at each of the others", func() bool {
		if committee := c.node(0).replica.Committee(); committee.Epoch != last && c.opinion(0, 3).Standing != trust.Banned {
			last = committee.Epoch
			first, other := pair(3, committee)
			tell(0, frameOf(first), frameOf(other))
		}
		return len(c.opinion(0, 3).Evidence) > 0 && len(c.opinion(1, 3).Evidence) > 0 && len(c.opinion(2, 3).Evidence) > 0
	})
	c.stop(1)
	c.start(1)
	c.order(ctx, 1, "after a restart")
	for i := range 3 {
		o := c.opinion(i, 3)
		if len(o.Evidence) != 1 || o.Evidence[0].Kind != trust.Equivocation || len(o.Evidence[0].Proof) == 0 || string(o.Evidence[0].Proof) != string(c.opinion(0, 3).Evidence[0].Proof) {
			t.Errorf("member %d has %d proofs: %+v", i, len(o.Evidence), o)
		}
	}
}

// block is one of a member's for the first round of an epoch.
func (c *cluster) block(i int, committee *bft.Committee, at bft.Time) *bft.UnverifiedBlock {
	self := slices.Index(committee.Members, bft.PublicKey(c.keys[i].Public()))
	u := &bft.UnverifiedBlock{Header: bft.Header{Network: committee.Network, Epoch: committee.Epoch, Round: 1, Author: bft.Author(self), Timestamp: at}}
	for a := range committee.Size() {
		u.Header.Parents = append(u.Header.Parents, committee.Root(bft.Author((self+a)%committee.Size()))) // the own one first
	}
	sign := func(_ bft.PublicKey, message []byte, _ bft.Signature) bool {
		u.Signature = bft.Signature(c.keys[i].Sign(message))
		return true
	}
	if _, err := u.Verify(committee, sign); err != nil {
		c.t.Fatalf("%v", err)
	}
	return u
}

func frameOf(u *bft.UnverifiedBlock) []byte {
	return bytes.Join(bft.EncodeMessage(&bft.UnverifiedBlockMessage{Block: *u}), nil)
}

// A member that restarts again and again, and sends one bad frame each time, is banned by nobody.
func TestRestartingMemberIsNotBanned(t *testing.T) {
	c, ctx := running(t)
	for round := range 3 {
		c.stop(3)
		m := c.impersonate(3)
		for i := range 3 {
			waitFor(ctx, t, "the bad frame to be sent and judged", func() bool {
				if c.opinion(i, 3).Score > -0.09*float64(round+1) {
					m.pester(c.keys[i].Public(), []byte("junk"))
					return false
				}
				return true
			})
		}
		m.stop()
		c.start(3)
		c.order(ctx, 3, "from the restarted one")
	}
	for i := range 3 {
		if o := c.opinion(i, 3); o.Standing == trust.Banned || o.Strikes != 0 {
			t.Errorf("member %d thinks %+v of a member that restarted", i, o)
		}
	}
}
