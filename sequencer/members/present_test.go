package members_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/topology"
)

// gate is an orderer before which a test can let something happen.
type gate struct {
	ordering.Orderer
	before *func()
}

func (g gate) Submit(ctx context.Context, requests ...[]byte) error {
	if g.before != nil && *g.before != nil {
		before := *g.before
		*g.before = nil
		before()
	}
	return g.Orderer.Submit(ctx, requests...)
}

// changeDelay is after how long changes are in force in a new network.
const changeDelay = 250 * time.Millisecond

// onboarding is the owners' change of who may join.
func (s *station) onboarding(mode topology.Mode) topology.SignedTransaction {
	s.t.Helper()
	var p topology.SynchronizerParameters
	state := s.nodes[0].state
	state.ComingTopology(func(view topology.Snapshot) { p = view.Parameters() })
	p.Onboarding.Mode = mode
	return s.network.Sign(s.t, topology.Add(state.TopologySerial(p.Key())+1, p), "owner")
}

// rules begins a network in one mode and has the owners accept another, which is in force only later.
func rules(t *testing.T, from, to topology.Mode, o options) *station {
	t.Helper()
	o.plan.Parameters = func(p *topology.SynchronizerParameters) {
		p.Onboarding.Mode, p.TopologyChangeDelay = from, topology.Time(time.Hour/time.Microsecond)
	}
	s := start(t, o)
	s.pass(0)
	if err := s.nodes[0].register(s.onboarding(to)); err != nil {
		t.Fatal(err)
	}
	return s
}

// Nothing is ordered after the owners closed the network, and its time stands still; whoever comes when that is in force is told at
// ingress, and the order is not asked. Who comes before is taken.
func TestAClosedNetworkThatIsIdleTakesNobody(t *testing.T) {
	s := rules(t, topology.Unrestricted, topology.Restricted, options{})
	n := s.nodes[0]
	if err := n.register(s.network.Registration(t, membertest.Participant("dave"))...); err != nil {
		t.Errorf("before the rules are in force: %v", err)
	}
	changed, at := n.state.TopologyChanged(), n.state.Time()
	s.ahead.Add(int64(time.Hour + time.Second))
	info, _ := wantFailure(t, n.register(s.network.Registration(t, carol)...), codes.FailedPrecondition, members.Refused)
	if info.GetMetadata()["code"] != string(topology.CodeOnboardingRestricted) {
		t.Errorf("metadata %v", info.GetMetadata())
	}
	if n.state.TopologyChanged() != changed || n.state.Time() != at {
		t.Error("it was ordered")
	}
}

// Before an open network is open a newcomer is told when it will be; from then on it is taken, though nothing was ordered since.
func TestAnOpenedNetworkThatIsIdleTakesNewcomers(t *testing.T) {
	s := rules(t, topology.Restricted, topology.Unrestricted, options{})
	n := s.nodes[0]
	_, retry := wantFailure(t, n.register(s.network.Registration(t, carol)...), codes.Unavailable, members.NotReady)
	if wait := retry.GetRetryDelay().AsDuration(); wait < 30*time.Minute || wait > time.Hour {
		t.Errorf("to be tried again after %v", wait)
	}
	s.ahead.Add(int64(time.Hour + time.Second))
	if err := n.register(s.network.Registration(t, carol)...); err != nil {
		t.Errorf("once the rules are in force: %v", err)
	}
}

// What the order refuses, though it was right when it came, the call tells.
func TestARegistrationIsToldWhatTheOrderRefuses(t *testing.T) {
	var before func()
	o := options{orderer: func(o ordering.Orderer) ordering.Orderer { return gate{o, &before} }}
	s := start(t, o)
	n := s.nodes[0]
	s.pass(0)
	closing := s.onboarding(topology.Restricted)
	before = func() {
		n.change(closing) // and a second passes
	}
	info, _ := wantFailure(t, n.register(s.network.Registration(t, carol)...), codes.FailedPrecondition, members.Refused)
	if info.GetMetadata()["code"] != string(topology.CodeOnboardingRestricted) || info.GetMetadata()["index"] != "0" {
		t.Errorf("metadata %v", info.GetMetadata())
	}
	if n.counter.get("registered REFUSED") != 1 {
		t.Error("it was not counted")
	}
}

// Where the rules have changed again when the refusal is heard, another try is worth it.
func TestARefusalByOldRulesIsWorthAnotherTry(t *testing.T) {
	var before func()
	s := start(t, options{plan: membertest.Plan{Parameters: func(p *topology.SynchronizerParameters) {
		p.Onboarding.Mode, p.TopologyChangeDelay = topology.Restricted, topology.Time(time.Hour/time.Microsecond)
	}},
		orderer: func(o ordering.Orderer) ordering.Orderer { return gate{o, &before} }})
	n := s.nodes[0]
	s.pass(0)
	if err := n.register(s.onboarding(topology.Unrestricted)); err != nil {
		t.Fatal(err)
	}
	s.ahead.Add(int64(2 * time.Hour)) // by this sequencer's clock the network is open
	before = func() { s.ahead.Add(-int64(2 * time.Hour)) }
	wantFailure(t, n.register(s.network.Registration(t, carol)...), codes.Unavailable, members.NotReady)
	s.pass(2 * time.Hour)
	if err := n.register(s.network.Registration(t, carol)...); err != nil {
		t.Errorf("another try: %v", err)
	}
}

// A registration of which nothing is heard is answered all the same, and nobody takes that for an acceptance.
func TestARegistrationThatIsLostIsAnswered(t *testing.T) {
	s := start(t, options{orderer: func(o ordering.Orderer) ordering.Orderer { return lossy{o} },
		config: func(c *members.Config) { c.OutcomePatience = time.Millisecond }})
	request := &sequencerv1.RegisterTopologyRequest{}
	for _, signed := range s.network.Registration(t, carol) {
		request.Transactions = append(request.Transactions, signed.Encode())
	}
	response, err := s.nodes[0].client.RegisterTopology(patience(t), request)
	if err != nil || response.GetTimeMicros() != 0 || response.GetInForceMicros() != 0 {
		t.Errorf("%v, %v", response, err)
	}
}

// lossy is an orderer that takes everything and orders nothing.
type lossy struct{ ordering.Orderer }

func (lossy) Submit(context.Context, ...[]byte) error { return nil }

// A registration that is accepted tells when, and from when on it is in force.
func TestARegistrationTellsWhenItIsInForce(t *testing.T) {
	s := start(t, options{})
	n := s.nodes[0]
	request := &sequencerv1.RegisterTopologyRequest{}
	for _, signed := range s.network.Registration(t, carol) {
		request.Transactions = append(request.Transactions, signed.Encode())
	}
	response, err := n.client.RegisterTopology(patience(t), request)
	if err != nil || response.GetTimeMicros() != int64(n.state.TopologyChanged()) || response.GetInForceMicros()-response.GetTimeMicros() != changeDelay.Microseconds() {
		t.Errorf("%v, %v; changed at %d", response, err, n.state.TopologyChanged())
	}
}

// Who is not a member any more, or not yet, when the order comes to its submission is not told: ingress takes neither, by the order's
// time or by the clock.
func TestSendersMustBeMembersByOrderAndClock(t *testing.T) {
	const delay = topology.Time(2 * time.Minute / time.Microsecond) // less than a submission may be ahead
	s := start(t, options{plan: membertest.Plan{Parameters: func(p *topology.SynchronizerParameters) { p.TopologyChangeDelay = delay }}})
	n := s.nodes[0]
	s.pass(0)
	check := func(message string) members.Reason {
		_, err := n.client.SendAsync(n.as(alice), &sequencerv1.SendAsyncRequest{Request: s.request(alice, message, bob)})
		if err == nil {
			return ""
		}
		info, _ := wantFailure(t, err, codes.PermissionDenied, members.UnknownMember)
		return members.Reason(info.GetReason())
	}
	disabled := topology.MemberDisabled{Synchronizer: s.network.Synchronizer, Member: alice}
	if err := n.register(s.network.Sign(t, topology.Add(1, disabled), "owner")); err != nil {
		t.Fatal(err)
	}
	if got := check("before"); got != "" {
		t.Errorf("before it is in force: %s", got)
	}
	s.until("the submission", func() bool { return n.state.Time() > n.state.TopologyChanged() })
	s.ahead.Add(int64(2*time.Minute + time.Second)) // and nothing is ordered
	if got := check("after"); got != members.UnknownMember {
		t.Errorf("once she is disabled: %q", got)
	}
}
