package load

import (
	"strings"
	"testing"
)

// deliver builds the sequence of a node that delivered the given requests.
func deliver(ids ...uint64) *sequence {
	f := newFiller(64)
	s := &sequence{size: 64}
	for _, id := range ids {
		s.append([][]byte{f.request(id)}, func(uint64) {})
	}
	return s
}

// upTo is 0, 1, …, n-1 with the numbers at a and b swapped.
func upTo(n, a, b int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = uint64(i)
	}
	ids[a], ids[b] = ids[b], ids[a]
	return ids
}

func TestCompare(t *testing.T) {
	all := func(int) bool { return true }
	butLast := func(node int) bool { return node != 2 }
	damaged := &sequence{size: 64}
	cut := newFiller(64).request(1)
	cut[63]++
	damaged.append([][]byte{cut}, func(uint64) {})

	for _, c := range []struct {
		name  string
		nodes []*sequence
		live  func(int) bool
		want  string // part of the error; empty: none
	}{
		{"the same everywhere", []*sequence{deliver(1, 0, 2), deliver(1, 0, 2), deliver(1, 0, 2)}, all, ""},
		{"two requests swapped at one node", []*sequence{deliver(0, 1, 2), deliver(0, 2, 1), deliver(0, 1, 2)}, all, "nodes 0 and 1 ended differently"},
		{"one request lost at one node", []*sequence{deliver(0, 1, 2), deliver(0, 1, 2), deliver(0, 1)}, all, "nodes 0 and 2 ended differently"},
		{"a crashed node stopped earlier", []*sequence{deliver(0, 1, 2), deliver(0, 1, 2), deliver(0)}, butLast, ""},
		{"a crashed node had gone astray", []*sequence{deliver(upTo(600, 0, 0)...), deliver(upTo(600, 0, 0)...), deliver(upTo(300, 4, 5)...)}, butLast, "nodes 0 and 2 delivered different sequences, first seen at height 256"},
		{"a request delivered twice", []*sequence{deliver(0, 1), deliver(0, 1, 0)}, all, "node 1 delivered request 0 twice"},
		{"a damaged request", []*sequence{deliver(0), damaged}, all, "node 1 delivered a damaged request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compare(c.nodes, c.live)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("got %v, want a clean verdict", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
