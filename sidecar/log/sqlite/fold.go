package sqlite

import (
	"context"
	"database/sql"
)

// fold moves the write-ahead log into the file while the next groups are committed: about a fifth of the work of storing, on another
// core. A passive checkpoint waits for nobody and holds nobody up.
//
// While groups come without pause it never catches up, and SQLite begins the write-ahead log anew only when all of it is folded. So
// the connection that writes folds what is left by itself once the log is [foldAtOnce] times as long as it should be; then that is little.
type fold struct {
	db    *sql.DB // of one connection
	every int     // pages; 0 never folds
	pages int     // about how many were written since the last time; owned by Commit
	done  chan struct{}
}

// foldAtOnce is how many times [Config.AutoCheckpoint] the write-ahead log may grow to.
const foldAtOnce = 8

func newFold(db *sql.DB, every int) *fold {
	db.SetMaxOpenConns(1)
	done := make(chan struct{}, 1)
	done <- struct{}{}
	return &fold{db: db, every: every, done: done}
}

// wrote notes pages of a transaction, and begins to fold if it is time and no fold is under way.
func (f *fold) wrote(ctx context.Context, pages int) {
	f.pages += pages
	if f.every == 0 || f.pages < f.every {
		return
	}
	select {
	case <-f.done:
		f.pages = 0
		go func() {
			// What goes wrong shows when the connection that writes does it: there it is an error.
			_, _ = f.db.ExecContext(context.WithoutCancel(ctx), `PRAGMA wal_checkpoint(PASSIVE)`)
			f.done <- struct{}{}
		}()
	default:
	}
}

// close waits for the fold that is under way.
func (f *fold) close() error {
	<-f.done
	return f.db.Close()
}
