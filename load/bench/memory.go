package bench

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"
)

// memory watches the resident size of this process, to tell whether it grows
// while the load stays the same.
type memory struct {
	cancel  context.CancelFunc
	done    chan struct{}
	samples []float64 // MiB, one a second
}

func watchMemory(ctx context.Context) *memory {
	ctx, cancel := context.WithCancel(ctx)
	m := &memory{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(m.done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				m.samples = append(m.samples, residentMiB("self"))
			}
		}
	}()
	return m
}

// halves ends the watch and returns the mean sizes of its first and its second
// half, without the first tenth, in which caches fill.
func (m *memory) halves() (first, second float64) {
	m.cancel()
	<-m.done
	s := m.samples[len(m.samples)/10:]
	return mean(s[:len(s)/2]), mean(s[len(s)/2:])
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(max(1, len(list)))
}

// residentMiB is the resident size of a process now, 0 where the system does
// not tell (proc_pid_statm(5): the second number, in pages).
func residentMiB(process string) float64 {
	text, err := os.ReadFile("/proc/" + process + "/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20)
}
