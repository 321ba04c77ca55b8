package client

import (
	"testing"
	"time"

	"github.com/synod-network/synod/client/clienttest"
)

// TestFloodsOfNothingAreLeft: a sequencer has its client check signatures without an end, by saying nothing, or next to nothing.
func TestFloodsOfNothingAreLeft(t *testing.T) {
	for _, c := range []struct {
		name string
		lie  clienttest.Behaviour
		want string
	}{
		{"the same time again and again", clienttest.Behaviour{Idle: true}, "s1 malformed"},
		{"the time in microseconds", clienttest.Behaviour{Crawl: 1}, "s1 flood"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inWorld(t, 3, func(w *world) {
				w.tell(3)
				w.net.Sequencer(0).Behave(c.lie)
				config := w.config()
				config.LivenessMargin = 1
				client := w.run(config)
				w.tell(3)
				w.expect(0)
				time.Sleep(settle)
				if got := liars(client); got != c.want {
					t.Errorf("found %q, want %q", got, c.want)
				}
				if s := client.Status().Sequencers[0]; s.Left == nil {
					t.Error("it is still used")
				}
			})
		})
	}
}

// TestHonestTicksAreNoFlood: as many as an honest sequencer sends in a year, and all at once after the client slept.
func TestHonestTicksAreNoFlood(t *testing.T) {
	var i idleness
	now := time.Unix(0, 0)
	for range 100_000 {
		now = now.Add(10 * time.Millisecond)
		if i.more(now) {
			t.Fatalf("a tick each 10 ms is too much at %v", now)
		}
	}
	i.excuse(24 * time.Hour)
	for n := range 24 * 60 * 60 {
		if i.more(now) {
			t.Fatalf("of the ticks of a day in which nobody read, the %dth is too much", n)
		}
	}
	for n := 0; !i.more(now); n++ {
		if n > idleRate*24*60*60 {
			t.Fatal("there is no bound")
		}
	}
}
