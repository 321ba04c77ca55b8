package sidecar_test

import (
	"fmt"
	"strings"
	"testing"
)

// A large database holds a chain. Each block has ten deploys: they are accepted, the block is added, they are processed, and ten
// validators sign it; each tenth block comes with a fault. Hashes rise, so that indexes are filled in order and fast, with room between
// any two of them.
const blockEvents = 31

// blockHash and deployHash are what the statements below make of hashes.
func blockHash(h int) string  { return fmt.Sprintf("%016x%048x", uint64(h)<<40, h) }
func deployHash(n int) string { return fmt.Sprintf("%016x%048x", uint64(n)<<36, n) }

func blocksIn(events int) int { return max(10, events/blockEvents) }

// fillStatements make rows for the blocks from {lo} until before {hi}. They are written in what SQLite and PostgreSQL have in common,
// and words in braces for the rest.
var fillStatements = []string{
	`INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key)
	{range} SELECT h * 31 + i + 1, 2, 'http://127.0.0.1:18101/', h * 31 + i, {deploy} FROM b CROSS JOIN d
	UNION ALL SELECT h * 31 + 11, 1, 'http://127.0.0.1:18101/', h * 31 + 10, {block} FROM b
	UNION ALL SELECT h * 31 + i + 12, 4, 'http://127.0.0.1:18101/', h * 31 + i + 11, {deploy} FROM b CROSS JOIN d
	UNION ALL SELECT h * 31 + i + 22, 6, 'http://127.0.0.1:18101/', h * 31 + i + 21, {block} || ' 01' || {validator} FROM b CROSS JOIN d ORDER BY 1`,
	`INSERT INTO "DeployAccepted" (deploy_hash, raw, event_log_id)
	{range} SELECT {deploy}, '{"deploy":{"hash":"' || {deploy} || '","header":{"account":"01' || {validator} || '","ttl":"30m"},"session":"{filler}"}}', h * 31 + i + 1
	FROM b CROSS JOIN d ORDER BY h, i`,
	`INSERT INTO "BlockAdded" (height, block_hash, raw, event_log_id)
	{range} SELECT h, {block}, '{"block_hash":"' || {block} || '","block":{"header":{"height":' || h || '},"body":"{filler}"}}', h * 31 + 11 FROM b ORDER BY h`,
	`INSERT INTO "DeployProcessed" (deploy_hash, raw, event_log_id)
	{range} SELECT {deploy}, '{"deploy_hash":"' || {deploy} || '","block_hash":"' || {block} || '","execution_result":"{filler}"}', h * 31 + i + 12 FROM b CROSS JOIN d ORDER BY h, i`,
	`INSERT INTO "FinalitySignature" (block_hash, public_key, raw, event_log_id)
	{range} SELECT {block}, '01' || {validator}, '{"block_hash":"' || {block} || '","era_id":1,"signature":"{filler}","public_key":"01' || {validator} || '"}', h * 31 + i + 22
	FROM b CROSS JOIN d ORDER BY h, i`,
	`INSERT INTO deploy_event (event_log_id, deploy_hash)
	{range} SELECT h * 31 + i + k, {deploy} FROM b CROSS JOIN d CROSS JOIN (SELECT 1 AS k UNION ALL SELECT 12) AS two ORDER BY h, i, k`,
	`INSERT INTO synod_event ({instance} seq, event_log_id, kind, filter, in_force, bytes)
	{range} SELECT {one} h * 31 + j, h * 31 + j + 1,
	CASE WHEN j < 10 THEN 4 WHEN j = 10 THEN 3 WHEN j < 21 THEN 5 ELSE 10 END, CASE WHEN j < 10 THEN 'events/deploys' WHEN j < 21 THEN 'events/main' ELSE 'events/sigs' END, '1.5.3', 250
	FROM b CROSS JOIN (SELECT i AS j FROM d UNION ALL SELECT i + 10 FROM d UNION ALL SELECT i + 20 FROM d UNION ALL SELECT 30) AS all_of_it ORDER BY 1, 2`,
}

// faultStatements add faults beside the chain, for {hi} blocks.
var faultStatements = []string{
	`INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key)
	{range} SELECT {hi} * 31 + h / 10 + 1, 5, 'http://127.0.0.1:18101/', {hi} * 31 + h / 10, h || ' 01' || {hex64:h} FROM b WHERE h % 10 = 0`,
	`INSERT INTO "Fault" (era, public_key, raw, event_log_id)
	{range} SELECT h, '01' || {hex64:h}, '{"era_id":' || h || '}', {hi} * 31 + h / 10 + 1 FROM b WHERE h % 10 = 0`,
}

// dialect is how a database writes what is in braces.
type dialect struct {
	blocks string // a common table expression of the blocks
	hex    func(width int, number string) string
	big    string   // after a number that is to have 64 bits
	more   []string // pairs of a word and what it stands for
}

var sqliteDialect = dialect{
	blocks: `WITH RECURSIVE b (h) AS (SELECT {lo} UNION ALL SELECT h + 1 FROM b WHERE h + 1 < {hi})`,
	hex:    func(width int, number string) string { return fmt.Sprintf("printf('%%0%dx', %s)", width, number) },
	more:   []string{"{instance}", "", "{one}", ""},
}

var postgresDialect = dialect{
	blocks: `WITH b AS (SELECT h FROM generate_series({lo}::bigint, {hi}::bigint - 1) AS h)`,
	hex:    func(width int, number string) string { return fmt.Sprintf("lpad(to_hex(%s), %d, '0')", number, width) },
	big:    "::bigint",
	more:   []string{"{instance}", "instance,", "{one}", "1,"},
}

// fillLarge runs the statements over all blocks, some thousands at a time.
func fillLarge(b *testing.B, d dialect, blocks int, run func(statements []string) error) {
	b.Helper()
	const page = 4000
	for lo := 0; lo < blocks; lo += page {
		if err := run(d.write(fillStatements, lo, min(lo+page, blocks))); err != nil {
			b.Fatalf("fill the database: %v", err)
		}
	}
	if err := run(d.write(faultStatements, 0, blocks)); err != nil {
		b.Fatalf("fill the database with faults: %v", err)
	}
}

func (d dialect) write(statements []string, lo, hi int) []string {
	digits := "VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)"
	hash := func(number string, shift int) string {
		return d.hex(16, fmt.Sprintf("((%s)%s << %d)", number, d.big, shift)) + " || " + d.hex(48, number)
	}
	words := append([]string{
		"{block}", hash("h", 40), "{deploy}", hash("h * 10 + i", 36), "{validator}", d.hex(64, "i"), "{hex64:h}", d.hex(64, "h"),
		"{filler}", strings.Repeat("7", 120), "{lo}", fmt.Sprint(lo), "{hi}", fmt.Sprint(hi),
	}, d.more...)
	var written []string
	for _, s := range statements {
		s = strings.Replace(s, "{range}", d.blocks+", d (i) AS ("+digits+")", 1)
		written = append(written, strings.NewReplacer(words...).Replace(s))
	}
	return written
}
