package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
	"github.com/synod-network/synod/sidecar/log/logtest"
	"github.com/synod-network/synod/sidecar/log/sqlite"
)

// TestRollback: what synod makes and writes is what Casper's sidecar would have made and written, so that it can take over again.
// SQLite has affinities rather than types; by those columns are compared.
func TestRollback(t *testing.T) {
	for _, layout := range []log.Layout{log.V1, log.V2} {
		t.Run(layout.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sqlite_database.db3")
			s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: layout, AutoCheckpoint: 1000})
			if err != nil {
				t.Fatal(err)
			}
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
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			query := func(text string) [][]string { return texts(t, db, text) }
			var want []logtest.Table
			for _, table := range logtest.Tables(layout) {
				for i := range table.Columns {
					c := &table.Columns[i]
					c.Type = affinityOf(c.Type)
					c.Default = c.Default && c.Name != "event_log_id" // AUTOINCREMENT is none
				}
				want = append(want, table)
			}
			logtest.CompareTables(t, tables(t, query), want)
			logtest.CheckRows(t, layout, query)
			if bad := query(`SELECT "table", rowid FROM pragma_foreign_key_check`); len(bad) > 0 {
				t.Errorf("references that lead nowhere: %v", bad)
			}
			moment := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
			for _, row := range query(`SELECT inserted_timestamp || '', emitted_timestamp || '' FROM event_log UNION SELECT shutdown_timestamp || '', shutdown_timestamp || '' FROM "Shutdown"`) {
				if !moment.MatchString(row[0]) || !moment.MatchString(row[1]) {
					t.Errorf("moments %v", row)
				}
			}
			if got := query(`SELECT sql LIKE '%AUTOINCREMENT%' FROM sqlite_master WHERE name = 'event_log'`); got[0][0] != "1" {
				t.Error("event_log_id does not count by itself")
			}
			if got := query(`PRAGMA journal_mode`); got[0][0] != "wal" {
				t.Errorf("journal mode %v", got)
			}
			db.SetMaxOpenConns(1) // a transaction is begun and ended by text
			query(`PRAGMA foreign_keys = ON`)
			casper := logtest.Connection{Query: query, Exec: func(text string) error {
				_, err := db.Exec(text)
				return err
			}}
			casper.TakeOver(t, layout)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			back(t, path, layout)
		})
	}
}

// back opens the database again when Casper's sidecar has used it.
func back(t *testing.T, path string, layout log.Layout) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, Layout: layout, AutoCheckpoint: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	logtest.CheckTakenBack(t, s)
}

func affinityOf(t logtest.Type) logtest.Type {
	switch t {
	case logtest.Tiny, logtest.Integer, logtest.Big, logtest.Era:
		return "INTEGER"
	case logtest.Boolean:
		return "NUMERIC"
	default:
		return "TEXT"
	}
}

func texts(t *testing.T, db *sql.DB, query string) [][]string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for rows.Next() {
		row, places := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			t.Fatal(err)
		}
		var text []string
		for _, c := range row {
			text = append(text, c.String)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// tables reads the schema.
func tables(t *testing.T, query func(string) [][]string) []logtest.Table {
	t.Helper()
	var all []logtest.Table
	for _, name := range query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`) {
		table := logtest.Table{Name: name[0]}
		for _, c := range query(`SELECT name, type, "notnull", dflt_value IS NOT NULL FROM pragma_table_info('` + name[0] + `') ORDER BY cid`) {
			kind := affinity(c[1])
			if c[2] != "1" {
				kind += " null"
			}
			table.Columns = append(table.Columns, logtest.Column{Name: c[0], Type: kind, Default: c[3] == "1"})
		}
		for _, c := range query(`SELECT name FROM pragma_table_info('` + name[0] + `') WHERE pk > 0 ORDER BY pk`) {
			table.Primary = append(table.Primary, c[0])
		}
		for _, index := range query(`SELECT name FROM pragma_index_list('` + name[0] + `') WHERE "unique" AND origin = 'u'`) {
			var columns []string
			for _, c := range query(`SELECT name FROM pragma_index_info('` + index[0] + `') ORDER BY seqno`) {
				columns = append(columns, c[0])
			}
			table.Unique = append(table.Unique, strings.Join(columns, ","))
		}
		for _, c := range query(`SELECT "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list('` + name[0] + `')`) {
			if c[3] != "RESTRICT" || c[4] != "RESTRICT" {
				c[1] += " " + c[3] + " " + c[4]
			}
			table.Refers = append(table.Refers, c[0]+"→"+c[1]+"."+c[2])
		}
		all = append(all, table)
	}
	return all
}

// affinity follows the rules of SQLite.
func affinity(declared string) logtest.Type {
	declared = strings.ToUpper(declared)
	switch {
	case strings.Contains(declared, "INT"):
		return "INTEGER"
	case strings.Contains(declared, "CHAR"), strings.Contains(declared, "CLOB"), strings.Contains(declared, "TEXT"):
		return "TEXT"
	case declared == "" || strings.Contains(declared, "BLOB"):
		return "BLOB"
	case strings.Contains(declared, "REAL"), strings.Contains(declared, "FLOA"), strings.Contains(declared, "DOUB"):
		return "REAL"
	default:
		return "NUMERIC"
	}
}
