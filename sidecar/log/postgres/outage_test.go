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

// away is a log over a database that goes away and comes back, with what subscribers saw.
type away struct {
	t      *testing.T
	log    *log.Log
	store  log.Store
	height int // blocks appended
	end    context.CancelFunc
	ended  chan error

	mu        sync.Mutex
	published []event.Seq
}

func startAway(t *testing.T, store log.Store, dir string) *away {
	t.Helper()
	t.Cleanup(func() { _ = store.Close() })
	spool, err := log.OpenSpool(filepath.Join(dir, "spool"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = spool.Close() })
	a := &away{t: t, store: store, ended: make(chan error, 1)}
	o := log.Defaults()
	o.Store, o.Spool, o.Observer, o.Log, o.Retry = store, spool, silent{}, slog.New(slog.DiscardHandler), 20*time.Millisecond
	o.Publish = func(events []event.Numbered) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for i := range events {
			a.published = append(a.published, events[i].Seq)
		}
	}
	if a.log, err = log.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.end = cancel
	var running sync.WaitGroup
	running.Go(func() { a.ended <- a.log.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return a
}

// load appends so many blocks.
func (a *away) load(count int) {
	a.t.Helper()
	for range count {
		a.height++
		if err := a.log.Append(a.t.Context(), []event.Event{logtest.Block(a.height)}); err != nil {
			a.t.Fatal(err)
		}
	}
}

// spools checks that events go to the spool.
func (a *away) spools(when string) {
	a.t.Helper()
	if s := a.log.Status(); s.Away == "" || s.SpoolEvents == 0 {
		a.t.Errorf("%s, and the log says %+v", when, s)
	}
}

// drains waits until the database has what the spool had.
func (a *away) drains() {
	a.t.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(time.Minute)
	for a.log.Status().Away != "" {
		select {
		case <-poll.C:
		case <-limit:
			a.t.Fatalf("never drained: %+v", a.log.Status())
		}
	}
}

// finish ends the log, and compares what was appended with what is stored and with what subscribers saw: each event once, in order.
func (a *away) finish() {
	a.t.Helper()
	stored, err := a.store.After(a.t.Context(), 0, 10_000, 1<<30)
	if err != nil || len(stored) != a.height {
		a.t.Fatalf("%d of %d events are stored, %v; the log says %+v", len(stored), a.height, err, a.log.Status())
	}
	for i := range stored {
		if want := logtest.Block(i + 1); string(stored[i].Body) != string(want.Body) || stored[i].Seq != event.Seq(i) {
			a.t.Fatalf("event %d has number %d and is %s", i, stored[i].Seq, stored[i].Body)
		}
	}
	a.end()
	if err := <-a.ended; err != nil {
		a.t.Error(err)
	}
	if got, want := fmt.Sprint(a.published), fmt.Sprint(seqs(a.height)); got != want {
		a.t.Errorf("subscribers saw %s", got)
	}
}

// TestPostgreSQLStoppedAndStartedUnderLoad: sources are answered all the time, subscribers see every event once, and the database
// ends up with what they saw, in that order.
func TestPostgreSQLStoppedAndStartedUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("stops and starts a server")
	}
	server := pgtest.Start(t)
	dir := t.TempDir()
	a := startAway(t, open(t, server.Database(t), dir, log.V1), dir)
	for round := range 3 {
		a.load(50)
		server.Kill(t)
		a.load(50)
		a.spools(fmt.Sprintf("round %d: the database is down", round))
		server.Restart(t)
		a.load(50)
	}
	a.drains()
	a.finish()
}

func seqs(count int) []event.Seq {
	all := make([]event.Seq, count)
	for i := range all {
		all[i] = event.Seq(i)
	}
	return all
}
