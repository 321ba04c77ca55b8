package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Ordering measures what comes out: the ordered blocks as this node applied them.
type Ordering struct {
	scraped[OrderingState]

	// Requeued counts own requests that returned to the queue because their block can never be committed.
	Requeued prometheus.Counter

	empty, filled prometheus.Counter
	requests      prometheus.Counter
	bytes         prometheus.Counter
	blockRequests prometheus.Histogram
	blockBytes    prometheus.Histogram
	delay         map[Mode]prometheus.Observer
	latency       prometheus.Histogram
}

// Mode is how a node came by an ordered block.
type Mode string

// The modes.
const (
	Live     Mode = "live"     // decided here as it came to be
	CaughtUp Mode = "catch_up" // certified by others before it was decided here, or read from the own disk
)

// OrderingState is how far this node has applied the order.
type OrderingState struct {
	Height   uint64    // of the newest ordered block applied
	LastTime time.Time // the agreed time of that block; zero before the first
}

func newOrdering(d *declarer) *Ordering {
	blocks := d.counterVec("ordering_blocks_total", "Ordered blocks applied, by whether they carried any request.", "empty")
	o := &Ordering{
		empty:         blocks.WithLabelValues("true"),
		filled:        blocks.WithLabelValues("false"),
		requests:      d.counter("ordering_requests_total", "Requests in the ordered blocks applied, of all members."),
		bytes:         d.counter("ordering_bytes_total", "Bytes of the requests in the ordered blocks applied."),
		blockRequests: d.histogram("ordering_block_requests", "Requests in an ordered block that is not empty.", countBuckets()),
		blockBytes:    d.histogram("ordering_block_bytes", "Bytes of the requests in an ordered block that is not empty.", sizeBuckets()),
		delay: histograms(d, "ordering_block_delay_seconds", "Time on this node's clock when it has applied a block minus the block's agreed time. Of mode live: blocks decided as they came to be; of mode catch_up: those that others had certified before, or that were read from the own disk.",
			"mode", []Mode{Live, CaughtUp}, delayBuckets()),
		latency:  d.histogram("ordering_latency_seconds", "Time from accepting a request on this node to applying the block that orders it.", latencyBuckets()),
		Requeued: d.counter("ordering_requeued_requests_total", "Own requests returned to the queue because the block that carried them can never be committed."),
	}
	o.gauge(d, "ordering_height", "Height of the newest ordered block applied.", func(s OrderingState) float64 { return float64(s.Height) })
	o.gauge(d, "ordering_last_time_seconds", "Agreed time of the newest ordered block applied, in seconds since 1970; 0 before the first.", func(s OrderingState) float64 {
		if s.LastTime.IsZero() {
			return 0
		}
		return float64(s.LastTime.UnixMicro()) / 1e6
	})
	d.registry.MustRegister(o)
	return o
}

// Applied records one ordered block with its number of requests, their bytes, and how long after its agreed time it was applied.
func (o *Ordering) Applied(requests, bytes int, mode Mode, delay time.Duration) {
	o.delay[mode].Observe(delay.Seconds())
	if requests == 0 {
		o.empty.Inc()
		return
	}
	o.filled.Inc()
	o.requests.Add(float64(requests))
	o.bytes.Add(float64(bytes))
	o.blockRequests.Observe(float64(requests))
	o.blockBytes.Observe(float64(bytes))
}

// Ordered records that a request accepted here was ordered after the given time.
func (o *Ordering) Ordered(after time.Duration) { o.latency.Observe(after.Seconds()) }
