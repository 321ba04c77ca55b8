package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar/admin"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
	"github.com/synod-network/synod/sidecar/stream"
)

// served is a board with something behind it.
func served(t *testing.T, totals func(context.Context) (log.Totals, error)) (*admin.Board, func(path string) (int, string)) {
	t.Helper()
	b := admin.NewBoard("test")
	from := admin.Sources{
		Log:      func() log.Status { return log.Status{Accepted: 7, SpoolEvents: 3, SpoolServed: 2, Away: "refused"} },
		Stream:   func() stream.Stats { return stream.Stats{Subscribers: map[string]int64{"/events/main": 4}, Resumed: 5} },
		Totals:   totals,
		Database: "sqlite", Layout: log.V2,
	}
	b.Register(from)
	health := node.NewHealth()
	handler, err := b.Handler(from, health, limit.Config{MaxConcurrent: 5, MaxPerSecond: 1000, MaxWaiting: 5})
	if err != nil {
		t.Fatal(err)
	}
	return b, func(path string) (int, string) {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		body, err := io.ReadAll(w.Result().Body)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, string(body)
	}
}

func knownTotals(context.Context) (log.Totals, error) {
	return log.Totals{Events: 9, Bytes: 900, Disk: 9000}, nil
}

// everything tells a board one of each thing that can happen.
func everything(t *testing.T, b *admin.Board) {
	t.Helper()
	b.Node(event.NodeState{Node: "127.0.0.1:18101", Status: event.Connected, LastEvent: time.Now()})
	b.Fault("connection_manager", "event_without_id")
	b.Received(event.FilterMain, event.BlockAdded, 600)
	processed := logtest.Parse(1, `{"TransactionProcessed":{"transaction_hash":{"Version1":"`+logtest.Hash(1)+`"},"messages":[{},{}]}}`)
	sink := b.Sink(taking{})
	for range 2 { // two nodes
		if err := sink.Append(t.Context(), []event.Event{processed, logtest.Block(1)}); err != nil {
			t.Fatal(err)
		}
	}
	b.Published([]event.Numbered{{Event: processed}, {Event: logtest.Block(1)}})
	database, err := sqlite.Open(t.Context(), sqlite.Config{Path: t.TempDir() + "/db", Layout: log.V2})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = database.Close() }()
	if _, err := database.Commit(t.Context(), logtest.Entries(logtest.OfNodes2()...), 0); err != nil {
		t.Fatal(err)
	}
	r := b.Reader(database)
	_, err1 := r.LatestBlock(t.Context())
	_, err2 := r.BlockByHash(t.Context(), logtest.Hash(7))
	_, err3 := r.BlockByHeight(t.Context(), 7)
	_, err4 := r.Deploy(t.Context(), event.TransactionAccepted, "Version1", logtest.Hash(1))
	_, err5 := r.Step(t.Context(), 3)
	_, err6 := r.FaultsByEra(t.Context(), 4)
	_, err7 := r.FaultsByKey(t.Context(), logtest.PublicKey(1))
	_, err8 := r.Signatures(t.Context(), logtest.Hash(7))
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8); err != nil {
		t.Fatal(err)
	}
	rest := b.Timed(http.NotFoundHandler())
	rest.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/block/7", nil))
}

type taking struct{}

func (taking) Append(context.Context, []event.Event) error { return nil }

// TestMetricsHaveTheNamesOfCaspersSidecar: the names, types and labels on which dashboards rest. Those of its JSON-RPC half
// (rpc_server_*) and of a build that is never released (db_operation_times, events_processed) are not there.
func TestMetricsHaveTheNamesOfCaspersSidecar(t *testing.T) {
	b, get := served(t, knownTotals)
	everything(t, b)
	_, text := get("/metrics")
	for name, labels := range map[string]string{
		"error_counts counter":                        `{category="connection_manager",description="event_without_id"}`,
		"internal_events counter":                     `{category="main_inbound_sse_data",description="db_save_end"}`,
		"node_statuses gauge":                         `{node="127.0.0.1:18101"}`,
		"received_bytes histogram":                    `_bucket{filter="events/main",le="5e+07"}`,
		"sse_server_received_bytes histogram":         `_bucket{message_type="BlockAdded",le="500"}`,
		"sse_server_received_contract_messages gauge": `{label="unique"}`,
		"db_raw_data_size histogram":                  `_bucket{message_type="BlockAdded",le="500"}`,
		"rest_api_connected_clients gauge":            ` 0`,
		"rest_api_response_times histogram":           `_bucket{label="/block/(...)",status="404",le="300"}`,
		"process_cpu_seconds_total counter":           ` `,
		"process_open_fds gauge":                      ` `,
		"process_max_fds gauge":                       ` `,
		"process_resident_memory_bytes gauge":         ` `,
		"process_virtual_memory_bytes gauge":          ` `,
		"process_start_time_seconds gauge":            ` `,
		"process_threads gauge":                       ` `,
	} {
		only, kind, _ := strings.Cut(name, " ")
		if !strings.Contains(text, "# TYPE "+only+" "+kind+"\n") || !strings.Contains(text, "\n"+only+labels) {
			t.Errorf("%s%s is missing", name, labels)
		}
	}
	for line, want := range map[string]string{
		`sse_server_received_contract_messages{label="all"}`:    "4",
		`sse_server_received_contract_messages{label="unique"}`: "2",
		`db_raw_data_size_count{message_type="BlockAdded"}`:     "3",
		`db_raw_data_size_count{message_type="Fault"}`:          "2",
	} {
		if !strings.Contains(text, line+" "+want+"\n") {
			t.Errorf("%s is not %s", line, want)
		}
	}
	if strings.Contains(text, "rpc_server_") {
		t.Error("there is no RPC server")
	}
}

// TestMetricsBeyondThose: what synod adds, so that a change of a name is a decision.
func TestMetricsBeyondThose(t *testing.T) {
	b, get := served(t, knownTotals)
	everything(t, b)
	_, text := get("/metrics")
	names := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^# TYPE synod_sidecar_(\S+)`).FindAllStringSubmatch(text, -1) {
		names[m[1]] = true
	}
	want := "accepted_total blocked database_away database_disk_bytes database_events database_json_bytes deliveries_total duplicates_total events_total " +
		"large_events_total last_commit_seconds node_last_event_seconds pruned_total ring_bytes ring_events spool_bytes spool_events spool_served_total subscribers " +
		"subscribers_cut_total subscribers_refused_total subscribers_resumed_total subscribers_silent_total transaction_failures_total transactions_total unkeyed_total writes_total"
	if got := strings.Join(slices.Sorted(maps.Keys(names)), " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, line := range []string{`subscribers{path="/events/main"} 4`, "subscribers_resumed_total 5", "spool_events 3", "spool_served_total 2", "database_away 1", "database_events 9"} {
		if !strings.Contains(text, "\nsynod_sidecar_"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}

// TestLabelsOfPaths are those that Casper's sidecar gives; what it does not know is not told apart, so their number is bounded.
func TestLabelsOfPaths(t *testing.T) {
	b, get := served(t, knownTotals)
	rest := b.Timed(http.NotFoundHandler())
	for path, want := range map[string]string{
		"/block": "/block/(...)", "/block/": "/block/(...)", "/step/abc/def/ghi": "/step/(...)", "/faults/1": "/faults/(...)", "/signatures/1": "/signatures/(...)",
		"/transaction/deploy/123": "/transaction/(...)", "/transaction/accepted/deploy/123": "/transaction/accepted/(...)",
		"/transaction/processed/version1/123": "/transaction/processed/(...)", "/transaction/expired/deploy/123": "/transaction/expired/(...)",
		"/deploy/123": "/deploy/(...)", "/deploy/accepted/123": "/deploy/accepted/(...)", "/status": "/status",
		"/xyz": "unknown", "/": "unknown", "/transaction/a/b/c": "unknown", "/deploy": "unknown",
	} {
		_, before := get("/metrics")
		rest.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
		_, after := get("/metrics")
		if count(after, want) != count(before, want)+1 {
			t.Errorf("%s is not counted as %s", path, want)
		}
	}
}

func count(metrics, label string) (n int) {
	_, rest, _ := strings.Cut(metrics, `rest_api_response_times_count{label="`+label+`",status="404"} `)
	_, _ = fmt.Sscan(rest, &n)
	return n
}

func TestAdminPort(t *testing.T) {
	b, get := served(t, func(context.Context) (log.Totals, error) { return log.Totals{}, errors.New("connection refused") })
	everything(t, b)
	for path, want := range map[string]int{"/metrics": 200, "/metrics/": 200, "/status": 200, "/health": 200, "/": 404, "/metrics/x": 404, "/debug/pprof/": 404} {
		if got, _ := get(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	_, status := get("/status")
	for _, want := range []string{`"error": "connection refused"`, `"height": 1`, `"TransactionProcessed": 1`, `"away": "refused"`} {
		if !strings.Contains(status, want) {
			t.Errorf("/status lacks %s:\n%s", want, status)
		}
	}
	if _, metrics := get("/metrics"); strings.Contains(metrics, "synod_sidecar_database_events") {
		t.Error("sizes that nobody knows are given")
	}
}

// TestBoardKeepsSoMuchAndNoMore: whatever nodes call themselves and however many blocks they send.
func TestBoardKeepsSoMuchAndNoMore(t *testing.T) {
	b, get := served(t, knownTotals)
	for n := range 1500 {
		b.Node(event.NodeState{Node: fmt.Sprint("node", n)})
	}
	var blocks []event.Numbered
	for height := range 100 {
		blocks = append(blocks, event.Numbered{Event: logtest.Block(height)})
	}
	b.Published(append(blocks, event.Numbered{Event: logtest.Parse(1, `{"BlockAdded":7}`)}))
	_, status := get("/status")
	if n := strings.Count(status, `"node": "`); n != 1000 {
		t.Errorf("%d nodes", n)
	}
	if n := strings.Count(status, `"height": `); n != 12 || !strings.Contains(status, `"height": 99,`) {
		t.Errorf("%d blocks", n)
	}
}
