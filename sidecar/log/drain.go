package log

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// While the database is away, new groups go to the spool and only the drain uses the store. It runs beside the log's goroutine, so
// that a database that hangs holds nobody up: an attempt may take as long as the store waits.

// startDrain begins an attempt to move the oldest events of the spool to the database, unless one is under way.
func (l *Log) startDrain(ctx context.Context) {
	if l.drained != nil {
		return
	}
	done := make(chan error, 1)
	l.drained = done
	go func() { done <- l.drainOnce(ctx) }()
}

// drainOnce moves the oldest events. It takes more at once than new groups bring, so that the spool shrinks under load too. If ctx
// ends in the middle, they are in the spool, and perhaps in the database as well, which knows them by their numbers.
func (l *Log) drainOnce(ctx context.Context) error {
	group, records, err := l.o.Spool.Peek(4*l.o.GroupEvents, 4*l.o.GroupBytes)
	switch {
	case err != nil:
		return fmt.Errorf("read the spool: %w", err)
	case len(group) == 0:
		return l.o.Store.Ping(ctx)
	}
	if _, err := l.o.Store.Commit(ctx, group, after(group)); err != nil {
		return err
	}
	if err := l.o.Spool.Drop(records); err != nil {
		l.o.Log.Error("cannot remove stored events from the spool; they are recognised at the next start", "err", err)
	}
	return nil
}

// afterDrain notes how an attempt went and when to try again, and reports whether the database answered.
func (l *Log) afterDrain(err error) bool {
	l.drained = nil
	if err != nil {
		l.failed(err)
		l.retryIn(l.o.Retry)
		return false
	}
	l.retryIn(0)
	if events, _ := l.o.Spool.Size(); events == 0 {
		l.back()
	}
	return true
}

// retryIn sets the time of the next attempt; before Run there is none.
func (l *Log) retryIn(pause time.Duration) {
	if l.retry != nil {
		l.retry.Reset(pause)
	}
}

// after returns the number after the last one in a group from the spool, 0 if it holds only duplicates.
func after(group []*Entry) event.Seq {
	for _, e := range slices.Backward(group) {
		if e.Fixed {
			return e.Seq + 1
		}
	}
	return 0
}
