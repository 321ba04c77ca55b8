package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// ErrAway is returned by [Log.After] when what is asked for is in the database, which does not answer.
var ErrAway = errors.New("the event database is away")

// awayPatience is how long a database that is away may take for an answer.
const awayPatience = 3 * time.Second

// After implements [History] over the database and, after what that holds, the spool. Events leave the spool for the database in
// their order and are stored there before they leave it, so what lies before the first number in the spool is in the database.
func (l *Log) After(ctx context.Context, from event.Seq, limit, maxBytes int) ([]event.Numbered, error) {
	for {
		first, some := l.o.Spool.First() // before the database is asked: what leaves the spool meanwhile is then found twice, not never
		if !some || from < first {
			events, err := l.stored(ctx, from, limit, maxBytes)
			if err != nil || !some {
				return events, err
			}
			events = slices.DeleteFunc(events, func(e event.Numbered) bool { return e.Seq >= first })
			if len(events) > 0 {
				return events, nil
			}
		}
		events, there, err := l.o.Spool.After(max(from, first), limit, maxBytes)
		if err != nil {
			return nil, fmt.Errorf("read the spool: %w", err)
		}
		if there {
			l.mu.Lock()
			l.status.SpoolServed += int64(len(events))
			l.mu.Unlock()
			return events, nil
		}
	}
}

// stored asks the database, also while it is away: one that is full, or to which nothing can be written, can often be read.
func (l *Log) stored(ctx context.Context, from event.Seq, limit, maxBytes int) ([]event.Numbered, error) {
	away := l.Status().Away
	if away == "" {
		return l.o.Store.After(ctx, from, limit, maxBytes)
	}
	ctx, cancel := context.WithTimeout(ctx, awayPatience)
	defer cancel()
	events, err := l.o.Store.After(ctx, from, limit, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrAway, away)
	}
	return events, nil
}
