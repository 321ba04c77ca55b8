package log_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// TestResumeReadsDatabaseAndSpool: while the database takes nothing, those who come back get what it holds, then what the spool
// holds, and from anywhere in either.
func TestResumeReadsDatabaseAndSpool(t *testing.T) {
	b := openBench(t, t.TempDir(), 1<<20)
	b.append(logtest.Block(0), logtest.Block(1), logtest.Block(2))
	b.store.set(errors.New("disk full"))
	b.append(logtest.Block(3), logtest.Block(1), logtest.APIVersion("1.5.3"))
	b.append(logtest.Block(2)) // a record in which nobody sees anything
	b.append(logtest.Block(4), logtest.Block(5))
	whole := []string{"BlockAdded 0", "BlockAdded 1", "BlockAdded 2", "BlockAdded 3", "BlockAdded 4", "BlockAdded 5"}
	for from := range whole {
		for _, limit := range []int{1, 2, 100} {
			expect(t, fmt.Sprint("from ", from, " by ", limit), b.readBack(event.Seq(from), limit, 1<<20), strings.Join(whole[from:], ", "))
		}
		expect(t, "by bytes", b.readBack(event.Seq(from), 100, 1), strings.Join(whole[from:], ", "))
	}
	expect(t, "what is to come", b.readBack(6, 10, 1<<20), "")
	if s := b.log.Status(); s.SpoolServed == 0 {
		t.Errorf("%+v", s)
	}
}

// TestResumeWithADatabaseThatCannotBeRead: what the spool holds is served, what only the database holds is refused.
func TestResumeWithADatabaseThatCannotBeRead(t *testing.T) {
	b := openBench(t, t.TempDir(), 1<<20)
	b.append(logtest.Block(0), logtest.Block(1))
	b.store.set(errors.New("connection refused"))
	b.store.setBlind(errors.New("connection refused"))
	b.append(logtest.Block(2), logtest.Block(3))
	expect(t, "the spool", b.readBack(2, 10, 1<<20), "BlockAdded 2, BlockAdded 3")
	if _, err := b.log.After(t.Context(), 1, 10, 1<<20); !errors.Is(err, log.ErrAway) {
		t.Errorf("what only the database holds: %v", err)
	}
}

// TestResumeWhileTheSpoolDrains: however events move from the spool to the database meanwhile, a reader gets all of them, once, in order.
func TestResumeWhileTheSpoolDrains(t *testing.T) {
	b := openBench(t, t.TempDir(), 64<<20)
	const rounds, each = 3, 60
	height := 0
	for range rounds {
		b.store.set(errors.New("away"))
		for range each {
			b.append(logtest.Block(height))
			height++
		}
		b.store.set(nil) // drains while we read
		for range 3 {
			next := event.Seq(0)
			for int(next) < height {
				page, err := b.log.After(t.Context(), next, 20, 1<<20)
				if err != nil || len(page) == 0 {
					t.Fatalf("at %d of %d: %d events, %v", next, height, len(page), err)
				}
				for i := range page {
					if page[i].Seq != next {
						t.Fatalf("event %d is missing: the next is %d", next, page[i].Seq)
					}
					next++
				}
			}
		}
		b.until("drained", func(s log.Status) bool { return s.SpoolEvents == 0 && s.Away == "" })
	}
}

// TestSpoolDrainsBetweenTwoReads: the spool empties after the database was read and before the answer is used.
func TestSpoolDrainsBetweenTwoReads(t *testing.T) {
	for from := range event.Seq(5) {
		b := openBench(t, t.TempDir(), 1<<20)
		b.append(logtest.Block(0), logtest.Block(1))
		b.store.set(errors.New("away"))
		b.append(logtest.Block(2), logtest.Block(3), logtest.Block(4))
		b.store.mu.Lock()
		b.store.read = func() {
			b.store.set(nil)
			b.until("drained", func(s log.Status) bool { return s.SpoolEvents == 0 && s.Away == "" })
		}
		b.store.mu.Unlock()
		whole := []string{"BlockAdded 0", "BlockAdded 1", "BlockAdded 2", "BlockAdded 3", "BlockAdded 4"}
		expect(t, fmt.Sprint("from ", from), b.readBack(from, 10, 1<<20), strings.Join(whole[from:], ", "))
		b.end()
	}
}
