package postgres_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/postgres"
)

// link passes bytes on between clients and a server, until it is cut: then connections stay open and nothing comes through any more,
// as when a machine vanishes or a firewall forgets.
type link struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	whole    chan struct{} // closed while bytes pass
	ended    chan struct{}
}

func newLink(t *testing.T, server *pgtest.Server) (l *link, host string) {
	t.Helper()
	host, err := os.MkdirTemp("/tmp", "pl") // short: the path of a socket may have 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(host, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	l = &link{listener: listener, server: filepath.Join(server.Host(), ".s.PGSQL.5432"), whole: make(chan struct{}), ended: make(chan struct{})}
	close(l.whole)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { l.join(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		close(l.ended)
		all.Wait()
		_ = os.RemoveAll(host)
	})
	return l, host
}

func (l *link) join(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", l.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() {
			defer func() { done <- struct{}{} }()
			buffer := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(buffer)
				if !l.pass() || err != nil {
					return
				}
				if _, err := way[1].Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
	select {
	case <-done:
	case <-l.ended:
	}
	_ = client.Close()
	_ = server.Close()
}

// pass waits until bytes pass, and reports false when the test ends.
func (l *link) pass() bool {
	l.mu.Lock()
	whole := l.whole
	l.mu.Unlock()
	select {
	case <-whole:
		return true
	case <-l.ended:
		return false
	}
}

func (l *link) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.whole = make(chan struct{})
}

func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.whole)
}

// TestHalfOpenConnectionsToTheDatabase: they are noticed without a word from the other end, events go on through the spool, and what
// had arrived at the database before its answer was lost is stored once.
func TestHalfOpenConnectionsToTheDatabase(t *testing.T) {
	server := pgtest.Start(t)
	l, host := newLink(t, server)
	database := server.Database(t)
	dsn := "host=" + host + database[len("host="+server.Host()):]
	dir := t.TempDir()
	store, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConnections: 4, Layout: log.V1, Directory: dir, Patience: 500 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	spool, err := log.OpenSpool(filepath.Join(dir, "spool"), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = spool.Close() }()
	o := log.Defaults()
	o.Store, o.Spool, o.Observer, o.Log, o.Retry = store, spool, silent{}, slog.New(slog.DiscardHandler), 20*time.Millisecond
	o.Publish = func([]event.Numbered) {}
	events, err := log.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- events.Run(ctx) }()
	height := 0
	load := func(count int) {
		for range count {
			height++
			if err := events.Append(t.Context(), []event.Event{logtest.Block(height)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 {
		load(20)
		l.cut()
		load(20)
		if s := events.Status(); s.Away == "" || s.SpoolEvents == 0 {
			t.Errorf("nothing comes through, and the log says %+v", s)
		}
		l.mend()
		deadline := time.Now().Add(30 * time.Second)
		for events.Status().Away != "" {
			if time.Now().After(deadline) {
				t.Fatalf("never drained: %+v", events.Status())
			}
			<-time.After(5 * time.Millisecond) // a condition, polled
		}
	}
	stored, err := store.After(t.Context(), 0, 10_000, 1<<30)
	if err != nil || len(stored) != height {
		t.Fatalf("%d of %d events are stored, %v", len(stored), height, err)
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
}
