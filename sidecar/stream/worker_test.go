package stream

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/halfopen/halfopentest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// TestSilenceIsNoticedWithoutTheKernel: systems that do not limit it themselves only say that the socket takes nothing.
func TestSilenceIsNoticedWithoutTheKernel(t *testing.T) {
	o := Defaults(50)
	o.Log = slog.New(slog.DiscardHandler)
	s, err := New(o, 0, "1.5.3")
	if err != nil {
		t.Fatal(err)
	}
	_, near := halfopentest.Pair(t, 0)
	sub, err := newSubscriber(near, pathDeploys)
	if err != nil {
		t.Fatal(err)
	}
	sub.at, sub.maxBehind, sub.maxBehindBytes = s.newest, 1000, 1<<30
	sub.wrote = time.Now()
	for n := range 200 { // 20 MB: more than sockets buffer
		s.Publish([]event.Numbered{{Event: logtest.Accepted(1, n, 100_000), Seq: event.Seq(n)}})
	}
	w := s.workers[0]
	for tries := 0; ; tries++ { // while the socket takes more, as the kernel passes it on to the other end, the time begins anew
		if err := w.serve(sub, sub.wrote.Add(o.Patience-1), true); err != nil {
			t.Fatalf("before the time is up: %v", err)
		}
		if err := w.serve(sub, sub.wrote.Add(o.Patience), true); errors.Is(err, errSilent) {
			return
		} else if err != nil || tries == 1000 {
			t.Fatalf("when the time is up: %v, blocked %v", err, sub.blocked)
		}
	}
}
