package membership_test

import (
	"bytes"
	"testing"

	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/membership"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/topology"
)

// TestWhoeverOrdersItNoNodeKeyIsListedThatHasNotAgreed: owners who have all signatures that they need, and a sequencer that puts their change
// into the order without looking at it, do not get others' keys into the committee.
func TestWhoeverOrdersItNoNodeKeyIsListedThatHasNotAgreed(t *testing.T) {
	n, m := found(t, membertest.Plan{Sequencers: 3})
	elsewhere, _ := found(t, membertest.Plan{Network: 9})
	first, second, third := n.Sequencers[0], n.Sequencers[1], n.Sequencers[2]
	spare, victim := membertest.Key("spare"), membertest.Node(third)
	stay := membertest.Orders(first, membertest.Node(first))
	owners := func(set topology.SequencerSet, serial topology.Serial) []byte {
		return n.Sign(t, topology.Add(serial, set), "owner").Encode()
	}
	forged := func(set topology.SequencerSet, serial topology.Serial, by keys.PrivateKey, signature keys.Signature) []byte {
		return n.Forged(t, topology.Add(serial, set), by, signature)
	}
	refused := func(name string, change ...[]byte) {
		t.Helper()
		digest := m.State().Digest()
		if m.Change(now, membership.Encode(change...)) || m.State().Digest() != digest {
			t.Errorf("%s: accepted", name)
		}
	}
	seized := n.Listing(stay, membertest.Orders(second, victim)) // the third one's key, which makes room for it
	refused("another's key", owners(seized, 2))
	refused("another's key, by the consent that it gave for itself", forged(seized, 2, victim, topology.Agree(n.ID, third, victim).Signature))
	refused("another's key, and somebody else's consent", forged(seized, 2, victim, topology.Agree(n.ID, second, membertest.Node(second)).Signature))
	renewed := n.Listing(stay, membertest.Orders(third, spare))
	refused("a key of another network", forged(renewed, 2, spare, topology.Agree(elsewhere.ID, third, spare).Signature))
	refused("a key that another network lists, unasked", owners(renewed, 2))
	refused("a false consent beside what is true", n.Registration(t, bob)[0].Encode(), forged(seized, 2, victim, keys.Signature{1}))
	twice := bytes.ReplaceAll(forged(renewed, 2, spare, topology.Agree(n.ID, first, spare).Signature), stay.Node[:], renewed.Sequencers[1].Node[:])
	refused("two members with one key", twice)

	exchange := n.Sign(t, topology.Add(2, renewed), "owner", "spare").Encode()
	if !m.Change(now, membership.Encode(exchange)) {
		t.Fatal("a key that has agreed is refused")
	}
	refused("the exchange once more", exchange)
	retired := n.Listing(stay, membertest.Orders(third, victim))
	refused("the retired key, unasked", owners(retired, 3))
	refused("the retired key, by the consent of the new one", forged(retired, 3, victim, topology.Agree(n.ID, third, spare).Signature))
	refused("the retired key for another", owners(n.Listing(stay, membertest.Orders(second, victim)), 3))
	if !m.Change(now, membership.Encode(owners(n.Listing(membertest.Orders(third, spare), stay), 3))) {
		t.Error("who is listed already is asked again")
	}
}
