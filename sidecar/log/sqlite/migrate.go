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
	log.Origins

	DryRun   bool                    // reads and converts everything, but writes nothing
	Progress func(done, total int64) // events; called now and then; may be nil
}

// migratePage is how many events are copied in one transaction.
const migratePage = 1000

// Run does the migration. The new file appears under its name once it is complete.
func (m Migration) Run(ctx context.Context) error {
	if _, err := os.Stat(m.To); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("migrate to %s: there is a file already; name a new one", m.To)
	}
	old, err := openOld(ctx, m.From)
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }()
	if m.DryRun {
		if err := m.copy(ctx, old, nil); err != nil {
			return fmt.Errorf("migrate %s: %w", m.From, err)
		}
		return nil
	}
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

// openOld opens a file of layout V1 to read it, tables of synod's own or not.
func openOld(ctx context.Context, path string) (_ *Store, failed error) {
	s := &Store{path: path, layout: log.V1}
	defer func() {
		if failed != nil {
			_ = s.Close()
			failed = fmt.Errorf("open the event database %s: %w", path, failed)
		}
	}()
	if _, err := os.Stat(path); err != nil {
		return nil, err // opening would make it
	}
	var err error
	if s.lock, err = log.Lock(path + ".lock"); err != nil {
		return nil, err
	}
	if s.readers, err = sql.Open("sqlite", dsn(Config{Path: path}, "deferred")+"&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	found, err := layoutOf(ctx, s.readers)
	switch {
	case err != nil:
		return nil, err
	case found == 0:
		return nil, errors.New("there are no tables of a sidecar in it: name the file of a 1.x sidecar")
	case found != log.V1:
		return nil, fmt.Errorf("it has layout %s already", found)
	}
	return s, checkMigration(ctx, s.readers)
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
	height            uint64 // of a block; once upgraded
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
			break
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
	var ours bool
	if err := old.readers.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'synod_event'`).Scan(&ours); err != nil {
		return err
	}
	if !ours || fresh == nil { // only Casper's sidecar ever wrote to it
		return nil
	}
	return m.copySide(ctx, old, fresh)
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

// put converts a page and stores it; fresh is nil for a dry run.
func (m Migration) put(ctx context.Context, fresh *Store, page []logged) error {
	for i := range page {
		if err := page[i].upgrade(); err != nil {
			return fmt.Errorf("event_log_id %d: %w", page[i].id, err)
		}
	}
	if fresh == nil {
		return nil
	}
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

// upgrade gives the JSON and the kind the form of layout V2.
func (l *logged) upgrade() error {
	if l.raw != nil { // else its row was gone already
		upgraded, err := log.UpgradeRaw(l.kind, l.raw)
		if err != nil {
			return err
		}
		l.raw = upgraded
	}
	l.kind = log.Upgraded(l.kind)
	if l.kind != event.BlockAdded || l.raw == nil {
		return nil
	}
	e := event.Event{Kind: l.kind, Body: l.raw}
	key, err := e.Key()
	l.height = key.Height
	return err
}

func (m Migration) putOne(ctx context.Context, tx *sql.Tx, l *logged) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO event_log VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		l.id, log.V2.Type(l.kind), l.address, l.eventID, l.key, l.inserted, l.emitted, m.APIVersion, m.Network); err != nil {
		return err
	}
	if l.kind == event.Shutdown {
		_, err := tx.ExecContext(ctx, `INSERT INTO "Shutdown" VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, l.address, l.inserted, l.id)
		return err
	}
	if l.raw == nil {
		return nil
	}
	first, second := log.ParseEventKey(l.key)
	raw := string(l.raw)
	var query string
	var args []any
	switch l.kind {
	case event.BlockAdded:
		query, args = insertBlock, []any{unsigned(l.height), first, raw, l.id}
	case event.Fault:
		query, args = `INSERT INTO "Fault" VALUES (CAST(? AS NUMERIC), ?, ?, ?)`, []any{first, second, raw, l.id}
	case event.FinalitySignature:
		query, args = insertSignature, []any{first, second, raw, l.id}
	case event.Step:
		query, args = `INSERT INTO "Step" VALUES (CAST(? AS NUMERIC), ?, ?)`, []any{first, raw, l.id}
	default:
		if _, err := tx.ExecContext(ctx, linkV2+` VALUES (?, ?, ?)`, l.id, first, log.Variants["Deploy"]); err != nil {
			return err
		}
		query, args = `INSERT INTO "`+l.kind.String()+`"`+transactionRow, []any{log.Variants["Deploy"], first, raw, l.id}
	}
	_, err := tx.ExecContext(ctx, query, args...)
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
		{`SELECT seq, event_log_id, kind, filter, in_force, bytes, tag, body FROM synod_event`, insertSide + ` VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, 8},
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
