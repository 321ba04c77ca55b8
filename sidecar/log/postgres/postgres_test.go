package postgres_test

import (
	"testing"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/postgres"
)

func TestStore(t *testing.T) {
	server := pgtest.Start(t)
	logtest.Run(t, func(t *testing.T, layout log.Layout) logtest.Open {
		dsn, dir := server.Database(t), t.TempDir()
		return func(t *testing.T) log.Store { return open(t, dsn, dir, layout) }
	})
	t.Run("SeveralSidecars", func(t *testing.T) { testSeveralSidecars(t, server) })
	t.Run("Rollback", func(t *testing.T) { testRollback(t, server) })
	t.Run("RefusedTextIsKeptAside", func(t *testing.T) { testRefusedText(t, server) })
}

func open(t *testing.T, dsn, dir string, layout log.Layout) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), postgres.Config{DSN: dsn, MaxConnections: 4, Layout: layout, Directory: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testSeveralSidecars: each event is stored once, and each sidecar passes on all of them under numbers of its own.
func testSeveralSidecars(t *testing.T, server *pgtest.Server) {
	dsn := server.Database(t)
	a, b := open(t, dsn, t.TempDir(), log.V1), open(t, dsn, t.TempDir(), log.V1)
	defer func() { _ = a.Close() }()
	defer func() { _ = b.Close() }()
	commit := func(s *postgres.Store, next event.Seq, events ...event.Event) (event.Seq, int) {
		t.Helper()
		entries := logtest.Entries(events...)
		next, err := s.Commit(t.Context(), entries, next)
		if err != nil {
			t.Fatal(err)
		}
		duplicates := 0
		for _, e := range entries {
			if e.Duplicate {
				duplicates++
			}
		}
		return next, duplicates
	}
	nextA, _ := commit(a, 0, logtest.Block(1), logtest.Block(2), logtest.Signature(3, 1, 1))
	nextB, duplicates := commit(b, 0, logtest.Signature(3, 1, 1), logtest.Block(2), logtest.Block(3), logtest.Block(1))
	if nextB != 4 || duplicates != 0 {
		t.Errorf("the second sidecar passes on all four: next %d, %d duplicates", nextB, duplicates)
	}
	if next, duplicates := commit(b, nextB, logtest.Block(1), logtest.Block(3)); next != 4 || duplicates != 2 {
		t.Errorf("but each only once: next %d, %d duplicates", next, duplicates)
	}
	if next, duplicates := commit(a, nextA, logtest.Block(3)); next != 4 || duplicates != 0 {
		t.Errorf("and so does the first: next %d, %d duplicates", next, duplicates)
	}
	for _, s := range []*postgres.Store{a, b} {
		if got, err := s.After(t.Context(), 0, 100, 1<<20); err != nil || len(got) != 4 {
			t.Errorf("%d events, %v", len(got), err)
		}
		if totals, err := s.Totals(t.Context()); err != nil || totals.Events != 4 {
			t.Errorf("totals %+v, %v", totals, err)
		}
	}
	late := open(t, dsn, t.TempDir(), log.V1)
	defer func() { _ = late.Close() }()
	state, err := late.State(t.Context(), 0)
	if err != nil || state.Next != 4 {
		t.Errorf("a new sidecar begins at %d, %v", state.Next, err)
	}
	if next, duplicates := commit(late, state.Next, logtest.Block(1), logtest.Block(9)); next != 5 || duplicates != 1 {
		t.Errorf("it leaves alone what was there before it: next %d, %d duplicates", next, duplicates)
	}
}

// testRefusedText: a value that PostgreSQL refuses does not keep the rest of its group out, and is itself kept in the side table.
func testRefusedText(t *testing.T, server *pgtest.Server) {
	s := open(t, server.Database(t), t.TempDir(), log.V2)
	defer func() { _ = s.Close() }()
	bad := logtest.Fault(2, 4, 1)
	bad.Network = "not UTF-8: \xff"
	next, err := s.Commit(t.Context(), logtest.Entries(logtest.Block(1), bad, logtest.Block(2)), 0)
	if err != nil || next != 3 {
		t.Fatalf("next %d, %v", next, err)
	}
	if _, err := s.BlockByHeight(t.Context(), 2); err != nil {
		t.Errorf("the good block is missing: %v", err)
	}
	if got, err := s.After(t.Context(), 1, 1, 1<<20); err != nil || len(got) != 1 || string(got[0].Body) != string(bad.Body) {
		t.Errorf("the refused event: %d, %v", len(got), err)
	}
}
