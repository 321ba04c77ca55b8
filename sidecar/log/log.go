package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/synod-network/synod/sidecar/event"
)

// Options is what a [Log] is made of.
type Options struct {
	Store    Store
	Spool    *Spool
	Index    *IndexFile // nil: the next number is not written for Casper's sidecar
	Publish  func([]event.Numbered)
	Observer event.Observer
	Log      *slog.Logger

	// Window is how many events are remembered to recognise duplicates without the database.
	Window int
	// GroupEvents and GroupBytes bound one transaction, except that a single event may be larger.
	GroupEvents int
	GroupBytes  int
	// Retry is how long to wait after the database or the spool failed before trying again.
	Retry time.Duration
	// Retention is applied every PruneEvery while there is something to remove.
	Retention  Retention
	PruneEvery time.Duration
}

// Defaults are options that suit a sidecar of any size. They lack what only the caller has.
func Defaults() Options {
	return Options{Window: 65_536, GroupEvents: 500, GroupBytes: 4 << 20, Retry: time.Second, PruneEvery: 10 * time.Second}
}

// Log is the sidecar's one order of events. Make one with [Open], run it with [Log.Run].
type Log struct {
	o        Options
	requests chan request
	closed   chan struct{} // closed when Run has returned

	// Owned by Run.
	window  *window
	next    event.Seq
	inForce string
	version apiVersion // inForce, parsed
	away    error      // why the database is not in use; nil while it is
	retry   *time.Timer
	drained chan error // how an attempt to empty the spool went that runs beside; nil while none does
	indexed error      // how writing Index went
	loud    time.Time  // when it was last said that nothing can be made durable

	mu        sync.Mutex
	positions map[event.Origin]uint32
	status    Status
}

// Status is what the log has to tell operators.
type Status struct {
	Away         string    `json:"away,omitempty"`    // why the database is not in use
	Blocked      string    `json:"blocked,omitempty"` // why nothing at all can be made durable; sources wait
	SpoolEvents  int64     `json:"spool_events"`
	SpoolBytes   int64     `json:"spool_bytes"`
	Accepted     int64     `json:"accepted"`   // events, since the start
	Duplicates   int64     `json:"duplicates"` // dropped, since the start
	Unkeyed      int64     `json:"unkeyed"`    // of a known kind, but without the fields that identify it
	Groups       int64     `json:"groups"`     // transactions
	Failures     int64     `json:"failures"`   // transactions that failed
	Pruned       int64     `json:"pruned"`
	SpoolServed  int64     `json:"spool_served"` // events read out of the spool for subscribers who came back
	Next         event.Seq `json:"next"`
	LastAccepted time.Time `json:"last_accepted,omitzero"`
	LastCommit   float64   `json:"last_commit_seconds"`
	APIVersion   string    `json:"api_version"`
}

type request struct {
	batch []event.Event
	done  chan error
}

// queue is how many batches wait for the next group; further callers of Append wait themselves.
const queue = 64

// Open reads where the store and the spool ended.
func Open(ctx context.Context, o Options) (*Log, error) {
	state, err := o.Store.State(ctx, o.Window/4)
	if err != nil {
		return nil, fmt.Errorf("read the state of the event database: %w", err)
	}
	l := &Log{
		o: o, requests: make(chan request, queue), closed: make(chan struct{}),
		window: newWindow(o.Window), next: state.Next, positions: maps.Clone(state.Positions),
	}
	if l.positions == nil {
		l.positions = make(map[event.Origin]uint32)
	}
	l.setInForce(state.APIVersion)
	for _, id := range state.Recent {
		l.window.add(id)
	}
	if o.Index != nil {
		l.next = o.Index.Merge(l.next)
	}
	if err := l.recoverSpool(ctx, state.Next); err != nil {
		return nil, err
	}
	l.status.Next = l.next
	return l, nil
}

// recoverSpool takes up what an earlier run left in the spool, and stores it, so that the log is whole from the start.
func (l *Log) recoverSpool(ctx context.Context, stored event.Seq) error {
	err := l.o.Spool.Recover(func(e *Entry) bool {
		if e.IsNumbered() && e.Seq < stored {
			return false // drained before the end came
		}
		l.next = max(l.next, e.Seq+1)
		l.setInForce(e.InForce)
		l.window.add(identity(e))
		l.move(e)
		return true
	})
	if err != nil {
		return fmt.Errorf("read the spool: %w", err)
	}
	events, _ := l.o.Spool.Size()
	if events == 0 {
		return nil
	}
	l.o.Log.Warn("storing events that an earlier run left in the spool", "events", events)
	for events > 0 {
		if err := l.drainOnce(ctx); err != nil {
			return fmt.Errorf("store what an earlier run left in the spool: %w", err)
		}
		events, _ = l.o.Spool.Size()
	}
	return nil
}

// Next returns the number that the next event will get.
func (l *Log) Next() event.Seq {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status.Next
}

// Status returns what the log has to tell operators.
func (l *Log) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	s.SpoolEvents, s.SpoolBytes = l.o.Spool.Size()
	return s
}

// Position implements [event.Positions].
func (l *Log) Position(_ context.Context, origin event.Origin) (uint32, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id, known := l.positions[origin]
	return id, known, nil
}

// ErrClosed is returned by [Log.Append] once the log no longer runs.
var ErrClosed = errors.New("the event log is closed")

// Append implements [event.Sink].
func (l *Log) Append(ctx context.Context, batch []event.Event) error {
	if len(batch) == 0 {
		return nil
	}
	r := request{batch: batch, done: make(chan error, 1)}
	select {
	case l.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closed:
		return ErrClosed
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.closed:
		return ErrClosed
	}
}

// Run accepts events until ctx ends. Then it finishes the group in hand and writes down the next number. It must run before
// [Log.Append] can return.
func (l *Log) Run(ctx context.Context) error {
	defer close(l.closed)
	l.retry = time.NewTimer(0)
	defer l.retry.Stop()
	prune := time.NewTicker(l.o.PruneEvery)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			if l.drained != nil {
				<-l.drained // it ends with ctx, and uses the store until then
			}
			return l.finish()
		case first := <-l.requests:
			l.accept(ctx, l.group(first))
		case <-prune.C:
			l.prune(ctx)
		case <-l.retry.C:
			if l.away == nil {
				continue // armed again when it goes away
			}
			l.startDrain(ctx)
		case err := <-l.drained:
			l.afterDrain(err)
		}
	}
}

func (l *Log) finish() error {
	if l.o.Index == nil {
		return nil
	}
	return l.o.Index.Exact(l.next)
}

// group adds to a request what waits behind it, as far as one transaction may carry.
func (l *Log) group(first request) []request {
	group := []request{first}
	events, size := len(first.batch), bodies(first.batch)
	for events < l.o.GroupEvents && size < l.o.GroupBytes {
		select {
		case r := <-l.requests:
			group = append(group, r)
			events += len(r.batch)
			size += bodies(r.batch)
		default:
			return group
		}
	}
	return group
}

func bodies(batch []event.Event) int {
	size := 0
	for i := range batch {
		size += len(batch[i].Body)
	}
	return size
}

// accept makes a group durable, publishes it and answers those who wait for it.
func (l *Log) accept(ctx context.Context, group []request) {
	entries := l.entries(group)
	err := l.keep(ctx, entries)
	if err == nil {
		l.settle(entries)
	}
	for _, r := range group {
		r.done <- err
	}
}

// entries prepares what a group carries: keys, duplicates as far as the window knows, and the API version in force.
func (l *Log) entries(group []request) []*Entry {
	var entries []*Entry
	inGroup := make(map[Identity]bool)
	for _, r := range group {
		for i := range r.batch {
			e := &Entry{Numbered: event.Numbered{Event: r.batch[i]}}
			key, err := e.Event.Key()
			e.Key, e.Keyed = key, err == nil
			e.Duplicate = !l.wanted(e) || e.IsNumbered() && l.known(e, inGroup)
			e.InForce = l.inForce
			entries = append(entries, e)
		}
	}
	return entries
}

// wanted reports whether subscribers are to see an event, and follows the API version: they only see it rise.
func (l *Log) wanted(e *Entry) bool {
	switch e.Kind {
	case event.SidecarVersion:
		return false // of another sidecar
	case event.APIVersion:
		version, err := parseAPIVersion(e.Body)
		if err != nil {
			l.o.Observer.Fault("connection_manager", "api_version_deserialization_failed")
			return false
		}
		if !l.version.less(version) {
			return false
		}
		l.setInForce(version.String())
		return true
	default:
		return true
	}
}

func (l *Log) known(e *Entry, inGroup map[Identity]bool) bool {
	id := identity(e)
	if inGroup[id] || l.window.has(id) {
		return true
	}
	inGroup[id] = true
	return false
}

// settle makes an accepted group known: to the window, to the sources' positions, to subscribers.
func (l *Log) settle(entries []*Entry) {
	published := make([]event.Numbered, 0, len(entries))
	duplicates, unkeyed := 0, 0
	for _, e := range entries {
		if e.IsNumbered() {
			l.window.add(identity(e))
		}
		if e.Duplicate {
			duplicates++
			continue
		}
		if !e.Keyed && typesV1[e.Kind]+typesV2[e.Kind] != 0 && e.Kind != event.Shutdown {
			unkeyed++
		}
		published = append(published, e.Numbered)
	}
	l.mu.Lock()
	for _, e := range entries {
		l.move(e)
	}
	l.status.Accepted += int64(len(published))
	l.status.Duplicates += int64(duplicates)
	l.status.Unkeyed += int64(unkeyed)
	l.status.Next = l.next
	l.status.APIVersion = l.inForce
	if len(published) > 0 {
		l.status.LastAccepted = time.Now()
	}
	l.mu.Unlock()
	if l.o.Index != nil {
		err := l.o.Index.Reserve(l.next)
		if err != nil && l.indexed == nil { // said once, tried with each group
			l.o.Log.Warn("cannot write the file from which Casper's sidecar would number on", "err", err)
		}
		l.indexed = err
	}
	if len(published) > 0 {
		l.o.Publish(published)
	}
}

// move follows an origin. The caller holds mu, or nobody else knows the log yet.
func (l *Log) move(e *Entry) {
	if e.HasID {
		l.positions[e.Origin] = e.ID
	}
}

func (l *Log) setInForce(version string) {
	if version == "" {
		return
	}
	l.inForce = version
	l.version, _ = parseAPIVersion([]byte(`"` + version + `"`))
}

// prune applies the retention, a group at a time.
func (l *Log) prune(ctx context.Context) {
	if l.o.Retention.IsUnbounded() || l.away != nil {
		return
	}
	for range 20 { // then sources get their turn
		n, err := l.o.Store.Prune(ctx, l.o.Retention, l.o.GroupEvents)
		if err != nil {
			if ctx.Err() == nil {
				l.o.Log.Error("cannot remove old events from the database", "err", err)
			}
			return
		}
		l.mu.Lock()
		l.status.Pruned += int64(n)
		l.mu.Unlock()
		if n < l.o.GroupEvents || len(l.requests) > 0 {
			return
		}
	}
}
