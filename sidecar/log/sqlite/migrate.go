package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Migration turns a database of layout V1 into one of layout V2 in a new file. The old file is only read.
type Migration struct {
	From, To string

	// What layout V2 says about each event, and V1 did not keep.
	APIVersion, Network string

	Progress func(done, total int64) // called now and then; may be nil
}

// migratePage is how many events are copied in one transaction.
const migratePage = 1000

// Run does the migration. The new file appears under its name once it is complete.
func (m Migration) Run(ctx context.Context) error {
	if _, err := os.Stat(m.To); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("migrate to %s: there is a file already; name a new one", m.To)
	}
	old, err := Open(ctx, Config{Path: m.From, Layout: log.V1, Readers: 2, AutoCheckpoint: 1000})
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }()
	draft := m.To + ".draft"
	if err := removeDatabase(draft); err != nil {
		return err
	}
	fresh, err := Open(ctx, Config{Path: draft, Layout: log.V2, Readers: 1, AutoCheckpoint: 1000})
	if err != nil {
		return err
	}
	err = m.copy(ctx, old, fresh)
	if err == nil {
		_, err = fresh.write.ExecContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`)
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return errors.Join(fmt.Errorf("migrate %s: %w", m.From, err), removeDatabase(draft))
	}
	if err := os.Rename(draft, m.To); err != nil {
		return err
	}
	return removeDatabase(draft)
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// logged is a row of event_log with the event's JSON.
type logged struct {
	id                int64
	kind              event.Kind
	address, key      string
	eventID           int64
	inserted, emitted string
	raw               []byte
}

func (m Migration) copy(ctx context.Context, old, fresh *Store) error {
	var total, done int64
	if err := old.readers.QueryRowContext(ctx, `SELECT count(*) FROM event_log`).Scan(&total); err != nil {
		return err
	}
	for after := int64(-1); ; {
		page, err := old.loggedAfter(ctx, after)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return m.copySide(ctx, old, fresh)
		}
		if err := m.put(ctx, fresh, page); err != nil {
			return err
		}
		after = page[len(page)-1].id
		done += int64(len(page))
		if m.Progress != nil {
			m.Progress(done, total)
		}
	}
}

// loggedAfter reads the next events by their place in event_log.
func (s *Store) loggedAfter(ctx context.Context, after int64) ([]logged, error) {
	var page []logged
	err := each(ctx, s.readers, `SELECT event_log_id, event_type_id, event_source_address, event_id, event_key, inserted_timestamp, emitted_timestamp
		FROM event_log WHERE event_log_id > ? ORDER BY event_log_id LIMIT ?`, []any{after, migratePage}, func(row *sql.Rows) error {
		var l logged
		var number int
		err := row.Scan(&l.id, &number, &l.address, &l.eventID, &l.key, &l.inserted, &l.emitted)
		l.kind = s.layout.Kind(number)
		page = append(page, l)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range page {
		l := &page[i]
		if l.kind == event.Shutdown || l.kind == event.Unknown {
			continue
		}
		where, args := byEventKey(s.layout, l.kind, l.key)
		err := s.readers.QueryRowContext(ctx, `SELECT raw FROM `+where, args...).Scan(&l.raw)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("%s %s: %w", l.kind, l.key, err)
		}
	}
	return page, nil
}

func (m Migration) put(ctx context.Context, fresh *Store, page []logged) error {
	tx, err := fresh.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for i := range page {
		if err := m.putOne(ctx, tx, &page[i]); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (m Migration) putOne(ctx context.Context, tx *sql.Tx, l *logged) error {
	kind := log.Upgraded(l.kind)
	if _, err := tx.ExecContext(ctx, `INSERT INTO event_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.id, log.V2.Type(kind), l.address, l.eventID, l.key, l.inserted, l.emitted, m.APIVersion, m.Network); err != nil {
		return err
	}
	if l.kind == event.Shutdown {
		_, err := tx.ExecContext(ctx, `INSERT INTO "Shutdown" VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, l.address, l.inserted, l.id)
		return err
	}
	if l.raw == nil {
		return nil // its row was gone already
	}
	upgraded, err := log.UpgradeRaw(l.kind, l.raw)
	if err != nil {
		return fmt.Errorf("event_log_id %d: %w", l.id, err)
	}
	first, second := log.ParseEventKey(l.key)
	raw := string(upgraded)
	var query string
	var args []any
	switch kind {
	case event.BlockAdded:
		e := event.Event{Kind: kind, Body: upgraded}
		key, err := e.Key()
		if err != nil {
			return fmt.Errorf("event_log_id %d: %w", l.id, err)
		}
		query, args = insertBlock, []any{unsigned(key.Height), first, raw, l.id}
	case event.Fault:
		query, args = `INSERT INTO "Fault" VALUES (CAST(? AS NUMERIC), ?, ?, ?)`, []any{first, second, raw, l.id}
	case event.FinalitySignature:
		query, args = insertSignature, []any{first, second, raw, l.id}
	case event.Step:
		query, args = `INSERT INTO "Step" VALUES (CAST(? AS NUMERIC), ?, ?)`, []any{first, raw, l.id}
	default:
		if _, err := tx.ExecContext(ctx, linkV2, l.id, first, log.Variants["Deploy"]); err != nil {
			return err
		}
		query, args = `INSERT INTO "`+kind.String()+`"`+transactionRow, []any{log.Variants["Deploy"], first, raw, l.id}
	}
	_, err = tx.ExecContext(ctx, query, args...)
	return err
}

// copySide takes over numbers, positions and where numbering stands, so that subscribers notice nothing.
func (m Migration) copySide(ctx context.Context, old, fresh *Store) error {
	tx, err := fresh.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, table := range []struct {
		query, insert string
		columns       int
	}{
		{`SELECT seq, event_log_id, kind, filter, in_force, bytes, tag, body FROM synod_event`, insertSide, 8},
		{`SELECT node, filter, event_id FROM synod_position`, setPlace, 3},
		{`SELECT next, events, bytes, in_force FROM synod_head`, `UPDATE synod_head SET next = ?, events = ?, bytes = ?, in_force = ?`, 4},
	} {
		insert, err := tx.PrepareContext(ctx, table.insert)
		if err != nil {
			return err
		}
		err = each(ctx, old.readers, table.query, nil, func(row *sql.Rows) error {
			values, places := make([]any, table.columns), make([]any, table.columns)
			for i := range values {
				places[i] = &values[i]
			}
			if err := row.Scan(places...); err != nil {
				return err
			}
			if kind, isEvent := values[2].(int64); table.columns == 8 && isEvent && values[1] != nil {
				values[2] = int64(log.Upgraded(event.Kind(kind)))
			}
			_, err := insert.ExecContext(ctx, values...)
			return err
		})
		if err = errors.Join(err, insert.Close()); err != nil {
			return err
		}
	}
	return tx.Commit()
}
