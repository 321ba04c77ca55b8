package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// rows collects rows for one table and inserts many with one statement: what a statement costs beside its rows is about as much as one
// row. Only the row of the kind's own table decides whether an event is new, so the others need not go in one by one.
type rows struct {
	columns   int
	one, many *sql.Stmt
	args      []any // of the rows that are not inserted yet

	// refused is called with the rows of a statement that inserted fewer; nil if that is as good.
	refused func(ctx context.Context, args []any) error
}

// rowsAtOnce is how many rows a statement inserts. More gain nothing that can be measured.
const rowsAtOnce = 40

// prepareRows prepares statements for rows of a table. The columns are those of the statement's text, which ends before VALUES.
func prepareRows(ctx context.Context, conn *sql.Conn, insert string) (*rows, error) {
	columns := strings.Count(insert, ",") + 1
	row := "(?" + strings.Repeat(", ?", columns-1) + ")"
	const end = " ON CONFLICT DO NOTHING"
	one, err := conn.PrepareContext(ctx, insert+" VALUES "+row+end)
	if err != nil {
		return nil, err
	}
	many, err := conn.PrepareContext(ctx, insert+" VALUES "+row+strings.Repeat(", "+row, rowsAtOnce-1)+end)
	if err != nil {
		return nil, errors.Join(err, one.Close())
	}
	return &rows{columns: columns, one: one, many: many}, nil
}

func (r *rows) add(ctx context.Context, values ...any) error {
	r.args = append(r.args, values...)
	if len(r.args) < r.columns*rowsAtOnce {
		return nil
	}
	return r.insert(ctx, r.many)
}

// flush inserts what is left.
func (r *rows) flush(ctx context.Context) error {
	all := r.args
	defer func() { r.args = all[:0] }()
	for left := all; len(left) > 0; {
		r.args, left = left[:r.columns], left[r.columns:]
		if err := r.insert(ctx, r.one); err != nil {
			return err
		}
	}
	return nil
}

// insert runs a statement with all rows.
func (r *rows) insert(ctx context.Context, statement *sql.Stmt) error {
	args := r.args
	r.args = args[:0]
	result, err := statement.ExecContext(ctx, args...)
	if err != nil || r.refused == nil {
		return err
	}
	n, err := result.RowsAffected()
	if err != nil || int(n) == len(args)/r.columns {
		return err
	}
	return r.refused(ctx, args)
}

// forget drops rows of a transaction that failed.
func (r *rows) forget() { r.args = r.args[:0] }

func (r *rows) close() {
	_ = r.one.Close()
	_ = r.many.Close()
}
