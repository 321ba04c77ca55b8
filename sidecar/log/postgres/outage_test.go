package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

type silent struct{}

func (silent) Node(event.NodeState)                   {}
func (silent) Received(event.Filter, event.Kind, int) {}
func (silent) Fault(string, string)                   {}

// TestPostgreSQLStoppedAndStartedUnderLoad: sources are answered all the time, subscribers see every event once, and the database
// ends up with what they saw, in that order.
func TestPostgreSQLStoppedAndStartedUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("stops and starts a server")
	}
	server := pgtest.Start(t)
	dir := t.TempDir()
	store := open(t, server.Database(t), dir, log.V1)
	defer func() { _ = store.Close() }()
	spool, err := log.OpenSpool(filepath.Join(dir, "spool"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var published []event.Seq
	o := log.Defaults()
	o.Store, o.Spool, o.Observer, o.Log, o.Retry = store, spool, silent{}, slog.New(slog.DiscardHandler), 20*time.Millisecond
	o.Publish = func(events []event.Numbered) {
		mu.Lock()
		defer mu.Unlock()
		for i := range events {
			published = append(published, events[i].Seq)
		}
	}
	l, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()

	height := 0
	load := func(count int) {
		for range count {
			height++
			if err := l.Append(t.Context(), []event.Event{logtest.Block(height)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for round := range 3 {
		load(50)
		server.Kill(t)
		load(50)
		if s := l.Status(); s.Away == "" || s.SpoolEvents == 0 {
			t.Errorf("round %d: the database is down, and the log says %+v", round, s)
		}
		server.Restart(t)
		load(50)
	}
	deadline := time.Now().Add(30 * time.Second)
	for l.Status().Away != "" && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond) // a condition, polled
	}
	stored, err := store.After(t.Context(), 0, 10_000, 1<<30)
	if err != nil || len(stored) != height {
		t.Fatalf("%d of %d events are stored, %v; the log says %+v", len(stored), height, err, l.Status())
	}
	for i := range stored {
		if want := logtest.Block(i + 1); string(stored[i].Body) != string(want.Body) || stored[i].Seq != event.Seq(i) {
			t.Fatalf("event %d has number %d and is %s", i, stored[i].Seq, stored[i].Body)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got, want := fmt.Sprint(published), fmt.Sprint(seqs(height)); got != want {
		t.Errorf("subscribers saw %s", got)
	}
}

func seqs(count int) []event.Seq {
	all := make([]event.Seq, count)
	for i := range all {
		all[i] = event.Seq(i)
	}
	return all
}
