package telemetry_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/synod-network/synod/telemetry"
)

var update = flag.Bool("update", false, "rewrite the generated page")

// TestMetricsPage keeps the page for operators equal to the declarations.
func TestMetricsPage(t *testing.T) {
	const path = "../docs/operations/metrics.md"
	want := page(telemetry.New(prometheus.NewRegistry()).Catalogue())
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Fatalf("%s is out of date: run make generate", path)
	}
}

// canton are the metrics of Canton's sequencer, in the order of its documentation. P_ stands for the prefix of its BFT ordering.
var canton = strings.Fields(`
P_global_ordered_blocks_total P_global_ordered_batches_total P_global_ordered_requests_total P_global_requests_ordering_latency_duration_seconds
P_ingress_received_requests_total P_ingress_received_bytes_total P_ingress_requests_size P_ingress_requests_queued P_ingress_bytes_queued
P_mempool_requested_batches P_availability_requested_proposals P_availability_requested_batches P_availability_disseminating_{bytes,requests,batches}
P_availability_batch_regressions daml_cache_{hits,misses,evictions,size,weight,evicted_weight}
P_consensus_epoch P_consensus_epoch_length P_consensus_epoch_view_changes P_consensus_commit_latency_duration_seconds
P_consensus_view_change_progress_latency_duration_seconds P_consensus_postponed_view_messages_queue_{size,max_size}
P_consensus_postponed_view_messages_{duplicates,dropped}_total P_consensus_{prepare,commit}_votes_percent P_consensus_discarded_messages_total
P_consensus_{incoming,outgoing}_retransmission_requests_total P_consensus_retransmitted_messages_total
P_consensus_retransmitted_commit_certificates_total P_consensus_discarded_wrong_epoch_retransmission_responses_total
P_consensus_discarded_rate_limited_retransmission_requests_total P_consensus_state_transfer_postponed_consensus_messages_queue_{size,max_size}
P_consensus_state_transfer_postponed_consensus_messages_dropped_total P_output_block_size_{bytes,requests,batches}
P_output_block_delay_duration_seconds P_sequencer_core_subscription_buffer_size P_sequencer_core_backpressure_current_delay_millis
P_topology_validators P_topology_max_tolerated_faults P_topology_weak_quorum P_topology_strong_quorum P_topology_topology_member
P_topology_topology_leader P_topology_query_latency_duration_seconds P_blacklist_sequencer P_p2p_connections_{connected,authenticated}
P_p2p_{authenticated,unauthenticated,disconnected}_endpoint P_p2p_send_sent_{bytes,messages}_total P_p2p_send_sends_retried
P_p2p_send_network_write_latency_duration_seconds P_p2p_send_grpc_latency_duration_seconds P_p2p_receive_received_{bytes,messages}_total
P_p2p_receive_processing_latency_duration_seconds P_security_noncompliant_behavior_total P_performance_ordering_stage_latency_duration_seconds
P_performance_moduleQueueSize_{mempool,availability,consensus,segment_module,output,p2p_network_in,p2p_network_out,pruning,PekkoP2PGrpcConnectionManagingActor}
daml_sequencer_block_height daml_sequencer_block_delay daml_sequencer_block_events_total daml_sequencer_block_stream_buffer_size
daml_sequencer_public_api_subscriptions daml_health_status`)

// expand writes out the alternatives in braces.
func expand(name string) (all []string) {
	before, rest, found := strings.Cut(name, "{")
	if !found {
		return []string{name}
	}
	choices, after, _ := strings.Cut(rest, "}")
	for _, choice := range strings.Split(choices, ",") {
		all = append(all, expand(before+choice+after)...)
	}
	return all
}

// TestMetricsMap: each metric of Canton's is on the page for those who come from there, once, with metrics that there are or a reason.
func TestMetricsMap(t *testing.T) {
	content, err := os.ReadFile("../docs/operations/metrics-map.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, d := range telemetry.New(prometheus.NewRegistry()).Catalogue() {
		known[d.Name] = true
	}
	here := regexp.MustCompile("`(synod_[a-z0-9_]+)`").FindAllStringSubmatch(string(content), -1)
	for _, n := range here {
		if !known[n[1]] {
			t.Errorf("there is no metric %s", n[1])
		}
	}
	named := map[string]int{}
	there := regexp.MustCompile("`((?:P|daml)_[A-Za-z0-9_{},]+)`")
	for _, row := range strings.Split(string(content), "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 4 {
			continue
		}
		names := there.FindAllStringSubmatch(cells[1], -1)
		for _, n := range names {
			for _, name := range expand(n[1]) {
				named[name]++
			}
		}
		if len(names) > 0 && len(strings.TrimSpace(cells[2])) < 5 {
			t.Errorf("nothing stands beside %s", cells[1])
		}
	}
	for _, row := range canton {
		for _, name := range expand(row) {
			if named[name] != 1 {
				t.Errorf("%s is on the page %d times", name, named[name])
			}
			delete(named, name)
		}
	}
	for name := range named {
		t.Errorf("Canton has no metric %s", name)
	}
}

func page(catalogue []telemetry.Description) []byte {
	var out bytes.Buffer
	out.WriteString("# Metrics\n\n" +
		"Every node serves these at `/metrics` of its admin listener, beside the standard metrics of the Go runtime and the\n" +
		"process. Histograms come with classic buckets and, to a scraper that asks for them, native ones.\n\n" +
		"This page is generated from the declarations in `telemetry/` by `make generate`.\n\n" +
		"| Metric | Type | Labels | Meaning |\n|---|---|---|---|\n")
	for _, d := range catalogue {
		labels := strings.Join(d.Labels, ", ")
		if labels == "" {
			labels = "–"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", d.Name, d.Type, labels, d.Help)
	}
	return out.Bytes()
}
