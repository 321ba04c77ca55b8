package stories

import (
	"encoding/json"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/synod-network/synod/load"
)

// traffic is a running "synod load".
type traffic struct{ *process }

// drive starts sending requests to the nodes, until finish.
func drive(t *testing.T, nodes []*sequencer, flags ...string) *traffic {
	t.Helper()
	arguments := []string{"load", "--ordering", "--json", "--rate", "400", "--size", "256B", "--duration", "10m", "--drain", "60s"}
	for _, n := range nodes {
		arguments = append(arguments, "--endpoint", n.config.Public.Listen)
	}
	return &traffic{launch(t, "load", filepath.Join(t.TempDir(), "load.log"), append(arguments, flags...)...)}
}

// finish ends the traffic and wants a clean verdict.
func (l *traffic) finish() load.Result {
	l.t.Helper()
	l.signal(syscall.SIGINT)
	code := l.exitCode(2 * patience)
	var result load.Result
	if err := json.Unmarshal([]byte(l.stdout()), &result); err != nil {
		l.t.Fatalf("load printed %q: %v", l.stdout(), err)
	}
	l.t.Logf("ordered %d of %d, %.0f/s, p50 %.1f ms, p99 %.1f ms, longest pause %.0f ms, unknown %d, rejected %d",
		result.Ordered, result.Submitted, result.OrderedPerSecond, result.P50, result.P99, result.LongestPause, result.Unknown, result.Rejected)
	if code != 0 || !result.Clean {
		l.t.Fatalf("exit code %d: lost %d, duplicated %d, reordered %d", code, result.Lost, result.Duplicated, result.Reordered)
	}
	return result
}
