package telemetry_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/synod-network/synod/telemetry"
)

// samples are all values of this network's metrics now but the uptime; of a histogram its count and its sum.
func samples(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "synod_") || family.GetName() == "synod_uptime_seconds" {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			name := strings.TrimPrefix(family.GetName(), "synod_") + "{" + strings.Join(labels, ",") + "}"
			switch {
			case m.GetHistogram() != nil:
				values[name+" count"], values[name+" sum"] = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
			case m.GetGauge() != nil:
				values[name] = m.GetGauge().GetValue()
			default:
				values[name] = m.GetCounter().GetValue()
			}
		}
	}
	return values
}

// Whatever happens moves what is documented to count it, by what it should, and nothing else.
func TestWhatIsToldIsCounted(t *testing.T) {
	m, registry := newMetrics(t)
	for _, tc := range []struct {
		name string
		do   func()
		want []string
	}{
		{"a token", func() { m.Members.Authenticated("") }, []string{"members_authentications_total{outcome=accepted} 1"}},
		{"no token", func() { m.Members.Authenticated("BAD_SIGNATURE") }, []string{"members_authentications_total{outcome=BAD_SIGNATURE} 1"}},
		{"a submission", func() { m.Members.Submitted("", 700) }, []string{
			"members_submission_size_bytes{} count 1", "members_submission_size_bytes{} sum 700", "members_submissions_total{outcome=accepted} 1"}},
		{"a submission refused", func() { m.Members.Submitted("OVERLOADED", 700) }, []string{"members_submissions_total{outcome=OVERLOADED} 1"}},
		{"a cost", func() { m.Members.Cost(12) }, []string{"members_submission_cost_bytes{} count 1", "members_submission_cost_bytes{} sum 12"}},
		{"a registration", func() { m.Members.Registered("") }, []string{"members_registrations_total{outcome=accepted} 1"}},
		{"a registration refused", func() { m.Members.Registered("REFUSED") }, []string{"members_registrations_total{outcome=REFUSED} 1"}},
		{"a subscriber left", func() { m.Members.SubscriptionEnded("") }, []string{"members_ended_subscriptions_total{reason=client} 1"}},
		{"a subscriber was sent away", func() { m.Members.SubscriptionEnded("PRUNED") }, []string{"members_ended_subscriptions_total{reason=PRUNED} 1"}},
		{"sequenced", func() { m.Members.Sequenced(telemetry.Contributed, 3) }, []string{"members_sequenced_requests_total{outcome=contributed} 3"}},
		{"a reason", func() { m.Members.Refused("expired") }, []string{"members_refused_requests_total{code=expired} 1"}},
		{"who cannot pay", func() { m.Members.TrafficRefused(telemetry.AtIngress) }, []string{"members_traffic_refused_total{where=ingress} 1"}},
		{"who cannot pay, once ordered", func() { m.Members.TrafficRefused(telemetry.InOrder) }, []string{"members_traffic_refused_total{where=order} 1"}},
		{"an empty block", func() { m.Ordering.Applied(0, 0, telemetry.CaughtUp, 90*time.Second) }, []string{"ordering_blocks_total{empty=true} 1",
			"ordering_block_delay_seconds{mode=catch_up} count 1", "ordering_block_delay_seconds{mode=catch_up} sum 90"}},
		{"a block", func() { m.Ordering.Applied(2, 90, telemetry.Live, time.Second) }, []string{"ordering_block_requests{} count 1", "ordering_block_requests{} sum 2",
			"ordering_block_bytes{} count 1", "ordering_block_bytes{} sum 90", "ordering_block_delay_seconds{mode=live} count 1", "ordering_block_delay_seconds{mode=live} sum 1",
			"ordering_blocks_total{empty=false} 1", "ordering_bytes_total{} 90", "ordering_requests_total{} 2"}},
		{"a request ordered", func() { m.Ordering.Ordered(2 * time.Second) }, []string{"ordering_latency_seconds{} count 1", "ordering_latency_seconds{} sum 2"}},
		{"a sync", func() { m.Store.Synced(3 * time.Second) }, []string{"store_sync_seconds{} count 1", "store_sync_seconds{} sum 3"}},
		{"a failed write", func() { m.Store.Failed(telemetry.StoreWrite) }, []string{"store_errors_total{operation=write} 1"}},
		{"a late subscriber", func() { m.Delivery.Ended(telemetry.EndedPruned) }, []string{"delivery_ended_subscriptions_total{reason=pruned} 1"}},
		{"a bad block", func() { m.Engine.Rejected(telemetry.RejectWindow) }, []string{"engine_blocks_rejected_total{reason=window} 1"}},
		{"a proof", func() { m.Engine.Evidence(telemetry.Divergence) }, []string{"engine_evidence_total{kind=divergence} 1"}},
		{"a leader", func() { m.Engine.Committed("sequencer1") }, []string{"engine_slots_committed_total{member=sequencer1} 1"}},
		{"a leader skipped", func() { m.Engine.Skipped("sequencer2") }, []string{"engine_slots_skipped_total{member=sequencer2} 1"}},
		{"a vote", func() { m.Engine.Ordered("sequencer2") }, []string{"engine_blocks_ordered_total{member=sequencer2} 1"}},
		{"a request taken", func() { m.Ingress.Count(telemetry.Accepted, 5) }, []string{"ingress_bytes_total{outcome=accepted} 5",
			"ingress_request_size_bytes{} count 1", "ingress_request_size_bytes{} sum 5", "ingress_requests_total{outcome=accepted} 1"}},
		{"a request refused", func() { m.Ingress.Count(telemetry.NotReady, 5) }, []string{"ingress_bytes_total{outcome=not_ready} 5", "ingress_requests_total{outcome=not_ready} 1"}},
		{"a call limited", func() { m.Ingress.Limited(telemetry.LimitBytes) }, []string{"ingress_limited_calls_total{limit=bytes} 1"}},
		{"connections", func() {
			m.Connections.Observe(func() map[string]telemetry.ConnectionsState {
				return map[string]telemetry.ConnectionsState{"public": {Open: 1, Limit: 2, PushedOut: 3, Refused: 4}}
			})
		}, []string{"connections_limit{listener=public} 2", "connections_open{listener=public} 1", "connections_pushed_out_total{listener=public} 3",
			"connections_refused_total{listener=public} 4"}},
		{"opinions", func() {
			m.Trust.Observe(func() telemetry.TrustState {
				return telemetry.TrustState{
					Scores: map[string]float64{"b": -0.5}, Strikes: map[string]int{"b": 2}, BanUntil: map[string]float64{"b": 9},
					Actions: map[telemetry.ActionLabels]uint64{{Action: "junk_frame", Peer: "b"}: 7}, Bans: map[telemetry.BanLabels]uint64{{Reason: "manual", Origin: "operator"}: 3},
					Unbans: map[string]uint64{"expired": 4}, Banned: map[string]int{"member": 1, "other": 5}, OnHold: 6, Limited: 8, Rejections: 10,
					BannedBy: 11, Guarded: 12, PutOff: map[string]uint64{"protected": 13}, Suspects: true, Suspicions: 14, Evidence: map[string]uint64{"equivocation": 15},
				}
			})
		}, []string{
			"p2p_ban_rejections_total{} 10", "p2p_banned_by_peers{} 11", "p2p_banned_peers{kind=member} 1", "p2p_banned_peers{kind=other} 5",
			"p2p_bans_on_hold{} 6", "p2p_bans_put_off_total{cause=protected} 13", "p2p_bans_total{origin=operator,reason=manual} 3",
			"p2p_evidence_total{kind=equivocation} 15", "p2p_limited_peers{} 8", "p2p_peer_actions_total{action=junk_frame,peer=b} 7",
			"p2p_peer_ban_until_seconds{peer=b} 9", "p2p_peer_score{peer=b} -0.5", "p2p_peer_strikes{peer=b} 2", "p2p_quorum_guard_total{} 12",
			"p2p_self_suspect{} 1", "p2p_self_suspicions_total{} 14", "p2p_unbans_total{cause=expired} 4"}},
		{"health", func() {
			m.Health.Observe(func() telemetry.HealthState {
				return telemetry.HealthState{Ready: true, Checks: []telemetry.CheckState{{Name: "store", Live: true, OK: true}, {Name: "ordering", OK: true}, {Name: "shutdown"}}}
			})
		}, []string{"ready{} 1", "health_check{check=store,kind=live} 1", "health_check{check=ordering,kind=ready} 1"}},
		{"what waits", func() {
			m.Replica.Observe(func() telemetry.ReplicaState {
				return telemetry.ReplicaState{Inbox: telemetry.Waiting{Messages: 1, Bytes: 2}, InboxLimit: telemetry.Waiting{Messages: 3, Bytes: 4},
					Writer: telemetry.Waiting{Messages: 5, Bytes: 6}, WriterLimit: 7, Chain: telemetry.Waiting{Messages: 8, Bytes: 9}, ChainLimit: 10, Serving: 11}
			})
		}, []string{"replica_inbox_messages{} 1", "replica_inbox_bytes{} 2", "replica_inbox_limit_messages{} 3", "replica_inbox_limit_bytes{} 4",
			"replica_writer_records{} 5", "replica_writer_bytes{} 6", "replica_writer_limit_bytes{} 7", "replica_chain_blocks{} 8", "replica_chain_bytes{} 9",
			"replica_chain_limit_bytes{} 10", "replica_serving_requests{} 11"}},
		{"how far others are", func() {
			m.Catchup.Observe(func() telemetry.CatchupState { return telemetry.CatchupState{Highest: 3, Claimed: 900} })
		}, []string{"catchup_highest_height{} 3", "catchup_claimed_height{} 900"}},
		{"members", func() {
			m.Members.Observe(func() telemetry.MembersState {
				return telemetry.MembersState{Members: 1, Disabled: 2, Subscribers: 3, Connected: 9, LagSeconds: 4, PruningAgeSeconds: 5, Namespaces: 6, NamespacesLimit: 7, Mappings: 8}
			})
		}, []string{"members_disabled{} 2", "members_connected{} 9", "members_max_lag_seconds{} 4", "members_pruning_age_seconds{} 5", "members_registered{} 1", "members_subscribers{} 3",
			"members_topology_mappings{} 8", "members_unpermitted_namespaces_limit{} 7", "members_unpermitted_namespaces{} 6"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := samples(t, registry)
			tc.do()
			var moved []string
			for name, value := range samples(t, registry) {
				if by := value - before[name]; by != 0 {
					moved = append(moved, fmt.Sprintf("%s %g", name, by))
				}
			}
			slices.Sort(moved)
			slices.Sort(tc.want)
			if !slices.Equal(moved, tc.want) {
				t.Errorf("moved\n%s\nwant\n%s", strings.Join(moved, "\n"), strings.Join(tc.want, "\n"))
			}
		})
	}
}
