package instance

import (
	"testing"

	"github.com/synod-network/synod/bft"
)

// TestWhoIsCloseMayOrder: a newcomer says that it is ready once it knows how far the others are, is in their epoch, and lacks no more than
// a few blocks, neither in what is decided nor in what is applied: from then on the network waits for it.
func TestWhoIsCloseMayOrder(t *testing.T) {
	for _, tc := range []struct {
		name string
		p    *bft.Progress
		want bool
	}{
		{"starting", nil, false},
		{"heard of nobody", &bft.Progress{Commit: 5000, Applied: 5000}, false},
		{"level", &bft.Progress{Known: true, Commit: 5000, Applied: 5000}, true},
		{"an epoch behind", &bft.Progress{Known: true, BehindEpochs: 1, Commit: 5000, Applied: 5000}, false},
		{"99 behind", &bft.Progress{Known: true, Behind: 99, Commit: 5000, Applied: 5000}, true},
		{"100 behind", &bft.Progress{Known: true, Behind: 100, Commit: 5000, Applied: 5000}, false},
		{"99 to apply", &bft.Progress{Known: true, Commit: 5000, Applied: 4901}, true},
		{"100 to apply", &bft.Progress{Known: true, Commit: 5000, Applied: 4900}, false},
		{"all to apply", &bft.Progress{Known: true, Commit: 5000}, false},
	} {
		if got := isCloseTo(tc.p); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
