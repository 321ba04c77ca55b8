package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// stream is one subscription. Its fields belong to the client's lock, but for the channel.
type stream struct {
	cancel context.CancelCauseFunc
	room   chan struct{} // there may be room for another response
	heard  time.Time     // when it told something last
	told   bool
	late   time.Time // since when it is behind; zero if it is not
}

// Why the client ends a stream by itself.
var (
	errRefresh = errors.New("the token is about to end")
	errSilent  = errors.New("it told nothing, not even the time")
	errLate    = errors.New("it is behind the others")
)

// balance looks at streams: it replaces those that are silent or behind, and opens what is missing. The caller holds the
// lock.
func (c *Client) balance() {
	c.wake = time.Now().Add(c.config.Check)
	if c.ctx.Err() != nil || c.err != nil {
		return
	}
	hopeful, pruned := 0, sequencing.Time(0)
	var speakers []sequencing.MemberID
	for _, p := range c.peers {
		switch {
		case p.hopeless():
		case p.pruned > c.agreement.position.Known:
			pruned = max(pruned, p.pruned)
		default:
			hopeful++
		}
		if !p.hopeless() {
			speakers = append(speakers, p.id)
		}
	}
	switch {
	case len(speakers) < c.config.TrustThreshold:
		c.fail(fmt.Errorf("%w: %d sequencers of %d are left, %d are needed: %w", ErrUnreachable, len(speakers), len(c.peers), c.config.TrustThreshold, c.troubles()))
		return
	case hopeful < c.config.TrustThreshold:
		c.fail(fmt.Errorf("%w: after %d; some sequencers keep only what is after %d, and fewer than %d keep more", ErrPruned,
			c.agreement.position.Known, pruned, c.config.TrustThreshold))
		return
	}
	disputed, hopeless := c.agreement.disputed(speakers)
	if hopeless {
		c.fail(fmt.Errorf("after the event at %d: %w: no %d of them tell the same", c.agreement.position.Event, ErrForked, c.config.TrustThreshold))
		return
	}
	wanted := min(c.config.TrustThreshold+c.config.LivenessMargin, len(speakers))
	if disputed {
		wanted = len(speakers) // whoever knows shall say
	}
	ready := c.ready()
	c.replace(len(ready) > 0)
	open := 0
	for _, p := range c.peers {
		if p.stream != nil {
			open++
		}
	}
	c.rng.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	for _, p := range ready {
		if open >= wanted {
			break
		}
		c.open(p)
		open++
	}
}

// ready are the sequencers that a stream can be opened at now.
func (c *Client) ready() (ready []*peer) {
	for _, p := range c.peers {
		if p.stream != nil || c.pick(p) == nil {
			continue
		}
		if wait := time.Until(p.after); wait > 0 {
			if p.after.Before(c.wake) {
				c.wake = p.after
			}
			continue
		}
		ready = append(ready, p)
	}
	return ready
}

// replace ends streams that are silent, and, if there are others to take their place, those that are behind.
func (c *Client) replace(others bool) {
	now := time.Now()
	stalled := len(c.queue) >= c.config.BufferEvents || c.queued >= c.config.BufferBytes // the application is slow
	for _, p := range c.peers {
		s := p.stream
		if s == nil {
			continue
		}
		v := c.agreement.voices[p.id]
		if stalled || v != nil && v.full(c.config.BufferEvents, c.config.BufferBytes) {
			s.heard, s.late = now, time.Time{} // it is the one that waits
			continue
		}
		events, by := c.agreement.behind(p.id)
		if events <= c.config.LagEvents || by <= sequencing.Time(c.config.LagTime.Microseconds()) {
			s.late = time.Time{}
		} else if s.late.IsZero() {
			s.late = now
		}
		switch {
		case now.Sub(s.heard) > c.config.Silence:
			s.cancel(errSilent)
		case others && !s.late.IsZero() && now.Sub(s.late) > 5*c.config.Check:
			s.cancel(errLate)
		}
	}
}

// troubles says what became of those that are not used any more.
func (c *Client) troubles() error {
	var all []error
	for _, p := range c.peers {
		if p.left != nil {
			all = append(all, p.left)
			continue
		}
		for _, l := range p.links {
			if l.failed != nil {
				all = append(all, l.failed)
			}
		}
	}
	return errors.Join(all...)
}

// open begins a stream at a sequencer. The caller holds the lock.
func (c *Client) open(p *peer) {
	ctx, cancel := context.WithCancelCause(p.ctx)
	s := &stream{cancel: cancel, room: make(chan struct{}, 1), heard: time.Now()}
	p.stream = s
	l := c.pick(p)
	conn, service := l.conn, l.service
	c.group.Go(func() {
		err := c.read(ctx, p, s, service)
		if errors.Is(err, errKey) {
			conn.Close() // and with it goes what the handshake said
		}
		cancel(nil)
		c.closed(p, s, err)
	})
}

// closed notes why a stream ended, and when the next may begin.
func (c *Client) closed(p *peer, s *stream, err error) {
	failure := failureOf(p.alias, err)
	c.mu.Lock()
	failures := p.failures
	c.mu.Unlock()
	delay := c.backoff(failures)
	switch {
	case errors.Is(err, errRefresh):
		delay = 0
	case errors.Is(err, errLate), errors.Is(err, errSilent):
		delay = c.config.RestartMax // others first
	default:
		delay = max(delay, c.rest(failure))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.stream != s {
		return
	}
	p.stream, p.after, p.lastErr = nil, time.Now().Add(delay), err
	c.agreement.close(p.id)
	if delay > 0 {
		p.failures++
	}
	if failure.Reason == "PRUNED" {
		p.pruned = failure.Last
	}
	c.config.Log.Info("a stream ended", "sequencer", p.alias, "error", err, "again_in", delay)
	signal(c.poke)
}

// read logs in, subscribes, and hands what the sequencer tells to the agreement.
func (c *Client) read(ctx context.Context, p *peer, s *stream, service sequencerv1.SequencerServiceClient) error {
	token, err := c.token(ctx, p, service)
	if err != nil {
		return fmt.Errorf("log in at sequencer %s: %w", p.alias, err)
	}
	refresh := time.AfterFunc(time.Until(token.refresh), func() { s.cancel(errRefresh) })
	defer refresh.Stop()

	c.mu.Lock()
	if p.stream != s {
		c.mu.Unlock()
		return context.Canceled
	}
	after := c.agreement.open(p.id).Known
	if c.config.fault == faultResumeEarly {
		after = c.config.Start.Known
	}
	c.mu.Unlock()

	responses, err := service.Subscribe(token.authorize(ctx), &sequencerv1.SubscribeRequest{AfterMicros: int64(after)}, grpc.WaitForReady(false))
	for err == nil {
		var response *sequencerv1.SubscribeResponse
		if response, err = responses.Recv(); err != nil {
			break
		}
		if err = c.bearable(p, response); err != nil {
			return err
		}
		var statement *Statement
		if statement, err = c.examine(p, after, response); err != nil {
			return err
		}
		if err = c.heard(ctx, p, s, statement); err != nil {
			return err
		}
		after = statement.Known
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if failureOf("", err).answer() == login {
		c.dropToken(p, token)
	}
	return fmt.Errorf("read events at sequencer %s: %w", p.alias, err)
}

// errKey says that a response is signed with a key that the handshake did not name: keys are changed now and then, so a new
// handshake is due.
var errKey = errors.New("it signs with a key that is not known as its own")

// maxStrangeKeys is how many responses in a row may be signed with unknown keys, each after a handshake, before it is a lie.
const maxStrangeKeys = 3

// bearable bounds what a sequencer may say that brings nothing, before anything is spent on it.
func (c *Client) bearable(p *peer, r *sequencerv1.SubscribeResponse) error {
	if len(r.GetEvents()) > 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !p.idle.more(time.Now()) {
		return nil
	}
	lie := flood(p)
	c.leave(lie)
	c.pump()
	return lie
}

// examine checks the signature on a response.
func (c *Client) examine(p *peer, after sequencing.Time, r *sequencerv1.SubscribeResponse) (*Statement, error) {
	s := &Statement{Member: c.config.Member, After: after, Known: sequencing.Time(r.GetKnownMicros()), Events: r.GetEvents()}
	sized := len(r.GetKey()) == len(s.Key) && len(r.GetSignature()) == len(s.Signature)
	if sized {
		s.Key, s.Signature = keys.PublicKey(r.GetKey()), keys.Signature(r.GetSignature())
	}
	c.mu.Lock()
	network, known := c.view.network, sized && c.knows(p, p.id, s.Key)
	s.Sequencer = p.id
	if known {
		p.strange = 0
	} else if sized {
		p.strange++
	}
	strange := p.strange
	c.mu.Unlock()
	switch {
	case c.config.fault == faultAnySignature, known && s.Signed(network):
		return s, nil
	case sized && !known && strange < maxStrangeKeys:
		return nil, errKey
	}
	lie := s.lie(BadSignature, s.Known, "the response after %d is not signed by it for %s and what was asked for", after, c.config.Member)
	lie.Statement = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leave(lie)
	c.pump()
	return nil, lie
}

// heard hands a response to the agreement, and waits while the sequencer is too far ahead of the others or of the
// application.
func (c *Client) heard(ctx context.Context, p *peer, s *stream, statement *Statement) error {
	c.mu.Lock()
	if p.stream != s || p.left != nil || c.agreement.voices[p.id] == nil {
		c.mu.Unlock()
		return context.Canceled
	}
	s.heard, s.told, p.failures, p.pruned = time.Now(), true, 0, 0
	var err error
	if lie := c.agreement.hear(statement); lie != nil {
		err = lie
		c.leave(lie)
	}
	c.pump()
	v := c.agreement.voices[p.id]
	full := v != nil && v.full(c.config.BufferEvents, c.config.BufferBytes)
	if disputed := len(c.agreement.voices) > 1 && v != nil && len(v.pending) > 0; disputed {
		signal(c.poke)
	}
	began := time.Now()
	c.mu.Unlock()
	for full && err == nil {
		select {
		case <-s.room:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		c.mu.Lock()
		v := c.agreement.voices[p.id]
		if full = v != nil && v.full(c.config.BufferEvents, c.config.BufferBytes); !full {
			p.idle.excuse(time.Since(began))
		}
		c.mu.Unlock()
	}
	return err
}

// token proves to one sequencer who calls. Each sequencer gets its own, because a token shown to one that lies could be
// used by it at others.
type token struct {
	value   string
	refresh time.Time
}

func (t token) authorize(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+t.value)
}
