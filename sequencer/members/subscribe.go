package members

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/sequencer/session"
)

// What one subscription holds in memory is about a page, or one event where that is
// larger: as much as its share of pagesBytes, within the limits here. A member whose
// connection is slow has one page more in the transport, and all may be slow at once,
// as after a sequencer was away.
const (
	pagesBytes    = 64 << 20
	mostPageBytes = 128 << 10
	minPageBytes  = 16 << 10
	mostEvents    = 512
)

type subscribeStream = grpc.ServerStreamingServer[sequencerv1.SubscribeResponse]

// subscription is one open Subscribe.
type subscription struct {
	service *Service
	caller  caller
	stream  subscribeStream
	known   atomic.Int64 // what the member was told
	// nothing is the time up to which a member that never took part has no events.
	nothing sequencing.Time
}

// Subscribe implements the API.
func (s *Service) Subscribe(request *sequencerv1.SubscribeRequest, stream subscribeStream) error {
	c, leave, refused := s.enterAs(stream.Context())
	if refused != nil {
		return refused
	}
	defer leave()
	if request.GetAfterMicros() < 0 {
		return fail(Invalid, "subscribe after %d: a time is not below 0", request.GetAfterMicros())
	}
	if !s.accounts.subscribe(c.party(), 1, s.config.Subscriptions) {
		return fail(TooManyCalls, "%s has as many subscriptions here as it may, %d: end one", c.id, s.config.Subscriptions).after(callsRetry)
	}
	sub := &subscription{service: s, caller: c, stream: stream}
	sub.known.Store(request.GetAfterMicros())
	s.positions.open(sub)
	defer s.positions.close(sub)
	defer s.accounts.subscribe(c.party(), -1, 0)
	if err := stream.SendHeader(nil); err != nil { // tells that the stream is open
		return err
	}
	refused = sub.run(stream.Context())
	s.config.Observer.SubscriptionEnded(refused.reason)
	return refused
}

// run tells the member its events until something ends it.
func (u *subscription) run(ctx context.Context) *failure {
	tick := time.NewTimer(0) // a member without events is told so at once
	defer tick.Stop()
	index, woken, stop := u.watch()
	defer func() { stop() }()
	for due := false; ; {
		if refused := u.service.stillHolds(u.caller); refused != nil {
			return refused
		}
		if index == sequencing.Nobody { // it never took part until now
			stop()
			index, woken, stop = u.watch()
		}
		more, refused := u.tell(index, due)
		if refused != nil {
			return refused
		}
		if due {
			tick.Reset(u.service.config.TickEvery)
		}
		due = false
		if more {
			select {
			case <-u.service.stopping:
				return shuttingDown()
			case <-ctx.Done():
				return ended(ctx)
			default:
				continue
			}
		}
		select {
		case <-woken:
		case <-tick.C:
			due = true
		case <-u.service.stopping:
			return shuttingDown()
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// watch returns the member's index, [sequencing.Nobody] before it took part, and what
// wakes the subscription. The watch begins before anything is read, so that nothing is
// missed between.
func (u *subscription) watch() (index sequencing.Index, woken <-chan struct{}, stop func()) {
	state := u.service.config.State
	// Before it is asked whether the member took part, or its first event could lie between.
	u.nothing = state.Time()
	if m, ok := state.Member(u.caller.id); ok {
		woken, stop = state.Watch(m.Index)
		return m.Index, woken, stop
	}
	woken, stop = state.Watch(sequencing.Nobody)
	if _, joined := state.Member(u.caller.id); joined { // just now
		stop()
		return u.watch()
	}
	return sequencing.Nobody, woken, stop
}

// tell sends the next events, or if a tick is due the time. It reports whether there
// may be more events now.
func (u *subscription) tell(index sequencing.Index, due bool) (more bool, refused *failure) {
	s, after := u.service, sequencing.Time(u.known.Load())
	limit := sequencing.Limit{Events: mostEvents, Bytes: s.positions.share()}
	events, known, err := u.read(index, after, limit)
	if err != nil {
		refused := failureOf(err)
		if refused.reason == Internal {
			s.config.Log.Error("the events of a member could not be read", "member", string(u.caller.id), "after", int64(after), "error", err)
		}
		return false, refused
	}
	if len(events) == 0 && (!due || known <= after) {
		return false, nil
	}
	size, page := 0, 0
	told := session.Events{Member: u.caller.id, After: after, Known: max(known, after), Encoded: make([][]byte, len(events))}
	for i := range events {
		told.Encoded[i] = events[i].Encode()
		size, page = size+len(told.Encoded[i]), page+events[i].Size()
	}
	more = len(events) >= limit.Events || page >= limit.Bytes
	key := s.config.Key()
	public, signature := key.Public(), told.Sign(s.network, key)
	if err := u.stream.Send(&sequencerv1.SubscribeResponse{Events: told.Encoded, KnownMicros: int64(told.Known), Key: public[:], Signature: signature[:]}); err != nil {
		return false, failureOf(context.Canceled) // the client left; its stream says how
	}
	u.known.Store(int64(told.Known))
	s.config.Observer.Delivered(len(events), size)
	return more, nil
}

func (u *subscription) read(index sequencing.Index, after sequencing.Time, limit sequencing.Limit) ([]sequencing.Delivery, sequencing.Time, error) {
	if index == sequencing.Nobody {
		return nil, u.nothing, nil
	}
	return u.service.config.State.Read(index, after, limit)
}

// positions are the open subscriptions.
type positions struct {
	mu  sync.Mutex
	all map[*subscription]struct{}
}

func (p *positions) open(u *subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil {
		p.all = map[*subscription]struct{}{}
	}
	p.all[u] = struct{}{}
}

func (p *positions) close(u *subscription) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, u)
}

// share is how many bytes a page has at most.
func (p *positions) share() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(minPageBytes, min(mostPageBytes, pagesBytes/max(1, len(p.all))))
}

// Connected is the number of members with a subscription open now.
func (s *Service) Connected() int {
	s.positions.mu.Lock()
	defer s.positions.mu.Unlock()
	members := map[sequencing.MemberID]bool{}
	for u := range s.positions.all {
		members[u.caller.id] = true
	}
	return len(members)
}

// Subscribers is the number of subscriptions open now, and how far the slowest of them
// is behind, in µs of agreed time. One without events is a tick behind at most.
func (s *Service) Subscribers() (open int, lag sequencing.Time) {
	now := s.config.State.Time()
	s.positions.mu.Lock()
	defer s.positions.mu.Unlock()
	for u := range s.positions.all {
		lag = max(lag, now-sequencing.Time(u.known.Load()))
	}
	return len(s.positions.all), lag
}
