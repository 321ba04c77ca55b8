package casper

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// watched knows for how long its reader has been waiting for a byte. Time in which nobody reads, since the sink is slow, does not
// count.
type watched struct {
	in    io.Reader
	since atomic.Int64 // ns since the epoch, when the current Read began; 0 outside
}

func (w *watched) Read(to []byte) (int, error) {
	w.since.Store(time.Now().UnixNano())
	defer w.since.Store(0)
	return w.in.Read(to)
}

// watch looks from time to time, and returns an error when nothing came for too long.
func (w *watched) watch(ctx context.Context, every, silence time.Duration, observer event.Observer) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		since := w.since.Load()
		if since != 0 && time.Now().UnixNano()-since > int64(silence) {
			observer.Fault("connection_manager", "no_message_timeout")
			return fmt.Errorf("nothing came for %s, not even a keep-alive", silence)
		}
	}
}
