package instance

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/synod-network/synod/sequencer/members"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/telemetry"
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
# HELP synod_members_traffic_refused_total Submissions whose sender could not pay for them.
# TYPE synod_members_traffic_refused_total counter
synod_members_traffic_refused_total 1
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
