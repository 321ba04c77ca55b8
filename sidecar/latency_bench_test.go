package sidecar_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// BenchmarkIngestToDelivery gives a whole sidecar, with SQLite synced, 100 events a second for five seconds, and measures from the
// source's hand to the subscriber's. Run it with -benchtime 1x.
func BenchmarkIngestToDelivery(b *testing.B) {
	const events, every = 500, 10 * time.Millisecond
	f := newFeed()
	r := start(b, b.TempDir(), f.read, nil)
	defer r.stop()
	for b.Loop() {
		next := subscribe(b, r.urls["events"]+"/events/deploys")
		sent := make(chan time.Time, events)
		go func() {
			tick := time.NewTicker(every)
			for n := range events {
				<-tick.C
				sent <- time.Now()
				f.batches <- []event.Event{logtest.Accepted(uint32(n), n, 1100)}
				<-f.taken
			}
		}()
		var took []time.Duration
		for len(took) < events {
			if strings.HasPrefix(next(), "id:") {
				took = append(took, time.Since(<-sent))
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[events/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[events*99/100].Microseconds())/1000, "p99-ms")
	}
}
