package load

import (
	"cmp"
	"fmt"
	"time"
)

// Config is one workload. Zero fields take the default, where there is one.
type Config struct {
	// Rate in requests per second over all targets; 0: as fast as it goes.
	Rate float64
	// Size of each request in bytes, at least [MinSize]. Default 1024.
	Size int
	// Duration of submitting. Default 10 s.
	Duration time.Duration
	// Connections to each target. Default 1.
	Connections int
	// InFlight bounds what one connection has submitted and not yet seen ordered,
	// in requests. Default: 8 MiB worth, at least 1000 and at most 20 000.
	InFlight int
	// BatchBytes bounds one batch. Default 256 KiB; one request always fits.
	BatchBytes int
	// Subscribe is to how many targets to listen and compare, from the first on.
	// Default all; at least 2 where there are 2.
	Subscribe int
	// Drain is how long to wait, once submitting has ended, for what was accepted
	// to come out everywhere. Default 30 s.
	Drain time.Duration
	// Stop, if set, ends submitting early when it is closed; what was accepted is
	// still waited for.
	Stop <-chan struct{}
	// Progress, if set, is called each second.
	Progress func(Progress)
}

// Progress is what a running workload can tell.
type Progress struct {
	Elapsed                                time.Duration
	Submitted, Accepted, Ordered, Rejected int64
	// OrderedPerSecond is that of the last second.
	OrderedPerSecond float64
}

func (c Config) withDefaults() Config {
	c.Size = cmp.Or(c.Size, 1024)
	c.Duration = cmp.Or(c.Duration, 10*time.Second)
	c.Connections = cmp.Or(c.Connections, 1)
	c.InFlight = cmp.Or(c.InFlight, min(max(8<<20/max(c.Size, 1), 1000), 20_000))
	c.BatchBytes = cmp.Or(c.BatchBytes, 256<<10)
	c.Drain = cmp.Or(c.Drain, 30*time.Second)
	return c
}

func (c Config) validate(targets int) error {
	switch {
	case targets == 0:
		return fmt.Errorf("load: no target: name at least one sequencer")
	case c.Size < MinSize:
		return fmt.Errorf("load: requests of %d bytes have no room for what is checked: use %d or more", c.Size, MinSize)
	case c.Rate < 0, c.Duration < 0, c.Drain < 0, c.Connections < 0, c.InFlight < 0, c.BatchBytes < 0:
		return fmt.Errorf("load: rate, duration, drain, connections, in-flight and batch size must not be negative")
	case c.Subscribe < 0, c.Subscribe > targets:
		return fmt.Errorf("load: cannot subscribe to %d of %d targets", c.Subscribe, targets)
	case c.Subscribe == 1 && targets > 1:
		return fmt.Errorf("load: one subscription leaves nothing to compare: use 2 or more")
	}
	return nil
}

// batchSize is how many requests make the largest batch.
func (c Config) batchSize() int {
	return max(1, min(c.BatchBytes/c.Size, c.InFlight))
}
