package postgres

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// State implements [log.Store].
func (s *Store) State(ctx context.Context, recent int) (log.State, error) {
	state := log.State{Positions: make(map[event.Origin]uint32)}
	var next int64
	if err := s.pool.QueryRow(ctx, `SELECT next, in_force FROM synod_instance WHERE instance = $1`, s.instance).Scan(&next, &state.APIVersion); err != nil {
		return log.State{}, err
	}
	state.Next = event.Seq(next)
	rows, err := s.pool.Query(ctx, `SELECT node, filter, event_id FROM synod_position WHERE instance = $1`, s.instance)
	if err != nil {
		return log.State{}, err
	}
	var node, filter string
	var id int64
	if _, err := pgx.ForEachRow(rows, []any{&node, &filter, &id}, func() error {
		state.Positions[event.Origin{Node: node, Filter: event.Filter(filter)}] = uint32(id)
		return nil
	}); err != nil {
		return log.State{}, err
	}
	if rows, err = s.pool.Query(ctx, `SELECT l.event_type_id::integer, l.event_key FROM synod_event s JOIN event_log l USING (event_log_id)
		WHERE s.instance = $1 ORDER BY s.seq DESC LIMIT $2`, s.instance, recent); err != nil {
		return log.State{}, err
	}
	state.Recent, err = pgx.CollectRows(rows, pgx.RowToStructByPos[log.Identity])
	slices.Reverse(state.Recent)
	return state, err
}

// After implements [log.History].
func (s *Store) After(ctx context.Context, from event.Seq, limit, maxBytes int) (events []event.Numbered, err error) {
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var keys []string
		if events, keys, err = s.page(ctx, tx, from, limit, maxBytes); err != nil {
			return err
		}
		return s.bodies(ctx, tx, events, keys)
	})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(events, func(e event.Numbered) bool { return e.Tag == "" && e.Body == nil }), nil
}

// page reads which events come next, with their keys in event_log.
func (s *Store) page(ctx context.Context, tx pgx.Tx, from event.Seq, limit, maxBytes int) ([]event.Numbered, []string, error) {
	rows, err := tx.Query(ctx, `SELECT s.seq, s.kind, s.filter, s.in_force, s.bytes, coalesce(s.tag, ''), s.body, coalesce(l.event_key, '')
		FROM synod_event s LEFT JOIN event_log l USING (event_log_id) WHERE s.instance = $1 AND s.seq >= $2 ORDER BY s.seq LIMIT $3`,
		s.instance, int64(from), limit)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var events []event.Numbered
	var keys []string
	total := 0
	for rows.Next() {
		var e event.Numbered
		var seq int64
		var kind int16
		var filter, key string
		var size int
		if err := rows.Scan(&seq, &kind, &filter, &e.InForce, &size, &e.Tag, &e.Body, &key); err != nil {
			return nil, nil, err
		}
		if total += size; total > maxBytes && len(events) > 0 {
			break
		}
		e.Seq, e.Kind, e.Origin.Filter = event.Seq(seq), event.Kind(kind), event.Filter(filter)
		events = append(events, e)
		keys = append(keys, key)
	}
	rows.Close()
	return events, keys, rows.Err()
}

// bodies reads the JSON of events by their keys, a statement for all of a kind.
func (s *Store) bodies(ctx context.Context, tx pgx.Tx, events []event.Numbered, keys []string) error {
	byKind := make(map[event.Kind][]int)
	for i := range events {
		switch {
		case keys[i] == "":
		case events[i].Kind == event.Shutdown:
			events[i].Tag = event.Shutdown.String()
		default:
			byKind[events[i].Kind] = append(byKind[events[i].Kind], i)
		}
	}
	for kind, places := range byKind {
		at := make(map[string]int, len(places))
		wanted := make([]string, len(places))
		for i, place := range places {
			at[keys[place]], wanted[i] = place, keys[place]
		}
		first, second := split(wanted)
		rows, err := tx.Query(ctx, `SELECT k.a, k.b, t.raw FROM `+s.keyed(kind), first, second)
		if err != nil {
			return err
		}
		var a, b string
		var raw []byte
		if _, err := pgx.ForEachRow(rows, []any{&a, &b, &raw}, func() error {
			if b != "" {
				a += " " + b
			}
			e := &events[at[a]]
			e.Tag, e.Body = kind.String(), s.layout.Body(kind, slices.Clone(raw))
			return nil
		}); err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
	}
	return nil
}

// found runs a query for raw on a table, with what follows it.
func (s *Store) found(ctx context.Context, kind event.Kind, rest string, args ...any) ([]log.Found, error) {
	query := `SELECT t.raw, '', '' FROM "` + kind.String() + `" t ` + rest
	if s.layout == log.V2 {
		query = `SELECT t.raw, coalesce(l.api_version, ''), coalesce(l.network_name, '') FROM "` + kind.String() + `" t LEFT JOIN event_log l USING (event_log_id) ` + rest
	}
	rows, err := s.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[log.Found])
}

func one(all []log.Found, err error) (log.Found, error) {
	if errors.Is(err, pgx.ErrNoRows) || err == nil && len(all) == 0 {
		return log.Found{}, log.ErrNotFound
	}
	if err != nil {
		return log.Found{}, err
	}
	return all[0], nil
}

// LatestBlock implements [log.Reader].
func (s *Store) LatestBlock(ctx context.Context) (log.Found, error) {
	return one(s.found(ctx, event.BlockAdded, `ORDER BY t.height DESC LIMIT 1`))
}

// BlockByHash implements [log.Reader].
func (s *Store) BlockByHash(ctx context.Context, hash string) (log.Found, error) {
	return one(s.found(ctx, event.BlockAdded, `WHERE t.block_hash = $1 LIMIT 1`, hash))
}

// BlockByHeight implements [log.Reader].
func (s *Store) BlockByHeight(ctx context.Context, height uint64) (log.Found, error) {
	if height > math.MaxInt64 {
		return log.Found{}, log.ErrNotFound
	}
	return one(s.found(ctx, event.BlockAdded, `WHERE t.height = $1 LIMIT 1`, int64(height)))
}

// Deploy implements [log.Reader].
func (s *Store) Deploy(ctx context.Context, kind event.Kind, variant, hash string) (log.Found, error) {
	if s.layout.Type(kind) == 0 {
		return log.Found{}, log.ErrNotFound
	}
	if s.layout == log.V1 {
		return one(s.found(ctx, kind, `WHERE t.deploy_hash = $1 LIMIT 1`, hash))
	}
	number, known := log.Variants[variant]
	if !known {
		return log.Found{}, log.ErrNotFound
	}
	return one(s.found(ctx, kind, `WHERE t.transaction_hash = $1 AND t.transaction_type_id = $2 LIMIT 1`, hash, number))
}

// FaultsByKey implements [log.Reader].
func (s *Store) FaultsByKey(ctx context.Context, publicKey string) ([]log.Found, error) {
	return s.found(ctx, event.Fault, `WHERE t.public_key = $1`, publicKey)
}

// FaultsByEra implements [log.Reader].
func (s *Store) FaultsByEra(ctx context.Context, era uint64) ([]log.Found, error) {
	return s.found(ctx, event.Fault, `WHERE t.era = $1::text::numeric`, strconv.FormatUint(era, 10))
}

// Signatures implements [log.Reader].
func (s *Store) Signatures(ctx context.Context, blockHash string) ([]log.Found, error) {
	return s.found(ctx, event.FinalitySignature, `WHERE t.block_hash = $1`, blockHash)
}

// Step implements [log.Reader].
func (s *Store) Step(ctx context.Context, era uint64) (log.Found, error) {
	return one(s.found(ctx, event.Step, `WHERE t.era = $1::text::numeric`, strconv.FormatUint(era, 10)))
}

// Totals implements [log.Store].
func (s *Store) Totals(ctx context.Context) (t log.Totals, err error) {
	err = s.pool.QueryRow(ctx, `SELECT events, bytes, pg_database_size(current_database()) FROM synod_instance WHERE instance = $1`, s.instance).
		Scan(&t.Events, &t.Bytes, &t.Disk)
	return t, err
}
