package stream

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/synod-network/synod/internal/halfopen"
)

// worker sends to its share of the subscribers.
type worker struct {
	s     *Stream
	woken chan struct{}

	mu    sync.Mutex
	fresh []*subscriber // handed over, not yet taken
	load  int           // subscribers, fresh ones included
	check bool          // look for closed connections now

	// Owned by run.
	subs    []*subscriber
	scratch []byte
	frames  []gathered
}

// gathered is a frame, or its beginning, in a worker's scratch.
type gathered struct {
	node  *node
	frame *frame
	bytes int
}

const (
	scratchBytes = 256 << 10
	checkEvery   = time.Second // how often closed connections and silence are looked for
	retryFew     = 5 * time.Millisecond
	retryMany    = 20 * time.Millisecond
	many         = 200
)

func newWorker(s *Stream) *worker {
	return &worker{s: s, woken: make(chan struct{}, 1), scratch: make([]byte, scratchBytes)}
}

func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// take adds a subscriber to the worker's.
func (w *worker) take(sub *subscriber) {
	w.mu.Lock()
	w.fresh = append(w.fresh, sub)
	w.load++
	w.mu.Unlock()
	w.wake()
}

// checkNow makes the worker look for closed connections at once.
func (w *worker) checkNow() {
	w.mu.Lock()
	w.check = true
	w.mu.Unlock()
	w.wake()
}

func (w *worker) run(ctx context.Context) {
	timer := time.NewTimer(checkEvery)
	defer timer.Stop()
	checked := time.Now()
	for {
		select {
		case <-ctx.Done():
			w.s.inFlight.Wait() // they become subscribers, or end by themselves
			w.finish()
			return
		case <-w.woken:
		case <-timer.C:
		}
		w.mu.Lock()
		w.subs = append(w.subs, w.fresh...)
		w.fresh = w.fresh[:0]
		check := w.check
		w.check = false
		w.mu.Unlock()
		now := time.Now()
		if now.Sub(checked) >= checkEvery {
			check, checked = true, now
		}
		blocked := w.sweep(now, check)
		pause := checkEvery
		switch {
		case blocked > many:
			pause = retryMany
		case blocked > 0:
			pause = retryFew
		}
		timer.Reset(pause)
	}
}

// sweep sends every subscriber what it lacks, as far as its socket takes it, and returns how many took less than that.
func (w *worker) sweep(now time.Time, check bool) (blocked int) {
	kept := w.subs[:0]
	for _, sub := range w.subs {
		if err := w.serve(sub, now, check); err != nil {
			w.end(sub, err)
			continue
		}
		if sub.blocked {
			blocked++
		}
		kept = append(kept, sub)
	}
	clear(w.subs[len(kept):])
	w.subs = kept
	return blocked
}

// Why a subscriber is not kept, besides errors of its connection.
var (
	errBehind = errors.New("it fell too far behind")
	errSilent = errors.New("it took nothing for too long")
)

// serve brings one subscriber up to date, and returns why it is not to be kept.
func (w *worker) serve(sub *subscriber, now time.Time, check bool) error {
	if check {
		if err := sub.listen(w.scratch[:512]); err != nil {
			return err
		}
	}
	if err := w.advance(sub, now); err != nil {
		return err
	}
	if !sub.blocked && now.Sub(sub.wrote) >= w.s.o.KeepAlive {
		sub.head = append(sub.head, keepAlive(sub.plain)...)
		return w.advance(sub, now)
	}
	if sub.blocked && check {
		w.s.mu.Lock()
		newest := w.s.newest
		w.s.mu.Unlock()
		switch {
		case sub.behind(newest):
			return errBehind
		case w.s.o.Patience > 0 && now.Sub(sub.wrote) >= w.s.o.Patience:
			return errSilent // Linux says so too, and also before its buffers are full
		}
	}
	return nil
}

func keepAlive(plain bool) []byte {
	if plain {
		return []byte(":\n\n")
	}
	return []byte("3\r\n:\n\n\r\n")
}

// advance writes once what the subscriber lacks, at most as much as the scratch holds. An error is that of the connection.
func (w *worker) advance(sub *subscriber, now time.Time) error {
	sub.blocked = false
	if len(sub.head) > 0 {
		n, err := sub.send(sub.head)
		if err != nil {
			return err
		}
		if n > 0 {
			sub.wrote = now
		}
		sub.head = sub.head[n:]
		if len(sub.head) > 0 {
			sub.blocked = true
			return nil
		}
		sub.head = nil
	}
	data := w.gather(sub)
	if len(data) == 0 {
		return nil
	}
	n, err := sub.send(data)
	if err != nil {
		return err
	}
	if n > 0 {
		sub.wrote = now
		w.s.writes.Add(1)
	}
	w.consume(sub, n)
	sub.blocked = n < len(data) || sub.at.next.Load() != nil
	return nil
}

// gather copies the frames that come next into the scratch, or a large frame's next piece. One small frame is not copied.
func (w *worker) gather(sub *subscriber) []byte {
	w.frames = w.frames[:0]
	used := 0
	offset := sub.offset
	for n := sub.at.next.Load(); n != nil; n = n.next.Load() {
		f := n.to[sub.path]
		if f == nil {
			if len(w.frames) == 0 {
				sub.at = n // passed over
			}
			continue
		}
		rest := f.size(sub.plain) - offset
		if len(w.frames) == 0 && f.spill == nil && (rest >= scratchBytes || n.next.Load() == nil) {
			w.frames = append(w.frames, gathered{n, f, rest})
			return f.wire(sub.plain)[offset:]
		}
		if used+min(rest, scratchBytes/2) > scratchBytes {
			break
		}
		got, err := f.read(w.scratch[used:], offset, sub.plain)
		if err != nil {
			break // of a spilled frame; tried again at the next sweep
		}
		w.frames = append(w.frames, gathered{n, f, got})
		used += got
		if got < rest {
			break
		}
		offset = 0
	}
	return w.scratch[:used]
}

// consume moves the subscriber over n bytes of what was gathered.
func (w *worker) consume(sub *subscriber, n int) {
	for _, g := range w.frames {
		took := min(n, g.bytes)
		n -= took
		sub.offset += took
		if sub.offset < g.frame.size(sub.plain) {
			return
		}
		sub.at, sub.offset = g.node, 0
		w.s.delivered.Add(1)
	}
}

// end forgets a subscriber and closes its connection without the mark of a proper end, so that the client knows that something
// is missing.
func (w *worker) end(sub *subscriber, why error) {
	w.s.lost(sub, why)
	_ = sub.conn.Close()
	w.release(sub)
}

// lost counts a subscriber that did not leave by itself.
func (s *Stream) lost(sub *subscriber, why error) {
	switch {
	case errors.Is(why, errBehind):
		s.cut.Add(1)
	case errors.Is(why, errSilent), errors.Is(why, os.ErrDeadlineExceeded), halfopen.IsGone(why):
		s.silent.Add(1)
		_ = sub.conn.SetLinger(0) // nobody will take what the kernel still holds
		s.o.Log.Info("gave up a subscriber that took nothing of what was sent to it", "path", sub.path, "address", sub.conn.RemoteAddr(), "for", s.o.Patience)
	}
}

func (w *worker) release(sub *subscriber) {
	w.mu.Lock()
	w.load--
	w.mu.Unlock()
	w.s.leave(sub.path)
}

// lastWords is how long a subscriber may take for what is left to be sent when the stream ends.
const lastWords = 2 * time.Second

// finish sends what is left and ends all streams properly.
func (w *worker) finish() {
	w.mu.Lock()
	w.subs = append(w.subs, w.fresh...)
	w.fresh = nil
	w.mu.Unlock()
	deadline := time.Now().Add(lastWords)
	for time.Now().Before(deadline) && w.sweep(time.Now(), false) > 0 {
		pause := time.NewTimer(retryFew)
		<-pause.C
	}
	for _, sub := range w.subs {
		if !sub.blocked && !sub.plain {
			_, _ = sub.send([]byte("0\r\n\r\n"))
		}
		_ = sub.conn.Close()
		w.release(sub)
	}
	w.subs = nil
}
