package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Commit implements [log.Store]. Rows go in by kind, a statement for all of a kind.
func (s *Store) Commit(ctx context.Context, group []*log.Entry, next event.Seq) (event.Seq, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	after, err := s.commit(ctx, group, next, false)
	if !isBadData(err) {
		return after, err
	}
	// PostgreSQL refuses something in the group: find out what, and keep that in the side table alone.
	for _, e := range group {
		e.Duplicate = e.Duplicate && !e.Keyed // as the log marked it; a store's own marks are found again below
	}
	for _, e := range group {
		one := []*log.Entry{e}
		after, err = s.commit(ctx, one, next, false)
		if isBadData(err) {
			after, err = s.commit(ctx, one, next, true)
		}
		if err != nil {
			return 0, err
		}
		next = after
	}
	return next, nil
}

// isBadData reports whether an error is about a value rather than about the database (SQLSTATE class 22, data exception).
func isBadData(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && strings.HasPrefix(refused.Code, "22")
}

// placed is an entry with its rows.
type placed struct {
	*log.Entry
	row   log.Row
	logID int64 // of its row in event_log; 0 if it is kept in the side table alone
}

func (s *Store) commit(ctx context.Context, group []*log.Entry, next event.Seq, aside bool) (event.Seq, error) {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(storeLock)); err != nil {
			return err
		}
		all, err := s.place(ctx, tx, group, aside)
		if err != nil {
			return err
		}
		if err := s.putRows(ctx, tx, all); err != nil {
			return err
		}
		for _, p := range all {
			if !p.Duplicate && !p.Fixed {
				p.Seq = next
				next++
			}
		}
		return s.putSide(ctx, tx, all, next)
	})
	return next, err
}

// place gives every entry that fits a table a number in event_log.
func (s *Store) place(ctx context.Context, tx pgx.Tx, group []*log.Entry, aside bool) ([]*placed, error) {
	if missing := len(group) - len(s.logIDs); missing > 0 {
		rows, err := tx.Query(ctx, `SELECT nextval(pg_get_serial_sequence('event_log', 'event_log_id')) FROM generate_series(1, $1)`, max(missing, 1000))
		if err != nil {
			return nil, err
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return nil, err
		}
		s.logIDs = append(s.logIDs, more...)
	}
	if err := s.skipStored(ctx, tx, group); err != nil {
		return nil, err
	}
	all := make([]*placed, len(group))
	for i, e := range group {
		p := &placed{Entry: e}
		all[i] = p
		if e.Duplicate || aside || e.Key.Height > math.MaxInt64 {
			continue
		}
		if row, fits := s.layout.Row(e); fits {
			p.row, p.logID = row, s.logIDs[0]
			s.logIDs = s.logIDs[1:]
		}
	}
	return all, nil
}

// skipStored marks entries from the spool whose numbers are stored: they were drained before, and not forgotten in time.
func (s *Store) skipStored(ctx context.Context, tx pgx.Tx, group []*log.Entry) error {
	var fixed []int64
	for _, e := range group {
		if e.Fixed {
			fixed = append(fixed, int64(e.Seq))
		}
	}
	if fixed == nil {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT seq FROM synod_event WHERE instance = $1 AND seq = ANY($2)`, s.instance, fixed)
	if err != nil {
		return err
	}
	stored, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	for _, e := range group {
		if e.Fixed && slices.Contains(stored, int64(e.Seq)) {
			e.Duplicate = true
		}
	}
	return err
}

// putRows stores the entries that fit a table and are not there yet, and settles what the others are.
func (s *Store) putRows(ctx context.Context, tx pgx.Tx, all []*placed) error {
	byKind := make(map[event.Kind][]*placed)
	for _, p := range all {
		if p.logID != 0 {
			byKind[p.Kind] = append(byKind[p.Kind], p)
		}
	}
	var batch pgx.Batch
	fresh := make(map[int64]bool)
	for _, kind := range event.Kinds() { // the same order in every sidecar
		if list := byKind[kind]; len(list) > 0 {
			query, args := s.insert(kind, list)
			batch.Queue(query, args...).Query(func(rows pgx.Rows) error {
				ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
				for _, id := range ids {
					fresh[id] = true
				}
				return err
			})
		}
	}
	if batch.Len() > 0 {
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
	}
	for _, kind := range event.Kinds() {
		there := slices.DeleteFunc(byKind[kind], func(p *placed) bool { return fresh[p.logID] })
		if len(there) == 0 {
			continue
		}
		if err := s.settle(ctx, tx, kind, there, fresh); err != nil {
			return err
		}
	}
	return nil
}

// settle decides about events of a kind that the database has already: they are duplicates, unless another sidecar stored them
// and this one has not passed them on yet.
func (s *Store) settle(ctx context.Context, tx pgx.Tx, kind event.Kind, there []*placed, fresh map[int64]bool) error {
	if kind == event.Shutdown { // one a moment has a row; every one is passed on
		for _, p := range there {
			p.logID = 0
		}
		return nil
	}
	keys := make([]string, len(there))
	for i, p := range there {
		keys[i] = p.row.EventKey
	}
	found, err := s.locate(ctx, tx, kind, keys)
	if err != nil {
		return err
	}
	ids := make([]int64, 0, len(found))
	for _, id := range found {
		ids = append(ids, id)
	}
	rows, err := tx.Query(ctx, `SELECT event_log_id FROM synod_event WHERE event_log_id = ANY($1) AND instance = $2`, ids, s.instance)
	if err != nil {
		return err
	}
	mine, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for _, p := range there {
		id, known := found[p.row.EventKey]
		p.Duplicate = !known || id <= s.adopted || fresh[id] || slices.Contains(mine, id)
		p.logID = id
		if !p.Duplicate {
			mine = append(mine, id) // a second one in this group is a duplicate
		}
	}
	return nil
}

// putSide stores the numbers of what is passed on, the sources' positions and where numbering stands.
func (s *Store) putSide(ctx context.Context, tx pgx.Tx, all []*placed, next event.Seq) error {
	n := 0
	seqs, logIDs, kinds := make([]int64, len(all)), make([]*int64, len(all)), make([]int16, len(all))
	filters, inForces, sizes := make([]string, len(all)), make([]string, len(all)), make([]int32, len(all))
	tags, bodies := make([]*string, len(all)), make([][]byte, len(all))
	positions := make(map[event.Origin]int64)
	inForce := ""
	for _, p := range all {
		if p.HasID {
			positions[p.Origin] = int64(p.ID)
		}
		inForce = p.InForce
		if p.Duplicate {
			continue
		}
		seqs[n], kinds[n], filters[n], inForces[n], sizes[n] = int64(p.Seq), int16(p.Kind), string(p.Origin.Filter), p.InForce, int32(len(p.Body))
		if p.logID != 0 {
			logIDs[n] = &p.logID
		} else {
			tags[n], bodies[n] = &p.Tag, p.Body
		}
		n++
	}
	var batch pgx.Batch
	batch.Queue(`WITH stored AS (INSERT INTO synod_event (instance, seq, event_log_id, kind, filter, in_force, bytes, tag, body)
		SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::smallint[], $5::text[], $6::text[], $7::integer[], $8::text[], $9::bytea[])
		ON CONFLICT DO NOTHING RETURNING bytes)
		UPDATE synod_instance SET next = greatest(next, $10), in_force = $11, events = events + (SELECT count(*) FROM stored),
		bytes = synod_instance.bytes + (SELECT coalesce(sum(bytes), 0) FROM stored) WHERE instance = $1`,
		s.instance, seqs[:n], logIDs[:n], kinds[:n], filters[:n], inForces[:n], sizes[:n], tags[:n], bodies[:n], int64(next), inForce)
	for origin, id := range positions {
		batch.Queue(`INSERT INTO synod_position VALUES ($1, $2, $3, $4) ON CONFLICT (instance, node, filter) DO UPDATE SET event_id = excluded.event_id`,
			s.instance, origin.Node, string(origin.Filter), id)
	}
	return tx.SendBatch(ctx, &batch).Close()
}

// insert returns the statement that stores rows of a kind with their rows of event_log, and returns the event_log_id of those
// that were not there. All of it is one statement: references are checked at its end.
func (s *Store) insert(kind event.Kind, list []*placed) (string, []any) {
	if kind == event.Shutdown {
		return s.insertShutdowns(list)
	}
	t := s.table(kind)
	ids, addresses, eventIDs, keys := make([]int64, len(list)), make([]string, len(list)), make([]int64, len(list)), make([]string, len(list))
	apis, networks := make([]string, len(list)), make([]string, len(list))
	first, second, raws := make([]string, len(list)), make([]string, len(list)), make([]string, len(list))
	for i, p := range list {
		ids[i], addresses[i], eventIDs[i], keys[i] = p.logID, p.Origin.Node, int64(p.ID), p.row.EventKey
		apis[i], networks[i] = p.APIVersion, p.Network
		first[i], second[i], raws[i] = t.first(p), t.second(p), string(p.row.Raw)
	}
	logged := `INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key) SELECT id, $10::smallint, address, event_id, key FROM given WHERE id IN (SELECT event_log_id FROM fresh)`
	if s.layout == log.V2 {
		logged = strings.NewReplacer("event_key)", "event_key, api_version, network_name)", " key FROM", " key, api, network FROM").Replace(logged)
	}
	query := `WITH given AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
		AS g (id, address, event_id, key, api, network, first, second, raw)),
		fresh AS (INSERT INTO ` + t.name + ` (` + t.columns + `, event_log_id) SELECT ` + t.values + `, id FROM given ON CONFLICT DO NOTHING RETURNING event_log_id),
		logged AS (` + logged + `)`
	if t.link != "" {
		query += `, linked AS (` + t.link + ` FROM given WHERE id IN (SELECT event_log_id FROM fresh))`
	}
	query += ` SELECT event_log_id FROM fresh`
	return query, []any{ids, addresses, eventIDs, keys, apis, networks, first, second, raws, s.layout.Type(kind)}
}

// insertShutdowns is the same for the one kind whose key is a time: its rows of event_log go first.
func (s *Store) insertShutdowns(list []*placed) (string, []any) {
	ids, addresses, eventIDs, keys := make([]int64, len(list)), make([]string, len(list)), make([]int64, len(list)), make([]string, len(list))
	apis, networks := make([]string, len(list)), make([]string, len(list))
	for i, p := range list {
		ids[i], addresses[i], eventIDs[i], keys[i] = p.logID, p.Origin.Node, int64(p.ID), p.row.EventKey
		apis[i], networks[i] = p.APIVersion, p.Network
	}
	columns, values := "", ""
	if s.layout == log.V2 {
		columns, values = ", api_version, network_name", ", api, network"
	}
	query := `WITH given AS (SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[]) AS g (id, address, event_id, key, api, network)),
		logged AS (INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key` + columns + `)
			SELECT id, $7::smallint, address, event_id, key` + values + ` FROM given ON CONFLICT DO NOTHING RETURNING event_log_id),
		fresh AS (INSERT INTO "Shutdown" (event_source_address, event_log_id) SELECT address, id FROM given WHERE id IN (SELECT event_log_id FROM logged) ON CONFLICT DO NOTHING)
		SELECT event_log_id FROM logged`
	return query, []any{ids, addresses, eventIDs, keys, apis, networks, s.layout.Type(event.Shutdown)}
}

// table is how rows of one kind look. Every kind has up to two columns besides raw, here as text called first and second.
type table struct {
	name    string
	columns string
	values  string
	link    string // what also refers to event_log, up to its FROM
	first   func(*placed) string
	second  func(*placed) string
}

func (s *Store) table(kind event.Kind) table {
	none := func(*placed) string { return "" }
	hash := func(p *placed) string { return p.Key.Hash }
	publicKey := func(p *placed) string { return p.Key.PublicKey }
	era := func(p *placed) string { return strconv.FormatUint(p.Key.Era, 10) }
	name := `"` + kind.String() + `"`
	switch kind {
	case event.BlockAdded:
		return table{name, "block_hash, height, raw", "first, second::bigint, raw", "", hash, func(p *placed) string { return strconv.FormatUint(p.Key.Height, 10) }}
	case event.Fault:
		return table{name, "era, public_key, raw", "first::numeric, second, raw", "", era, publicKey}
	case event.FinalitySignature:
		return table{name, "block_hash, public_key, raw", "first, second, raw", "", hash, publicKey}
	case event.Step:
		return table{name, "era, raw", "first::numeric, raw", "", era, none}
	}
	if s.layout == log.V1 {
		return table{name, "deploy_hash, raw", "first, raw", `INSERT INTO deploy_event (event_log_id, deploy_hash) SELECT id, first`, hash, none}
	}
	return table{name, "transaction_hash, transaction_type_id, raw", "first, second::smallint, raw",
		`INSERT INTO transaction_event (event_log_id, transaction_hash, transaction_type_id) SELECT id, first, second::smallint`, hash,
		func(p *placed) string { return strconv.Itoa(p.row.Variant) }}
}

// keyed returns a query on a kind's table for rows by their keys in event_log, which it takes as $1: the text before the space
// and after it, in two arrays.
func (s *Store) keyed(kind event.Kind) string {
	name := `"` + kind.String() + `"`
	switch kind {
	case event.BlockAdded:
		return name + ` t JOIN unnest($1::text[], $2::text[]) AS k (a, b) ON t.block_hash = k.a`
	case event.Fault:
		return name + ` t JOIN unnest($1::text[], $2::text[]) AS k (a, b) ON t.era = k.a::numeric AND t.public_key = k.b`
	case event.FinalitySignature:
		return name + ` t JOIN unnest($1::text[], $2::text[]) AS k (a, b) ON t.block_hash = k.a AND t.public_key = k.b`
	case event.Step:
		return name + ` t JOIN unnest($1::text[], $2::text[]) AS k (a, b) ON t.era = k.a::numeric`
	}
	if s.layout == log.V1 {
		return name + ` t JOIN unnest($1::text[], $2::text[]) AS k (a, b) ON t.deploy_hash = k.a`
	}
	// The key of TransactionAccepted begins with the variant: without it no index fits.
	return name + ` t JOIN unnest($1::text[], $2::text[]) AS k (a, b) ON t.transaction_hash = k.a AND t.transaction_type_id IN (0, 1)`
}

func split(keys []string) (first, second []string) {
	first, second = make([]string, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		first[i], second[i] = log.ParseEventKey(key)
	}
	return first, second
}

// locate returns the event_log_id of events of a kind by their keys.
func (s *Store) locate(ctx context.Context, tx pgx.Tx, kind event.Kind, keys []string) (map[string]int64, error) {
	first, second := split(keys)
	rows, err := tx.Query(ctx, `SELECT k.a, k.b, t.event_log_id FROM `+s.keyed(kind), first, second)
	if err != nil {
		return nil, err
	}
	found := make(map[string]int64)
	var a, b string
	var id int64
	_, err = pgx.ForEachRow(rows, []any{&a, &b, &id}, func() error {
		if b != "" {
			a += " " + b
		}
		found[a] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", kind, err)
	}
	return found, nil
}
