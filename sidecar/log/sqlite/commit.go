package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// inserts are the statements of [Store.Commit], prepared on its connection.
type inserts struct {
	rows     map[event.Kind]*sql.Stmt // a row of the kind's own table, unless there is one with the same key
	eventLog *rows
	link     *rows // deploy_event or transaction_event
	side     *rows
	position *sql.Stmt
	head     *sql.Stmt
}

const (
	insertBlock     = `INSERT INTO "BlockAdded" (height, block_hash, raw, event_log_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	insertFault     = `INSERT INTO "Fault" (era, public_key, raw, event_log_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	insertSignature = `INSERT INTO "FinalitySignature" (block_hash, public_key, raw, event_log_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`
	insertStep      = `INSERT INTO "Step" (era, raw, event_log_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	insertShutdown  = `INSERT INTO "Shutdown" (event_source_address, event_log_id) VALUES (?, ?) ON CONFLICT DO NOTHING`
	deployRow       = ` (deploy_hash, raw, event_log_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`
	transactionRow  = ` (transaction_type_id, transaction_hash, raw, event_log_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`

	insertLogV1 = `INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key)`
	insertLogV2 = `INSERT INTO event_log (event_log_id, event_type_id, event_source_address, event_id, event_key, api_version, network_name)`
	linkV1      = `INSERT INTO deploy_event (event_log_id, deploy_hash)`
	linkV2      = `INSERT INTO transaction_event (event_log_id, transaction_hash, transaction_type_id)`
	insertSide  = `INSERT INTO synod_event (seq, event_log_id, kind, filter, in_force, bytes, tag, body)`

	setHead  = `UPDATE synod_head SET next = max(next, ?), events = events + ?, bytes = bytes + ?, in_force = ?`
	setPlace = `INSERT INTO synod_position VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET event_id = excluded.event_id`
)

func prepareInserts(ctx context.Context, conn *sql.Conn, layout log.Layout) (*inserts, error) {
	i := &inserts{rows: make(map[event.Kind]*sql.Stmt)}
	var failed error
	statement := func(query string) *sql.Stmt {
		prepared, err := conn.PrepareContext(ctx, query)
		failed = errors.Join(failed, err)
		return prepared
	}
	queries := map[event.Kind]string{
		event.BlockAdded: insertBlock, event.Fault: insertFault, event.FinalitySignature: insertSignature,
		event.Step: insertStep, event.Shutdown: insertShutdown,
	}
	row, eventLog, link := deployRow, insertLogV1, linkV1
	if layout == log.V2 {
		row, eventLog, link = transactionRow, insertLogV2, linkV2
	}
	for _, kind := range deployKinds(layout) {
		queries[kind] = `INSERT INTO "` + kind.String() + `"` + row
	}
	for kind, query := range queries {
		i.rows[kind] = statement(query)
	}
	several := func(insert string) *rows {
		prepared, err := prepareRows(ctx, conn, insert)
		failed = errors.Join(failed, err)
		return prepared
	}
	i.eventLog, i.link, i.side = several(eventLog), several(link), several(insertSide)
	i.position, i.head = statement(setPlace), statement(setHead)
	return i, failed
}

func deployKinds(layout log.Layout) []event.Kind {
	if layout == log.V1 {
		return []event.Kind{event.DeployAccepted, event.DeployProcessed, event.DeployExpired}
	}
	return []event.Kind{event.TransactionAccepted, event.TransactionProcessed, event.TransactionExpired}
}

func (i *inserts) close() {
	for _, s := range i.rows {
		_ = s.Close()
	}
	for _, s := range []*sql.Stmt{i.position, i.head} {
		if s != nil {
			_ = s.Close()
		}
	}
	for _, r := range i.several() {
		if r != nil {
			r.close()
		}
	}
}

func (i *inserts) several() []*rows { return []*rows{i.eventLog, i.link, i.side} }

// Commit implements [log.Store].
//
// Whether a row of the kind's own table fits says whether the event is new; its row of event_log follows in the same transaction.
// This connection does not check references (foreign_keys=0), since it makes both ends: SQLite would look for the parent of each
// row, and, were references deferred, scan all tables that refer to event_log for each of its rows.
func (s *Store) Commit(ctx context.Context, group []*log.Entry, next event.Seq) (_ event.Seq, failed error) {
	if _, err := s.write.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return 0, err
	}
	nextLog := s.nextLog
	defer func() {
		if failed != nil {
			s.nextLog = nextLog
			for _, r := range s.insert.several() {
				r.forget()
			}
			_, _ = s.write.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) // SQLite may have rolled back already
		}
	}()
	var totals log.Totals
	inForce := ""
	positions := make(map[event.Origin]uint32)
	for _, e := range group {
		if e.HasID {
			positions[e.Origin] = e.ID
		}
		inForce = e.InForce
		if e.Duplicate {
			continue
		}
		if err := s.put(ctx, e, &next, &totals); err != nil {
			return 0, err
		}
	}
	for _, r := range s.insert.several() {
		if err := r.flush(ctx); err != nil {
			return 0, err
		}
	}
	for origin, id := range positions {
		if _, err := s.insert.position.ExecContext(ctx, origin.Node, string(origin.Filter), int64(id)); err != nil {
			return 0, err
		}
	}
	if _, err := s.insert.head.ExecContext(ctx, int64(next), totals.Events, totals.Bytes, inForce); err != nil {
		return 0, err
	}
	if _, err := s.write.ExecContext(ctx, `COMMIT`); err != nil {
		return 0, err
	}
	s.fold.wrote(ctx, pagesOf(totals))
	return next, nil
}

// pagesOf is about how many pages a transaction wrote: those of the JSON, and a few of indexes for each event.
func pagesOf(t log.Totals) int { return int(t.Bytes)/4096 + 2*int(t.Events) }

// put stores one event, or marks it as a duplicate.
func (s *Store) put(ctx context.Context, e *log.Entry, next *event.Seq, totals *log.Totals) error {
	row, fits := s.layout.Row(e)
	logID := sql.NullInt64{Int64: s.nextLog, Valid: fits}
	if fits {
		fresh, err := changed(s.insert.rows[e.Kind].ExecContext(ctx, rowArgs(s.layout, e, row, s.nextLog)...))
		if err != nil {
			return err
		}
		if !fresh && e.Kind != event.Shutdown { // which has one row a second, but each its row in event_log
			e.Duplicate = true
			return nil
		}
		if err := s.putLog(ctx, e, row); err != nil {
			return err
		}
	}
	if !e.Fixed {
		e.Seq = *next
		*next++
	}
	tag, body := any(nil), any(nil)
	if !logID.Valid {
		tag = e.Tag
		if e.Body != nil {
			body = e.Body
		}
	} else {
		s.nextLog++
	}
	side := []any{int64(e.Seq), logID, int64(e.Kind), string(e.Origin.Filter), e.InForce, len(e.Body), tag, body}
	if e.Fixed {
		stored, err := changed(s.insert.side.one.ExecContext(ctx, side...))
		if !stored {
			return err
		}
	} else if err := s.insert.side.add(ctx, side...); err != nil {
		return err
	}
	totals.Events++
	totals.Bytes += int64(len(e.Body))
	return nil
}

// putLog adds the row of event_log to which a new row refers, and for deploys the row that links the two.
func (s *Store) putLog(ctx context.Context, e *log.Entry, row log.Row) error {
	args := []any{s.nextLog, row.Type, e.Origin.Node, int64(e.ID), row.EventKey}
	if s.layout == log.V2 {
		args = append(args, e.APIVersion, e.Network)
	}
	if err := s.insert.eventLog.add(ctx, args...); err != nil {
		return err
	}
	if e.Key.Hash == "" || e.Kind == event.BlockAdded || e.Kind == event.FinalitySignature {
		return nil
	}
	link := []any{s.nextLog, e.Key.Hash}
	if s.layout == log.V2 {
		link = append(link, row.Variant)
	}
	return s.insert.link.add(ctx, link...)
}

// replaceLogs puts rows into event_log of which some are not there: the node sent such an event under that number before, but its row
// is gone, and only its log row is left. That is let be, under another key.
func (s *Store) replaceLogs(ctx context.Context, args []any) error {
	columns := s.insert.eventLog.columns
	for row := range slices.Chunk(args, columns) {
		var there bool
		if err := s.write.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM event_log WHERE event_log_id = ?)`, row[0]).Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		_, err := s.write.ExecContext(ctx, `UPDATE event_log SET event_key = event_key || '#' || event_log_id
			WHERE event_type_id = ? AND event_source_address = ? AND event_id = ? AND event_key = ?`, row[1:5]...)
		if err != nil {
			return err
		}
		fresh, err := changed(s.insert.eventLog.one.ExecContext(ctx, row...))
		if err == nil && !fresh {
			err = errors.New("the unique key of event_log is taken, and not by the same event")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func rowArgs(layout log.Layout, e *log.Entry, row log.Row, logID int64) []any {
	raw := string(row.Raw)
	switch e.Kind {
	case event.BlockAdded:
		return []any{unsigned(e.Key.Height), e.Key.Hash, raw, logID}
	case event.Fault:
		return []any{unsigned(e.Key.Era), e.Key.PublicKey, raw, logID}
	case event.FinalitySignature:
		return []any{e.Key.Hash, e.Key.PublicKey, raw, logID}
	case event.Step:
		return []any{unsigned(e.Key.Era), raw, logID}
	case event.Shutdown:
		return []any{e.Origin.Node, logID}
	}
	if layout == log.V2 {
		return []any{row.Variant, e.Key.Hash, raw, logID}
	}
	return []any{e.Key.Hash, raw, logID}
}

// unsigned is how a number of 64 bits is stored: Casper's sidecar writes it as a literal, which SQLite takes as a float when it
// is beyond the integers.
func unsigned(n uint64) any {
	if n > math.MaxInt64 {
		return float64(n)
	}
	return int64(n)
}

func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
