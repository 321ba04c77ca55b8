package instance_test

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

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
		"ordering_block_delay_seconds_count{mode=live}", "ordering_block_bytes_count", "ordering_block_requests_count", "ordering_bytes_total", "catchup_claimed_height",
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
		// 128 bytes each, without what a block needs to carry them.
		eventually(ctx, t, i.Config.Name+" counts the bytes of requests alone", func() bool { // a scrape may come between the two counts
			seen = scrape(t, i)
			return seen["ordering_bytes_total"] == 128*seen["ordering_requests_total"]
		})
	}
}

// scrape is what a sequencer serves at /metrics, by name without the prefix and labels without quotes.
func scrape(t *testing.T, i *instance.Instance) map[string]float64 {
	t.Helper()
	answer, err := http.Get("http://" + i.Address("admin") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	seen := map[string]float64{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		line, ours := strings.CutPrefix(lines.Text(), "synod_")
		if !ours {
			continue
		}
		end := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(line[end+1:], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen[strings.ReplaceAll(line[:end], `"`, "")] = value
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return seen
}
