// Package postgres keeps the sidecar's events in PostgreSQL, alone or beside other sidecars on the same database.
//
// An event is stored once, by whichever sidecar commits it first. Each sidecar numbers all events for its own subscribers: it has
// rows of its own in synod_event, which point at the one row of event_log. So a sidecar that is behind still passes on what
// another stored before it, and a sidecar that was away goes on where it stopped.
//
// Groups of different sidecars are stored one after the other (an advisory lock for the length of the transaction): they carry the
// same events in different orders, and would otherwise wait for each other in circles.
package postgres

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/synod-network/synod/internal/halfopen"
	"github.com/synod-network/synod/sidecar/log"
)

//go:embed *.sql migrations/*.sql
var scripts embed.FS

// Config says which database, and who this sidecar is on it.
type Config struct {
	DSN            string // keywords and values, or a URL
	MaxConnections int
	Layout         log.Layout // of the database if it has to be made; an existing one must have it

	// Patience is how long storing a group may take before the database counts as away; 0 for the default of ten seconds. A group that
	// was stored after all is recognised when it comes again.
	Patience time.Duration

	// Directory holds the file synod-instance, the name under which this sidecar numbers events; it is made at the first start.
	Directory string
}

// Store is an open database. It implements [log.Store].
type Store struct {
	pool     *pgxpool.Pool
	layout   log.Layout
	lock     io.Closer
	patience time.Duration
	instance int32
	adopted  int64   // rows of event_log up to here were there before this sidecar
	logIDs   []int64 // taken from the sequence, not yet used; owned by Commit
	indexed  bool    // Prune has what it needs; owned by it
}

// applicationName is how a sidecar's connections are called in pg_stat_activity.
const applicationName = "synod sidecar"

// The spans after which a silent database counts as away, and within which PostgreSQL ends what a dead sidecar left open.
const (
	connectTimeout = 5 * time.Second
	patience       = 10 * time.Second
	userTimeout    = 15 * time.Second // for sent bytes to be acknowledged
)

// Open connects, makes the tables with the wanted layout if there are none, and adds synod's own if they are missing.
func Open(ctx context.Context, c Config) (_ *Store, failed error) {
	s := &Store{layout: c.Layout, patience: cmp.Or(c.Patience, patience)}
	defer func() {
		if failed != nil {
			_ = s.Close()
			failed = fmt.Errorf("open the event database on PostgreSQL: %w", failed)
		}
	}()
	name, err := instanceName(c.Directory)
	if err != nil {
		return nil, err
	}
	if s.lock, err = log.Lock(filepath.Join(c.Directory, "synod-instance.lock")); err != nil {
		return nil, err
	}
	config, err := poolConfig(c)
	if err != nil {
		return nil, err
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if err := s.pool.Ping(ctx); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	return s, s.join(ctx, name)
}

func poolConfig(c Config) (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.DSN)
	if err != nil {
		return nil, err
	}
	config.MaxConns = int32(min(max(c.MaxConnections, 2), 1000)) // one writes, others read
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.DialFunc = dial
	for name, value := range map[string]string{"statement_timeout": "30s", "idle_in_transaction_session_timeout": "10s", "application_name": applicationName} {
		config.ConnConfig.RuntimeParams[name] = value
	}
	return config, nil
}

// dial connects so that a peer that vanished without a word is noticed.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: userTimeout}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		if err := halfopen.Limit(tcp, userTimeout); err != nil {
			_ = conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

// instanceName reads the name of this sidecar, or makes one.
func instanceName(dir string) (string, error) {
	path := filepath.Join(dir, "synod-instance")
	content, err := os.ReadFile(path)
	if err == nil {
		if name := strings.TrimSpace(string(content)); name != "" {
			return name, nil
		}
		return "", fmt.Errorf("%s is empty: write into it the name of this sidecar from the table synod_instance, or remove it to begin anew", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", err
	}
	name := hex.EncodeToString(random[:])
	return name, os.WriteFile(path, []byte(name+"\n"), 0o644)
}

// prepareLock is the advisory lock under which tables are made, storeLock that under which groups are stored.
const (
	prepareLock = 0x73796e6f64_01
	storeLock   = 0x73796e6f64_02
)

// prepare makes the tables that are missing. Sidecars that start together take turns.
func (s *Store) prepare(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(prepareLock)); err != nil {
			return err
		}
		found, err := layoutOf(ctx, tx)
		if err != nil {
			return err
		}
		if found == 0 {
			if err := create(ctx, tx, s.layout); err != nil {
				return err
			}
			return indexFaults(ctx, tx)
		}
		if err := log.CheckLayout(found, s.layout, "the database"); err != nil {
			return err
		}
		if err := checkMigration(ctx, tx); err != nil {
			return err
		}
		return indexFaults(ctx, tx)
	})
	if err != nil {
		return err
	}
	return makeSideTables(ctx, s.pool)
}

// indexFaults makes the index by which faults are looked up by validator, for which Casper's key on (era, public_key) is of no use.
// Casper's sidecar takes no notice of it. Where it is there, the table is not touched: that would wait for other sidecars.
func indexFaults(ctx context.Context, tx pgx.Tx) error {
	var there bool
	if err := tx.QueryRow(ctx, `SELECT to_regclass('synod_fault_by_key') IS NOT NULL`).Scan(&there); err != nil || there {
		return err
	}
	_, err := tx.Exec(ctx, `CREATE INDEX synod_fault_by_key ON "Fault" (public_key)`)
	return err
}

// makeSideTables makes synod's own tables, or brings them up to date.
func makeSideTables(ctx context.Context, pool *pgxpool.Pool) error {
	migrations, err := fs.Sub(scripts, "migrations")
	if err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(pool)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations, goose.WithTableName("synod_schema"),
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func layoutOf(ctx context.Context, tx pgx.Tx) (log.Layout, error) {
	var eventLog, transactions bool
	err := tx.QueryRow(ctx, `SELECT to_regclass('event_log') IS NOT NULL, to_regclass('"TransactionType"') IS NOT NULL`).Scan(&eventLog, &transactions)
	switch {
	case err != nil || !eventLog:
		return 0, err
	case transactions:
		return log.V2, nil
	default:
		return log.V1, nil
	}
}

func create(ctx context.Context, tx pgx.Tx, layout log.Layout) error {
	for _, name := range []string{"layout_" + layout.String() + ".sql", "layout_common.sql"} {
		script, err := scripts.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(script)); err != nil {
			return fmt.Errorf("make the tables of layout %s: %w", layout, err)
		}
	}
	return nil
}

func checkMigration(ctx context.Context, tx pgx.Tx) error {
	var version int
	var succeeded bool
	err := tx.QueryRow(ctx, `SELECT version, is_success FROM "Migration" ORDER BY version DESC LIMIT 1`).Scan(&version, &succeeded)
	if errors.Is(err, pgx.ErrNoRows) {
		err = sql.ErrNoRows
	}
	return log.CheckMigration(version, succeeded, err)
}

// join finds this sidecar among those on the database, or adds it. A new one numbers on from where the furthest stands, so that
// ids are not used again should its directory have been lost.
func (s *Store) join(ctx context.Context, name string) error {
	_, err := s.pool.Exec(ctx, `INSERT INTO synod_instance (name, next, adopted)
		SELECT $1, (SELECT coalesce(max(next), 0) FROM synod_instance), (SELECT coalesce(max(event_log_id), 0) FROM event_log)
		ON CONFLICT DO NOTHING`, name)
	if err != nil {
		return err
	}
	return s.pool.QueryRow(ctx, `SELECT instance, adopted FROM synod_instance WHERE name = $1`, name).Scan(&s.instance, &s.adopted)
}

// Ping implements [log.Store].
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// Layout implements [log.Reader].
func (s *Store) Layout() log.Layout { return s.layout }

// Close implements [log.Store].
func (s *Store) Close() error {
	if s.pool != nil {
		s.pool.Close()
	}
	if s.lock != nil {
		return s.lock.Close()
	}
	return nil
}
