// Package clienttest is a network of sequencers in memory, for tests of whatever uses package client: several sequencers
// serve one order over real gRPC, with real keys and signatures, and each can be told to lie, lag, refuse, answer slowly,
// die and come back.
//
// The order is one [sequencing.Machine] with its history. Nothing is ordered but by [Network.Order], or on its own after
// [Network.OrderEvery]; so a test decides what happens when. Connections are in memory too: [Network.Dial] goes into
// client.Config.Dial, and all of it works inside a bubble of testing/synctest.
package clienttest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// Synchronizer is the name of every network here.
const Synchronizer = "synchronizer::test"

// Network is an order and the sequencers that serve it.
type Network struct {
	ID sequencing.NetworkID

	mu         sync.Mutex
	rules      sequencing.Parameters
	members    []sequencing.MemberID
	machine    *sequencing.Machine
	history    *sequencing.MemoryHistory
	waiting    [][]byte
	changed    chan struct{} // closed at each change
	sequencers []*Sequencer
	addresses  map[string]*Sequencer
}

// New returns a network with n sequencers that are up, and members. Close it.
func New(n int, members ...sequencing.MemberID) *Network {
	net := &Network{ID: sha256.Sum256([]byte("clienttest")), members: slices.Sorted(slices.Values(members)),
		changed: make(chan struct{}), addresses: map[string]*Sequencer{},
		rules: sequencing.Parameters{MaxAhead: 5 * sequencing.Minute, TopologyTolerance: sequencing.Minute, MaxBytes: 1 << 20, MaxRecipients: 1000, MaxInFlight: 1 << 20}}
	net.machine = sequencing.New(net.ID, topology{net})
	net.history = sequencing.NewMemoryHistory(net.machine)
	for i := range n {
		net.Add(fmt.Sprintf("s%d", i+1))
	}
	return net
}

// Add brings a sequencer in, which is up.
func (n *Network) Add(name string) *Sequencer {
	s := newSequencer(n, name)
	n.mu.Lock()
	n.sequencers = append(n.sequencers, s)
	n.mu.Unlock()
	s.Up()
	return s
}

// Close ends all servers.
func (n *Network) Close() {
	for _, s := range n.Sequencers() {
		s.Down()
	}
}

// Sequencers are all sequencers, in the order in which they came.
func (n *Network) Sequencers() []*Sequencer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.sequencers)
}

// Sequencer is one of them, from 0.
func (n *Network) Sequencer(i int) *Sequencer { return n.Sequencers()[i] }

// SetRules changes the parameters of the network.
func (n *Network) SetRules(rules sequencing.Parameters) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules = rules
}

// SigningKey and AuthenticationKey are those of a member.
func SigningKey(member sequencing.MemberID) keys.PrivateKey {
	return keys.FromSeed(sha256.Sum256([]byte("protocol " + member)))
}

// AuthenticationKey is that with which a member logs in.
func AuthenticationKey(member sequencing.MemberID) keys.PrivateKey {
	return keys.FromSeed(sha256.Sum256([]byte("authentication " + member)))
}

// MaySign makes the network the directory of its members' keys.
func (n *Network) MaySign(member sequencing.MemberID, key sequencing.Key, _ sequencing.Time) bool {
	return n.active(member) && key == sequencing.Key(SigningKey(member).Public())
}

// Sign encodes and signs a request of a member.
func (n *Network) Sign(member sequencing.MemberID, body sequencing.Body) []byte {
	r := sequencing.Request{Body: body}
	digest, key := r.Digest(n.ID), SigningKey(member)
	r.Signatures = []sequencing.KeySignature{{Key: sequencing.Key(key.Public()), Signature: sequencing.Signature(key.Sign(digest[:]))}}
	return r.Encode()
}

// Submit puts a submission into the queue, as if a sequencer had taken it.
func (n *Network) Submit(s sequencing.Submission) {
	n.submit(n.Sign(s.Sender, &s))
}

func (n *Network) submit(request []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting = append(n.waiting, request)
}

// Waiting is how many requests wait to be ordered.
func (n *Network) Waiting() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.waiting)
}

// Order orders what waits, as one block at the present time, and returns the last time that it gave out.
func (n *Network) Order() sequencing.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	requests := append(n.waiting, sequencing.Request{Body: sequencing.Tick{}}.Encode())
	n.waiting = nil
	at := max(n.machine.Time()+1, sequencing.Time(time.Now().UnixMicro()))
	block := ordering.Block{Height: n.machine.Height() + 1, Time: int64(at), Payloads: []ordering.Payload{ordering.Pack(requests...)}}
	out, err := n.machine.Apply(sequencing.Parse(n.ID, block).Verify(verify))
	if err == nil {
		err = n.history.Append(out)
	}
	if err != nil {
		panic(err) // the network makes the blocks itself
	}
	n.wake()
	return n.machine.Time()
}

// wake makes streams look again. The caller holds the lock.
func (n *Network) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// OrderEvery orders in a fixed rhythm until the context ends.
func (n *Network) OrderEvery(ctx context.Context, d time.Duration) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			n.Order()
		case <-ctx.Done():
			return
		}
	}
}

// Events is the whole true stream of a member, with the time up to which it is known.
func (n *Network) Events(member sequencing.MemberID) ([]sequencing.Delivery, sequencing.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.read(member, 0, 1<<30)
}

// read is all that a member was told after a time. The caller holds the lock.
func (n *Network) read(member sequencing.MemberID, after sequencing.Time, limit int) (all []sequencing.Delivery, known sequencing.Time) {
	m, joined := n.machine.Member(member)
	if !joined {
		return nil, n.machine.Time()
	}
	for known = after; ; {
		page, through, err := n.history.Read(m.Index, known, sequencing.Limit{Events: limit - len(all)})
		if err != nil {
			panic(err) // nothing is pruned from the shared history
		}
		if all = append(all, page...); len(page) == 0 || len(all) >= limit {
			return all, max(known, through)
		}
		known = page[len(page)-1].Time
	}
}

// recipients are what a member is told when it asks who got an event.
func (n *Network) recipients(member sequencing.MemberID, at sequencing.Time, set sequencing.Digest) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m, joined := n.machine.Member(member)
	if !joined {
		return nil, sequencing.ErrNotShown
	}
	return n.history.Recipients(m.Index, at, set)
}

// Acknowledged is up to when a member needs no events.
func (n *Network) Acknowledged(member sequencing.MemberID) sequencing.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	m, _ := n.machine.Member(member)
	return m.Acknowledged
}

// Dial connects to the endpoint of a sequencer.
func (n *Network) Dial(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	s := n.addresses[address]
	n.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("dial %s: nobody is there", address)
	}
	return s.dial(ctx)
}

func (n *Network) active(id sequencing.MemberID) bool {
	_, found := slices.BinarySearch(n.members, id)
	return found
}

func verify(signed []sequencing.SignedDigest) []bool {
	valid := make([]bool, len(signed))
	for i, s := range signed {
		valid[i] = keys.Verify(keys.PublicKey(s.Key), s.Digest[:], keys.Signature(s.Signature))
	}
	return valid
}

// topology is that of a network in which everybody takes part from the beginning. It is asked under the network's lock.
type topology struct{ n *Network }

func (t topology) Member(id sequencing.MemberID, _ sequencing.Time) (sequencing.Standing, bool) {
	if !t.n.active(id) {
		return sequencing.Standing{}, false
	}
	return sequencing.Standing{Keys: []sequencing.Key{sequencing.Key(SigningKey(id).Public())}}, true
}

func (t topology) Group(r sequencing.Recipient, _ sequencing.Time) []sequencing.MemberID {
	if r.Kind == sequencing.ToAll {
		return t.n.members
	}
	return nil
}

func (t topology) Authority(sequencing.Time) sequencing.Authority   { return sequencing.Authority{} }
func (t topology) Parameters(sequencing.Time) sequencing.Parameters { return t.n.rules }
func (t topology) Change(sequencing.Time, []byte) bool              { return true }
