package sandbox

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/node"
	"github.com/synod-network/synod/ordering"
)

// Progress is a glance at the running network.
type Progress struct {
	Epoch  uint64
	Height ordering.Height
	// RequestsPerSecond is the rate at which requests were ordered since the
	// glance before.
	RequestsPerSecond float64
	// Links that work, seen from both ends, of those there are when all do.
	Connected, Links int
	// Ready sequencers of all, and why the first of the others is not.
	Ready, Sequencers int
	Reason            string
}

// Watch is a stage that calls tell with the network's progress, at once and
// then each interval.
func (s *Sandbox) Watch(interval time.Duration, tell func(Progress)) node.Stage {
	return node.Stage{Name: "progress", Run: func(ctx context.Context, ready func()) error {
		ready()
		var ordered atomic.Int64
		counted := make(chan struct{})
		go func() {
			defer close(counted)
			s.count(ctx, &ordered)
		}()
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for before, at := int64(0), time.Now(); ; {
			p := s.glance()
			now, total := time.Now(), ordered.Load()
			p.RequestsPerSecond = float64(total-before) / max(now.Sub(at), time.Millisecond).Seconds()
			before, at = total, now
			tell(p)
			select {
			case <-tick.C:
			case <-ctx.Done():
				<-counted
				return nil
			}
		}
	}}
}

// count adds up what the first sequencer delivers. One that pruning overtakes
// goes on from the newest block: the number is for the eye.
func (s *Sandbox) count(ctx context.Context, ordered *atomic.Int64) {
	orderer := s.Sequencers[0].Orderer()
	for ctx.Err() == nil {
		_ = orderer.Read(ctx, orderer.Status().Head+1, func(b ordering.Block) error {
			ordered.Add(int64(b.RequestCount()))
			return nil
		})
		if orderer.Ready() != nil {
			wait(ctx, countAgain)
		}
	}
}

// countAgain is how long to wait before reading from a sequencer again that
// does not order.
const countAgain = 100 * time.Millisecond

func wait(ctx context.Context, span time.Duration) {
	t := time.NewTimer(span)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (s *Sandbox) glance() Progress {
	p := Progress{Sequencers: len(s.Sequencers), Links: len(s.Sequencers) * (len(s.Sequencers) - 1)}
	for _, i := range s.Sequencers {
		status := i.Orderer().Status()
		p.Epoch, p.Height = max(p.Epoch, status.Epoch), max(p.Height, status.Head)
		for _, link := range i.Replica().Links() {
			if link.Live.Connected {
				p.Connected++
			}
		}
		if err := i.Orderer().Ready(); err == nil {
			p.Ready++
		} else if p.Reason == "" {
			p.Reason = i.Config.Name + ": " + err.Error()
		}
	}
	return p
}
