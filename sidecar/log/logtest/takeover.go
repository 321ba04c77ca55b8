package logtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/log"
)

// Connection is one connection to a database, as Casper's sidecar has them: statements come as text with the values in them.
type Connection struct {
	Exec  func(sql string) error
	Query func(sql string) [][]string // the columns of rows, as text
}

// TakeOver does to a database what Casper's sidecar does that takes it over: it starts, looks up everything, stores an event of each kind,
// and is refused a second time. The database holds [OfNodes1] or [OfNodes2].
func (c Connection) TakeOver(t *testing.T, layout log.Layout) {
	t.Helper()
	c.start(t)
	c.lookUp(t, layout)
	c.store(t, layout)
}

// start looks for migrations that are to be made. There is one, which is made.
func (c Connection) start(t *testing.T) {
	t.Helper()
	if err := c.Exec(`CREATE TABLE IF NOT EXISTS "Migration" ("version" integer NOT NULL, "is_success" boolean NOT NULL, CONSTRAINT "PDX_Migration" PRIMARY KEY ("version"))`); err != nil {
		t.Error(err)
	}
	if newest := c.Query(`SELECT "version", "is_success" FROM "Migration" ORDER BY "version" DESC LIMIT 1`); len(newest) != 1 || newest[0][0] != "1" || newest[0][1] != "1" && newest[0][1] != "true" {
		t.Errorf("it would not start: its newest migration is %v", newest)
	}
}

// lookUp asks for each event by each key. Numbers are written out, also those beyond 63 bits.
func (c Connection) lookUp(t *testing.T, layout log.Layout) {
	t.Helper()
	look := func(table, where string, rows int) {
		t.Helper()
		what, from := `"raw"`, `"`+table+`"`
		if layout == log.V2 {
			what += `, "api_version", "network_name"`
			from += ` LEFT JOIN "event_log" ON "event_log"."event_log_id" = "` + table + `"."event_log_id"`
		}
		got := c.Query(`SELECT ` + what + ` FROM ` + from + ` WHERE ` + where)
		if len(got) != rows {
			t.Errorf("%s: %d rows of %s, not %d", where, len(got), table, rows)
		}
		for _, row := range got {
			if layout == log.V2 && (row[1] == "" || row[2] == "") {
				t.Errorf("%s: %s of version %q, network %q", where, table, row[1], row[2])
			}
		}
	}
	quoted := func(text string) string { return "'" + text + "'" }
	look("BlockAdded", `"block_hash" = `+quoted(Hash(7)), 1)
	look("BlockAdded", `"height" = 7`, 1)
	look("BlockAdded", `"height" IN (SELECT MAX("height") FROM "BlockAdded")`, 1)
	look("FinalitySignature", `"block_hash" = `+quoted(Hash(7)), 1)
	for _, row := range c.Query(`SELECT public_key, COUNT(*) FROM "Fault" GROUP BY public_key`) {
		rows, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		look("Fault", `"public_key" = `+quoted(row[0]), rows)
	}
	for _, table := range []string{"Fault", "Step"} {
		for _, era := range c.Query(`SELECT raw FROM "` + table + `"`) {
			look(table, `"era" = `+eraOf(t, era[0]), 1)
		}
	}
	for _, stage := range []string{"Accepted", "Processed", "Expired"} {
		if layout == log.V1 {
			for _, hash := range c.Query(`SELECT deploy_hash FROM "Deploy` + stage + `"`) {
				look("Deploy"+stage, `"deploy_hash" = `+quoted(hash[0]), 1)
			}
			continue
		}
		for _, row := range c.Query(`SELECT transaction_type_id, transaction_hash FROM "Transaction` + stage + `"`) {
			look("Transaction"+stage, `"transaction_type_id" = `+row[0]+` AND "transaction_hash" = `+quoted(row[1]), 1)
		}
	}
	if got := c.Query(`SELECT COUNT(*) FROM "event_log"`); got[0][0] == "0" {
		t.Error("event_log is empty")
	}
}

func eraOf(t *testing.T, raw string) string {
	t.Helper()
	_, rest, found := strings.Cut(raw, `"era_id":`)
	if !found {
		t.Fatalf("no era in %s", raw)
	}
	return rest[:strings.IndexFunc(rest+",", func(r rune) bool { return r < '0' || r > '9' })]
}

// store stores an event of each kind: its row of event_log, which says its number, then the others, in one transaction.
func (c Connection) store(t *testing.T, layout log.Layout) {
	t.Helper()
	const era = "18446744073709551614"
	hash, key := Hash(900), PublicKey(900)
	kinds := []struct {
		number     int
		key        string
		statements []string // %d is the number of the row of event_log
	}{
		{1, hash, []string{`INSERT INTO "BlockAdded" ("height", "block_hash", "raw", "event_log_id") VALUES (900, '` + hash + `', '{}', %d)`}},
		{5, era + " " + key, []string{`INSERT INTO "Fault" ("era", "public_key", "raw", "event_log_id") VALUES (` + era + `, '` + key + `', '{}', %d)`}},
		{6, hash + " " + key, []string{`INSERT INTO "FinalitySignature" ("block_hash", "public_key", "raw", "event_log_id") VALUES ('` + hash + `', '` + key + `', '{}', %d)`}},
		{7, era, []string{`INSERT INTO "Step" ("era", "raw", "event_log_id") VALUES (` + era + `, '{}', %d)`}},
		{8, "http://elsewhere/-1", []string{`INSERT INTO "Shutdown" ("event_source_address", "event_log_id") VALUES ('http://elsewhere/', %d)`}},
	}
	for number, stage := range []string{"Accepted", "Expired", "Processed"} {
		statements := []string{
			`INSERT INTO "Deploy` + stage + `" ("deploy_hash", "raw", "event_log_id") VALUES ('` + hash + `', '{}', %d)`,
			`INSERT INTO "deploy_event" ("event_log_id", "deploy_hash") VALUES (%d, '` + hash + `')`,
		}
		if layout == log.V2 {
			statements = []string{
				`INSERT INTO "Transaction` + stage + `" ("transaction_type_id", "transaction_hash", "raw", "event_log_id") VALUES (1, '` + hash + `', '{}', %d)`,
				`INSERT INTO "transaction_event" ("event_log_id", "transaction_type_id", "transaction_hash") VALUES (%d, 1, '` + hash + `')`,
			}
		}
		kinds = append(kinds, struct {
			number     int
			key        string
			statements []string
		}{number + 2, hash, statements})
	}
	columns, values := "", ""
	if layout == log.V2 {
		columns, values = `, "api_version", "network_name"`, `, '2.0.0', 'casper-test'`
	}
	last, err := strconv.Atoi(c.Query(`SELECT MAX("event_log_id") FROM "event_log"`)[0][0])
	if err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		for id, kind := range kinds {
			if err := c.Exec(`BEGIN`); err != nil {
				t.Fatal(err)
			}
			if again {
				id += 100 // another node's number, so that the row of event_log is new
			}
			row := c.Query(fmt.Sprintf(`INSERT INTO "event_log" ("event_type_id", "event_source_address", "event_id", "event_key"%s) VALUES (%d, 'http://elsewhere/', %d, '%s'%s) RETURNING "event_log_id"`,
				columns, kind.number, id, kind.key, values))
			number, err := strconv.Atoi(row[0][0])
			if err != nil || number <= last {
				t.Errorf("the row of event_log after %d is %v (%v)", last, row, err)
			}
			for _, statement := range kind.statements {
				if err == nil {
					err = c.Exec(fmt.Sprintf(statement, number))
				}
			}
			if refused := err != nil; refused != again && kind.number != 8 { // a Shutdown is told apart by its second
				t.Errorf("storing an event of type %d, again %t: %v", kind.number, again, err)
			}
			end := `COMMIT`
			if err != nil {
				end = `ROLLBACK`
			} else {
				last = number
			}
			if err := c.Exec(end); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// CheckTakenBack checks that what Casper's sidecar stored in TakeOver is found by a store and recognised as known.
func CheckTakenBack(t *testing.T, s log.Store) {
	t.Helper()
	if found, err := s.BlockByHash(t.Context(), Hash(900)); err != nil || string(found.Raw) != "{}" {
		t.Errorf("the block that Casper's sidecar stored: %s, %v", found.Raw, err)
	}
	state, err := s.State(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	group := Entries(Block(900), Block(901))
	if _, err := s.Commit(t.Context(), group, state.Next); err != nil {
		t.Fatal(err)
	}
	if latest, err := s.LatestBlock(t.Context()); err != nil || !strings.Contains(string(latest.Raw), Hash(901)) {
		t.Errorf("the block after it: %s, %v", latest.Raw, err)
	}
	if found, err := s.BlockByHash(t.Context(), Hash(900)); err != nil || string(found.Raw) != "{}" {
		t.Errorf("the block that Casper's sidecar stored, offered again: %s, %v", found.Raw, err)
	}
}
