package admin_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/sequencer/admin"
	"github.com/synod-network/synod/sequencer/onboarding"
)

// way is what is known of sequencers on their way at one moment.
type way struct {
	state     onboarding.State
	trouble   string
	newcomers []admin.Newcomer
}

func (w *way) State() (onboarding.State, string) { return w.state, w.trouble }
func (w *way) Newcomers() []admin.Newcomer       { return w.newcomers }

// TestOnboardingIsTold: what is not known is left out, trouble is told until it is over, and of each newcomer how it stands.
func TestOnboardingIsTold(t *testing.T) {
	w, e := &way{}, four()
	s := admin.NewNode(admin.NodeConfig{Replica: e, Onboarding: w, Log: slog.New(slog.DiscardHandler)})
	tell := func() *adminv1.GetOnboardingResponse {
		t.Helper()
		answer, err := s.GetOnboarding(t.Context(), &adminv1.GetOnboardingRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	seen := map[adminv1.GetOnboardingResponse_Phase]bool{}
	for p := onboarding.Unlisted; p <= onboarding.Ordering; p++ {
		w.state.Phase = p
		a := tell()
		if a.GetPhase() == adminv1.GetOnboardingResponse_PHASE_UNSPECIFIED || seen[a.GetPhase()] || a.GetExplanation() == "" {
			t.Errorf("phase %d is told as %v", p, a)
		}
		seen[a.GetPhase()] = true
	}
	w.state, w.trouble = onboarding.State{Phase: onboarding.Announcing, Remaining: onboarding.Unknown}, "nobody listens"
	if a := tell(); a.Remaining != nil || a.GetSince() != 0 || !strings.HasSuffix(a.GetExplanation(), "; nobody listens") {
		t.Errorf("in trouble, and little is known: %v", a)
	}
	w.state = onboarding.State{Phase: onboarding.Ordering, Since: time.UnixMicro(5), Remaining: 2 * time.Second}
	if a := tell(); a.GetRemaining().AsDuration() != 2*time.Second || a.GetSince() != 5 || strings.Contains(a.GetExplanation(), "nobody") {
		t.Errorf("it orders: %v", a)
	}

	e.links = append(e.links, p2p.PeerStats{Peer: nodeKey(6), Live: p2p.LaneStats{Since: time.UnixMicro(9), BytesOut: 1}, Bulk: p2p.LaneStats{BytesOut: 2}})
	w.newcomers = []admin.Newcomer{{Name: "a", Key: nodeKey(2), InForce: true}, {Name: "b", Key: nodeKey(6), Announced: true}, {Name: "c", Key: nodeKey(7)}}
	for i, want := range []*adminv1.Newcomer{
		{Name: "a", Connected: true, ConnectedAt: 7, BytesGiven: 66, InForce: true}, {Name: "b", BytesGiven: 3, Announced: true}, {Name: "c"},
	} {
		n := tell().GetNewcomers()[i]
		if n.GetName() != want.GetName() || n.GetConnected() != want.GetConnected() || n.GetConnectedAt() != want.GetConnectedAt() || n.GetBytesGiven() != want.GetBytesGiven() ||
			n.GetInForce() != want.GetInForce() || n.GetAnnounced() != want.GetAnnounced() {
			t.Errorf("newcomer %v, want %v", n, want)
		}
	}
}
