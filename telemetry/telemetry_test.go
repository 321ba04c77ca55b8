package telemetry_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/synod-network/synod/telemetry"
)

func newMetrics(t *testing.T) (*telemetry.Metrics, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	m := telemetry.New(registry)
	m.SetMembers([]string{"sequencer1", "sequencer2"})
	return m, registry
}

func TestNamesFollowPrometheusConventions(t *testing.T) {
	_, registry := newMetrics(t)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "synod_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestEverythingExistsFromTheStart: a rate over a counter that appears with its first event misses that event.
func TestEverythingExistsFromTheStart(t *testing.T) {
	m, registry := newMetrics(t)
	m.Members.Know([]string{"REFUSED"}, []string{"expired"})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	exposed := map[string]bool{}
	for _, family := range families {
		exposed[family.GetName()] = true
	}
	byState := map[string]bool{ // one value for each member, peer or check that the first snapshot names
		"synod_engine_demoted": true, "synod_engine_clock_drift_seconds": true, "synod_engine_member_round": true, "synod_health_check": true,
	}
	for _, d := range m.Catalogue() {
		if !exposed[d.Name] && !byState[d.Name] && !strings.HasPrefix(d.Name, "synod_peer_") && !strings.HasPrefix(d.Name, "synod_p2p_") {
			t.Errorf("%s does not exist before its first event", d.Name)
		}
		if !strings.HasSuffix(d.Help, ".") {
			t.Errorf("%s: the help is no sentence: %q", d.Name, d.Help)
		}
	}
}

func TestGaugesAreComputedWhenScraped(t *testing.T) {
	m, registry := newMetrics(t)
	epoch := uint64(0)
	m.Engine.Observe(func() telemetry.EngineState {
		epoch++
		return telemetry.EngineState{
			Epoch: epoch, Decided: 9, Applied: 7,
			Demoted:    map[string]bool{"sequencer1": true, "sequencer2": false},
			ClockDrift: map[string]time.Duration{"sequencer2": -1500 * time.Millisecond},
		}
	})
	for scrape := range 2 {
		want := `
# HELP synod_engine_epoch Current epoch.
# TYPE synod_engine_epoch gauge
synod_engine_epoch ` + []string{"1", "2"}[scrape] + `
# HELP synod_engine_commit_lag Commits decided and not yet applied on this node.
# TYPE synod_engine_commit_lag gauge
synod_engine_commit_lag 2
# HELP synod_engine_clock_drift_seconds Time stamped on the member's newest block minus this node's clock when it came; includes the way.
# TYPE synod_engine_clock_drift_seconds gauge
synod_engine_clock_drift_seconds{member="sequencer2"} -1.5
# HELP synod_engine_demoted 1 if the member does not lead at present because its slots were skipped.
# TYPE synod_engine_demoted gauge
synod_engine_demoted{member="sequencer1"} 1
synod_engine_demoted{member="sequencer2"} 0
`
		err := testutil.GatherAndCompare(registry, strings.NewReader(want),
			"synod_engine_epoch", "synod_engine_commit_lag", "synod_engine_clock_drift_seconds", "synod_engine_demoted")
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCountingByOutcome(t *testing.T) {
	m, registry := newMetrics(t)
	m.Ingress.Count(telemetry.Accepted, 100)
	m.Ingress.Count(telemetry.Overloaded, 50)
	const want = `
# HELP synod_ingress_bytes_total Bytes of the requests that clients submitted to this node, by what became of them.
# TYPE synod_ingress_bytes_total counter
synod_ingress_bytes_total{outcome="accepted"} 100
synod_ingress_bytes_total{outcome="not_ready"} 0
synod_ingress_bytes_total{outcome="overloaded"} 50
synod_ingress_bytes_total{outcome="refused"} 0
synod_ingress_bytes_total{outcome="too_large"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "synod_ingress_bytes_total"); err != nil {
		t.Fatal(err)
	}
}

func TestMembersThatLeftAreForgotten(t *testing.T) {
	m, registry := newMetrics(t)
	m.Engine.Skipped("sequencer1")
	m.SetMembers([]string{"sequencer2", "sequencer3"})
	const want = `
# HELP synod_engine_slots_skipped_total Leader slots decided without a commit, by leader.
# TYPE synod_engine_slots_skipped_total counter
synod_engine_slots_skipped_total{member="sequencer2"} 0
synod_engine_slots_skipped_total{member="sequencer3"} 0
`
	err := testutil.GatherAndCompare(registry, strings.NewReader(want), "synod_engine_slots_skipped_total")
	if err != nil {
		t.Fatal(err)
	}
}

func TestLinksCountForThemselves(t *testing.T) {
	m, registry := newMetrics(t)
	m.Peers.Observe(func() telemetry.PeersState {
		return telemetry.PeersState{
			Links:   map[string]telemetry.LinkState{"sequencer2": {Connected: true, SentBytes: 7, ReceivedBytes: 5}, "sequencer3": {}},
			Refused: map[string]uint64{"unknown_peer": 2},
		}
	})
	const want = `
# HELP synod_peer_bytes_total Bytes exchanged with the peer, before encryption.
# TYPE synod_peer_bytes_total counter
synod_peer_bytes_total{direction="received",peer="sequencer2"} 5
synod_peer_bytes_total{direction="sent",peer="sequencer2"} 7
synod_peer_bytes_total{direction="received",peer="sequencer3"} 0
synod_peer_bytes_total{direction="sent",peer="sequencer3"} 0
# HELP synod_peer_refused_connections_total Connections refused or ended by this node, by reason.
# TYPE synod_peer_refused_connections_total counter
synod_peer_refused_connections_total{reason="unknown_peer"} 2
# HELP synod_peers_connected Peers with a working link now.
# TYPE synod_peers_connected gauge
synod_peers_connected 1
`
	err := testutil.GatherAndCompare(registry, strings.NewReader(want), "synod_peer_bytes_total", "synod_peer_refused_connections_total", "synod_peers_connected")
	if err != nil {
		t.Fatal(err)
	}
}

func TestHistogramsHaveBothForms(t *testing.T) {
	m, registry := newMetrics(t)
	m.Ordering.Ordered(4 * time.Millisecond)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != "synod_ordering_latency_seconds" {
			continue
		}
		h := family.GetMetric()[0].GetHistogram()
		if len(h.GetBucket()) == 0 || len(h.GetPositiveSpan()) == 0 {
			t.Fatalf("want classic and native buckets, got %d and %d", len(h.GetBucket()), len(h.GetPositiveSpan()))
		}
		return
	}
	t.Fatal("no latency histogram")
}
