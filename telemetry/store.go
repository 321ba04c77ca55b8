package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StoreOperation is what failed on a disk.
type StoreOperation string

// The operations of the store.
const (
	StoreWrite StoreOperation = "write" // or the sync after it
	StorePrune StoreOperation = "prune"
)

// Store measures the disk.
type Store struct {
	scraped[StoreState]
	Written prometheus.Counter // bytes
	sync    prometheus.Histogram
	errors  map[StoreOperation]prometheus.Counter
}

// StoreState is what the store holds now.
type StoreState struct {
	Bytes        int64  // on disk
	LimitBytes   int64  // above which old commits are pruned; 0 for none
	PrunedHeight uint64 // newest height no longer kept; 0 for none
}

func newStore(d *declarer) *Store {
	s := &Store{
		Written: d.counter("store_written_bytes_total", "Bytes handed to the disk."),
		sync:    d.histogram("store_sync_seconds", "Time until a group commit is durable.", latencyBuckets()),
		errors: counters(d, "store_errors_total", "Storage operations that failed. Each stops the node; a write is one up to its sync.", "operation", []StoreOperation{
			StoreWrite, StorePrune,
		}),
	}
	s.gauge(d, "store_bytes", "Bytes that the store takes on disk.", func(s StoreState) float64 { return float64(s.Bytes) })
	s.gauge(d, "store_limit_bytes", "Bytes above which old commits are pruned; 0 for no limit.", func(s StoreState) float64 { return float64(s.LimitBytes) })
	s.gauge(d, "store_pruned_height", "Newest height that is no longer kept; 0 for none.", func(s StoreState) float64 { return float64(s.PrunedHeight) })
	d.registry.MustRegister(s)
	return s
}

// Synced records how long a group commit took to become durable.
func (s *Store) Synced(took time.Duration) { s.sync.Observe(took.Seconds()) }

// Failed records a failed storage operation.
func (s *Store) Failed(operation StoreOperation) { s.errors[operation].Inc() }
