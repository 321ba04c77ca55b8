package sqlite_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

func TestStore(t *testing.T) {
	logtest.Run(t, func(t *testing.T, layout log.Layout) logtest.Open {
		path := filepath.Join(t.TempDir(), "events ?#.db3")
		return func(t *testing.T) log.Store {
			t.Helper()
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: layout, Readers: 4, AutoCheckpoint: 1000})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
}

func TestMigrationToTheOtherLayout(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "old.db3"), filepath.Join(dir, "new.db3")
	old, err := sqlite.Open(t.Context(), sqlite.Config{Path: from, Layout: log.V1, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	events := append(logtest.OfNodes1(), logtest.Accepted(20, 5, 400), logtest.Processed(21, 5))
	next, err := old.Commit(t.Context(), logtest.Entries(events...), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	m := sqlite.Migration{From: from, To: to, APIVersion: "1.5.3", Network: "casper-test"}
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil {
		t.Error("a second run replaced the file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.draft*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: to, Layout: log.V2, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	state, err := s.State(t.Context(), 0)
	if err != nil || state.Next != next || len(state.Positions) != 3 {
		t.Errorf("state %+v, %v", state, err)
	}
	accepted := logtest.Accepted(20, 5, 400)
	if f, err := s.Deploy(t.Context(), event.TransactionAccepted, "Deploy", logtest.Hash(5)); err != nil || string(f.Raw) != `{"transaction":{"Deploy":`+string(accepted.Body)+`}}` || f.Network != "casper-test" {
		t.Errorf("accepted: %s %s, %v", f.Raw, f.Network, err)
	}
	if f, err := s.Deploy(t.Context(), event.TransactionProcessed, "Deploy", logtest.Hash(5)); err != nil || !strings.Contains(string(f.Raw), `"initiator_addr":{"PublicKey":"`) {
		t.Errorf("processed: %s, %v", f.Raw, err)
	}
	if f, err := s.LatestBlock(t.Context()); err != nil || !strings.Contains(string(f.Raw), `"block":{"Version1":{"hash"`) {
		t.Errorf("block: %s, %v", f.Raw, err)
	}
	if all, err := s.Signatures(t.Context(), logtest.Hash(7)); err != nil || len(all) != 1 || !strings.HasPrefix(string(all[0].Raw), `{"V1":{`) {
		t.Errorf("signatures: %v, %v", all, err)
	}
	if f, err := s.Step(t.Context(), 3); err != nil || !strings.Contains(string(f.Raw), "execution_effect") {
		t.Errorf("step: %s, %v", f.Raw, err)
	}
	got, err := s.After(t.Context(), 0, 100, 1<<20)
	if err != nil || len(got) != len(events) {
		t.Errorf("%d events of %d, %v", len(got), len(events), err)
	}
	again := logtest.Entries(logtest.Block(7), logtest.Parse(99, `{"TransactionAccepted":{"Deploy":{"hash":"`+logtest.Hash(5)+`"}}}`), logtest.Block(8))
	if next, err := s.Commit(t.Context(), again, state.Next); err != nil || next != state.Next+1 {
		t.Errorf("what it knows is a duplicate: next %d, %v", next, err)
	}
}

// TestDatabaseOfCaspersSidecarOpensInPlace: rows from before are found and are duplicates, numbers go on after them.
func TestDatabaseOfCaspersSidecarOpensInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sqlite_database.db3")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"layout_v1.sql", "layout_common.sql"} {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(string(script)); err != nil {
			t.Fatal(err)
		}
	}
	block := logtest.Block(7)
	if _, err := db.Exec(`INSERT INTO event_log (event_type_id, event_source_address, event_id, event_key) VALUES (1, ?, 7, ?)`, logtest.Node, logtest.Hash(7)); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO "BlockAdded" VALUES (7, ?, ?, 1)`, logtest.Hash(7), string(block.Body)); err != nil {
		t.Fatal(err)
	}
	before := schema(t, db)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: log.V1, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	entries := logtest.Entries(logtest.Block(7), logtest.Block(8))
	if _, err := s.Commit(t.Context(), entries, 0); err != nil || !entries[0].Duplicate || entries[1].Duplicate {
		t.Errorf("%v %v, %v", entries[0].Duplicate, entries[1].Duplicate, err)
	}
	if _, err := s.BlockByHeight(t.Context(), 7); err != nil {
		t.Error(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: log.V1}); err == nil || !strings.Contains(err.Error(), "another process holds") {
		t.Errorf("a second opening: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var dangling int
	if err := db.QueryRow(`SELECT count(*) FROM pragma_foreign_key_check`).Scan(&dangling); err != nil || dangling != 0 {
		t.Errorf("%d references lead nowhere, %v", dangling, err)
	}
	for name, want := range before {
		if got := schema(t, db)[name]; got != want {
			t.Errorf("%s was changed:\n%s\n%s", name, want, got)
		}
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: log.V2}); !errors.Is(err, log.ErrOtherLayout) || !strings.Contains(err.Error(), "synod sidecar migrate") {
		t.Errorf("as the other layout: %v", err)
	}
	if _, err := db.Exec(`INSERT INTO "Migration" VALUES (2, FALSE)`); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: log.V1}); err == nil || !strings.Contains(err.Error(), "Cannot proceed with migration, newest migration version: 2 didn't finish correctly.") {
		t.Errorf("after a failed migration: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func schema(t *testing.T, db *sql.DB) map[string]string {
	t.Helper()
	rows, err := db.Query(`SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	all := make(map[string]string)
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		all[name] = text
	}
	return all
}

// TestFullDatabaseStoresNothingOfTheGroup: SQLite says that it is full in the middle of a group.
func TestFullDatabaseStoresNothingOfTheGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: log.V1, Readers: 1, MaxPages: 60})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var large []event.Event
	for n := range 200 {
		large = append(large, logtest.Accepted(uint32(n), n, 3000))
	}
	if _, err := s.Commit(t.Context(), logtest.Entries(large...), 0); err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("storing 600 kB in 240 kB: %v", err)
	}
	if got, err := s.After(t.Context(), 0, 10, 1000); err != nil || len(got) != 0 {
		t.Errorf("%d events are there, %v", len(got), err)
	}
	if next, err := s.Commit(t.Context(), logtest.Entries(large[0]), 0); err != nil || next != 1 {
		t.Errorf("one that fits: next %d, %v", next, err)
	}
}
