package log_test

import (
	"errors"
	"testing"

	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// TestHangingDatabaseHoldsUpNobody: a database that takes requests and answers none, as behind half-open connections, is tried beside
// what goes on: new events are made durable in the spool and shown meanwhile.
func TestHangingDatabaseHoldsUpNobody(t *testing.T) {
	b := openBench(t, t.TempDir(), 1<<20)
	hang := make(chan struct{})
	b.append(logtest.Block(0))
	b.store.set(errors.New("no route to host"))
	b.append(logtest.Block(1))
	b.store.mu.Lock()
	b.store.away, b.store.hang, b.store.hung = nil, hang, make(chan struct{}, 1)
	b.store.mu.Unlock()
	<-b.store.hung // an attempt to store what the spool holds is under way
	b.append(logtest.Block(2))
	b.append(logtest.Block(3))
	expect(t, "published", b.shown(), "BlockAdded 0, BlockAdded 1, BlockAdded 2, BlockAdded 3")
	expect(t, "read back", b.readBack(1, 10, 1<<20), "BlockAdded 1, BlockAdded 2, BlockAdded 3")
	close(hang)
	b.until("drained", func(s log.Status) bool { return s.SpoolEvents == 0 && s.Away == "" })
	expect(t, "stored", b.stored(), "BlockAdded 0, BlockAdded 1, BlockAdded 2, BlockAdded 3")
}

// TestEndWhileTheDatabaseHangs: the end does not wait for the database, and nothing is lost.
func TestEndWhileTheDatabaseHangs(t *testing.T) {
	dir := t.TempDir()
	b := openBench(t, dir, 1<<20)
	b.store.set(errors.New("no route to host"))
	b.append(logtest.Block(0))
	b.store.mu.Lock()
	b.store.away, b.store.hang, b.store.hung = nil, make(chan struct{}), make(chan struct{}, 1)
	b.store.mu.Unlock()
	<-b.store.hung
	b.end()
	b = openBench(t, dir, 1<<20)
	expect(t, "stored", b.stored(), "BlockAdded 0")
}
