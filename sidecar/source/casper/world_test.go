package casper_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/mocknode"
	"github.com/synod-network/synod/sidecar/source/casper"
)

// patience bounds each wait. Nothing takes so long unless it is broken.
const patience = time.Minute

// memory is a sink, with the positions and the observations that belong to it. It keeps everything, duplicates too.
type memory struct {
	mu        sync.Mutex
	events    []event.Event
	positions map[event.Origin]uint32
	states    map[string][]event.NodeState
	faults    map[string]int
	changed   chan struct{}
	gate      chan struct{} // while not nil, Append waits for it to be closed
	fail      error
}

func newMemory() *memory {
	return &memory{positions: map[event.Origin]uint32{}, states: map[string][]event.NodeState{}, faults: map[string]int{}, changed: make(chan struct{})}
}

func (m *memory) Append(ctx context.Context, batch []event.Event) error {
	m.mu.Lock()
	gate := m.gate
	m.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	for _, e := range batch {
		m.events = append(m.events, e)
		if e.HasID {
			m.positions[e.Origin] = e.ID
		}
	}
	m.signal()
	return nil
}

func (m *memory) signal() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Position(_ context.Context, origin event.Origin) (uint32, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id, known := m.positions[origin]
	return id, known, nil
}

func (m *memory) Node(state event.NodeState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states[state.Node] = append(m.states[state.Node], state)
	m.signal()
}

func (m *memory) Received(event.Filter, event.Kind, int) {}

func (m *memory) Fault(category, description string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults[category+" "+description]++
	m.signal()
}

// await waits until a condition on the memory, which is locked meanwhile, holds.
func (m *memory) await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		m.mu.Lock()
		done, changed, count := holds(), m.changed, len(m.events)
		m.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			m.mu.Lock()
			defer m.mu.Unlock()
			t.Fatalf("waited for %s; there are %d events, states %v, faults %v", what, count, m.states, m.faults)
		}
	}
}

// awaitCount waits for so many events with the numbers of a node.
func (m *memory) awaitCount(t testing.TB, count int) {
	t.Helper()
	m.await(t, fmt.Sprint(count, " events"), func() bool { return len(m.numbered()) >= count })
}

// awaitConnected waits until observers have heard that a node is connected, which is told after its first events, and wants it to have
// been left at no time.
func (m *memory) awaitConnected(t testing.TB, node string) {
	t.Helper()
	m.await(t, "the connection", func() bool { return slices.Contains(m.statuses(node), event.Connected) })
	m.look(func() {
		if got := fmt.Sprint(m.statuses(node)); got != "[0 1 2]" {
			t.Errorf("statuses %s", got)
		}
	})
}

func (m *memory) numbered() (all []event.Event) {
	for _, e := range m.events {
		if e.HasID {
			all = append(all, e)
		}
	}
	return all
}

// look lets a test see the memory while a reader may still write to it.
func (m *memory) look(see func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	see()
}

func (m *memory) statuses(node string) (all []event.Status) {
	for _, s := range m.states[node] {
		if len(all) == 0 || all[len(all)-1] != s.Status {
			all = append(all, s.Status)
		}
	}
	return all
}

// journal is what a mock node says it sent.
type journal struct {
	mu   sync.Mutex
	sent []mocknode.Sent
}

func (j *journal) add(s mocknode.Sent) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sent = append(j.sent, s)
}

func (j *journal) all() []mocknode.Sent {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.sent)
}

// pretend runs a mock node that makes events only when asked to.
func pretend(t testing.TB, change func(*mocknode.Options)) (*mocknode.Node, *journal) {
	t.Helper()
	o, sent := mocknode.Defaults(), &journal{}
	o.Rate, o.Sent, o.KeepAlive, o.Ring = 0, sent.add, 20*time.Millisecond, 1_000_000
	if change != nil {
		change(&o)
	}
	ctx, stop := context.WithCancel(context.Background())
	n, err := mocknode.Listen(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return n, sent
}

// reading is how a test reads a node, impatiently.
func reading(n *mocknode.Node) casper.Node {
	return casper.Node{
		SSE: n.SSEAddress(), REST: n.RESTAddress(), MaxAttempts: 1000, RetryDelay: time.Millisecond,
		ConnectTimeout: patience / 3, CheckEvery: 10 * time.Millisecond, Silence: patience / 3,
	}
}

// run reads nodes into a sink until the test ends or stop is called, which returns what Run returned.
func run(t testing.TB, sink *memory, change func(*casper.Options), nodes ...casper.Node) (stop func() error) {
	t.Helper()
	o := casper.Options{Nodes: nodes, Minimum: casper.Minimum1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if change != nil {
		change(&o)
	}
	source, err := casper.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx, sink, sink, sink) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// finish waits until reading ends by itself.
func finish(t testing.TB, sink *memory, nodes ...casper.Node) error {
	t.Helper()
	source, err := casper.New(casper.Options{Nodes: nodes, Minimum: casper.Minimum1, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience, errors.New("the test lost patience"))
	defer cancel()
	return source.Run(ctx, sink, sink, sink)
}

// compare checks that what came from a node is exactly what it sent, stream by stream and in its order, apart from what came again.
func compare(t testing.TB, sink *memory, sent []mocknode.Sent) {
	t.Helper()
	sink.mu.Lock()
	defer sink.mu.Unlock()
	got, want := map[event.Filter][]string{}, map[event.Filter][]string{}
	for _, e := range distinct(sink.events) {
		if e.Kind != event.APIVersion {
			got[e.Origin.Filter] = append(got[e.Origin.Filter], fmt.Sprintf("%d %t %s", e.ID, e.HasID, e.AppendJSON(nil)))
		}
	}
	for _, s := range sent {
		if s.Data == nil {
			continue // a comment
		}
		want[s.Filter] = append(want[s.Filter], fmt.Sprintf("%d %t %s", s.ID, s.HasID, string([]rune(string(s.Data))))) // what is not text is replaced
	}
	for filter := range want {
		for i := range max(len(got[filter]), len(want[filter])) {
			switch {
			case i >= len(got[filter]):
				t.Fatalf("%s: %d of %d events came; the first that is missing: %.200s", filter, i, len(want[filter]), want[filter][i])
			case i >= len(want[filter]):
				t.Fatalf("%s: %d events too many; the first: %.200s", filter, len(got[filter])-i, got[filter][i])
			case got[filter][i] != want[filter][i]:
				t.Fatalf("%s: event %d is %.200s\nwant %.200s", filter, i, got[filter][i], want[filter][i])
			}
		}
	}
}

// distinct leaves out what came again after a resume, which the sink of a sidecar knows by its key.
func distinct(events []event.Event) (first []event.Event) {
	seen := map[string]bool{}
	for _, e := range events {
		if key, err := e.Key(); err == nil {
			name := fmt.Sprint(e.Kind, key)
			if seen[name] {
				continue
			}
			seen[name] = true
		}
		first = append(first, e)
	}
	return first
}
