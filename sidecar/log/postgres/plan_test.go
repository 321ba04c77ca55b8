package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// TestKeysFindTheirIndex: reading events back by their keys, hundreds at once, takes the whole of an index on every table, so that it
// stays fast in a database of millions. PostgreSQL decides by cost: here it is told that other plans are dear.
func TestKeysFindTheirIndex(t *testing.T) {
	server := pgtest.Start(t)
	for _, layout := range []log.Layout{log.V1, log.V2} {
		dsn := server.Database(t)
		s, err := Open(t.Context(), Config{DSN: dsn, MaxConnections: 2, Layout: layout, Directory: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		if _, err := conn.Exec(t.Context(), `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off`); err != nil {
			t.Fatal(err)
		}
		for _, kind := range event.Kinds() {
			if layout.Type(kind) == 0 || kind == event.Shutdown {
				continue
			}
			plan := explain(t, conn, `SELECT t.raw FROM `+s.keyed(kind))
			want := "k.a"
			if kind == event.TransactionAccepted {
				want = "transaction_type_id"
			}
			_, condition, indexed := strings.Cut(plan, "Index Cond: ")
			condition, _, _ = strings.Cut(condition, "\n")
			if !indexed || !strings.Contains(condition, want) {
				t.Errorf("layout %s, %s is read as\n%s", layout, kind, plan)
			}
		}
		if plan := explain(t, conn, `SELECT raw FROM "Fault" WHERE public_key = $1 AND $2::text[] IS NOT NULL`); !strings.Contains(plan, "synod_fault_by_key") {
			t.Errorf("layout %s: faults of a key are read as\n%s", layout, plan)
		}
	}
}

func explain(t *testing.T, conn *pgx.Conn, query string) string {
	t.Helper()
	query = strings.NewReplacer("$1::text[]", `'{"1"}'::text[]`, "$2::text[]", `'{"1"}'::text[]`, "$1", "'x'").Replace(query)
	rows, err := conn.Query(t.Context(), `EXPLAIN `+query)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(fmt.Errorf("%w in %s", err, query))
	}
	return strings.Join(lines, "\n")
}
