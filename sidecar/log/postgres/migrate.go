package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Migration turns a database of layout V1 into one of layout V2 in another, empty database, on the same server or elsewhere. The
// old one is only read, in one snapshot. The new one gets all of it in one transaction: until that is committed, whatever ends the
// migration, it has no tables of events, and the migration can be run again.
type Migration struct {
	From, To string // how to connect: keywords and values, or URLs
	log.Origins

	// DryRun reads and converts everything, and looks whether the new database is empty, but writes nothing.
	DryRun   bool
	Progress func(done, total int64) // rows; called now and then; may be nil
}

// Run does the migration.
func (m Migration) Run(ctx context.Context) error {
	err := m.run(ctx)
	if stopped := ctx.Err(); err != nil && stopped != nil { // whatever a closed connection says of it
		return fmt.Errorf("migrate: stopped: %w (%v)", stopped, err)
	}
	return err
}

func (m Migration) run(ctx context.Context) error {
	old, err := connect(ctx, m.From)
	if err != nil {
		return fmt.Errorf("migrate: connect to the old database: %w", err)
	}
	defer old.Close()
	fresh, err := connect(ctx, m.To)
	if err != nil {
		return fmt.Errorf("migrate: connect to the new database: %w", err)
	}
	defer fresh.Close()
	snapshot := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, old, snapshot, func(from pgx.Tx) error {
		if err := checkOld(ctx, from); err != nil {
			return fmt.Errorf("migrate the old database: %w", err)
		}
		if m.DryRun {
			return errors.Join(checkEmpty(ctx, fresh), m.copyTables(ctx, from, nil))
		}
		if err := checkEmpty(ctx, fresh); err != nil {
			return err
		}
		if err := makeSideTables(ctx, fresh); err != nil {
			return fmt.Errorf("migrate to the new database: %w", err)
		}
		return pgx.BeginFunc(ctx, fresh, func(to pgx.Tx) error {
			if _, err := to.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(prepareLock)); err != nil {
				return err
			}
			if err := checkEmpty(ctx, to); err != nil { // another migration may have been faster
				return err
			}
			if err := create(ctx, to, log.V2); err != nil {
				return err
			}
			if err := m.copyTables(ctx, from, to); err != nil {
				return err
			}
			return carrySequences(ctx, from, to)
		})
	})
}

// connect opens a pool whose statements may take as long as they like.
func connect(ctx context.Context, dsn string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	config.MaxConns = 4
	config.ConnConfig.ConnectTimeout = connectTimeout
	config.ConnConfig.DialFunc = dial
	config.ConnConfig.RuntimeParams["application_name"] = "synod sidecar migrate"
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return pool, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// checkOld refuses anything but a whole database of layout V1 that no sidecar is writing to.
func checkOld(ctx context.Context, tx pgx.Tx) error {
	found, err := layoutOf(ctx, tx)
	switch {
	case err != nil:
		return err
	case found == 0:
		return errors.New("there are no tables of a sidecar in it: name the database of a 1.x sidecar")
	case found != log.V1:
		return fmt.Errorf("it has layout %s already", found)
	}
	if err := checkMigration(ctx, tx); err != nil {
		return err
	}
	var connected bool
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1)`, applicationName).Scan(&connected)
	if err == nil && connected {
		err = errors.New("a sidecar is connected to it: stop it first, or what it stores meanwhile is missing in the new one")
	}
	return err
}

func checkEmpty(ctx context.Context, db querier) error {
	var taken bool
	if err := db.QueryRow(ctx, `SELECT to_regclass('event_log') IS NOT NULL`).Scan(&taken); err != nil {
		return err
	}
	if taken {
		return errors.New("migrate to the new database: there are tables of a sidecar in it already; name an empty database")
	}
	return nil
}

// copied is a table to be read and what becomes of its rows.
type copied struct {
	from    string // a table of the old database
	columns string // what is read of it
	to      string
	named   string // the columns that are written
	convert func(row []any) ([]any, error)
}

// tables lists what is copied, parents before those that refer to them.
func (m Migration) tables() []copied {
	same := func(row []any) ([]any, error) { return row, nil }
	after := func(values ...any) func([]any) ([]any, error) {
		return func(row []any) ([]any, error) { return append(row, values...), nil }
	}
	deploy := int16(log.Variants["Deploy"])
	all := []copied{
		{"event_log", "event_log_id,event_type_id,event_source_address,event_id,event_key,inserted_timestamp,emitted_timestamp",
			"event_log", "event_log_id,event_type_id,event_source_address,event_id,event_key,inserted_timestamp,emitted_timestamp,api_version,network_name", after(m.APIVersion, m.Network)},
		{"deploy_event", "event_log_id,deploy_hash", "transaction_event", "event_log_id,transaction_hash,transaction_type_id", after(deploy)},
		{"Shutdown", "event_source_address,shutdown_timestamp,event_log_id", "Shutdown", "event_source_address,shutdown_timestamp,event_log_id", same},
		rawTable(event.BlockAdded, "block_hash,height"), rawTable(event.Fault, "era,public_key"),
		rawTable(event.FinalitySignature, "block_hash,public_key"), rawTable(event.Step, "era"),
	}
	for _, kind := range []event.Kind{event.DeployAccepted, event.DeployProcessed, event.DeployExpired} {
		t := rawTable(kind, "deploy_hash")
		upgrade := t.convert
		t.convert = func(row []any) ([]any, error) {
			row, err := upgrade(row)
			return append(row, deploy), err
		}
		t.named = "raw,event_log_id,transaction_hash,transaction_type_id"
		all = append(all, t)
	}
	return all
}

// rawTable is the table of a kind, whose JSON takes another form, with the columns of its key.
func rawTable(kind event.Kind, key string) copied {
	columns := "raw,event_log_id," + key
	return copied{kind.String(), columns, log.Upgraded(kind).String(), columns, func(row []any) ([]any, error) {
		text, _ := row[0].(string)
		upgraded, err := log.UpgradeRaw(kind, []byte(text))
		if err != nil {
			return nil, fmt.Errorf("event_log_id %v: %w", row[1], err)
		}
		row[0] = string(upgraded)
		return row, nil
	}}
}

// sideTables are synod's own. Events that have a row in event_log change their kind with it.
func sideTables() []copied {
	same := func(row []any) ([]any, error) { return row, nil }
	instance, position := "instance,name,next,adopted,events,bytes,in_force", "instance,node,filter,event_id"
	side := "instance,seq,event_log_id,kind,filter,in_force,bytes,tag,body"
	return []copied{
		{"synod_instance", instance, "synod_instance", instance, same},
		{"synod_position", position, "synod_position", position, same},
		{"synod_event", side, "synod_event", side, func(row []any) ([]any, error) {
			if kind, isNumber := row[3].(int16); isNumber && row[2] != nil {
				row[3] = int16(log.Upgraded(event.Kind(kind)))
			}
			return row, nil
		}},
	}
}

// copyTables copies and converts every row; to is nil for a dry run.
func (m Migration) copyTables(ctx context.Context, from, to pgx.Tx) error {
	tables := m.tables()
	var ours bool
	if err := from.QueryRow(ctx, `SELECT to_regclass('synod_event') IS NOT NULL`).Scan(&ours); err != nil {
		return err
	}
	if ours { // else only Casper's sidecar ever wrote to it
		tables = append(tables, sideTables()...)
	}
	var done, total int64
	for _, t := range tables {
		var rows int64
		if err := from.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{t.from}.Sanitize()).Scan(&rows); err != nil {
			return err
		}
		total += rows
	}
	tick := func() {
		if done++; m.Progress != nil && (done%progressEvery == 0 || done == total) {
			m.Progress(done, total)
		}
	}
	for _, t := range tables {
		if err := t.copy(ctx, from, to, tick); err != nil {
			return fmt.Errorf("migrate %s: %w", t.from, err)
		}
	}
	return nil
}

const progressEvery = 1000 // rows

// copy streams one table: neither side holds more than a few rows.
func (t copied) copy(ctx context.Context, from, to pgx.Tx, tick func()) error {
	rows, err := from.Query(ctx, `SELECT `+t.columns+` FROM `+pgx.Identifier{t.from}.Sanitize())
	if err != nil {
		return err
	}
	defer rows.Close()
	next := func() ([]any, error) {
		if !rows.Next() {
			return nil, rows.Err()
		}
		row, err := rows.Values()
		if err != nil {
			return nil, err
		}
		tick()
		return t.convert(row)
	}
	if to != nil {
		_, err = to.CopyFrom(ctx, pgx.Identifier{t.to}, strings.Split(t.named, ","), pgx.CopyFromFunc(next))
		return err
	}
	for {
		if row, err := next(); row == nil || err != nil {
			return err
		}
	}
}

// carrySequences lets numbers go on where they stood, so that none is behind what synod_instance.adopted says.
func carrySequences(ctx context.Context, from, to pgx.Tx) error {
	var name string
	if err := from.QueryRow(ctx, `SELECT pg_get_serial_sequence('event_log', 'event_log_id')`).Scan(&name); err != nil {
		return err
	}
	var last int64
	if err := from.QueryRow(ctx, `SELECT greatest(last_value, (SELECT max(event_log_id) FROM event_log)) FROM `+name).Scan(&last); err != nil {
		return err
	}
	if _, err := to.Exec(ctx, `SELECT setval(pg_get_serial_sequence('event_log', 'event_log_id'), $1)`, last); err != nil {
		return err
	}
	_, err := to.Exec(ctx, `SELECT setval(pg_get_serial_sequence('synod_instance', 'instance'), max(instance)) FROM synod_instance HAVING max(instance) IS NOT NULL`)
	return err
}
