package stories

import (
	"encoding/json"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/synod-network/synod/load"
	"github.com/synod-network/synod/load/members"
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

// exchanges is a running "synod load" of members.
type exchanges struct{ *process }

// driveMembers starts members sending to each other through the nodes, until finish.
func driveMembers(t *testing.T, nodes []*sequencer, flags ...string) *exchanges {
	t.Helper()
	arguments := []string{"load", "--json", "--members", "8", "--rate", "150", "--size", "256B", "--duration", "10m", "--drain", "60s"}
	for _, n := range nodes {
		arguments = append(arguments, "--endpoint", n.config.Public.Listen)
	}
	return &exchanges{launch(t, "load", filepath.Join(t.TempDir(), "load.log"), append(arguments, flags...)...)}
}

// finish ends the traffic and wants a clean verdict.
func (l *exchanges) finish() members.Result {
	l.t.Helper()
	l.signal(syscall.SIGINT)
	code := l.exitCode(2 * patience)
	var result members.Result
	if err := json.Unmarshal([]byte(l.stdout()), &result); err != nil {
		l.t.Fatalf("load printed %q: %v: %s", l.stdout(), err, l.lastLines(3))
	}
	l.t.Logf("%d receipts of %d, %.0f/s, p50 %.1f ms, p99 %.1f ms, longest pause %.0f ms, unknown %d, refused %d, reconnects %d",
		result.Receipts, result.Submitted, result.ReceiptsPerSecond, result.P50, result.P99, result.LongestPause, result.Unknown, result.Rejected+result.Refused, result.Reconnects)
	if code != 0 || !result.Clean {
		l.t.Fatalf("exit code %d: lost %d, duplicated %d, reordered %d, forged %d", code, result.Lost, result.Duplicated, result.Reordered, result.Forged)
	}
	return result
}
