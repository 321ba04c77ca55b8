package stream

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/synod-network/synod/sidecar/event"
	"github.com/synod-network/synod/sidecar/log"
)

// Options is what a [Stream] is made of.
type Options struct {
	Layout  log.Layout // which generation's paths and forms are served
	Legacy  bool       // layout V2 only: serve translations on /events/main, /events/deploys and /events/sigs
	History log.History
	Log     *slog.Logger

	MaxSubscribers int // on all paths together
	Ring           int // events that are kept for subscribers who come back
	RingBytes      int // bytes that those may take in memory

	// MaxBehind bounds what a subscriber may have before it in the list, beyond what it asked to be replayed: in events, and in
	// bytes. Who exceeds one of them is cut.
	MaxBehind      int
	MaxBehindBytes int

	// MaxResume is how many events before the ring are read from the log for one subscriber; who wants more gets the ring.
	MaxResume int
	// SpillAt is the size in bytes from which an event is kept on disk, in SpillDir.
	SpillAt  int
	SpillDir string

	KeepAlive time.Duration // how long a subscriber may hear nothing before a comment is sent
	// Patience is how long a subscriber may take nothing of what is sent to it: its machine vanished without closing the
	// connection, or its program stopped reading. 0 waits as long as the system and MaxBehind do.
	Patience time.Duration
	Workers  int
	Version  string // announced on /events/sidecar
}

// DefaultPatience is long enough for a lost network to come back, and a fraction of what Linux would wait.
const DefaultPatience = 2 * time.Minute

// Defaults are options for a sidecar whose buffer holds ring events. They lack what only the caller has.
func Defaults(ring int) Options {
	behind := 1
	for behind < ring+ring/5 { // as Casper's sidecar sizes the queue of a subscriber
		behind *= 2
	}
	return Options{
		Layout: log.V1, MaxSubscribers: 100, Ring: ring, RingBytes: 64 << 20, MaxBehind: behind, MaxBehindBytes: 64 << 20,
		MaxResume: 1_000_000, SpillAt: 1 << 20, KeepAlive: 15 * time.Second, Patience: DefaultPatience, Workers: 2, Version: "1.0.0",
	}
}

// Validate reports what is wrong with the options.
func (o *Options) Validate() error {
	switch {
	case o.MaxSubscribers < 1:
		return fmt.Errorf("max_concurrent_subscribers is %d: it must be at least 1", o.MaxSubscribers)
	case o.Ring < 1:
		return fmt.Errorf("event_stream_buffer_length is %d: it must be at least 1", o.Ring)
	case o.Workers < 1 || o.RingBytes < 1 || o.MaxBehind < 1 || o.MaxBehindBytes < 1 || o.SpillAt < 1 || o.KeepAlive < time.Millisecond || o.Patience < 0:
		return fmt.Errorf("a bound of the event stream is not positive")
	}
	return nil
}

// Stream is the list of events and those who read it. Make one with [New], feed it with [Stream.Publish], run it with
// [Stream.Run], serve it as an [http.Handler].
type Stream struct {
	o       Options
	workers []*worker

	mu      sync.Mutex // guards the ends of the list, and subscribing
	oldest  *node      // the ring begins after this node
	newest  *node
	count   int    // events in the ring
	inForce string // newest API version
	next    event.Seq
	closing bool
	reading map[*subscriber]bool // those being served from the log

	subscribers atomic.Int64
	byPath      [paths]atomic.Int64
	resuming    chan struct{} // a slot for each subscriber that reads the log
	inFlight    sync.WaitGroup

	stats
}

// stats are counted since the start.
type stats struct {
	published, bytes, writes, delivered, cut, silent, refused, resumed, spilled atomic.Int64
}

// maxResuming is how many subscribers read the log at once; others wait for their turn.
const maxResuming = 8

// New makes a stream whose next event will have the number next, and whose subscribers saw the API version inForce last.
func New(o Options, next event.Seq, inForce string) (*Stream, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	start := &node{inForce: inForce}
	s := &Stream{o: o, oldest: start, newest: start, next: next, inForce: inForce, resuming: make(chan struct{}, maxResuming), reading: make(map[*subscriber]bool)}
	for range o.Workers {
		s.workers = append(s.workers, newWorker(s))
	}
	return s, nil
}

// Preload fills the ring with the newest events of the log, so that a restart does not empty it.
func (s *Stream) Preload(ctx context.Context) error {
	from := event.Seq(0)
	if s.next > event.Seq(s.o.Ring) {
		from = s.next - event.Seq(s.o.Ring)
	}
	for {
		page, err := s.o.History.After(ctx, from, 500, s.o.RingBytes)
		if err != nil {
			return fmt.Errorf("read the newest events from the log: %w", err)
		}
		if len(page) == 0 {
			return nil
		}
		from = page[len(page)-1].Seq + 1
		for i := range page {
			s.preload(&page[i])
		}
	}
}

// preload links an event of the log, after the API version if that changed there.
func (s *Stream) preload(e *event.Numbered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, inForce := s.next, s.inForce
	if s.count > 0 && s.newest.inForce != e.InForce {
		s.next = e.Seq
		version := event.Event{Kind: event.APIVersion, Tag: event.APIVersion.String(), Body: []byte(strconv.Quote(e.InForce))}
		n := event.Numbered{Event: version, InForce: e.InForce}
		s.link(&n, s.render(&n))
	}
	s.link(e, s.render(e))
	s.next, s.inForce = max(next, s.next), inForce
}

// Publish gives events to all subscribers, now and later. The bytes of bodies are not kept. One goroutine may call it at a time.
func (s *Stream) Publish(events []event.Numbered) {
	rendered := make([][paths]*frame, len(events))
	for i := range events {
		rendered[i] = s.render(&events[i])
	}
	s.mu.Lock()
	for i := range events {
		s.link(&events[i], rendered[i])
	}
	s.mu.Unlock()
	s.published.Add(int64(len(events)))
	for _, w := range s.workers {
		w.wake()
	}
}

// link appends an event to the list. The caller holds mu.
func (s *Stream) link(e *event.Numbered, to [paths]*frame) {
	n := &node{kind: e.Kind, seq: e.Seq, inForce: e.InForce, to: to}
	if e.Kind == event.APIVersion {
		s.inForce = e.InForce
		n.seq = s.next
	} else {
		s.next = e.Seq + 1
	}
	var counted [paths]*frame
	for i, f := range n.to {
		if f == nil {
			continue
		}
		known := false
		for _, c := range counted[:i] {
			known = known || c == f
		}
		if !known {
			counted[i] = f
			n.weight += uint64(len(f.chunk))
		}
	}
	n.weight += nodeOverhead
	n.index = s.newest.index + 1
	n.bytes = s.newest.bytes + n.weight
	s.bytes.Add(int64(n.weight))
	s.newest.next.Store(n)
	s.newest = n
	s.count++
	s.trim()
}

// nodeOverhead is about what a node takes besides its frames, in bytes.
const nodeOverhead = 160

// trim lets go of the oldest events beyond the ring's bounds, but never of the newest. The caller holds mu.
func (s *Stream) trim() {
	for s.count > 1 && (s.count > s.o.Ring || s.newest.bytes-s.oldest.bytes > uint64(s.o.RingBytes)) {
		s.oldest = s.oldest.next.Load()
		s.count--
	}
}

// Run serves subscribers until ctx ends; then it sends them what is in the list, as far as they take it at once, ends their
// streams in order and returns.
func (s *Stream) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, w := range s.workers {
		running.Go(func() { w.run(ctx) })
	}
	<-ctx.Done()
	s.mu.Lock()
	s.closing = true
	for sub := range s.reading {
		_ = sub.conn.SetWriteDeadline(time.Now()) // they come back to the log later
	}
	s.mu.Unlock()
	running.Wait()
	return nil
}

// Stats are counts since the start, and sizes now.
type Stats struct {
	Subscribers map[string]int64 `json:"subscribers"` // by path
	Published   int64            `json:"published"`
	Delivered   int64            `json:"delivered"` // events sent, summed over subscribers
	Writes      int64            `json:"writes"`
	Cut         int64            `json:"cut"`     // subscribers that fell too far behind
	Silent      int64            `json:"silent"`  // subscribers that took nothing for too long
	Refused     int64            `json:"refused"` // over the limit
	Resumed     int64            `json:"resumed"` // subscriptions that were served from the log first
	Spilled     int64            `json:"spilled"` // large events kept on disk
	RingEvents  int              `json:"ring_events"`
	RingBytes   uint64           `json:"ring_bytes"`
}

// Stats returns the counts.
func (s *Stream) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Stats{
		Subscribers: make(map[string]int64), Published: s.published.Load(), Delivered: s.delivered.Load(), Writes: s.writes.Load(),
		Cut: s.cut.Load(), Silent: s.silent.Load(), Refused: s.refused.Load(), Resumed: s.resumed.Load(), Spilled: s.spilled.Load(),
		RingEvents: s.count, RingBytes: s.newest.bytes - s.oldest.bytes,
	}
	for p := range paths {
		st.Subscribers[p.String()] = s.byPath[p].Load()
	}
	return st
}
