package admin

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/synod-network/synod/api/synod/admin/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/replica/p2p"
	"github.com/synod-network/synod/sequencer/onboarding"
)

// Onboarding is what is known of sequencers on their way to order.
type Onboarding interface {
	// State is that of this sequencer; trouble is why it does not get on, empty for nothing known.
	State() (s onboarding.State, trouble string)
	// Newcomers are the others that are listed and do not order yet, by name.
	Newcomers() []Newcomer
}

// Newcomer is another sequencer that is listed and does not order yet.
type Newcomer struct {
	Name, Member       string
	Key                keys.PublicKey
	InForce, Announced bool
}

// describePhase says what happens in each phase, and what it waits for.
func describePhase(p onboarding.Phase) (adminv1.GetOnboardingResponse_Phase, string) {
	switch p {
	case onboarding.Unlisted:
		return adminv1.GetOnboardingResponse_PHASE_UNLISTED, "the owners have not listed this sequencer, as far as it knows: they run synod network add-sequencer with its identity file"
	case onboarding.Connecting:
		return adminv1.GetOnboardingResponse_PHASE_CONNECTING, "connecting: too few other sequencers have said how far they are"
	case onboarding.Trusting:
		return adminv1.GetOnboardingResponse_PHASE_TRUSTING, "looking for the hand-over that trust.handover names"
	case onboarding.Fetching:
		return adminv1.GetOnboardingResponse_PHASE_FETCHING, "fetching the state after a hand-over, each piece verified as it comes"
	case onboarding.Installing:
		return adminv1.GetOnboardingResponse_PHASE_INSTALLING, "taking over the state that was fetched"
	case onboarding.Replaying:
		return adminv1.GetOnboardingResponse_PHASE_REPLAYING, "fetching, verifying and applying ordered blocks"
	case onboarding.Announcing:
		return adminv1.GetOnboardingResponse_PHASE_ANNOUNCING, "caught up; telling the others that it is ready"
	case onboarding.Waiting:
		return adminv1.GetOnboardingResponse_PHASE_WAITING, "ready; it orders from the next epoch on"
	case onboarding.Ordering:
		return adminv1.GetOnboardingResponse_PHASE_ORDERING, "it orders"
	}
	return adminv1.GetOnboardingResponse_PHASE_UNSPECIFIED, ""
}

// GetOnboarding implements the API.
func (s *Node) GetOnboarding(context.Context, *adminv1.GetOnboardingRequest) (*adminv1.GetOnboardingResponse, error) {
	state, trouble := s.cfg.Onboarding.State()
	out := &adminv1.GetOnboardingResponse{Done: state.Done, Total: state.Total, Unit: state.Unit, PerSecond: state.PerSecond}
	out.Phase, out.Explanation = describePhase(state.Phase)
	if trouble != "" && state.Phase != onboarding.Ordering {
		out.Explanation = strings.TrimSuffix(fmt.Sprintf("%s; %s", out.Explanation, trouble), "; ")
	}
	if !state.Since.IsZero() {
		out.Since = state.Since.UnixMicro()
	}
	if state.Remaining != onboarding.Unknown {
		out.Remaining = durationpb.New(state.Remaining)
	}
	links := map[keys.PublicKey]p2p.PeerStats{}
	for _, l := range s.cfg.Replica.Links() {
		links[l.Peer] = l
	}
	for _, n := range s.cfg.Onboarding.Newcomers() {
		link := links[n.Key]
		m := &adminv1.Newcomer{
			Name: n.Name, Member: n.Member, Key: hex.EncodeToString(n.Key[:]), InForce: n.InForce, Announced: n.Announced,
			Connected: link.Live.Connected, BytesGiven: link.Live.BytesOut + link.Bulk.BytesOut,
		}
		if link.Live.Connected && !link.Live.Since.IsZero() {
			m.ConnectedAt = link.Live.Since.UnixMicro()
		}
		out.Newcomers = append(out.Newcomers, m)
	}
	return out, nil
}
