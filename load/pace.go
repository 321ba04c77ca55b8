package load

import (
	"context"
	"time"
)

// span is some requests that are to be sent together.
type span struct {
	count         int
	due, interval time.Duration // of the first, since the start; between two
}

// tick bounds how often a paced run wakes up: a batch holds what fell due since.
const tick = 500 * time.Microsecond

// pace hands out the spans that fall due before the run's duration is over, to
// whichever lane is free, until ctx ends. A span that nobody could take in time keeps the time at which it was due.
func pace(ctx context.Context, start time.Time, duration time.Duration, rate float64, batch int, out chan<- span) {
	interval := time.Duration(float64(time.Second) / rate)
	due := func(number int64) time.Duration {
		return time.Duration(float64(number) / rate * float64(time.Second))
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := int64(0); ; {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		for now := min(time.Since(start), duration-interval); due(next) <= now; {
			count := min(int64((now-due(next)).Seconds()*rate)+1, int64(batch))
			select {
			case out <- span{count: int(count), due: due(next), interval: interval}:
				next += count
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(max(due(next)-time.Since(start), tick))
	}
}
