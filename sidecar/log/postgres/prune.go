package postgres

import (
	"context"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// old is one of the oldest events: first those that this sidecar has no number for, then by number.
type old struct {
	seq     *int64
	logID   *int64
	kind    event.Kind
	key     string
	bytes   int64
	expired bool // by age
}

// Prune implements [log.Store]. What it removes is gone for all sidecars on the database.
func (s *Store) Prune(ctx context.Context, keep log.Retention, limit int) (removed int, err error) {
	if err := s.index(ctx); err != nil {
		return 0, err
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var events, bytes int64
		if err := tx.QueryRow(ctx, `SELECT events, bytes FROM synod_instance WHERE instance = $1`, s.instance).Scan(&events, &bytes); err != nil {
			return err
		}
		oldest, err := s.oldest(ctx, tx, keep, limit)
		if err != nil {
			return err
		}
		var gone []old
		for _, o := range oldest {
			if !o.expired && !beyond(keep.Events, events) && !beyond(keep.Bytes, bytes) {
				break
			}
			if o.seq != nil {
				events--
				bytes -= o.bytes
			}
			gone = append(gone, o)
		}
		removed = len(gone)
		if removed == 0 {
			return nil
		}
		return s.remove(ctx, tx, gone)
	})
	return removed, err
}

// index makes the indexes by which PostgreSQL finds, for each row of event_log that goes, that nothing refers to it any more. Casper's
// tables have none, and only who removes events needs them. The first time it may take minutes, during which nothing is stored.
func (s *Store) index(ctx context.Context) error {
	if s.indexed {
		return nil
	}
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0`); err != nil {
			return err
		}
		link := "deploy_event"
		if s.layout == log.V2 {
			link = "transaction_event"
		}
		tables := []string{link}
		for _, kind := range event.Kinds() {
			if s.layout.Type(kind) != 0 {
				tables = append(tables, kind.String())
			}
		}
		for _, table := range tables {
			if _, err := tx.Exec(ctx, `CREATE INDEX IF NOT EXISTS "synod_log_of_`+table+`" ON "`+table+`" (event_log_id)`); err != nil {
				return err
			}
		}
		return nil
	})
	s.indexed = err == nil
	return err
}

func beyond(bound, value int64) bool { return bound > 0 && value > bound }

// oldest lists the oldest events. One without a row in event_log has no time of its own: it expires with the one before it.
func (s *Store) oldest(ctx context.Context, tx pgx.Tx, keep log.Retention, limit int) ([]old, error) {
	age := keep.Age.Seconds()
	if keep.Age == 0 {
		age = math.MaxInt32
	}
	var numbered []old
	firstLog := int64(math.MaxInt64)
	expired := false
	rows, err := tx.Query(ctx, `SELECT s.seq, l.event_log_id, s.kind, coalesce(l.event_key, ''), s.bytes, l.inserted_timestamp < localtimestamp - make_interval(secs => $1)
		FROM synod_event s LEFT JOIN event_log l USING (event_log_id) WHERE s.instance = $2 ORDER BY s.seq LIMIT $3`, age, s.instance, limit)
	if err != nil {
		return nil, err
	}
	var o old
	var kind int16
	var aged *bool
	if _, err := pgx.ForEachRow(rows, []any{&o.seq, &o.logID, &kind, &o.key, &o.bytes, &aged}, func() error {
		if aged != nil {
			expired = *aged
		}
		if o.logID != nil {
			firstLog = min(firstLog, *o.logID)
		}
		o.kind, o.expired = event.Kind(kind), expired
		numbered = append(numbered, o)
		o = old{}
		return nil
	}); err != nil {
		return nil, err
	}
	rows, err = tx.Query(ctx, `SELECT event_log_id, event_type_id, event_key, inserted_timestamp < localtimestamp - make_interval(secs => $1) FROM event_log
		WHERE event_log_id < $2 ORDER BY event_log_id LIMIT $3`, age, firstLog, limit)
	if err != nil {
		return nil, err
	}
	var all []old
	o = old{}
	if _, err := pgx.ForEachRow(rows, []any{&o.logID, &kind, &o.key, &o.expired}, func() error {
		o.kind = s.layout.Kind(int(kind))
		all = append(all, o)
		o = old{}
		return nil
	}); err != nil {
		return nil, err
	}
	all = append(all, numbered...)
	return all[:min(len(all), limit)], nil
}

// remove deletes the rows of events, those that refer to event_log first.
func (s *Store) remove(ctx context.Context, tx pgx.Tx, gone []old) error {
	var logIDs, seqs []int64
	var batch pgx.Batch
	for _, o := range gone {
		if o.logID != nil {
			logIDs = append(logIDs, *o.logID)
			s.removeRow(&batch, o)
		}
		if o.seq != nil {
			seqs = append(seqs, *o.seq)
		}
	}
	batch.Queue(`DELETE FROM event_log WHERE event_log_id = ANY($1)`, logIDs)
	batch.Queue(`WITH gone AS (DELETE FROM synod_event WHERE event_log_id = ANY($1) OR instance = $2 AND seq = ANY($3) RETURNING instance, bytes),
		sums AS (SELECT instance, count(*) AS n, sum(bytes) AS bytes FROM gone GROUP BY instance)
		UPDATE synod_instance i SET events = i.events - s.n, bytes = i.bytes - s.bytes FROM sums s WHERE i.instance = s.instance`, logIDs, s.instance, seqs)
	return tx.SendBatch(ctx, &batch).Close()
}

func (s *Store) removeRow(batch *pgx.Batch, o old) {
	switch o.kind {
	case event.Unknown:
		return
	case event.Shutdown:
		batch.Queue(`DELETE FROM "Shutdown" WHERE event_log_id = $1`, *o.logID)
		return
	case event.DeployAccepted, event.DeployProcessed, event.DeployExpired:
		batch.Queue(`DELETE FROM deploy_event WHERE deploy_hash = $1 AND event_log_id = $2`, o.key, *o.logID)
	case event.TransactionAccepted, event.TransactionProcessed, event.TransactionExpired:
		batch.Queue(`DELETE FROM transaction_event WHERE transaction_hash = $1 AND event_log_id = $2`, o.key, *o.logID)
	}
	first, second := split([]string{o.key})
	batch.Queue(`DELETE FROM "`+o.kind.String()+`" WHERE event_log_id IN (SELECT t.event_log_id FROM `+s.keyed(o.kind)+` WHERE t.event_log_id = $3)`, first, second, *o.logID)
}
