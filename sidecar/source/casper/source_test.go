package casper_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/mocknode"
	"github.com/synod-network/synod/sidecar/source/casper"
)

var (
	node1 = mocknode.Version{1, 5, 3}
	node2 = mocknode.Version{2, 0, 0}
)

func TestReadsEverythingInOrder(t *testing.T) {
	for _, version := range []mocknode.Version{node1, node2} {
		t.Run(version.String(), func(t *testing.T) {
			n, sent := pretend(t, func(o *mocknode.Options) { o.Version = version })
			n.Emit(300)
			sink := newMemory()
			run(t, sink, nil, reading(n))
			sink.awaitCount(t, 300)
			n.Emit(300)
			sink.awaitCount(t, 600)
			compare(t, sink, sent.all())
			sink.look(func() {
				for _, e := range sink.numbered() {
					if e.APIVersion != version.String() || e.Network != "casper-example" || e.Build != version.Build() || e.Received.IsZero() || e.Origin.Node != "http://"+n.SSEAddress()+"/" {
						t.Fatalf("%+v", e)
					}
				}
			})
			sink.awaitConnected(t, n.SSEAddress())
		})
	}
}

func TestAPIVersionComesFirst(t *testing.T) {
	n, _ := pretend(t, nil)
	n.Emit(50)
	sink := newMemory()
	run(t, sink, nil, reading(n))
	sink.awaitCount(t, 50)
	began := map[event.Filter]bool{}
	sink.look(func() {
		for _, e := range sink.events {
			if began[e.Origin.Filter] = began[e.Origin.Filter] || e.Kind == event.APIVersion && string(e.Body) == `"1.5.3"` && !e.HasID; !began[e.Origin.Filter] {
				t.Fatalf("%s began with %s", e.Origin.Filter, e.AppendJSON(nil))
			}
		}
	})
}

func TestNodeThatIsTooOld(t *testing.T) {
	n, _ := pretend(t, func(o *mocknode.Options) { o.Version = mocknode.Version{1, 5, 1} })
	n.Emit(10)
	sink := newMemory()
	if err := finish(t, sink, reading(n)); !errors.Is(err, casper.ErrUnavailable) || err.Error() != "Connected node(s) are unavailable" {
		t.Error(err)
	}
	states := sink.states[n.SSEAddress()]
	last := states[len(states)-1]
	if len(sink.events) != 0 || last.Status != event.Incompatible || !strings.Contains(last.LastError, "Node version expected to be >= 1.5.2.") {
		t.Errorf("%d events, %+v", len(sink.events), last)
	}
}

func TestNodeOfAnotherNetwork(t *testing.T) {
	n, _ := pretend(t, func(o *mocknode.Options) { o.Network = "casper-test" })
	sink := newMemory()
	stop := run(t, sink, func(o *casper.Options) { o.Network = "casper" }, reading(n))
	sink.await(t, "the node to be given up", func() bool { return slices.Contains(sink.statuses(n.SSEAddress()), event.Incompatible) })
	if err := stop(); len(sink.events) > 0 {
		t.Error(err, sink.events)
	}
}

// TestResumesExactly stops and starts reading again and again, as a sidecar that is killed does: its sink keeps events and positions,
// all else is gone.
func TestResumesExactly(t *testing.T) {
	for _, version := range []mocknode.Version{node1, node2} {
		t.Run(version.String(), func(t *testing.T) {
			n, sent := pretend(t, func(o *mocknode.Options) {
				o.Version = version
				o.Faults.GarbageEvery = 7
				o.FirstID = 1<<32 - 150
				o.Ring = 5000
			})
			sink, total, streams := newMemory(), 0, 3
			if version.OneStream() {
				streams = 1
			}
			for round := range 8 {
				stop := run(t, sink, nil, reading(n))
				sink.await(t, "the streams", func() bool { return len(sink.events) >= streams })
				total += n.Emit(40)
				if round == 0 {
					sink.awaitCount(t, total) // so that each stream has a position: 0 means little to a node whose numbers start again
				}
				sink.awaitCount(t, total/(8-round))
				_ = stop()
			}
			stop := run(t, sink, nil, reading(n))
			numbered := 0
			for _, s := range sent.all() {
				if s.HasID {
					numbered++
				}
			}
			sink.await(t, "all events", func() bool {
				distinct := map[string]bool{}
				for _, e := range sink.numbered() {
					distinct[fmt.Sprint(e.Origin.Filter, e.ID)] = true
				}
				return len(distinct) == numbered
			})
			_ = stop()
			compareNumbered(t, sink, sent.all())
		})
	}
}

// compareNumbered leaves out what has no number: a node that sends such things sends them again.
func compareNumbered(t *testing.T, sink *memory, sent []mocknode.Sent) {
	t.Helper()
	sink.events = slices.DeleteFunc(sink.events, func(e event.Event) bool { return !e.HasID })
	compare(t, sink, slices.DeleteFunc(sent, func(s mocknode.Sent) bool { return !s.HasID }))
}

// TestHealthyNodeIsNeverAbandoned: Casper's sidecar counts attempts over the life of the process, so that a node that is there is
// given up after max_attempts disconnections.
func TestHealthyNodeIsNeverAbandoned(t *testing.T) {
	n, sent := pretend(t, func(o *mocknode.Options) { o.Version = node2; o.Faults.DisconnectEvery = 10 })
	n.Emit(300)
	sink := newMemory()
	reader := reading(n)
	reader.MaxAttempts = 2
	run(t, sink, nil, reader)
	sink.await(t, "all events", func() bool {
		numbered := sink.numbered()
		return len(numbered) > 0 && numbered[len(numbered)-1].ID == 299
	})
	compare(t, sink, sent.all())
}

func TestDeadNodeIsGivenUpAndTheOthersAreNot(t *testing.T) {
	alive, _ := pretend(t, nil)
	dead := casper.Node{SSE: "127.0.0.1:1", REST: "127.0.0.1:1", MaxAttempts: 3, RetryDelay: time.Millisecond, ConnectTimeout: time.Second, CheckEvery: time.Second, Silence: time.Second}
	sink := newMemory()
	stop := run(t, sink, nil, dead, reading(alive))
	sink.await(t, "the dead node to be given up", func() bool { return slices.Contains(sink.statuses(dead.SSE), event.Defunct) })
	alive.Emit(40)
	sink.awaitCount(t, 40)
	attempts := 0
	sink.look(func() {
		for _, s := range sink.states[dead.SSE] {
			attempts = max(attempts, s.Attempts)
		}
	})
	if attempts != 3 {
		t.Errorf("given up after %d attempts, want 3", attempts)
	}
	_ = stop()
	if err := finish(t, newMemory(), dead); !errors.Is(err, casper.ErrUnavailable) {
		t.Error(err)
	}
}

// TestNodeWithoutProgressIsGivenUp: what was sent before is no progress.
func TestNodeWithoutProgressIsGivenUp(t *testing.T) {
	n, _ := pretend(t, func(o *mocknode.Options) { o.Version = node2; o.Faults.DisconnectEvery = 1 })
	n.Emit(5)
	sink := newMemory()
	reader := reading(n)
	reader.MaxAttempts = 4
	if err := finish(t, sink, reader); !errors.Is(err, casper.ErrUnavailable) {
		t.Error(err)
	}
	if states := sink.states[n.SSEAddress()]; states[len(states)-1].Status != event.Defunct || len(sink.numbered()) != 5 {
		t.Errorf("%d events, %v", len(sink.numbered()), sink.statuses(n.SSEAddress()))
	}
}

// TestSiblingStreamsAreEnded: Casper's sidecar leaves the other streams open when one is lost, and opens three new ones.
func TestSiblingStreamsAreEnded(t *testing.T) {
	n, _ := pretend(t, func(o *mocknode.Options) { o.Faults.DisconnectEvery = 40; o.Subscribers = 6 })
	sink := newMemory()
	run(t, sink, nil, reading(n))
	for round := range 4 {
		n.Emit(100)
		sink.await(t, "the last event", func() bool {
			seen := map[uint32]bool{}
			for _, e := range sink.numbered() {
				seen[e.ID] = true
			}
			return len(seen) == 100*(round+1)
		})
	}
	if open := n.State().Streams; open > 6 {
		t.Errorf("%d streams are open", open)
	}
}

// TestWhatIsNotUnderstoodIsPassedOn: Casper's sidecar reconnects when it meets an event that it cannot decode, gets the same event
// again, and so on until it gives the node up.
func TestWhatIsNotUnderstoodIsPassedOn(t *testing.T) {
	n, sent := pretend(t, func(o *mocknode.Options) { o.Faults.GarbageEvery = 3 })
	n.Emit(120)
	sink := newMemory()
	run(t, sink, nil, reading(n))
	want := sent.all()
	sink.await(t, "all that was sent", func() bool { return len(sink.events) >= len(want)-120/3/8+3 }) // without comments, with three API versions
	compare(t, sink, want)
	sink.awaitConnected(t, n.SSEAddress())
	sink.look(func() {
		for fault, count := range map[string]int{
			"connection_manager deserialization_error:events/main": 15, "connection_manager unknown_event": 5, "connection_manager event_without_id": 5,
		} {
			if sink.faults[fault] != count {
				t.Errorf("%s: %d, want %d; %v", fault, sink.faults[fault], count, sink.faults)
			}
		}
	})
}

func TestNodeThatAnswersNothingIsLeftInTime(t *testing.T) {
	n, _ := pretend(t, nil)
	n.Emit(40)
	n.Mute(time.Hour)
	sink := newMemory()
	reader := reading(n)
	reader.MaxAttempts, reader.ConnectTimeout = 2, 30*time.Millisecond
	if err := finish(t, sink, reader); !errors.Is(err, casper.ErrUnavailable) {
		t.Error(err)
	}
}

func TestSilentStreamIsOpenedAnew(t *testing.T) {
	n, sent := pretend(t, func(o *mocknode.Options) { o.Version = node2 })
	n.Emit(10)
	sink := newMemory()
	reader := reading(n)
	reader.Silence = 100 * time.Millisecond
	run(t, sink, nil, reader)
	sink.awaitCount(t, 10)
	n.Stall(300 * time.Millisecond)
	n.Emit(10)
	sink.await(t, "the silence to be noticed", func() bool { return sink.faults["connection_manager no_message_timeout"] > 0 })
	sink.await(t, "the rest", func() bool {
		numbered := sink.numbered()
		return numbered[len(numbered)-1].ID == 19
	})
	compare(t, sink, sent.all())
}

// TestKeepAlivesCount: a quiet node is not a dead one.
func TestKeepAlivesCount(t *testing.T) {
	silence, last := 150*time.Millisecond, 10*time.Second
	for ; statusesWhenQuiet(t, silence) != "[0 1 2]"; silence *= 4 { // a machine that stood still for so long looks like a dead node
		if silence > last {
			t.Fatal("a quiet node is left")
		}
	}
}

// statusesWhenQuiet is how a node that says nothing for longer than the silence looks to a reader.
func statusesWhenQuiet(t *testing.T, silence time.Duration) (statuses string) {
	t.Helper()
	n, _ := pretend(t, func(o *mocknode.Options) { o.Version = node2; o.KeepAlive = 5 * time.Millisecond })
	n.Emit(1)
	sink := newMemory()
	reader := reading(n)
	reader.Silence, reader.CheckEvery = silence, 5*time.Millisecond
	run(t, sink, nil, reader)
	sink.awaitCount(t, 1)
	quiet := time.NewTimer(4 * silence)
	<-quiet.C
	n.Emit(1)
	sink.awaitCount(t, 2)
	sink.look(func() { statuses = fmt.Sprint(sink.statuses(n.SSEAddress())) })
	return statuses
}

// TestSlowSinkLosesNothing: what the sink has no room for stays with the node.
func TestSlowSinkLosesNothing(t *testing.T) {
	n, sent := pretend(t, func(o *mocknode.Options) { o.Version = node2 })
	sink := newMemory()
	sink.gate = make(chan struct{})
	reader := reading(n)
	reader.ConnectTimeout = patience
	run(t, sink, nil, reader)
	n.Emit(5_000)
	sink.mu.Lock()
	close(sink.gate)
	sink.gate = nil
	sink.mu.Unlock()
	sink.awaitCount(t, 5_000)
	compare(t, sink, sent.all())
}

func TestSinkThatRefusesEndsReading(t *testing.T) {
	n, _ := pretend(t, nil)
	n.Emit(40)
	sink := newMemory()
	sink.fail = errors.New("closed")
	if err := finish(t, sink, reading(n)); !errors.Is(err, sink.fail) {
		t.Error(err)
	}
}

// TestUpgrade follows a node to a newer version, and from the three streams of 1.x to the one of 2.x. What the node said last, just
// before it went, is gone after its restart.
func TestUpgrade(t *testing.T) {
	for _, to := range []mocknode.Version{{1, 5, 4}, node2} {
		t.Run(to.String(), func(t *testing.T) {
			n, sent := pretend(t, nil)
			sink := newMemory()
			run(t, sink, nil, reading(n))
			n.Emit(40)
			sink.awaitCount(t, 40)
			n.Emit(200)
			n.Upgrade(to, 50*time.Millisecond)
			sink.await(t, "the new version", func() bool {
				return slices.ContainsFunc(sink.states[n.SSEAddress()], func(s event.NodeState) bool { return s.Build == to.Build() })
			})
			sink.await(t, "the new streams", func() bool {
				return slices.ContainsFunc(sink.events, func(e event.Event) bool { return e.Kind == event.APIVersion && e.APIVersion == to.String() })
			})
			n.Emit(40)
			sink.await(t, "all events and the Shutdown", func() bool { return len(distinct(sink.numbered())) == 281 })
			compare(t, sink, sent.all())
		})
	}
}

// TestNodeThatCountsAnew has lost its count, and starts again at 0.
func TestNodeThatCountsAnew(t *testing.T) {
	n, sent := pretend(t, func(o *mocknode.Options) { o.Version = node2 })
	n.Emit(30)
	sink := newMemory()
	sink.positions[event.Origin{Node: "http://" + n.SSEAddress() + "/", Filter: event.FilterEvents}] = 500
	run(t, sink, nil, reading(n))
	sink.await(t, "the streams", func() bool { return len(sink.events) > 0 })
	n.Emit(30)
	sink.awaitCount(t, 60)
	compare(t, sink, sent.all())
	sink.look(func() {
		if sink.faults["connection_manager node_counts_anew"] != 1 {
			t.Error(sink.faults)
		}
	})
}

// TestFlappingNode is up and down all the time.
func TestFlappingNode(t *testing.T) {
	n, sent := pretend(t, nil)
	sink := newMemory()
	run(t, sink, nil, reading(n))
	for round := range 6 {
		n.Emit(100)
		n.Down(10 * time.Millisecond)
		sink.await(t, "all events", func() bool {
			seen := map[uint32]bool{}
			for _, e := range sink.numbered() {
				seen[e.ID] = true
			}
			return len(seen) == 100*(round+1)
		})
	}
	compare(t, sink, sent.all())
}
