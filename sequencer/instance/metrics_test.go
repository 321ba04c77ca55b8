package instance_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/sequencer/instance"
)

// TestANetworkThatOrdersIsSeenInMetrics: four sequencers that order tell so where their operators scrape them: who votes and who
// leads, how late and how large the blocks are, that the node is usable and how much it has room for.
func TestANetworkThatOrdersIsSeenInMetrics(t *testing.T) {
	instances := run(t, func(int) func() time.Time { return nil })
	targets := make([]load.Target, 0, len(instances))
	for _, i := range instances {
		targets = append(targets, load.InProcess(i.Orderer()))
	}
	if _, err := load.Run(t.Context(), load.Config{Rate: 200, Size: 128, Duration: time.Second}, targets...); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	atLeastOne := []string{"ready", "health_check{check=store,kind=live}", "health_check{check=ordering,kind=ready}", "health_check{check=shutdown,kind=ready}",
		"ordering_block_delay_seconds{mode=live}", "ordering_block_bytes", "ordering_block_requests", "ordering_bytes_total", "catchup_claimed_height",
		"replica_inbox_limit_messages", "replica_inbox_limit_bytes", "replica_writer_limit_bytes", "replica_chain_limit_bytes", "replica_chain_blocks"}
	for _, i := range instances {
		for _, name := range []string{"engine_member_round", "engine_blocks_ordered_total", "engine_slots_committed_total"} {
			atLeastOne = append(atLeastOne, name+"{member="+i.Config.Name+"}")
		}
	}
	for _, i := range instances {
		var seen map[string]float64
		eventually(ctx, t, i.Config.Name+" shows that it orders", func() bool {
			seen = scrape(t, i)
			for _, name := range atLeastOne {
				if seen[name] < 1 {
					return false
				}
			}
			return true
		})
		if seen["catchup_claimed_height"] < seen["ordering_height"] {
			t.Errorf("%s claims %g and has %g", i.Config.Name, seen["catchup_claimed_height"], seen["ordering_height"])
		}
		// 128 bytes each, without what a block needs to carry them.
		if each := seen["ordering_bytes_total"] / seen["ordering_requests_total"]; each != 128 {
			t.Errorf("%s counts %g bytes a request", i.Config.Name, each)
		}
	}
}

// scrape is what a sequencer serves at /metrics, without the prefix; of a histogram its count.
func scrape(t *testing.T, i *instance.Instance) map[string]float64 {
	t.Helper()
	answer, err := http.Get("http://" + i.Address("admin") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]float64{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			key := strings.TrimPrefix(name, "synod_")
			if len(labels) > 0 {
				key += "{" + strings.Join(labels, ",") + "}"
			}
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				seen[key] = float64(m.GetHistogram().GetSampleCount())
			case dto.MetricType_GAUGE:
				seen[key] = m.GetGauge().GetValue()
			default:
				seen[key] = m.GetCounter().GetValue()
			}
		}
	}
	return seen
}
