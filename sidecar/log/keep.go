package log

import (
	"context"
	"errors"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// How a group of events becomes durable: in the database, else in the spool, else nobody learns of it until one of them has room.

// keep stores entries in the database, or, while that is away, in the spool. It returns an error only when ctx ends.
func (l *Log) keep(ctx context.Context, entries []*Entry) error {
	marked := make([]bool, len(entries))
	for i, e := range entries {
		marked[i] = e.Duplicate
	}
	if l.away == nil {
		err := l.store(ctx, entries)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		unscribble(entries, marked)
		l.goAway(err, entries)
	}
	return l.spool(ctx, entries, marked)
}

func (l *Log) store(ctx context.Context, entries []*Entry) error {
	numbered := storable(entries)
	if len(numbered) == 0 {
		return nil
	}
	began := time.Now()
	next, err := l.o.Store.Commit(context.WithoutCancel(ctx), numbered, l.next)
	if err != nil {
		return err
	}
	l.next = next
	l.mu.Lock()
	l.status.Groups++
	l.status.LastCommit = time.Since(began).Seconds()
	l.mu.Unlock()
	return nil
}

// storable leaves out what is never stored: API versions.
func storable(entries []*Entry) []*Entry {
	var kept []*Entry
	for _, e := range entries {
		if e.IsNumbered() {
			kept = append(kept, e)
		}
	}
	return kept
}

// goAway turns to the spool.
func (l *Log) goAway(err error, entries []*Entry) {
	l.failed(err)
	l.retry.Reset(l.o.Retry)
	for _, e := range entries {
		if !e.Duplicate && e.IsNumbered() {
			l.o.Observer.Fault(saveFault(l.o.Store.Layout(), e.Kind))
		}
	}
	l.o.Log.Error("cannot store events in the database; keeping them in the spool until it is back", "err", err)
}

// failed notes that the database did not take a group.
func (l *Log) failed(err error) {
	l.setAway(err)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Failures++
}

// saveFault names an event that the database did not take as releases 1.x and 2.x do in the metric error_counts.
func saveFault(layout Layout, kind event.Kind) (category, description string) {
	category, description = "main", "db_save_error_"+kind.String()
	if layout == V2 {
		category = "event_handling"
	}
	if kind == event.Shutdown {
		description = "db_save_error_shutdown"
	}
	return category, description
}

// spool numbers entries itself and keeps them on disk. While that fails it says so, and tries again: the spool, which has room again
// once the database took something out of it, and, if the spool is empty, the database itself. marked says which entries are
// duplicates.
func (l *Log) spool(ctx context.Context, entries []*Entry, marked []bool) error {
	for {
		next := l.number(entries)
		err := l.o.Spool.Append(storable(entries))
		if err == nil {
			l.next = next
			l.setBlocked(nil)
			if l.away == nil { // it came back while we waited: these are drained next
				l.setAway(errDraining)
				l.retry.Reset(0)
			}
			return nil
		}
		l.setBlocked(err)
		if events, _ := l.o.Spool.Size(); events == 0 && l.drained == nil {
			if l.storeAfterAll(ctx, entries, marked) {
				return nil
			}
		} else if took, err := l.awaitDrain(ctx); took || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.o.Retry):
		}
	}
}

// number gives entries the numbers that they have in the spool, and returns the one after the last.
func (l *Log) number(entries []*Entry) event.Seq {
	next := l.next
	for _, e := range entries {
		if e.IsNumbered() && !e.Duplicate {
			e.Seq, e.Fixed = next, true
			next++
		}
	}
	return next
}

// awaitDrain makes room in the spool, if the database takes something out of it, and reports whether it did.
func (l *Log) awaitDrain(ctx context.Context) (took bool, err error) {
	l.startDrain(ctx)
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case err := <-l.drained:
		return l.afterDrain(err), nil
	}
}

// storeAfterAll tries the database with a group for which the spool has no room. Only this tells whether a full one has room again: it
// answers questions all the while.
func (l *Log) storeAfterAll(ctx context.Context, entries []*Entry, marked []bool) bool {
	for _, e := range entries {
		e.Seq, e.Fixed = 0, false
	}
	if err := l.store(ctx, entries); err != nil {
		unscribble(entries, marked)
		l.failed(err)
		return false
	}
	l.back()
	l.setBlocked(nil)
	return true
}

// back notes that the database is in use again.
func (l *Log) back() {
	l.setAway(nil)
	l.o.Log.Info("the database is back and holds everything that was in the spool")
}

// unscribble takes back what a failed Commit may have left in entries.
func unscribble(entries []*Entry, marked []bool) {
	for i, e := range entries {
		e.Duplicate = marked[i]
	}
}

var errDraining = errors.New("the spool is being drained")

// setAway notes why the database is not in use, or that it is.
func (l *Log) setAway(err error) {
	l.away = err
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.status.Away = ""
		return
	}
	l.status.Away = err.Error()
}

// setBlocked notes that nothing can be made durable, loudly, or that it can.
func (l *Log) setBlocked(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		if l.status.Blocked != "" {
			l.o.Log.Warn("events can be made durable again")
		}
		l.status.Blocked = ""
		return
	}
	l.status.Blocked = err.Error()
	if time.Since(l.loud) > 10*time.Second {
		l.loud = time.Now()
		l.o.Log.Error("NO EVENT CAN BE MADE DURABLE: the database is away and the spool cannot be written; nothing that was acknowledged is lost, "+
			"and nothing more is read from the nodes until there is room: free disk space or repair the database", "spool", err, "database", l.away)
	}
}
