package postgres_test

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/log"
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
	a := startAway(t, store, dir)
	for range 2 {
		a.load(20)
		l.cut()
		a.load(20)
		a.spools("nothing comes through")
		l.mend()
		a.drains()
	}
	a.finish()
}
