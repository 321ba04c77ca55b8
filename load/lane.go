package load

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/synod-network/synod/ordering"
)

// How long to wait before a broken connection is tried again, how often one
// that waits is looked at, and how long a sequencer is left alone at most that
// asks for it.
const (
	reconnectAfter = 100 * time.Millisecond
	lookEvery      = 50 * time.Millisecond
	longestRest    = 10 * time.Second
)

// lane is one connection for submissions, opened again each time it breaks: a
// session for each time. It belongs to the goroutine in run.
type lane struct {
	target Target
	ledger *ledger
	start  time.Time
	batch  int
	// work brings spans when the run is paced; nil: send without end.
	work <-chan span
}

// run submits until stop ends, and keeps the last session open for answers until
// ctx ends.
func (l *lane) run(ctx context.Context, stop context.Context) {
	for stop.Err() == nil {
		if l.session(ctx, stop) == nil {
			return
		}
		sleep(stop, reconnectAfter)
	}
}

// session submits over one connection. It returns nil when the run is over, or
// what broke the connection.
func (l *lane) session(ctx, stop context.Context) error {
	flight := &flight{ledger: l.ledger}
	path, err := l.target.Open(ctx, flight.answered)
	if err != nil {
		return err
	}
	defer path.Close()
	flight.session = l.ledger.open()
	for {
		s, more := l.next(stop, path)
		if !more {
			break
		}
		first, err := l.admit(stop, path, flight, &s)
		if err == nil && s.count > 0 {
			flight.sent(s.count)
			err = path.Send(l.ledger.writer.batch(flight.session.number, first, s))
		}
		if err != nil {
			l.ledger.abandon(flight.session)
			return err
		}
	}
	if err := path.Broken(); err != nil {
		l.ledger.abandon(flight.session)
		return err
	}
	// Submitting is over: what is still unanswered may come in.
	for ctx.Err() == nil {
		if path.Broken() != nil {
			l.ledger.abandon(flight.session)
			break
		}
		sleep(ctx, lookEvery)
	}
	return nil
}

// next is what to send now.
func (l *lane) next(stop context.Context, path Path) (span, bool) {
	if l.work == nil {
		return span{count: l.batch, due: time.Since(l.start)}, stop.Err() == nil && path.Broken() == nil
	}
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case s := <-l.work:
			return s, true
		case <-stop.Done():
			return span{}, false
		case <-ticker.C:
			if path.Broken() != nil {
				return span{}, false
			}
		}
	}
}

// admit waits until a span fits what may be in flight, and until the sequencer
// wants more after it refused some. An unpaced span is due when it is admitted.
func (l *lane) admit(stop context.Context, path Path, flight *flight, s *span) (first uint64, err error) {
	if wait := flight.pause(); wait > 0 {
		sleep(stop, wait)
	}
	for {
		if l.work == nil {
			s.due = time.Since(l.start)
		}
		first, fits := l.ledger.send(flight.session, s.count)
		if fits {
			return first, nil
		}
		timer := time.NewTimer(lookEvery)
		select {
		case <-flight.session.room:
		case <-timer.C:
		case <-stop.Done():
			timer.Stop()
			s.count = 0
			return 0, nil
		}
		timer.Stop()
		if err := path.Broken(); err != nil {
			return 0, err
		}
	}
}

// flight remembers the batches of one session that have no answer yet.
type flight struct {
	ledger  *ledger
	session *session

	mu     sync.Mutex
	counts []int // requests of each batch, oldest first
	wait   time.Duration
}

func (f *flight) sent(count int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts = append(f.counts, count)
}

// answered notes the answer to the oldest batch without one.
func (f *flight) answered(err error) {
	f.mu.Lock()
	if len(f.counts) == 0 {
		f.mu.Unlock()
		return
	}
	count := f.counts[0]
	f.counts = f.counts[1:]
	var overloaded *ordering.Overloaded
	switch {
	case errors.As(err, &overloaded):
		f.wait = min(overloaded.RetryAfter, longestRest)
	case err != nil:
		f.wait = reconnectAfter
	}
	f.mu.Unlock()
	f.ledger.answer(f.session, count, err != nil)
}

// pause is how long the sequencer asked to be left alone since the last call.
func (f *flight) pause() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	wait := f.wait
	f.wait = 0
	return wait
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
