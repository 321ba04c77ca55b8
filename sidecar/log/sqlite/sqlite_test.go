package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
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
	m := sqlite.Migration{From: from, To: to, Origins: log.Origins{APIVersion: "1.5.3", Network: "casper-test"}}
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
	casperDatabase(t, path, 7)
	db, err := sql.Open("sqlite", path)
	if err != nil {
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

// TestMigrationCutShort: a migration that ends in its middle leaves nothing behind that is taken for a database, and can be run again.
func TestMigrationCutShort(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "old.db3"), filepath.Join(dir, "new.db3")
	casperDatabase(t, from, 2500)
	before, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	m := sqlite.Migration{From: from, To: to, Origins: log.Origins{APIVersion: "1.5.3", Network: "casper-test"}}
	ctx, cancel := context.WithCancel(t.Context())
	m.Progress = func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}
	if err := m.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new file: %v", err)
	}
	if err := os.WriteFile(to+".draft", []byte("of a run that was killed"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.Progress, m.DryRun = nil, true
	if err := m.Run(t.Context()); err != nil {
		t.Errorf("dry run: %v", err)
	}
	if _, err := os.Stat(to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the new file after a dry run: %v", err)
	}
	m.DryRun = false
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(from)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the old file was changed, %v", err)
	}
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: to, Layout: log.V2, Readers: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, height := range []uint64{1, 2500} {
		if f, err := s.BlockByHeight(t.Context(), height); err != nil || f.Network != "casper-test" {
			t.Errorf("block %d: %+v, %v", height, f, err)
		}
	}
}

func TestMigrationRefusals(t *testing.T) {
	dir := t.TempDir()
	check := func(from, want string) {
		t.Helper()
		m := sqlite.Migration{From: from, To: filepath.Join(dir, "new.db3"), DryRun: true}
		if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	check(filepath.Join(dir, "none.db3"), "no such file")
	empty := filepath.Join(dir, "empty.db3")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	check(empty, "there are no tables of a sidecar in it")
	newer := filepath.Join(dir, "newer.db3")
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: newer, Layout: log.V2})
	if err != nil {
		t.Fatal(err)
	}
	check(newer, "another process holds")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	check(newer, "it has layout v2 already")
}

// casperDatabase makes a file as Casper's sidecar 1.x leaves it, with so many blocks.
func casperDatabase(t *testing.T, path string, blocks int) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	do := func(query string, args ...any) {
		t.Helper()
		if _, err := tx.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"layout_v1.sql", "layout_common.sql"} {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		do(string(script))
	}
	for n := 1; n <= blocks; n++ {
		block := logtest.Block(n)
		do(`INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key) VALUES (?, 1, ?, ?, ?)`, n, logtest.Node, n, logtest.Hash(n))
		do(`INSERT INTO "BlockAdded" VALUES (?, ?, ?, ?)`, n, logtest.Hash(n), string(block.Body), n)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
