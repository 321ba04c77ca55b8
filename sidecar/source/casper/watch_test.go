package casper

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// deaf is an observer that hears nothing.
type deaf struct{}

func (deaf) Node(event.NodeState)                   {}
func (deaf) Received(event.Filter, event.Kind, int) {}
func (deaf) Fault(category, description string)     {}

// blocking is a connection on which each byte is waited for.
type blocking chan byte

func (b blocking) Read(to []byte) (int, error) {
	to[0] = <-b
	return 1, nil
}

// TestSlowSinkIsNotSilence: a stream that nobody reads, since the sink has no room, must not be taken for a dead one. One that says
// nothing while it is read must.
func TestSlowSinkIsNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := make(blocking)
		w := &watched{in: in}
		ended := make(chan error, 1)
		go func() { ended <- w.watch(t.Context(), 10*time.Second, time.Minute, deaf{}) }()
		read := func() {
			if _, err := w.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
		}
		go read()
		time.Sleep(50 * time.Second)
		in <- 1
		synctest.Wait()
		time.Sleep(time.Hour) // the sink has no room
		go read()
		time.Sleep(59 * time.Second)
		in <- 1 // a keep-alive, just in time
		synctest.Wait()
		go read()
		synctest.Wait()
		select {
		case err := <-ended:
			t.Fatalf("taken for dead: %v", err)
		default:
		}
		begun := time.Now()
		err := <-ended
		if err == nil || !strings.Contains(err.Error(), "nothing came for 1m0s") {
			t.Error(err)
		}
		if after := time.Since(begun); after <= time.Minute || after > 71*time.Second {
			t.Errorf("noticed after %s", after)
		}
		close(in)
	})
}

func TestBuildVersions(t *testing.T) {
	for text, want := range map[string]string{
		"1.5.3": "1.5.3", "5.1.111-b94c4f79a": "5.1.111", "2.0.0-a2b4c6d8e@DEBUG": "2.0.0", "1.5.2-casper-mainnet": "1.5.2",
		"": "", "1.5": "", "-1.5.3": "", "1.5.x": "", "1.5.3.4": "", "1.5.99999999999": "", "v1.5.3": "",
	} {
		got, err := buildVersion(text)
		if err == nil && got.String() != want || err != nil && want != "" {
			t.Errorf("%q: %s, %v; want %q", text, got, err, want)
		}
	}
	if !(Version{1, 5, 1}).Less(Minimum1) || (Version{1, 5, 2}).Less(Minimum1) || (Version{2, 0, 0}).Less(Minimum1) || !(Version{1, 10, 0}).Less(Minimum2) {
		t.Error("the order of versions is wrong")
	}
}

// TestQueueIsBounded: one event always fits, more only within the bounds.
func TestQueueIsBounded(t *testing.T) {
	q := newQueue(3, 100)
	event := func(size int) event.Event { return event.Event{Body: make([]byte, size)} }
	for _, tc := range []struct {
		size int
		fits bool
	}{{1000, true}, {1, false}} {
		if q.tryPut(event(tc.size)) != tc.fits {
			t.Errorf("%d bytes: %t", tc.size, !tc.fits)
		}
	}
	if batch := q.take(nil); len(batch) != 1 {
		t.Errorf("%d events", len(batch))
	}
	for i := range 5 {
		if q.tryPut(event(1)) != (i < 3) {
			t.Errorf("event %d", i)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.put(ctx, event(1)); err == nil {
		t.Error("a full queue took an event")
	}
	q.close()
	if first, second := q.take(nil), q.take(nil); len(first) != 3 || second != nil {
		t.Errorf("%d events, then %v", len(first), second)
	}
}
