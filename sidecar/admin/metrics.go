package admin

import (
	"os"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/synod-network/synod/sidecar/event"
)

// metrics are those of Casper's sidecar, of both generations, under their names.
type metrics struct {
	registry *prometheus.Registry

	nodeStatuses   *prometheus.GaugeVec
	errorCounts    *prometheus.CounterVec
	receivedBytes  *prometheus.HistogramVec // 1.x, by filter
	receivedByType *prometheus.HistogramVec // 2.x, by kind
	rawSize        *prometheus.HistogramVec
	internal       *prometheus.CounterVec
	eventsTotal    *prometheus.CounterVec
	restTimes      *prometheus.HistogramVec
	restClients    prometheus.Gauge
	messages       *prometheus.GaugeVec
}

// sizes are the buckets of Casper's sidecar, in bytes.
var sizes = []float64{5e2, 1e3, 2e3, 5e3, 5e4, 5e5, 5e6, 5e7}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		nodeStatuses: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "node_statuses", Help: "Current status of node to which sidecar is connected. Numbers mean: " +
			"0 - preparing; 1 - connecting; 2 - connected; 3 - reconnecting; -1 - defunct -> used up all connection attempts ; -2 - defunct -> node is in an incompatible version"}, []string{"node"}),
		errorCounts:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "error_counts", Help: "Error counts"}, []string{"category", "description"}),
		receivedBytes:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "received_bytes", Help: "Received bytes", Buckets: sizes}, []string{"filter"}),
		receivedByType: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sse_server_received_bytes", Help: "Received bytes by type of event", Buckets: sizes}, []string{"message_type"}),
		rawSize:        prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "db_raw_data_size", Help: "Size (in bytes) of raw data fetched from the database.", Buckets: sizes}, []string{"message_type"}),
		internal:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "internal_events", Help: "Count of internal events"}, []string{"category", "description"}),
		eventsTotal:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "synod_sidecar_events_total", Help: "Events given to subscribers, by kind."}, []string{"kind"}),
		restTimes: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rest_api_response_times", Help: "Time that the REST server took for an answer, in milliseconds",
			Buckets: []float64{1, 5, 10, 30, 50, 100, 200, 300}}, []string{"label", "status"}),
		messages:    prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sse_server_received_contract_messages", Help: "Number of messages received in TransactionProcessed events."}, []string{"label"}),
		restClients: prometheus.NewGauge(prometheus.GaugeOpts{Name: "rest_api_connected_clients", Help: "Requests that the REST server has in hand"}),
	}
	m.registry.MustRegister(m.nodeStatuses, m.errorCounts, m.receivedBytes, m.receivedByType, m.rawSize, m.internal, m.eventsTotal, m.restTimes, m.restClients, m.messages,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewGoCollector(),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "process_threads", Help: "Number of OS threads in the process."}, threads))
	for _, kind := range event.Kinds() {
		m.eventsTotal.WithLabelValues(kind.String())
	}
	return m
}

// threads is what Casper's sidecar has beyond the process collector: the number of threads, those ever made where there is no /proc.
func threads() float64 {
	if tasks, err := os.ReadDir("/proc/self/task"); err == nil {
		return float64(len(tasks))
	}
	n, _ := runtime.ThreadCreateProfile(nil)
	return float64(n)
}

// stage counts both ends of a stage of Casper's pipeline, as its metric internal_events has them.
func (m *metrics) stage(name string, count int) {
	m.internal.WithLabelValues("main_inbound_sse_data", name+"_start").Add(float64(count))
	m.internal.WithLabelValues("main_inbound_sse_data", name+"_end").Add(float64(count))
}

func (m *metrics) received(filter event.Filter, kind event.Kind, bytes int) {
	m.receivedBytes.WithLabelValues(string(filter)).Observe(float64(bytes))
	m.receivedByType.WithLabelValues(kind.String()).Observe(float64(bytes))
	m.stage("event_received", 1)
}

func (m *metrics) published(events []event.Numbered) {
	for i := range events {
		kind := events[i].Kind.String()
		m.eventsTotal.WithLabelValues(kind).Inc()
	}
	m.stage("db_save", len(events))
	m.stage("outbound_sse_data_send", len(events))
}
