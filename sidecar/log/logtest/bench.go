package logtest

import (
	"syscall"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Bench stores b.N events of 1.1 KB in groups of 500, as the log does under load, and reports events a second.
func Bench(b *testing.B, s log.Store) {
	const group = 500
	next := event.Seq(0)
	entries := make([]*log.Entry, 0, group)
	made := 0
	var storing, cpu time.Duration
	for b.Loop() {
		e := Accepted(uint32(made), made, 1100)
		made++
		entries = append(entries, Entries(e)...)
		if len(entries) < group {
			continue
		}
		began, busy := time.Now(), cpuTime()
		after, err := s.Commit(b.Context(), entries, next)
		if err != nil {
			b.Fatal(err)
		}
		storing += time.Since(began)
		cpu += cpuTime() - busy
		next, entries = after, entries[:0]
	}
	if storing > 0 {
		b.ReportMetric(float64(next)/storing.Seconds(), "events/s")
		b.ReportMetric(float64(cpu.Microseconds())/float64(next), "cpu-µs/event")
	}
}

// cpuTime is what this process has used, which says more than the clock where others share the cores.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
