package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/synod-network/synod/internal/pgtest"
	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
)

// testRollback: what synod makes and writes is what Casper's sidecar would have made and written, so that it can take over again.
func testRollback(t *testing.T, server *pgtest.Server) {
	for _, layout := range []log.Layout{log.V1, log.V2} {
		t.Run(layout.String(), func(t *testing.T) {
			dsn := server.Database(t)
			s := open(t, dsn, t.TempDir(), layout)
			defer func() { _ = s.Close() }()
			events := logtest.OfNodes1()
			if layout == log.V2 {
				events = logtest.OfNodes2()
			}
			for _, e := range events { // duplicates leave no trace; a Shutdown is none
				if e.Kind != event.Shutdown {
					events = append(events, e)
				}
			}
			if _, err := s.Commit(t.Context(), logtest.Entries(events...), 0); err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.Connect(t.Context(), dsn)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.Background()) }()
			query := func(sql string) [][]string {
				t.Helper()
				rows, err := conn.Query(t.Context(), sql)
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				var all [][]string
				for rows.Next() {
					values, err := rows.Values()
					if err != nil {
						t.Fatal(err)
					}
					row := make([]string, len(values))
					for i, v := range values {
						row[i] = fmt.Sprint(v)
					}
					all = append(all, row)
				}
				if err := rows.Err(); err != nil {
					t.Fatal(err)
				}
				return all
			}
			logtest.CompareTables(t, tables(t, query), logtest.Tables(layout))
			logtest.CheckRows(t, layout, query)
			casper := logtest.Connection{Query: query, Exec: func(text string) error {
				_, err := conn.Exec(t.Context(), text)
				return err
			}}
			casper.TakeOver(t, layout)
			logtest.CheckTakenBack(t, s)
		})
	}
}

// tables reads the schema.
func tables(t *testing.T, query func(string) [][]string) []logtest.Table {
	t.Helper()
	types := map[string]logtest.Type{"smallint": logtest.Tiny, "integer": logtest.Integer, "bigint": logtest.Big, "numeric(20,0)": logtest.Era, "text": logtest.Text,
		"character varying": logtest.String, "timestamp without time zone": logtest.Moment, "boolean": logtest.Boolean}
	var all []logtest.Table
	for _, name := range query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`) {
		table := logtest.Table{Name: name[0]}
		for _, c := range query(`SELECT attname, format_type(atttypid, atttypmod), atthasdef, attnotnull FROM pg_attribute WHERE attrelid = '"` + name[0] + `"'::regclass AND attnum > 0 ORDER BY attnum`) {
			kind := types[c[1]]
			if kind == "" || c[3] != "true" {
				kind = logtest.Type(c[1] + " not null=" + c[3])
			}
			table.Columns = append(table.Columns, logtest.Column{Name: c[0], Type: kind, Default: c[2] == "true"})
		}
		for _, c := range query(`SELECT contype::text, conname, (SELECT string_agg(attname, ',' ORDER BY o) FROM unnest(conkey) WITH ORDINALITY AS k (n, o) JOIN pg_attribute ON attrelid = conrelid AND attnum = n),
			coalesce(confrelid::regclass::text, ''), confdeltype::text || confupdtype::text FROM pg_constraint WHERE conrelid = '"` + name[0] + `"'::regclass`) {
			switch c[0] {
			case "p":
				table.Primary = strings.Split(c[2], ",")
			case "u":
				table.Unique = append(table.Unique, c[2])
			case "f":
				target := strings.Trim(c[3], `"`)
				if c[4] != "rr" || c[1] != "FK_"+c[2] {
					target += " " + c[1] + " " + c[4]
				}
				table.Refers = append(table.Refers, c[2]+"→"+target+"."+c[2])
			}
		}
		all = append(all, table)
	}
	return all
}
