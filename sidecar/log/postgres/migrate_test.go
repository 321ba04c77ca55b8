package postgres_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/postgres"
)

// old makes a database of layout V1 with some events, and one that is removed, so that numbers are ahead of rows.
func old(t *testing.T, dsn, dir string, more ...event.Event) (count int, next event.Seq) {
	t.Helper()
	s := open(t, dsn, dir, log.V1)
	defer func() { _ = s.Close() }()
	events := append([]event.Event{logtest.Block(1)}, append(logtest.OfNodes1(), logtest.Accepted(20, 5, 400), logtest.Processed(21, 5))...)
	events = append(events, more...)
	next, err := s.Commit(t.Context(), logtest.Entries(events...), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.Prune(t.Context(), log.Retention{Events: int64(len(events)) - 1}, 1); n != 1 || err != nil {
		t.Fatalf("removed %d, %v", n, err)
	}
	return len(events) - 1, next
}

func migrated(from, to string) postgres.Migration {
	return postgres.Migration{From: from, To: to, Origins: log.Origins{APIVersion: "1.5.3", Network: "casper-test"}}
}

// tablesOf counts the tables of a database, and the rows of its event_log (−1 if there is none).
func tablesOf(t *testing.T, dsn string) (tables, logged int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var there bool
	if err := conn.QueryRow(t.Context(), `SELECT count(*), bool_or(tablename = 'event_log') FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables, &there); err != nil && tables > 0 {
		t.Fatal(err)
	}
	if !there {
		return tables, -1
	}
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM event_log`).Scan(&logged); err != nil {
		t.Fatal(err)
	}
	return tables, logged
}

func TestMigration(t *testing.T) {
	server := pgtest.Start(t)
	t.Run("KeepsEverything", func(t *testing.T) { testMigrationKeepsEverything(t, server) })
	t.Run("OfCaspersOwnDatabase", func(t *testing.T) { testMigrationOfCaspers(t, server) })
	t.Run("DryRunWritesNothing", func(t *testing.T) { testMigrationDryRun(t, server) })
	t.Run("Refusals", func(t *testing.T) { testMigrationRefusals(t, server) })
	t.Run("CutShort", func(t *testing.T) { testMigrationCutShort(t, server) })
}

func testMigrationKeepsEverything(t *testing.T, server *pgtest.Server) {
	from, to, dir := server.Database(t), server.Database(t), t.TempDir()
	count, next := old(t, from, dir)
	m := migrated(from, to)
	var done, total int64
	m.Progress = func(d, all int64) { done, total = d, all }
	if err := m.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if done != total || total < int64(count) {
		t.Errorf("progress ended at %d of %d", done, total)
	}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "name an empty database") {
		t.Errorf("a second run: %v", err)
	}
	s := open(t, to, dir, log.V2)
	defer func() { _ = s.Close() }()
	state, err := s.State(t.Context(), 0)
	if err != nil || state.Next != next || len(state.Positions) != 3 {
		t.Errorf("state %+v, %v", state, err)
	}
	got, err := s.After(t.Context(), 0, 100, 1<<20)
	if err != nil || len(got) != count {
		t.Errorf("%d events of %d, %v", len(got), count, err)
	}
	accepted := logtest.Accepted(20, 5, 400)
	if f, err := s.Deploy(t.Context(), event.TransactionAccepted, "Deploy", logtest.Hash(5)); err != nil || string(f.Raw) != `{"transaction":{"Deploy":`+string(accepted.Body)+`}}` || f.Network != "casper-test" || f.APIVersion != "1.5.3" {
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
	if all, err := s.FaultsByEra(t.Context(), 1<<64-1); err != nil || len(all) != 1 {
		t.Errorf("a fault of the last era: %v, %v", all, err)
	}
	again := logtest.Entries(logtest.Block(7), logtest.Parse(99, `{"TransactionAccepted":{"Deploy":{"hash":"`+logtest.Hash(5)+`"}}}`), logtest.Block(8))
	if next, err := s.Commit(t.Context(), again, state.Next); err != nil || next != state.Next+1 {
		t.Errorf("what it knows is a duplicate: next %d, %v", next, err)
	}
	late := open(t, to, t.TempDir(), log.V2) // takes an instance number that nobody has
	if err := late.Close(); err != nil {
		t.Fatal(err)
	}
}

// testMigrationOfCaspers: a database that synod never opened is read, and is not added to.
func testMigrationOfCaspers(t *testing.T, server *pgtest.Server) {
	from, to := server.Database(t), server.Database(t)
	conn, err := pgx.Connect(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, name := range []string{"layout_v1.sql", "layout_common.sql"} {
		script, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), string(script)); err != nil {
			t.Fatal(err)
		}
	}
	block := logtest.Block(7)
	if _, err := conn.Exec(t.Context(), `INSERT INTO event_log (event_type_id, event_source_address, event_id, event_key) VALUES (1, $1, 7, $2)`, logtest.Node, logtest.Hash(7)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `INSERT INTO "BlockAdded" VALUES (7, $1, $2, 1)`, logtest.Hash(7), string(block.Body)); err != nil {
		t.Fatal(err)
	}
	before, _ := tablesOf(t, from)
	if err := migrated(from, to).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, _ := tablesOf(t, from); after != before {
		t.Errorf("the old database had %d tables and has %d", before, after)
	}
	s := open(t, to, t.TempDir(), log.V2)
	defer func() { _ = s.Close() }()
	if f, err := s.BlockByHeight(t.Context(), 7); err != nil || f.Network != "casper-test" {
		t.Errorf("%+v, %v", f, err)
	}
	entries := logtest.Entries(logtest.Block(7), logtest.Block(8))
	if next, err := s.Commit(t.Context(), entries, 0); err != nil || next != 1 || !entries[0].Duplicate {
		t.Errorf("next %d, %v", next, err)
	}
}

func testMigrationDryRun(t *testing.T, server *pgtest.Server) {
	from, to := server.Database(t), server.Database(t)
	old(t, from, t.TempDir())
	m := migrated(from, to)
	m.DryRun = true
	var done, total int64
	m.Progress = func(d, all int64) { done, total = d, all }
	if err := m.Run(t.Context()); err != nil || done == 0 || done != total {
		t.Errorf("%d of %d, %v", done, total, err)
	}
	if tables, _ := tablesOf(t, to); tables != 0 {
		t.Errorf("%d tables were made", tables)
	}
	conn, err := pgx.Connect(t.Context(), from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `UPDATE "BlockAdded" SET raw = 'torn'`); err != nil {
		t.Fatal(err)
	}
	if err := m.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "migrate BlockAdded: event_log_id ") {
		t.Errorf("what cannot be converted: %v", err)
	}
}

func testMigrationRefusals(t *testing.T, server *pgtest.Server) {
	empty, v1, dir := server.Database(t), server.Database(t), t.TempDir()
	old(t, v1, dir)
	check := func(from, to, want string) {
		t.Helper()
		if err := migrated(from, to).Run(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	check(empty, server.Database(t), "there are no tables of a sidecar in it")
	check(v1, v1, "there are tables of a sidecar in it already")
	running := open(t, v1, dir, log.V1)
	check(v1, empty, "a sidecar is connected to it: stop it first")
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), v1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `INSERT INTO "Migration" VALUES (2, FALSE)`); err != nil {
		t.Fatal(err)
	}
	check(v1, empty, "Cannot proceed with migration, newest migration version: 2 didn't finish correctly.")
	if tables, _ := tablesOf(t, empty); tables != 0 {
		t.Errorf("%d tables were made", tables)
	}
}

// testMigrationCutShort ends a migration in its middle, by a signal and by a crash of the server; then it is run again.
func testMigrationCutShort(t *testing.T, server *pgtest.Server) {
	from, to, dir := server.Database(t), server.Database(t), t.TempDir()
	var many []event.Event
	for n := range 1500 {
		many = append(many, logtest.Accepted(uint32(100+n), 100+n, 0))
	}
	count, next := old(t, from, dir, many...)
	for name, end := range map[string]func(cancel func()){
		"by a signal": func(cancel func()) { cancel() },
		"by a crash":  func(func()) { server.Kill(t) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		m := migrated(from, to)
		ended := false
		m.Progress = func(done, total int64) {
			if done > total/2 && !ended {
				ended = true
				end(cancel)
			}
		}
		err := m.Run(ctx)
		cancel()
		if err == nil || !ended {
			t.Errorf("%s: it went on: %v", name, err)
		}
		if name == "by a signal" && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "by a crash" {
			server.Restart(t)
		}
		if _, logged := tablesOf(t, to); logged != -1 {
			t.Errorf("%s: %d rows are in the new event_log", name, logged)
		}
	}
	if err := migrated(from, to).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := open(t, to, dir, log.V2)
	defer func() { _ = s.Close() }()
	got, err := s.After(t.Context(), 0, 10_000, 1<<30)
	state, errState := s.State(t.Context(), 0)
	if err := errors.Join(err, errState); err != nil || len(got) != count || state.Next != next {
		t.Errorf("%d events of %d, next %d of %d, %v", len(got), count, state.Next, next, err)
	}
}
