package sqlite_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func BenchmarkCommit(b *testing.B) {
	s, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "db"), Layout: log.V1, Readers: 1, AutoCheckpoint: 1000})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	logtest.Bench(b, s)
}

// BenchmarkLarge measures opening and looking up in a database with many events: 200 000, or SYNOD_BENCH_EVENTS. Run it with
// -benchtime 1x.
func BenchmarkLarge(b *testing.B) {
	count := 200_000
	if text := os.Getenv("SYNOD_BENCH_EVENTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		count = n
	}
	config := sqlite.Config{Path: filepath.Join(b.TempDir(), "db"), Layout: log.V1, Readers: 4, AutoCheckpoint: 1000}
	fill(b, config, count)
	for b.Loop() {
		began := time.Now()
		s, err := sqlite.Open(b.Context(), config)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.State(b.Context(), 16384); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds()*1000, "start-ms")
		var took []time.Duration
		for i := range 5000 {
			began := time.Now()
			if _, err := s.Deploy(b.Context(), event.DeployAccepted, "", logtest.Hash(i*7919%count)); err != nil {
				b.Fatal(err)
			}
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func fill(b *testing.B, config sqlite.Config, count int) {
	s, err := sqlite.Open(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	const group = 2000
	next := event.Seq(0)
	for n := 0; n < count; n += group {
		entries := make([]*log.Entry, 0, group)
		for i := range group {
			entries = append(entries, logtest.Entries(logtest.Accepted(uint32(n+i), n+i, 300))...)
		}
		if next, err = s.Commit(b.Context(), entries, next); err != nil {
			b.Fatal(err)
		}
	}
}
