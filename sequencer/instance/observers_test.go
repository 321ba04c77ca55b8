package instance

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/synod-network/synod/bft"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/membertest"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/synchronizer"
	"github.com/synod-network/synod/telemetry"
	"github.com/synod-network/synod/topology"
)

// What the members' service tells, and what a block came to, reaches the metrics that are documented for it.
func TestWhatHappensToMembersIsMeasured(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m := telemetry.New(registry).Members
	var told members.Observer = toldToMembers{m}
	told.Authenticated("")
	told.Authenticated(members.BadSignature)
	told.TokenRefused()
	told.Submitted("", 100)
	told.Submitted(members.TrafficExhausted, 100)
	told.Submitted(members.Overloaded, 100)
	told.Cost(5)
	told.Registered(members.Refused)
	told.Delivered(3, 700)
	told.SubscriptionEnded("")
	told.SubscriptionEnded(members.ShuttingDown)

	changed := make(changes, 1)
	a := applied{m: m, changed: changed}
	record := func(kinds ...sequencing.RecordKind) *sequencing.Output {
		out := &sequencing.Output{Dropped: make([]sequencing.Drop, 2)}
		for _, kind := range kinds {
			out.Records = append(out.Records, sequencing.Record{Kind: kind})
		}
		return out
	}
	a.Sequenced(record(sequencing.Delivered, sequencing.Delivered, sequencing.Delivered, sequencing.Contributed, sequencing.Contributed, sequencing.Refused))
	if len(changed) != 0 {
		t.Error("a block without topology is told as a change of it")
	}
	a.Sequenced(record(sequencing.TopologyChanged))
	if len(changed) != 1 {
		t.Error("a change of the topology is not told")
	}

	const want = `
# HELP synod_members_authentications_total Attempts of members to get a token, by what became of them.
# TYPE synod_members_authentications_total counter
synod_members_authentications_total{outcome="BAD_SIGNATURE"} 1
synod_members_authentications_total{outcome="accepted"} 1
# HELP synod_members_delivered_bytes_total Bytes of the events told to subscribers.
# TYPE synod_members_delivered_bytes_total counter
synod_members_delivered_bytes_total 700
# HELP synod_members_delivered_events_total Events told to subscribers.
# TYPE synod_members_delivered_events_total counter
synod_members_delivered_events_total 3
# HELP synod_members_ended_subscriptions_total Subscriptions of members that ended, by reason.
# TYPE synod_members_ended_subscriptions_total counter
synod_members_ended_subscriptions_total{reason="SHUTTING_DOWN"} 1
synod_members_ended_subscriptions_total{reason="client"} 1
# HELP synod_members_registrations_total Topology changes handed in, by what became of them.
# TYPE synod_members_registrations_total counter
synod_members_registrations_total{outcome="REFUSED"} 1
synod_members_registrations_total{outcome="accepted"} 0
# HELP synod_members_sequenced_requests_total Ordered requests, by what they led to.
# TYPE synod_members_sequenced_requests_total counter
synod_members_sequenced_requests_total{outcome="contributed"} 2
synod_members_sequenced_requests_total{outcome="delivered"} 3
synod_members_sequenced_requests_total{outcome="dropped"} 4
synod_members_sequenced_requests_total{outcome="refused"} 1
synod_members_sequenced_requests_total{outcome="topology"} 1
# HELP synod_members_submissions_total Signed requests that members handed in, by what became of them.
# TYPE synod_members_submissions_total counter
synod_members_submissions_total{outcome="OVERLOADED"} 1
synod_members_submissions_total{outcome="TRAFFIC_EXHAUSTED"} 1
synod_members_submissions_total{outcome="accepted"} 1
# HELP synod_members_tokens_refused_total Calls without a token that holds.
# TYPE synod_members_tokens_refused_total counter
synod_members_tokens_refused_total 1
# HELP synod_members_traffic_refused_total Submissions whose sender could not pay for them: at the ingress of this sequencer, or in the order, where all sequencers count those of all.
# TYPE synod_members_traffic_refused_total counter
synod_members_traffic_refused_total{where="ingress"} 1
synod_members_traffic_refused_total{where="order"} 0
`
	names := []string{
		"synod_members_authentications_total", "synod_members_delivered_bytes_total", "synod_members_delivered_events_total",
		"synod_members_ended_subscriptions_total", "synod_members_registrations_total", "synod_members_sequenced_requests_total",
		"synod_members_submissions_total", "synod_members_tokens_refused_total", "synod_members_traffic_refused_total",
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if h := family.GetMetric()[0].GetHistogram(); family.GetName() == "synod_members_submission_cost_bytes" && (h.GetSampleCount() != 1 || h.GetSampleSum() != 5) {
			t.Errorf("%d costs of %g bytes", h.GetSampleCount(), h.GetSampleSum())
		}
	}
}

// Every reason and every code is there at 0 from the start, so that a rate sees the first; and nothing is counted under a name
// that was not there.
func TestNoReasonBeginsWithItsFirstCase(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	m := telemetry.New(registry).Members
	know(m)
	before := counted(t, registry)
	told := toldToMembers{m}
	reasons := append(members.Reasons(), "")
	for _, reason := range reasons {
		told.Authenticated(reason)
		told.Submitted(reason, 1)
		told.Registered(reason)
		told.SubscriptionEnded(reason)
	}
	out := &sequencing.Output{}
	for _, code := range sequencing.Codes() {
		if code.Delivered() {
			out.Records = append(out.Records, sequencing.Record{Kind: sequencing.Refused, Refusal: sequencing.Refusal{Code: code}})
		} else {
			out.Dropped = append(out.Dropped, sequencing.Drop{Refusal: sequencing.Refusal{Code: code}})
		}
	}
	applied{m: m, changed: make(changes, 1)}.Sequenced(out)
	after := counted(t, registry)
	for name, n := range after {
		if _, was := before[name]; !was {
			t.Errorf("%s begins with its first case", name)
		}
		if want := 1.0; n != want && (strings.Contains(name, "outcome") || strings.Contains(name, "reason") || strings.Contains(name, "code")) && !strings.Contains(name, "sequenced") {
			t.Errorf("%s was told once and counted %g times", name, n)
		}
	}
	if n := len(members.Reasons()); n < 18 {
		t.Errorf("only %d reasons", n)
	}
}

// counted are all counters of members with their labels.
func counted(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if !strings.HasPrefix(family.GetName(), "synod_members_") || metric.GetCounter() == nil {
				continue
			}
			name := strings.TrimPrefix(family.GetName(), "synod_members_")
			for _, label := range metric.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			values[name] = metric.GetCounter().GetValue()
		}
	}
	return values
}

// Who cannot pay is counted once for each submission, by a state that judges them: those that are told so, and those for whom not
// even that is paid.
func TestSendersWhoCannotPayAreCounted(t *testing.T) {
	network := membertest.Found(t, membertest.Plan{Participants: []string{"alice", "bob"}, Parameters: func(p *topology.SynchronizerParameters) {
		p.Traffic = topology.Traffic{BaseAllowance: 1000, Window: 24 * 3600 * bft.Second, EventCost: 100, WriteCost: 10_000}
	}})
	registry := prometheus.NewPedanticRegistry()
	m := telemetry.New(registry).Members
	know(m)
	state, err := synchronizer.Open(synchronizer.Config{Dir: t.TempDir(), Founding: network.Genesis, Network: network.ID,
		Verify: members.Verifier(keys.NewBatchVerifier(16)), SegmentSize: 1 << 16, Observer: applied{m: m, changed: make(changes, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := state.Close(); err != nil {
			t.Error(err)
		}
	})
	now := sequencing.Time(membertest.Began) + sequencing.Second
	alice, bob := membertest.Participant("alice"), membertest.Participant("bob")
	submission := func(from topology.Member, message string, size int) []byte {
		return network.Request(&sequencing.Submission{
			Sender: membertest.ID(from), Message: sequencing.MessageID(message), MaxTime: now + sequencing.Minute, Cost: 1 << 40,
			Sets:      []sequencing.RecipientSet{{{Kind: sequencing.ToMember, Member: membertest.ID(bob)}}},
			Envelopes: []sequencing.Envelope{{Payload: make([]byte, size)}},
		}, from)
	}
	for n, step := range []struct {
		request []byte
		moved   []string
	}{
		{submission(alice, "paid", 500), []string{"sequenced_requests_total outcome=delivered"}},                                                                                         // leaves 400
		{submission(alice, "too dear", 900), []string{"refused_requests_total code=traffic_exhausted", "sequenced_requests_total outcome=refused", "traffic_refused_total where=order"}}, // leaves 300
		{submission(alice, "paid too", 200), []string{"sequenced_requests_total outcome=delivered"}},                                                                                     // leaves 0
		{submission(alice, "for nothing", 1), []string{"refused_requests_total code=cannot_pay", "sequenced_requests_total outcome=dropped", "traffic_refused_total where=order"}},
		{submission(alice, "paid", 1), []string{"refused_requests_total code=cannot_pay", "sequenced_requests_total outcome=dropped", "traffic_refused_total where=order"}},
		{[]byte("no request"), []string{"refused_requests_total code=malformed", "sequenced_requests_total outcome=dropped"}},
		{submission(bob, "paid by bob", 1), []string{"sequenced_requests_total outcome=delivered"}},
	} {
		before := counted(t, registry)
		now += sequencing.Millisecond
		if err := state.Apply(ordering.Block{Height: ordering.Height(n + 1), Time: int64(now), Payloads: []ordering.Payload{ordering.Pack(step.request)}}); err != nil {
			t.Fatal(err)
		}
		var moved []string
		for name, value := range counted(t, registry) {
			if value == before[name]+1 {
				moved = append(moved, name)
			} else if value != before[name] {
				t.Errorf("step %d: %s went from %g to %g", n, name, before[name], value)
			}
		}
		if slices.Sort(moved); !slices.Equal(moved, step.moved) {
			t.Errorf("step %d counted %v, want %v", n, moved, step.moved)
		}
	}
}
