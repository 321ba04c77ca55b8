package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Outcome is what became of a request at the door.
type Outcome string

// The outcomes of a submission.
const (
	Accepted   Outcome = "accepted"
	Overloaded Outcome = "overloaded" // the queue was full; the client was told to retry
	TooLarge   Outcome = "too_large"  // above the request limit
	NotReady   Outcome = "not_ready"  // no quorum, stopping, or storage failed
	Refused    Outcome = "refused"    // malformed or not authenticated
)

// Ingress measures what clients hand in.
type Ingress struct {
	scraped[QueueState]
	requests map[Outcome]prometheus.Counter
	bytes    map[Outcome]prometheus.Counter
	size     prometheus.Histogram
	limited  map[Limit]prometheus.Counter
}

// Limit is one of those that keep callers from filling a node's memory.
type Limit string

// The limits.
const (
	LimitStrangers Limit = "strangers" // calls open of who showed no token
	LimitSize      Limit = "size"      // the length of a message
	LimitBytes     Limit = "bytes"     // large messages under way
	LimitPatience  Limit = "patience"  // the time that a message takes to arrive
)

// QueueState is the queue of requests that no block carries yet.
type QueueState struct {
	Requests, Bytes          int64
	RequestLimit, BytesLimit int64
}

func newIngress(d *declarer) *Ingress {
	outcomes := []Outcome{Accepted, Overloaded, TooLarge, NotReady, Refused}
	in := &Ingress{
		requests: counters(d, "ingress_requests_total", "Requests that clients submitted to this node, by what became of them.", "outcome", outcomes),
		bytes:    counters(d, "ingress_bytes_total", "Bytes of the requests that clients submitted to this node, by what became of them.", "outcome", outcomes),
		size:     d.histogram("ingress_request_size_bytes", "Size of accepted requests.", sizeBuckets()),
	}
	in.limited = counters(d, "ingress_limited_calls_total", "Calls refused or ended because of a limit that protects this node's memory, by limit.", "limit",
		[]Limit{LimitStrangers, LimitSize, LimitBytes, LimitPatience})
	in.gauge(d, "queue_requests", "Requests waiting to be put in a block.", func(s QueueState) float64 { return float64(s.Requests) })
	in.gauge(d, "queue_bytes", "Bytes of the requests waiting to be put in a block.", func(s QueueState) float64 { return float64(s.Bytes) })
	in.gauge(d, "queue_limit_requests", "Requests at which the queue refuses more.", func(s QueueState) float64 { return float64(s.RequestLimit) })
	in.gauge(d, "queue_limit_bytes", "Bytes at which the queue refuses more.", func(s QueueState) float64 { return float64(s.BytesLimit) })
	d.registry.MustRegister(in)
	return in
}

// Limited records a call that a limit refused or ended.
func (in *Ingress) Limited(by Limit) {
	if counter, ok := in.limited[by]; ok {
		counter.Inc()
	}
}

// Count records one submitted request of the given size in bytes.
func (in *Ingress) Count(outcome Outcome, size int) {
	in.requests[outcome].Inc()
	in.bytes[outcome].Add(float64(size))
	if outcome == Accepted {
		in.size.Observe(float64(size))
	}
}
