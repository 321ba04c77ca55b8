package members

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
)

// Config is one workload. Zero fields take the default, where there is one.
type Config struct {
	// Rate in submissions per second over all members; 0: as fast as it goes.
	Rate float64
	// Size of each payload in bytes, at least [MinSize]. Default 1024.
	Size int
	// Duration of sending. Default 10 s.
	Duration time.Duration
	// Members is how many members send and receive. Default 16.
	Members int
	// Recipients is to how many other members each submission goes. Default 1.
	Recipients int
	// InFlight bounds what one member has sent and not got a receipt for. Default 200.
	InFlight int
	// Unary sends each submission in a call of its own, instead of in a stream.
	Unary bool
	// Listen is at how many sequencers each member listens, from the one after that to
	// which it sends. Default 2, or all if there are fewer.
	Listen int
	// Gather has all members listen at the same sequencers, from the first on.
	Gather bool
	// Drain is how long to wait at the end for what was accepted. Default 30 s.
	Drain time.Duration
	// Stop, if set, ends sending early when it is closed.
	Stop <-chan struct{}
	// Progress, if set, is called each second.
	Progress func(Progress)
}

// Progress is what a running workload can tell.
type Progress struct {
	Elapsed                                time.Duration
	Submitted, Accepted, Receipts, Refused int64
	// ReceiptsPerSecond is that of the last second.
	ReceiptsPerSecond float64
}

// Target is a sequencer.
type Target struct {
	Address string
	Options []grpc.DialOption
}

// MinSize has room for who sent what.
const MinSize = 16

// lifetime is how long after it was sent a submission may be sequenced; one that takes longer counts as lost, for nobody is told of it.
// Sequencers remember each for as long, so it is short where there are many.
func (c Config) lifetime() time.Duration {
	if c.Rate > 0 && c.Rate <= 1000 {
		return time.Minute
	}
	return 10 * time.Second
}

func (c Config) withDefaults(targets int) Config {
	c.Size = cmp.Or(c.Size, 1024)
	c.Duration = cmp.Or(c.Duration, 10*time.Second)
	c.Members = cmp.Or(c.Members, 16)
	c.Recipients = cmp.Or(c.Recipients, 1)
	c.InFlight = cmp.Or(c.InFlight, 200)
	c.Listen = cmp.Or(c.Listen, min(2, targets))
	c.Drain = cmp.Or(c.Drain, 30*time.Second)
	return c
}

func (c Config) validate(targets int) error {
	switch {
	case targets == 0:
		return errors.New("load: no target: name at least one sequencer")
	case c.Size < MinSize || c.Size > 1<<24:
		return fmt.Errorf("load: payloads of %d bytes: use %d to 16 MiB", c.Size, MinSize)
	case !(c.Rate >= 0), c.Duration < 0, c.Drain < 0, c.InFlight < 0, c.Recipients < 0:
		return errors.New("load: rate, duration, drain, recipients and in-flight must not be negative")
	case c.Members < 1 || c.Members > 100_000:
		return fmt.Errorf("load: %d members: use 1 to 100000", c.Members)
	case c.Recipients > c.Members:
		return fmt.Errorf("load: %d recipients among %d members: use fewer", c.Recipients, c.Members)
	case c.Listen < 1 || c.Listen > targets:
		return fmt.Errorf("load: cannot listen at %d of %d sequencers", c.Listen, targets)
	}
	return nil
}
