package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

var (
	errReplaced = errors.New("replaced by a newer connection")
	errStopped  = errors.New("closed by this node")
)

// line keeps one lane of one peer connected, one link after the other.
type line struct {
	net     *Network
	peer    *peer
	lane    Lane
	decides bool // this end has the lower key and chooses among connections

	offers chan *candidate // from greetings to run
	moved  chan struct{}   // token: the address has changed
	judged chan struct{}   // token: the gate is to be asked again

	treatment atomic.Uint32 // what the gate last said
	throttle  throttle      // for a limited peer
	arrivals  *rate.Limiter // of connections that the peer dials

	counters counters

	// Owned by run.
	pause time.Duration // before the next dial

	mu      sync.Mutex
	address string
	link    *link // nil while not connected
	since   time.Time
	begun   time.Time // when the newest link came up
	// greeting: a dial has reached the address, and the handshake goes on.
	greeting bool
	lastErr  error
}

func newLine(p *peer, lane Lane, address string) *line {
	return &line{
		net:     p.net,
		peer:    p,
		lane:    lane,
		decides: p.net.self.Compare(p.key) < 0,
		offers:  make(chan *candidate),
		moved:   make(chan struct{}, 1),
		judged:  make(chan struct{}, 1),

		throttle: newThrottle(),
		arrivals: rate.NewLimiter(connectsPerSecond, connectsAtOnce),
		address:  address,
	}
}

func (l *line) limits() LaneLimits { return l.net.cfg.Limits.lane(l.lane) }

// offer hands an incoming connection over, or closes it if the line has ended.
func (l *line) offer(ctx context.Context, c *candidate) {
	select {
	case l.offers <- c:
	case <-l.peer.stop:
		c.close()
	case <-ctx.Done():
		c.close()
	}
}

// send queues a frame on the current link.
func (l *line) send(parts [][]byte) error {
	f := frame{parts: parts}
	for _, part := range parts {
		f.size += len(part)
	}
	if limit := l.limits().MaxFrame; f.size > limit {
		return fmt.Errorf("send a frame of %d bytes to %s: the %s lane carries at most %d", f.size, l.peer.key, l.lane, limit)
	}
	k := l.current()
	switch {
	case k == nil:
		l.counters.droppedDown.Add(1)
		return ErrNotConnected
	case !k.queue.put(f):
		l.counters.droppedFull.Add(1)
		return ErrQueueFull
	}
	return nil
}

func (l *line) current() *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.link
}

func (l *line) greets(now bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.greeting = now
}

// move sets the address. A working link stays; a dial to the old address is called off and the new one tried at once.
func (l *line) move(address string) {
	l.mu.Lock()
	changed := l.address != address
	l.address = address
	l.mu.Unlock()
	if !changed {
		return
	}
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

// dialed is what came of one attempt to dial.
type dialed struct {
	candidate *candidate
	err       error
}

// run is the life of the line. It alone starts and ends links and dials, so that each decision sees all of them.
func (l *line) run(ctx context.Context) {
	var (
		linkDone   chan error                          // nil while not connected
		endLink    context.CancelCauseFunc             // of the link that linkDone is for
		dialDone   chan dialed                         // nil while not dialing
		attempt    context.Context                     // of the dial that dialDone is for
		cancelDial context.CancelFunc      = func() {} // calls the dial off, if it still can be
		timer                              = time.NewTimer(l.courtesy())
		farewell                           = time.NewTimer(time.Hour) // by when a banned peer is cut off
	)
	defer timer.Stop()
	defer farewell.Stop()
	stopLink := func(cause error) {
		if linkDone != nil {
			endLink(cause)
			l.ended(<-linkDone)
			linkDone = nil
		}
	}
	startLink := func(c *candidate) {
		stopLink(errReplaced) // the last handler has returned before the next link begins
		cancelDial()
		if l.treat().Banned { // since it was let in
			c.close()
			return
		}
		var linkCtx context.Context
		linkCtx, endLink = context.WithCancelCause(ctx)
		linkDone = make(chan error, 1)
		k := l.begin(c)
		go func(done chan<- error) { done <- k.run(linkCtx) }(linkDone)
	}
	for {
		select {
		case <-ctx.Done():
			stopLink(errStopped)
			cancelDial()
			if dialDone != nil {
				if d := <-dialDone; d.candidate != nil {
					d.candidate.close()
				}
			}
			return

		case c := <-l.offers:
			startLink(c)

		case err := <-linkDone:
			endLink(nil)
			linkDone = nil
			timer.Reset(l.ended(err))

		case d := <-dialDone:
			calledOff := attempt.Err() != nil
			cancelDial()
			dialDone = nil
			switch {
			case d.err != nil && calledOff:
				timer.Reset(0) // to the new address, or for nothing if there is a link
			case d.err != nil:
				l.failed(d.err)
				timer.Reset(l.pauseAfter(d.err))
			case l.decides && linkDone != nil:
				d.candidate.close() // an incoming connection was first
			default:
				startLink(d.candidate)
			}

		case <-l.moved:
			cancelDial()
			l.pause = 0
			timer.Reset(0)

		case <-l.judged:
			switch t := l.treat(); {
			case t.Banned && linkDone != nil:
				l.current().sendOff(t.Notice)
				farewell.Reset(farewellWithin)
			case !t.Banned && linkDone == nil:
				l.pause = 0
				timer.Reset(0)
			}

		case <-farewell.C:
			if l.treatment.Load() == treatBanned {
				stopLink(errKeptOut)
			}

		case <-timer.C:
			address := l.target()
			if linkDone != nil || dialDone != nil || address == "" || l.treat().Banned {
				continue // what changes this resets the timer
			}
			attempt, cancelDial = context.WithCancel(ctx)
			dialDone = make(chan dialed, 1)
			go func(done chan<- dialed, attempt context.Context) {
				c, err := l.dial(attempt, ctx, address)
				done <- dialed{c, err}
			}(dialDone, attempt)
		}
	}
}

// log says something about this lane of this peer. What is said of the bulk lane is mostly said of the live one too.
func (l *line) log(level slog.Level, message string, attributes ...any) {
	if l.lane == Bulk && level < slog.LevelError {
		level = slog.LevelDebug
	}
	about := []any{"peer", l.net.cfg.Name(l.peer.key), "lane", l.lane.String()}
	l.net.cfg.Log.Log(context.Background(), level, message, append(about, attributes...)...)
}

func (l *line) target() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address
}

// begin makes the candidate the link of the line: frames can be sent from here on.
func (l *line) begin(c *candidate) *link {
	k := newLink(l, c)
	l.mu.Lock()
	l.link, l.since, l.begun = k, k.started, k.started
	l.mu.Unlock()
	l.counters.connects.Add(1)
	l.log(slog.LevelInfo, "peer link up", "remote", c.wire.RemoteAddr().String(), "dialed", c.outgoing)
	if l.lane == Live {
		l.net.cfg.Up(l.peer.key)
	}
	return k
}

// ended records the end of the link and returns the pause before the next dial.
func (l *line) ended(err error) time.Duration {
	if errors.Is(err, context.Canceled) { // Run ends, and the link with it
		err = errStopped
	}
	if l.treatment.Load() == treatBanned {
		err = errKeptOut // whoever hung up first
	}
	err = l.heard(err)
	l.mu.Lock()
	age := time.Since(l.since)
	l.link, l.since, l.lastErr = nil, time.Now(), err
	l.mu.Unlock()
	level := slog.LevelWarn
	var keptOut *KeptOutError
	var rejected *rejectedError
	switch {
	case errors.Is(err, errStopped), errors.Is(err, errReplaced), errors.Is(err, errKeptOut):
		level = slog.LevelDebug // intended, not news
	case errors.As(err, &keptOut), errors.As(err, &rejected), errors.Is(err, errMalformed), errors.Is(err, errFrameTooLarge):
		// one end meant it
	case l.lane == Live:
		l.net.cfg.Lost(l.peer.key, err)
	}
	l.log(level, "peer link down", "after", age, "error", err)
	if l.lane == Live {
		l.net.cfg.Down(l.peer.key)
	}
	if age > l.net.cfg.Limits.RedialTo {
		l.pause = 0 // it was stable
	}
	return l.pauseAfter(err)
}

// pauseAfter is how long to wait before the next dial.
func (l *line) pauseAfter(err error) time.Duration {
	var keptOut *KeptOutError
	if errors.As(err, &keptOut) {
		return l.net.cfg.Limits.RedialBanned
	}
	return l.nextPause()
}

// failed records a dial that came to nothing, and logs it unless it is the same news again.
func (l *line) failed(err error) {
	l.mu.Lock()
	known := l.lastErr != nil && l.lastErr.Error() == err.Error()
	l.lastErr = err
	l.mu.Unlock()
	if !known {
		l.log(slog.LevelWarn, "cannot reach peer", "error", err)
	}
}

func (l *line) refused(reason Refusal, err error) {
	if reason == OversizedFrame || reason == MalformedFrame {
		l.net.cfg.Faulted(l.peer.key, reason, err)
	}
	l.turnedDown(reason, err)
}

// turnedDown counts what came over a link and was not taken, whoever is to blame.
func (l *line) turnedDown(reason Refusal, err error) {
	l.net.refusals.add(reason, "peer", l.net.cfg.Name(l.peer.key), "lane", l.lane.String(), "error", err)
}

// nextPause doubles from RedialFrom to RedialTo. The jitter of up to a half keeps peers that lost each other at the
// same moment from meeting in step for ever.
func (l *line) nextPause() time.Duration {
	limits := l.net.cfg.Limits
	l.pause = min(max(2*l.pause, limits.RedialFrom), limits.RedialTo)
	return l.pause - rand.N(l.pause/2+1) + l.courtesy()
}

// courtesy is what the end that does not decide waits longer, so that most of the time only one end dials.
func (l *line) courtesy() time.Duration {
	if l.decides {
		return 0
	}
	return 4 * l.net.cfg.Limits.RedialFrom
}
