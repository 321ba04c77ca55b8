package casper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/synod-network/synod/sidecar/event"
)

// sinkError is a failure of the sink, for which no node is to blame.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return "hand over events: " + e.err.Error() }

func (e *sinkError) Unwrap() error { return e.err }

// errCountsAnew is how a stream ends whose node gave an event a number before that from which it was asked to go on: the node lost
// count. What it has under the new numbers must be asked for from the start.
var errCountsAnew = errors.New("the node counts its events anew")

// stream reads one stream of the node until it is lost. It reports whether anything new came.
func (s *session) stream(ctx context.Context, filter event.Filter) (flowed bool, err error) {
	r := &streaming{session: s, origin: event.Origin{Node: s.node.url, Filter: filter}}
	if s.arrivals != nil {
		r.arrive = sync.OnceFunc(s.arrivals.arrive)
	}
	r.from, r.resumes, err = s.node.positions.Position(ctx, r.origin)
	if err != nil {
		return false, &sinkError{err}
	}
	err = r.run(ctx)
	if errors.Is(err, errCountsAnew) {
		s.node.log.Warn("the node counts its events anew; reading all it has", "filter", filter, "last_id", r.from)
		s.node.observer.Fault("connection_manager", "node_counts_anew")
		r.from, r.resumes = 0, false
		err = r.run(ctx)
	}
	return r.flowed, fmt.Errorf("%s%s: %w", s.node.url, filter, err)
}

// streaming is one stream while it is open.
type streaming struct {
	*session
	origin  event.Origin
	from    uint32 // the number of the last event that the sink has
	resumes bool   // whether it has any
	arrive  func() // nil if nobody waits

	apiVersion string // owned by the reader
	numbered   bool   // whether an event with a number came; owned by the reader
	flowed     bool   // owned by the reader
	queue      *queue
}

func (r *streaming) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	opening := time.AfterFunc(r.node.o.ConnectTimeout, func() { cancel(errors.New("it did not begin in time")) })
	defer opening.Stop()
	body, err := r.open(ctx)
	if err != nil {
		return because(ctx, err)
	}
	defer body.Close()
	watched := &watched{in: body}
	in := newFrames(watched, r.node.shared.MaxEvent)
	r.queue, r.numbered = newQueue(aheadEvents, aheadBytes), false
	if err := r.begin(ctx, in); err != nil {
		return because(ctx, err)
	}
	opening.Stop()

	delivered := make(chan error, 1)
	go func() {
		err := r.deliver()
		if err != nil {
			cancel(err)
		}
		delivered <- err
	}()
	err = r.watchAndRead(ctx, body, watched, in)
	r.queue.close()
	if refused := <-delivered; refused != nil {
		return refused
	}
	return because(ctx, err)
}

// watchAndRead reads until the stream ends or falls silent.
func (r *streaming) watchAndRead(ctx context.Context, body io.Closer, watched *watched, in *frames) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return watched.watch(ctx, r.node.o.CheckEvery, r.node.o.Silence, r.node.observer) })
	group.Go(func() error {
		<-ctx.Done() // whoever ended it
		body.Close()
		return ctx.Err()
	})
	group.Go(func() error { return r.readAll(ctx, in) })
	return group.Wait()
}

// because prefers the reason for which a context ended to the error that this caused.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// open asks for the stream, from the last event on that the sink has.
func (r *streaming) open(ctx context.Context) (io.ReadCloser, error) {
	url := r.node.url + string(r.origin.Filter) + "?start_from=" + strconv.FormatUint(uint64(r.from), 10)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := r.node.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 200))
		response.Body.Close()
		return nil, fmt.Errorf("the node answered %s: %s", response.Status, strings.TrimSpace(string(text)))
	}
	return response.Body, nil
}

// begin reads the first event, which must be the API version, and hands it over before the stream waits for the others.
func (r *streaming) begin(ctx context.Context, in *frames) error {
	first, err := in.next()
	switch {
	case errors.Is(err, io.EOF):
		return wording("First event was empty")
	case err != nil:
		return fmt.Errorf("failed to get first event: %w", err)
	}
	e, err := event.Parse(first.data)
	if err != nil || e.Kind != event.APIVersion {
		r.fault("api_version_expected")
		return wording(fmt.Sprintf("Expected first message to be ApiVersion, got: %.100q", first.data))
	}
	if e, _, err = r.event(first); err != nil {
		return err
	}
	return r.hand([]event.Event{e}, "api_version_sending_failed")
}

// hand gives events to the sink. Its refusal is counted, unless everything ends.
func (r *streaming) hand(batch []event.Event, fault string) error {
	err := r.node.sink.Append(r.life, batch)
	if err == nil {
		return nil
	}
	if r.life.Err() == nil {
		r.fault(fault)
	}
	return &sinkError{err}
}

// readAll reads until the stream ends.
func (r *streaming) readAll(ctx context.Context, in *frames) error {
	if r.arrive != nil {
		r.arrive()
		if err := r.arrivals.wait(ctx); err != nil {
			return err
		}
	}
	for {
		next, err := in.next()
		switch {
		case errors.Is(err, errTooLarge):
			r.fault("event_too_large")
			r.node.log.Error("skipped an event of the node", "filter", r.origin.Filter, "err", err)
			continue
		case err != nil && ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			r.fault("fetching_from_stream_failed")
			return fmt.Errorf("the stream ended: %w", err)
		}
		if err := r.take(ctx, next); err != nil {
			return err
		}
	}
}

func (r *streaming) fault(description string) {
	r.node.observer.Fault("connection_manager", description)
}

// take queues the event that a frame carries. Whatever it is, it is passed on.
func (r *streaming) take(ctx context.Context, f frame) error {
	e, wanted, err := r.event(f)
	if err != nil || !wanted {
		return err
	}
	if r.node.o.LogEvents {
		r.say(&e)
	}
	return r.queue.put(ctx, e)
}

// event makes an event of a frame, and reports whether the sink is to have it.
func (r *streaming) event(f frame) (e event.Event, wanted bool, err error) {
	if e, err = event.Parse(f.data); err != nil {
		r.fault("deserialization_error:" + string(r.origin.Filter))
		e = event.Opaque(f.data)
	}
	switch e.Kind {
	case event.APIVersion:
		version, err := apiVersion(&e)
		if err != nil {
			r.fault("api_version_deserialization_failed")
			if r.apiVersion == "" {
				return e, false, fmt.Errorf("it did not begin with an API version: %w", err)
			}
			return e, false, nil
		}
		r.apiVersion, f.hasID = version, false
	case event.SidecarVersion:
		return e, false, nil // the node is a sidecar; its version is not ours
	case event.Unknown:
		if e.Tag != "" {
			r.fault("unknown_event")
		}
	}
	if !f.hasID && e.Kind != event.APIVersion {
		r.fault("event_without_id")
	}
	e.Origin, e.ID, e.HasID = r.origin, f.id, f.hasID
	e.APIVersion, e.Network, e.Build, e.Received = r.apiVersion, r.standing.network, r.standing.build, time.Now().UTC()
	r.node.observer.Received(r.origin.Filter, e.Kind, len(f.data))
	known, err := r.judge(&e)
	return e, !known, err
}

// judge looks at the number of an event. It reports whether the sink surely has the event, since it is the one from which the
// stream resumed and has no key by which the sink would know it again.
func (r *streaming) judge(e *event.Event) (known bool, err error) {
	if !e.HasID {
		return false, nil
	}
	first := !r.numbered
	r.numbered = true
	if !first || !r.resumes {
		r.flowed = true
		return false, nil
	}
	if e.ID == r.from {
		_, err := e.Key()
		return err != nil, nil
	}
	if int32(e.ID-r.from) < 0 { // numbers start again at 0 after 4294967295
		return false, errCountsAnew
	}
	r.flowed = true
	return false, nil
}

func (r *streaming) say(e *event.Event) {
	key, err := e.Key()
	if err != nil {
		r.node.log.Info("event", "kind", e.Kind.String(), "id", e.ID)
		return
	}
	r.node.log.Info("event", "kind", e.Kind.String(), "id", e.ID, "hash", key.Hash, "public_key", key.PublicKey, "era", key.Era)
}

// deliver hands over what is queued until the queue is closed and empty.
func (r *streaming) deliver() error {
	var batch []event.Event
	for {
		if batch = r.queue.take(batch); batch == nil {
			return nil
		}
		if err := r.hand(batch, "sending_downstream_failed"); err != nil {
			return err
		}
		for i := len(batch) - 1; i >= 0; i-- {
			if batch[i].HasID {
				r.node.state.arrived(batch[i].APIVersion, time.Now().UTC())
				break
			}
		}
	}
}
