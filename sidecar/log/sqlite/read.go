package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// State implements [log.Store].
func (s *Store) State(ctx context.Context, recent int) (log.State, error) {
	state := log.State{Positions: make(map[event.Origin]uint32)}
	err := s.readers.QueryRowContext(ctx, `SELECT next, in_force FROM synod_head`).Scan(&state.Next, &state.APIVersion)
	if err != nil {
		return log.State{}, err
	}
	err = each(ctx, s.readers, `SELECT node, filter, event_id FROM synod_position`, nil, func(row *sql.Rows) error {
		var origin event.Origin
		var id uint32
		err := row.Scan(&origin.Node, &origin.Filter, &id)
		state.Positions[origin] = id
		return err
	})
	if err != nil {
		return log.State{}, err
	}
	err = each(ctx, s.readers, `SELECT l.event_type_id, l.event_key FROM synod_event s JOIN event_log l USING (event_log_id)
		ORDER BY s.seq DESC LIMIT ?`, []any{recent}, func(row *sql.Rows) error {
		var id log.Identity
		err := row.Scan(&id.Type, &id.Key)
		state.Recent = append(state.Recent, id)
		return err
	})
	slices.Reverse(state.Recent)
	return state, err
}

// After implements [log.History].
func (s *Store) After(ctx context.Context, from event.Seq, limit, maxBytes int) ([]event.Numbered, error) {
	tx, err := s.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // one view of all tables
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	var events []event.Numbered
	var keys []string
	total := 0
	err = each(ctx, tx, `SELECT s.seq, s.kind, s.filter, s.in_force, s.bytes, coalesce(s.tag, ''), s.body, coalesce(l.event_key, '')
		FROM synod_event s LEFT JOIN event_log l USING (event_log_id) WHERE s.seq >= ? ORDER BY s.seq LIMIT ?`,
		[]any{int64(from), limit}, func(row *sql.Rows) error {
			var e event.Numbered
			var size int
			var key string
			if err := row.Scan(&e.Seq, &e.Kind, &e.Origin.Filter, &e.InForce, &size, &e.Tag, &e.Body, &key); err != nil {
				return err
			}
			if total += size; total > maxBytes && len(events) > 0 {
				return errEnough
			}
			events = append(events, e)
			keys = append(keys, key)
			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	for i := range events {
		if keys[i] == "" {
			continue
		}
		if err := s.body(ctx, tx, &events[i], keys[i]); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(events, func(e event.Numbered) bool { return e.Tag == "" && e.Body == nil }), nil
}

var errEnough = errors.New("enough")

// body reads the JSON of an event by its key. If the row is gone, the event stays without tag and body.
func (s *Store) body(ctx context.Context, tx *sql.Tx, e *event.Numbered, eventKey string) error {
	if e.Kind == event.Shutdown {
		e.Tag = e.Kind.String()
		return nil
	}
	query, args := byEventKey(s.layout, e.Kind, eventKey)
	var raw []byte
	err := tx.QueryRowContext(ctx, `SELECT raw FROM `+query, args...).Scan(&raw)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("event %d: %w", e.Seq, err)
	}
	e.Tag, e.Body = e.Kind.String(), s.layout.Body(e.Kind, raw)
	return nil
}

// byEventKey returns where the row is that event_log calls by a key.
func byEventKey(layout log.Layout, kind event.Kind, eventKey string) (query string, args []any) {
	first, second := log.ParseEventKey(eventKey)
	switch kind {
	case event.BlockAdded:
		return `"BlockAdded" WHERE block_hash = ?`, []any{first}
	case event.Fault:
		return `"Fault" WHERE era = CAST(? AS NUMERIC) AND public_key = ?`, []any{first, second}
	case event.FinalitySignature:
		return `"FinalitySignature" WHERE block_hash = ? AND public_key = ?`, []any{first, second}
	case event.Step:
		return `"Step" WHERE era = CAST(? AS NUMERIC)`, []any{first}
	}
	if layout == log.V1 {
		return `"` + kind.String() + `" WHERE deploy_hash = ?`, []any{first}
	}
	return `"` + kind.String() + `" WHERE transaction_hash = ? AND transaction_type_id IN (0, 1)`, []any{first}
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls visit for every row of a query.
func each(ctx context.Context, db querier, query string, args []any, visit func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// found runs a query for raw on a table; where begins with the table's name.
func (s *Store) found(ctx context.Context, where string, args ...any) ([]log.Found, error) {
	query := `SELECT raw, '', '' FROM ` + where
	if s.layout == log.V2 {
		query = `SELECT raw, coalesce(api_version, ''), coalesce(network_name, '') FROM ` + joinLog(where)
	}
	var all []log.Found
	err := each(ctx, s.readers, query, args, func(row *sql.Rows) error {
		var f log.Found
		err := row.Scan(&f.Raw, &f.APIVersion, &f.Network)
		all = append(all, f)
		return err
	})
	return all, err
}

func joinLog(where string) string {
	for i := range where {
		if where[i] == ' ' {
			return where[:i] + ` LEFT JOIN event_log USING (event_log_id)` + where[i:]
		}
	}
	return where + ` LEFT JOIN event_log USING (event_log_id)`
}

func one(all []log.Found, err error) (log.Found, error) {
	if err == nil && len(all) == 0 {
		err = log.ErrNotFound
	}
	if err != nil {
		return log.Found{}, err
	}
	return all[0], nil
}

// LatestBlock implements [log.Reader].
func (s *Store) LatestBlock(ctx context.Context) (log.Found, error) {
	return one(s.found(ctx, `"BlockAdded" ORDER BY height DESC LIMIT 1`))
}

// BlockByHash implements [log.Reader].
func (s *Store) BlockByHash(ctx context.Context, hash string) (log.Found, error) {
	return one(s.found(ctx, `"BlockAdded" WHERE block_hash = ? LIMIT 1`, hash))
}

// BlockByHeight implements [log.Reader].
func (s *Store) BlockByHeight(ctx context.Context, height uint64) (log.Found, error) {
	return one(s.found(ctx, `"BlockAdded" WHERE height = ? LIMIT 1`, unsigned(height)))
}

// Deploy implements [log.Reader].
func (s *Store) Deploy(ctx context.Context, kind event.Kind, variant, hash string) (log.Found, error) {
	if s.layout.Type(kind) == 0 {
		return log.Found{}, log.ErrNotFound
	}
	if s.layout == log.V1 {
		return one(s.found(ctx, `"`+kind.String()+`" WHERE deploy_hash = ? LIMIT 1`, hash))
	}
	number, known := log.Variants[variant]
	if !known {
		return log.Found{}, log.ErrNotFound
	}
	return one(s.found(ctx, `"`+kind.String()+`" WHERE transaction_hash = ? AND transaction_type_id = ? LIMIT 1`, hash, number))
}

// FaultsByKey implements [log.Reader].
func (s *Store) FaultsByKey(ctx context.Context, publicKey string) ([]log.Found, error) {
	return s.found(ctx, `"Fault" WHERE public_key = ?`, publicKey)
}

// FaultsByEra implements [log.Reader].
func (s *Store) FaultsByEra(ctx context.Context, era uint64) ([]log.Found, error) {
	return s.found(ctx, `"Fault" WHERE era = ?`, unsigned(era))
}

// Signatures implements [log.Reader].
func (s *Store) Signatures(ctx context.Context, blockHash string) ([]log.Found, error) {
	return s.found(ctx, `"FinalitySignature" WHERE block_hash = ?`, blockHash)
}

// Step implements [log.Reader].
func (s *Store) Step(ctx context.Context, era uint64) (log.Found, error) {
	return one(s.found(ctx, `"Step" WHERE era = ?`, unsigned(era)))
}

// Totals implements [log.Store].
func (s *Store) Totals(ctx context.Context) (log.Totals, error) {
	var t log.Totals
	err := s.readers.QueryRowContext(ctx, `SELECT events, bytes FROM synod_head`).Scan(&t.Events, &t.Bytes)
	for _, suffix := range []string{"", "-wal"} {
		if info, err := os.Stat(s.path + suffix); err == nil {
			t.Disk += info.Size()
		}
	}
	return t, err
}
