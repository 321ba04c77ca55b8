// Package sqlite keeps the sidecar's events in one SQLite file: the default, for a sidecar on its own.
//
// The driver is modernc.org/sqlite, SQLite translated to Go, so that the binary stays static. One connection writes, with every
// transaction synced (synchronous=FULL) to the write-ahead log; others read beside it.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strconv"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/synod-network/synod/sidecar/log"
)

//go:embed *.sql migrations/*.sql
var scripts embed.FS

// Config says which file, and how.
type Config struct {
	Path           string
	Layout         log.Layout // of the file if it has to be made; an existing file must have it
	Readers        int        // connections that read, 1 to 64
	AutoCheckpoint int        // pages in the write-ahead log before it is folded into the file; 0 never does
	MaxPages       int        // of 4 KiB that the file may grow to; 0 for as many as the disk holds
}

// Store is an open file. It implements [log.Store].
type Store struct {
	path   string
	layout log.Layout
	lock   io.Closer

	readers *sql.DB
	writers *sql.DB
	write   *sql.Conn
	insert  *inserts
	fold    *fold
	nextLog int64 // the next event_log_id; owned by Commit and Prune
}

// Open opens the file, makes it with the wanted layout if it is not there, and adds synod's own tables if they are missing. A
// second process cannot open the file while one has it.
func Open(ctx context.Context, c Config) (_ *Store, failed error) {
	s := &Store{path: c.Path, layout: c.Layout}
	defer func() {
		if failed != nil {
			_ = s.Close()
			failed = fmt.Errorf("open the event database %s: %w", c.Path, failed)
		}
	}()
	var err error
	if s.lock, err = log.Lock(c.Path + ".lock"); err != nil {
		return nil, err
	}
	if s.writers, err = sql.Open("sqlite", dsn(c, "immediate")+"&_pragma=foreign_keys(0)"); err != nil {
		return nil, err
	}
	s.writers.SetMaxOpenConns(1)
	if err := prepare(ctx, s.writers, c); err != nil {
		return nil, err
	}
	if s.readers, err = sql.Open("sqlite", dsn(c, "deferred")+"&_pragma=query_only(1)"); err != nil {
		return nil, err
	}
	readers := min(max(c.Readers, 1), 64)
	s.readers.SetMaxOpenConns(readers)
	s.readers.SetMaxIdleConns(readers)
	if s.write, err = s.writers.Conn(ctx); err != nil {
		return nil, err
	}
	folder, err := sql.Open("sqlite", dsn(c, "deferred"))
	if err != nil {
		return nil, err
	}
	s.fold = newFold(folder, c.AutoCheckpoint)
	if s.insert, err = prepareInserts(ctx, s.write, c.Layout); err != nil {
		return nil, err
	}
	s.insert.eventLog.refused = s.replaceLogs
	return s, s.readNextLog(ctx)
}

func dsn(c Config, txlock string) string {
	query := url.Values{"_txlock": {txlock}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-16000)",
		"wal_autocheckpoint(" + strconv.Itoa(foldAtOnce*c.AutoCheckpoint) + ")",
	}}
	if c.MaxPages > 0 {
		query.Add("_pragma", "max_page_count("+strconv.Itoa(c.MaxPages)+")")
	}
	return "file:" + (&url.URL{Path: c.Path}).EscapedPath() + "?" + query.Encode()
}

// prepare makes the tables that are missing.
func prepare(ctx context.Context, db *sql.DB, c Config) error {
	found, err := layoutOf(ctx, db)
	if err != nil {
		return err
	}
	if found == 0 {
		if err := create(ctx, db, c.Layout); err != nil {
			return err
		}
	} else if err := log.CheckLayout(found, c.Layout, c.Path); err != nil {
		return err
	}
	if err := checkMigration(ctx, db); err != nil {
		return err
	}
	migrations, err := fs.Sub(scripts, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, migrations, goose.WithTableName("synod_schema"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// layoutOf recognises the layout of a database by its tables; 0 if it has none of them.
func layoutOf(ctx context.Context, db *sql.DB) (log.Layout, error) {
	var eventLog, transactions bool
	err := db.QueryRowContext(ctx, `SELECT count(*) FILTER (WHERE name = 'event_log'), count(*) FILTER (WHERE name = 'TransactionType')
		FROM sqlite_master WHERE type = 'table'`).Scan(&eventLog, &transactions)
	switch {
	case err != nil || !eventLog:
		return 0, err
	case transactions:
		return log.V2, nil
	default:
		return log.V1, nil
	}
}

func create(ctx context.Context, db *sql.DB, layout log.Layout) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	for _, name := range []string{"layout_" + layout.String() + ".sql", "layout_common.sql"} {
		script, err := scripts.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, string(script)); err != nil {
			return fmt.Errorf("make the tables of layout %s: %w", layout, err)
		}
	}
	return tx.Commit()
}

// checkMigration refuses a database on which a migration of Casper's sidecar failed, in its words.
func checkMigration(ctx context.Context, db *sql.DB) error {
	var version int
	var succeeded bool
	err := db.QueryRowContext(ctx, `SELECT version, is_success FROM "Migration" ORDER BY version DESC LIMIT 1`).Scan(&version, &succeeded)
	return log.CheckMigration(version, succeeded, err)
}

func (s *Store) readNextLog(ctx context.Context) error {
	err := s.write.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM
		(SELECT max(event_log_id) AS id FROM event_log UNION ALL SELECT seq FROM sqlite_sequence WHERE name = 'event_log')`).Scan(&s.nextLog)
	if err != nil {
		return fmt.Errorf("read the last event_log_id: %w", err)
	}
	return nil
}

// Ping implements [log.Store].
func (s *Store) Ping(ctx context.Context) error { return s.readers.PingContext(ctx) }

// Layout implements [log.Reader].
func (s *Store) Layout() log.Layout { return s.layout }

// Close implements [log.Store].
func (s *Store) Close() error {
	var all []error
	if s.insert != nil {
		s.insert.close()
	}
	if s.fold != nil {
		all = append(all, s.fold.close())
	}
	if s.write != nil {
		all = append(all, s.write.Close())
	}
	for _, db := range []*sql.DB{s.readers, s.writers} {
		if db != nil {
			all = append(all, db.Close())
		}
	}
	if s.lock != nil {
		all = append(all, s.lock.Close())
	}
	return errors.Join(all...)
}
