package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func accepted(from, to int) []*log.Entry {
	var events []event.Event
	for n := from; n < to; n++ {
		events = append(events, logtest.Accepted(uint32(n), n, 600))
	}
	return logtest.Entries(events...)
}

func ask(t *testing.T, path, query string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLogRowWithoutItsEvent: somebody removed rows of deploys and left those of event_log. When the deploys come again, under the same
// numbers, they are stored again, wherever they are in a group, and the log rows that were left stay.
func TestLogRowWithoutItsEvent(t *testing.T) {
	config := sqlite.Config{Path: filepath.Join(t.TempDir(), "db"), Layout: log.V1, Readers: 1, AutoCheckpoint: 1000}
	s, err := sqlite.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	next, err := s.Commit(t.Context(), accepted(0, 100), 0)
	if err != nil || next != 100 {
		t.Fatal(next, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if gone := ask(t, config.Path, `DELETE FROM "DeployAccepted" WHERE event_log_id IN (1, 2, 50, 100) RETURNING 4`); gone != 4 {
		t.Fatal(gone)
	}
	if s, err = sqlite.Open(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	group := accepted(0, 130)
	if next, err = s.Commit(t.Context(), group, next); err != nil || next != 134 {
		t.Fatalf("next %d, %v", next, err)
	}
	for n, e := range group {
		if again := n == 0 || n == 1 || n == 49 || n >= 99; e.Duplicate == again {
			t.Errorf("deploy %d: duplicate %t", n, e.Duplicate)
		}
	}
	events, err := s.After(t.Context(), 100, 100, 1<<20)
	if err != nil || len(events) != 34 || len(events[3].Body) < 500 {
		t.Errorf("%d events, %v", len(events), err)
	}
	if n := ask(t, config.Path, `SELECT count(*) FROM event_log WHERE event_key LIKE '%#%'`); n != 4 {
		t.Errorf("%d rows of event_log were let be", n)
	}
	if n := ask(t, config.Path, `SELECT count(*) FROM event_log l JOIN "DeployAccepted" d USING (event_log_id) WHERE l.event_key = d.deploy_hash`); n != 130 {
		t.Errorf("%d deploys have their log row", n)
	}
}

// TestFailedGroupLeavesNoRows: what was collected for a transaction that failed does not go in with the next one.
func TestFailedGroupLeavesNoRows(t *testing.T) {
	config := sqlite.Config{Path: filepath.Join(t.TempDir(), "db"), Layout: log.V1, Readers: 1, AutoCheckpoint: 1000, MaxPages: 150}
	s, err := sqlite.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if next, err := s.Commit(t.Context(), accepted(0, 1000), 0); err == nil {
		t.Fatalf("150 pages hold 1000 deploys: %d", next)
	}
	if next, err := s.Commit(t.Context(), accepted(2000, 2003), 0); err != nil || next != 3 {
		t.Fatalf("next %d, %v", next, err)
	}
	for _, table := range []string{"event_log", "deploy_event", "synod_event", `"DeployAccepted"`} {
		if n := ask(t, config.Path, `SELECT count(*) FROM `+table); n != 3 {
			t.Errorf("%d rows in %s", n, table)
		}
	}
}
