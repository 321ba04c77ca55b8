package sqlite

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// old is one of the oldest events: first those from before synod, which have no number, then by number.
type old struct {
	seq     sql.NullInt64
	logID   sql.NullInt64
	kind    event.Kind
	key     string
	bytes   int64
	expired bool // by age
}

// Prune implements [log.Store]. It removes both ends of each reference, which SQLite does not check on this connection: that would be
// a scan of all tables for each row of event_log.
func (s *Store) Prune(ctx context.Context, keep log.Retention, limit int) (int, error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	var totals log.Totals
	if err := tx.QueryRowContext(ctx, `SELECT events, bytes FROM synod_head`).Scan(&totals.Events, &totals.Bytes); err != nil {
		return 0, err
	}
	oldest, err := s.oldest(ctx, tx, keep, limit)
	if err != nil {
		return 0, err
	}
	removed := 0
	var gone log.Totals
	for _, o := range oldest {
		if !o.expired && !beyond(keep.Events, totals.Events-gone.Events) && !beyond(keep.Bytes, totals.Bytes-gone.Bytes) {
			break
		}
		if err := s.remove(ctx, tx, o); err != nil {
			return 0, err
		}
		if o.seq.Valid {
			gone.Events++
			gone.Bytes += o.bytes
		}
		removed++
	}
	if removed == 0 {
		return 0, nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE synod_head SET events = events - ?, bytes = bytes - ?`, gone.Events, gone.Bytes); err != nil {
		return 0, err
	}
	return removed, tx.Commit()
}

func beyond(bound, value int64) bool { return bound > 0 && value > bound }

// oldest lists the oldest events. One without a row in event_log has no time of its own: it expires with the one before it.
func (s *Store) oldest(ctx context.Context, tx *sql.Tx, keep log.Retention, limit int) ([]old, error) {
	cutoff := ""
	if keep.Age > 0 {
		cutoff = time.Now().Add(-keep.Age).UTC().Format(time.DateTime) // as CURRENT_TIMESTAMP writes it
	}
	var numbered []old
	firstLog := int64(math.MaxInt64)
	expired := false
	err := each(ctx, tx, `SELECT s.seq, l.event_log_id, s.kind, coalesce(l.event_key, ''), s.bytes, l.inserted_timestamp < ?
		FROM synod_event s LEFT JOIN event_log l USING (event_log_id) ORDER BY s.seq LIMIT ?`, []any{cutoff, limit}, func(row *sql.Rows) error {
		var o old
		var aged sql.NullBool
		if err := row.Scan(&o.seq, &o.logID, &o.kind, &o.key, &o.bytes, &aged); err != nil {
			return err
		}
		if aged.Valid {
			expired = aged.Bool
		}
		o.expired = expired
		if o.logID.Valid {
			firstLog = min(firstLog, o.logID.Int64)
		}
		numbered = append(numbered, o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var all []old
	err = each(ctx, tx, `SELECT event_log_id, event_type_id, event_key, inserted_timestamp < ? FROM event_log
		WHERE event_log_id < ? ORDER BY event_log_id LIMIT ?`, []any{cutoff, firstLog, limit}, func(row *sql.Rows) error {
		var o old
		var number int
		err := row.Scan(&o.logID, &number, &o.key, &o.expired)
		o.kind = s.layout.Kind(number)
		all = append(all, o)
		return err
	})
	all = append(all, numbered...)
	return all[:min(len(all), limit)], err
}

// remove deletes an event's rows, those that refer to event_log first.
func (s *Store) remove(ctx context.Context, tx *sql.Tx, o old) error {
	run := func(query string, args ...any) error {
		_, err := tx.ExecContext(ctx, query, args...)
		return err
	}
	if o.logID.Valid {
		if err := s.removeRow(run, o); err != nil {
			return err
		}
		if err := run(`DELETE FROM event_log WHERE event_log_id = ?`, o.logID); err != nil {
			return err
		}
	}
	if o.seq.Valid {
		return run(`DELETE FROM synod_event WHERE seq = ?`, o.seq)
	}
	return nil
}

func (s *Store) removeRow(run func(query string, args ...any) error, o old) error {
	switch o.kind {
	case event.Unknown:
		return nil
	case event.Shutdown:
		return run(`DELETE FROM "Shutdown" WHERE event_log_id = ?`, o.logID)
	case event.DeployAccepted, event.DeployProcessed, event.DeployExpired:
		if err := run(`DELETE FROM deploy_event WHERE deploy_hash = ? AND event_log_id = ?`, o.key, o.logID); err != nil {
			return err
		}
	case event.TransactionAccepted, event.TransactionProcessed, event.TransactionExpired:
		if err := run(`DELETE FROM transaction_event WHERE transaction_hash = ? AND event_log_id = ?`, o.key, o.logID); err != nil {
			return err
		}
	}
	where, args := byEventKey(s.layout, o.kind, o.key)
	return run(`DELETE FROM `+where+` AND event_log_id = ?`, append(args, o.logID)...)
}
