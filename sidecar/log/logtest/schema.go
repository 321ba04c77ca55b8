package logtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/synod-network/synod/sidecar/log"
)

// Type is what a column holds, whatever an engine calls that.
type Type string

// The types of the columns of Casper's sidecar.
const (
	Tiny    Type = "tiny"    // a number of 8 bits
	Integer Type = "integer" // of 32
	Big     Type = "big"     // of 64, or less than that for engines without unsigned numbers
	Era     Type = "era"     // 64 bits, all of them used
	Text    Type = "text"
	String  Type = "string"
	Moment  Type = "moment"
	Boolean Type = "boolean"
)

// Column is a column that is never null.
type Column struct {
	Name    string
	Type    Type
	Default bool // it has one: for moments, the present
}

// Table is a table as Casper's sidecar makes it, which its queries and inserts rest on.
type Table struct {
	Name    string
	Columns []Column
	Primary []string
	Unique  []string // "a,b"
	Refers  []string // "column→table.column", all of them restricting
}

func column(name string, t Type) Column { return Column{Name: name, Type: t} }

func refers(column, table string) string { return column + "→" + table + "." + column }

// kindTable is a table of the events of a kind.
func kindTable(name string, primary string, key ...Column) Table {
	t := Table{Name: name, Columns: append(key, column("raw", Text), column("event_log_id", Big)), Primary: strings.Split(primary, ","), Refers: []string{refers("event_log_id", "event_log")}}
	if slices.ContainsFunc(key, func(c Column) bool { return c.Name == "transaction_type_id" }) {
		t.Refers = append(t.Refers, refers("transaction_type_id", "TransactionType"))
	}
	return t
}

// Tables are those that Casper's sidecar makes in a layout, read in the code of its releases 1.0.0-rc.1 and feat-2.0 of February 2025.
func Tables(layout log.Layout) []Table {
	now := func(name string) Column { return Column{name, Moment, true} }
	eventLog := Table{Name: "event_log", Primary: []string{"event_log_id"}, Unique: []string{"event_source_address,event_id,event_type_id,event_key"},
		Refers: []string{refers("event_type_id", "event_type")},
		Columns: []Column{{"event_log_id", Big, true}, column("event_type_id", Tiny), column("event_source_address", String), column("event_id", Big), column("event_key", String),
			now("inserted_timestamp"), now("emitted_timestamp")}}
	block := kindTable("BlockAdded", "block_hash,height", column("height", Big), column("block_hash", String))
	block.Unique = []string{"height"}
	all := []Table{
		{Name: "event_type", Columns: []Column{column("event_type_id", Integer), column("event_type_name", String)}, Primary: []string{"event_type_id"}, Unique: []string{"event_type_name"}},
		{Name: "Migration", Columns: []Column{column("version", Integer), column("is_success", Boolean)}, Primary: []string{"version"}},
		{Name: "Shutdown", Columns: []Column{column("event_source_address", Text), now("shutdown_timestamp"), column("event_log_id", Big)},
			Primary: []string{"event_source_address", "shutdown_timestamp"}, Refers: []string{refers("event_log_id", "event_log")}},
		block,
		kindTable("Fault", "era,public_key", column("era", Era), column("public_key", String)),
		kindTable("FinalitySignature", "block_hash,public_key", column("block_hash", String), column("public_key", String)),
		kindTable("Step", "era", column("era", Era)),
	}
	if layout == log.V1 {
		hash := column("deploy_hash", String)
		return append(all, eventLog, kindTable("DeployAccepted", "deploy_hash", hash), kindTable("DeployProcessed", "deploy_hash", hash), kindTable("DeployExpired", "deploy_hash", hash),
			Table{Name: "deploy_event", Columns: []Column{column("event_log_id", Big), hash}, Primary: []string{"deploy_hash", "event_log_id"}, Refers: []string{refers("event_log_id", "event_log")}})
	}
	eventLog.Columns = append(eventLog.Columns, column("api_version", String), column("network_name", String))
	hash, variant := column("transaction_hash", String), column("transaction_type_id", Tiny)
	return append(all, eventLog,
		Table{Name: "TransactionType", Columns: []Column{column("transaction_type_id", Integer), column("transaction_type_name", String)}, Primary: []string{"transaction_type_id"}, Unique: []string{"transaction_type_name"}},
		kindTable("TransactionAccepted", "transaction_type_id,transaction_hash", hash, variant),
		kindTable("TransactionProcessed", "transaction_hash,transaction_type_id", hash, variant),
		kindTable("TransactionExpired", "transaction_hash", hash, variant),
		Table{Name: "transaction_event", Columns: []Column{column("event_log_id", Big), hash, variant}, Primary: []string{"transaction_hash", "transaction_type_id", "event_log_id"},
			Refers: []string{refers("event_log_id", "event_log"), refers("transaction_type_id", "TransactionType")}})
}

// CompareTables compares what an engine has with what Casper's sidecar makes. Tables that begin with synod_ are not its business.
func CompareTables(t *testing.T, got, want []Table) {
	t.Helper()
	describe := func(tables []Table) string {
		var all []string
		for _, table := range tables {
			if strings.HasPrefix(table.Name, "synod_") {
				continue
			}
			slices.Sort(table.Unique)
			slices.Sort(table.Refers)
			lines := []string{table.Name}
			for _, c := range table.Columns {
				lines = append(lines, fmt.Sprintf("  %s %s default=%t", c.Name, c.Type, c.Default))
			}
			lines = append(lines, fmt.Sprint("  primary ", table.Primary), fmt.Sprint("  unique ", table.Unique), fmt.Sprint("  refers ", table.Refers))
			all = append(all, strings.Join(lines, "\n"))
		}
		slices.Sort(all)
		return strings.Join(all, "\n")
	}
	if g, w := describe(got), describe(want); g != w {
		t.Errorf("the tables are\n%s\nthose of Casper's sidecar are\n%s", g, w)
	}
}

// CheckRows checks that what was written is what the queries of Casper's sidecar rest on: each event has its row of event_log with the
// type and key that it would have written, and JSON in the form that it reads. Query returns the columns of rows as text.
func CheckRows(t *testing.T, layout log.Layout, query func(sql string) [][]string) {
	t.Helper()
	if got := query(`SELECT version, is_success FROM "Migration"`); len(got) != 1 || got[0][0] != "1" || got[0][1] != "1" && got[0][1] != "true" {
		t.Errorf("Migration holds %v", got)
	}
	deploy := "Deploy"
	if layout == log.V2 {
		deploy = "Transaction"
		if got := fmt.Sprint(query(`SELECT transaction_type_id, transaction_type_name FROM "TransactionType" ORDER BY 1`)); got != "[[0 Deploy] [1 Version1]]" {
			t.Errorf("TransactionType holds %s", got)
		}
	}
	names := []string{"BlockAdded", deploy + "Accepted", deploy + "Expired", deploy + "Processed", "Fault", "FinalitySignature", "Step", "Shutdown"}
	for i, row := range query(`SELECT event_type_id, event_type_name FROM event_type ORDER BY 1`) {
		if row[0] != strconv.Itoa(i+1) || row[1] != names[i] {
			t.Errorf("event_type holds %v", row)
		}
	}
	hash := strings.ToLower(deploy) + "_hash"
	keys := map[string]string{"BlockAdded": "t.block_hash", "Fault": "'<era> ' || t.public_key", "FinalitySignature": "t.block_hash || ' ' || t.public_key", "Step": "'<era>'"}
	forms := map[string][]string{
		"BlockAdded": {"block_hash", "block"}, "Fault": {"era_id", "public_key"}, "Step": {"era_id", "execution_effect"}, "FinalitySignature": {"block_hash", "public_key"},
		"DeployAccepted": {"deploy"}, "DeployProcessed": {"deploy_hash"}, "DeployExpired": {"deploy_hash"},
		"TransactionAccepted": {"transaction"}, "TransactionProcessed": {"transaction_hash"}, "TransactionExpired": {"transaction_hash"},
	}
	if layout == log.V2 {
		forms["FinalitySignature"] = []string{"V2"}
	}
	for number, name := range names[:7] {
		key := keys[name]
		if key == "" {
			key = "t." + hash
		}
		rows := query(`SELECT coalesce(l.event_type_id, 0), coalesce(l.event_key, ''), ` + key + `, coalesce(l.event_id, -1), coalesce(l.event_source_address, ''), t.raw
			FROM "` + name + `" t LEFT JOIN event_log l ON l.event_log_id = t.event_log_id`)
		if len(rows) == 0 {
			t.Errorf("there is no %s to look at", name)
		}
		for _, row := range rows {
			checkRow(t, name, strconv.Itoa(number+1), row, forms[name])
		}
	}
	for _, link := range query(`SELECT count(*) FROM ` + strings.ToLower(deploy) + `_event e LEFT JOIN event_log l ON l.event_log_id = e.event_log_id AND l.event_key = e.` + hash + ` WHERE l.event_log_id IS NULL`) {
		if link[0] != "0" {
			t.Errorf("%s links lead nowhere", link[0])
		}
	}
	if rows := query(`SELECT l.event_key FROM "Shutdown" t JOIN event_log l ON l.event_log_id = t.event_log_id AND l.event_type_id = 8`); len(rows) != 1 || !regexp.MustCompile(`^`+regexp.QuoteMeta(Node)+`-\d+$`).MatchString(rows[0][0]) {
		t.Errorf("Shutdown has %v", rows)
	}
}

func checkRow(t *testing.T, name, number string, row, form []string) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(row[5]), &fields); err != nil {
		t.Errorf("raw of %s: %v", name, err)
	}
	for _, field := range form {
		if fields[field] == nil {
			t.Errorf("raw of %s lacks %s: %s", name, field, row[5])
		}
	}
	want := strings.Replace(row[2], "<era>", string(bytes.TrimSpace(fields["era_id"])), 1)
	id, err := strconv.ParseUint(row[3], 10, 32)
	if row[0] != number || row[1] != want || err != nil || row[4] != Node {
		t.Errorf("%s has type %s, key %q, id %d (%v) and source %s in event_log; wanted are %s and %q", name, row[0], row[1], id, err, row[4], number, want)
	}
}
