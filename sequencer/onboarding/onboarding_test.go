package onboarding_test

import (
	"testing"
	"time"

	"github.com/synod-network/synod/sequencer/onboarding"
)

type facts = onboarding.Facts

func TestPhases(t *testing.T) {
	for _, tc := range []struct {
		name  string
		facts facts
		want  onboarding.Phase
	}{
		{"just made", facts{}, onboarding.Unlisted},
		{"nobody answers", facts{Listed: true}, onboarding.Connecting},
		{"a member that starts again", facts{Listed: true, Announced: true, Member: true}, onboarding.Connecting},
		{"a member without a quorum", facts{Listed: true, Announced: true, Member: true, Known: true, Decided: 5, Applied: 5}, onboarding.Connecting},
		{"away for long", facts{Listed: true, Member: true, Known: true, Distrusting: true, BehindEpochs: 3}, onboarding.Trusting},
		{"the trusted hand-over is found", facts{Listed: true, Known: true, Distrusting: true, Fetching: true, BehindEpochs: 3}, onboarding.Fetching},
		{"too far behind for blocks", facts{Known: true, Fetching: true, BehindEpochs: 9}, onboarding.Fetching},
		{"all pieces are here", facts{Known: true, Installing: true}, onboarding.Installing},
		{"listed after what it has replayed", facts{Known: true, BehindEpochs: 2, Applied: 10, Decided: 10}, onboarding.Replaying},
		{"blocks behind", facts{Listed: true, Known: true, Applied: 100, Decided: 150, Behind: 51, CloseEnough: 100}, onboarding.Replaying},
		{"close enough", facts{Listed: true, Known: true, Applied: 100, Decided: 150, Behind: 50, CloseEnough: 100}, onboarding.Announcing},
		{"caught up and never listed", facts{Known: true}, onboarding.Unlisted},
		{"has said so", facts{Listed: true, Announced: true, Known: true}, onboarding.Waiting},
		{"orders", facts{Listed: true, Announced: true, Known: true, Member: true, Orders: true}, onboarding.Ordering},
		{"ready to nobody", facts{Orders: true, Listed: true, Announced: true, Known: true}, onboarding.Waiting},
	} {
		if got := tc.facts.Phase(); got != tc.want {
			t.Errorf("%s: phase %d, want %d", tc.name, got, tc.want)
		}
	}
}

// TestRemainingIsByTheGap: a newcomer that replays 300 blocks a second while 100 are made closes the gap at 200.
func TestRemainingIsByTheGap(t *testing.T) {
	var tracker onboarding.Tracker
	began := time.Unix(1_000_000, 0)
	at := func(second int, f facts) onboarding.State {
		return tracker.Observe(began.Add(time.Duration(second)*time.Second), f)
	}
	replaying := func(second int) facts {
		return facts{Listed: true, Known: true, Applied: uint64(300 * second), Decided: uint64(300 * second), Behind: uint64(20_000 - 200*second)}
	}
	at(0, facts{Listed: true})
	if s := at(1, replaying(1)); s.Phase != onboarding.Replaying || !s.Since.Equal(began.Add(time.Second)) || s.PerSecond != 0 || s.Remaining != onboarding.Unknown {
		t.Errorf("at first: %+v", s)
	}
	for second := 2; second < 60; second++ {
		s := at(second, replaying(second))
		gap := 20_000 - 200*second
		if s.Done != uint64(300*second) || s.Total != s.Done+uint64(gap) || s.Unit != "blocks" || s.PerSecond != 300 || s.Remaining != time.Duration(gap)*time.Second/200 {
			t.Fatalf("after %d s: %+v", second, s)
		}
	}
	// Slower from now on: what lies longer back than half a minute is forgotten.
	for second := 60; second < 100; second++ {
		f := replaying(59)
		f.Applied += uint64(10 * (second - 59))
		f.Decided = f.Applied
		if s := at(second, f); second > 95 && (s.PerSecond != 10 || s.Remaining != onboarding.Unknown) {
			t.Fatalf("after %d s at the pace of the others: %+v", second, s)
		}
	}
}

func TestFetchingCountsPieces(t *testing.T) {
	var tracker onboarding.Tracker
	began := time.Unix(1_000_000, 0)
	fetching := facts{Known: true, Fetching: true}
	if s := tracker.Observe(began, fetching); s.Total != 0 || s.Unit != "pieces" || !s.Since.IsZero() {
		t.Errorf("before it is known of how many pieces: %+v", s)
	}
	fetching.Pieces, fetching.Have = 40, 10
	if s := tracker.Observe(began.Add(5*time.Second), fetching); s.Done != 10 || s.Total != 40 || s.PerSecond != 2 || s.Remaining != 15*time.Second {
		t.Errorf("a quarter is here: %+v", s)
	}
	if s := tracker.Observe(began.Add(6*time.Second), facts{Known: true, Installing: true}); s.Total != 0 || s.Remaining != onboarding.Unknown || !s.Since.Equal(began.Add(6*time.Second)) {
		t.Errorf("all are: %+v", s)
	}
}
