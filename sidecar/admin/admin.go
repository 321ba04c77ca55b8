package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/limit"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/stream"
)

// Sources are what an overview and the gauges are asked from.
type Sources struct {
	Log      func() log.Status
	Stream   func() stream.Stats
	Totals   func(ctx context.Context) (log.Totals, error)
	Database string     // "sqlite", "postgresql" or "none"
	Layout   log.Layout // of it
}

// totalsPatience is how long an overview waits for the database.
const totalsPatience = 2 * time.Second

// Overview asks for everything at once.
func (b *Board) Overview(ctx context.Context, from Sources) Overview {
	o := Overview{
		Version: b.version, Time: time.Now().UTC(), UptimeS: int64(time.Since(b.started).Seconds()),
		Events: make(map[string]int64), Log: from.Log(), Stream: from.Stream(),
		Database: Database{Kind: from.Database, Layout: from.Layout.String()},
	}
	ctx, cancel := context.WithTimeout(ctx, totalsPatience)
	defer cancel()
	totals, err := from.Totals(ctx)
	if err != nil {
		o.Database.Error = err.Error()
	}
	o.Database.Events, o.Database.Bytes, o.Database.Disk = totals.Events, totals.Bytes, totals.Disk
	b.mu.Lock()
	defer b.mu.Unlock()
	o.Nodes = make([]event.NodeState, 0, len(b.nodes))
	for _, state := range b.nodes {
		o.Nodes = append(o.Nodes, state)
	}
	slices.SortFunc(o.Nodes, func(x, y event.NodeState) int { return strings.Compare(x.Node, y.Node) })
	for kind, count := range b.counts {
		o.Events[kind.String()] = count
	}
	o.Blocks = slices.Clone(b.blocks)
	if o.Blocks == nil {
		o.Blocks = []Block{}
	}
	return o
}

// Register adds the gauges that are computed when they are asked for. Call it once.
func (b *Board) Register(from Sources) { b.metrics.registry.MustRegister(&asked{b, from}) }

// asked is the collector of everything that somebody else keeps.
type asked struct {
	b    *Board
	from Sources
}

var (
	descSubscribers = describe("subscribers", "Subscribers now.", "path")
	descDelivered   = describe("deliveries_total", "Events sent, summed over subscribers.")
	descWrites      = describe("writes_total", "Writes to subscribers' sockets.")
	descCut         = describe("subscribers_cut_total", "Subscribers cut because they fell too far behind.")
	descSilent      = describe("subscribers_silent_total", "Subscribers given up because they took nothing for too long.")
	descRefused     = describe("subscribers_refused_total", "Subscribers refused over the limit.")
	descResumed     = describe("subscribers_resumed_total", "Subscriptions that were served from the database first.")
	descSpoolServed = describe("spool_served_total", "Events read out of the spool for subscribers who came back.")
	descSpilled     = describe("large_events_total", "Events kept on disk because of their size.")
	descRingEvents  = describe("ring_events", "Events kept for subscribers who come back.")
	descRingBytes   = describe("ring_bytes", "Memory that those take.")
	descAccepted    = describe("accepted_total", "Events accepted by the log.")
	descDuplicates  = describe("duplicates_total", "Events dropped because another node sent them before.")
	descUnkeyed     = describe("unkeyed_total", "Events of a known kind without the fields that identify it, passed on as they are.")
	descGroups      = describe("transactions_total", "Groups of events stored, each in one transaction.")
	descFailures    = describe("transaction_failures_total", "Groups that the database did not take; they went to the spool.")
	descCommit      = describe("last_commit_seconds", "How long the newest transaction took.")
	descPruned      = describe("pruned_total", "Events removed by retention.")
	descSpoolEvents = describe("spool_events", "Events in the spool, which the database lacks.")
	descSpoolBytes  = describe("spool_bytes", "Size of the spool.")
	descAway        = describe("database_away", "1 while the database is not in use.")
	descBlocked     = describe("blocked", "1 while no event can be made durable and nodes are not read.")
	descEvents      = describe("database_events", "Events in the database, as far as this sidecar counted them.")
	descBytes       = describe("database_json_bytes", "Size of their JSON.")
	descDisk        = describe("database_disk_bytes", "Size of the database.")
	descLag         = describe("node_last_event_seconds", "Time since a node sent its last event.", "node")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("synod_sidecar_"+name, help, labels, nil)
}

// Describe implements [prometheus.Collector].
func (a *asked) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(a, to) }

// Collect implements [prometheus.Collector].
func (a *asked) Collect(to chan<- prometheus.Metric) {
	o := a.b.Overview(context.Background(), a.from)
	counter := func(d *prometheus.Desc, v int64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v))
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for path, n := range o.Stream.Subscribers {
		gauge(descSubscribers, float64(n), path)
	}
	counter(descDelivered, o.Stream.Delivered)
	counter(descWrites, o.Stream.Writes)
	counter(descCut, o.Stream.Cut)
	counter(descSilent, o.Stream.Silent)
	counter(descRefused, o.Stream.Refused)
	counter(descResumed, o.Stream.Resumed)
	counter(descSpilled, o.Stream.Spilled)
	gauge(descRingEvents, float64(o.Stream.RingEvents))
	gauge(descRingBytes, float64(o.Stream.RingBytes))
	counter(descAccepted, o.Log.Accepted)
	counter(descDuplicates, o.Log.Duplicates)
	counter(descUnkeyed, o.Log.Unkeyed)
	counter(descGroups, o.Log.Groups)
	counter(descFailures, o.Log.Failures)
	gauge(descCommit, o.Log.LastCommit)
	counter(descPruned, o.Log.Pruned)
	gauge(descSpoolEvents, float64(o.Log.SpoolEvents))
	gauge(descSpoolBytes, float64(o.Log.SpoolBytes))
	counter(descSpoolServed, o.Log.SpoolServed)
	gauge(descAway, truth(o.Log.Away != ""))
	gauge(descBlocked, truth(o.Log.Blocked != ""))
	if o.Database.Error == "" {
		gauge(descEvents, float64(o.Database.Events))
		gauge(descBytes, float64(o.Database.Bytes))
		gauge(descDisk, float64(o.Database.Disk))
	}
	for _, n := range o.Nodes {
		if !n.LastEvent.IsZero() {
			gauge(descLag, o.Time.Sub(n.LastEvent).Seconds(), n.Node)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Handler serves the admin port: /metrics, /status and /health. Anything else is 404.
func (b *Board) Handler(from Sources, health *node.Health, bounds limit.Config) (http.Handler, error) {
	if err := bounds.Validate(); err != nil {
		return nil, err
	}
	metrics := promhttp.HandlerFor(b.metrics.registry, promhttp.HandlerOpts{})
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.Handle("GET /metrics/{$}", metrics)
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		_ = e.Encode(b.Overview(r.Context(), from)) // the client may have gone
	})
	limited := limit.New(bounds, mux)
	checks := health.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" || strings.HasPrefix(r.URL.Path, "/health/") {
			checks.ServeHTTP(w, r) // a supervisor does not wait in line
			return
		}
		limited.ServeHTTP(w, r)
	}), nil
}

// Timed measures the answers of the REST server.
func (b *Board) Timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.metrics.restClients.Inc()
		defer b.metrics.restClients.Dec()
		began := time.Now()
		recorder := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(recorder, r)
		b.metrics.restTimes.WithLabelValues(label(r.URL.Path), strconv.Itoa(recorder.status)).Observe(float64(time.Since(began).Microseconds()) / 1000)
	})
}

// label is a path without its arguments, as Casper's sidecar writes it.
func label(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if len(parts) == 0 {
		return "unknown"
	}
	switch parts[0] {
	case "block", "step", "faults", "signatures":
		return "/" + parts[0] + "/(...)"
	case "status":
		return "/status"
	case "deploy":
		return labelDeploy(parts, 2)
	case "transaction":
		return labelDeploy(parts, 3)
	default:
		return "unknown"
	}
}

// labelDeploy is the label of /deploy/HASH or /transaction/VARIANT/HASH, which have so many parts, or of one of their stages.
func labelDeploy(parts []string, whole int) string {
	switch {
	case len(parts) == whole && !isStage(parts[1]):
		return "/" + parts[0] + "/(...)"
	case len(parts) == whole+1 && isStage(parts[1]):
		return "/" + parts[0] + "/" + parts[1] + "/(...)"
	default:
		return "unknown"
	}
}

// isStage bounds the labels: Casper's sidecar takes any word there.
func isStage(word string) bool { return word == "accepted" || word == "processed" || word == "expired" }

type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (r *statusRecorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Unwrap lets a handler flush through the recorder.
func (r *statusRecorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
