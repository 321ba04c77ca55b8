package sequencer_test

import (
	"log/slog"
	"sync"
	"testing"

	"github.com/synod-network/synod/sequencer"
)

// counter counts requests by what became of them, and panics.
type counter struct {
	mu     sync.Mutex
	counts map[sequencer.Reason]int
}

func (c *counter) add(reason sequencer.Reason, count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[sequencer.Reason]int{}
	}
	c.counts[reason] += count
}

func (c *counter) Submitted(reason sequencer.Reason, requests, _ int) { c.add(reason, requests) }
func (c *counter) Delivered(int, int)                                 {}
func (c *counter) SubscriptionEnded(sequencer.Reason)                 {}
func (c *counter) Limited(by sequencer.Limit)                         { c.add(sequencer.Reason(by), 1) }
func (c *counter) Panicked()                                          { c.add("panic", 1) }

func (c *counter) want(t *testing.T, reason sequencer.Reason, want int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := c.counts[reason]; got != want {
		t.Errorf("counted %d requests as %q, want %d", got, reason, want)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
