package members_test

import (
	"fmt"
	"testing"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// All subscriptions share what pages may take; a few do not get more for being few, nor very many less than is any use.
func TestSubscriptionsShareMemory(t *testing.T) {
	for open, want := range map[int]int{0: 128 << 10, 1: 128 << 10, 512: 128 << 10, 1024: 64 << 10, 2048: 32 << 10, 4096: 16 << 10, 100_000: 16 << 10} {
		if got := members.ShareOf(open); got != want {
			t.Errorf("of %d subscriptions each has pages of %d bytes, want %d", open, got, want)
		}
	}
}

// A member that missed much is told it in pages of a bounded size from the first on.
func TestPagesAreBounded(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	const count, size = 40, 20 << 10
	asAlice := n.as(alice)
	for i := range count {
		b := s.submission(alice, fmt.Sprint(i), bob)
		b.Envelopes[0].Payload = make([]byte, size)
		if _, err := n.client.SendAsync(asAlice, &sequencerv1.SendAsyncRequest{Request: s.network.Request(b, alice)}); err != nil {
			t.Fatal(err)
		}
	}
	first := n.subscribe(n.as(bob), bob, 0) // until all are there
	for range count {
		first.next()
	}
	r, told, largest := n.subscribe(n.as(bob), bob, 0), 0, 0
	for told < count {
		if err := r.receive(); err != nil {
			t.Fatal(err)
		}
		page := 0
		for _, d := range r.pending {
			page += d.Size()
		}
		told, r.pending = told+len(r.pending), []*sequencing.Delivery(nil)
		if largest = max(largest, page); page > members.ShareOf(1)+size+100 {
			t.Errorf("a page has %d bytes", page)
		}
	}
	if largest < members.ShareOf(1) {
		t.Errorf("the largest of the pages has %d bytes, where %d are its share", largest, members.ShareOf(1))
	}
}
