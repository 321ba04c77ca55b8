package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/synod-network/synod/sequencer/sequencing"
)

// Signed is a submission ready to be sent, as often and through as many sequencers as one likes: it is sequenced once. An
// application that stores it before sending can send it again after a crash.
type Signed struct {
	Message sequencing.MessageID
	MaxTime sequencing.Time
	Request []byte
	// After is up to when no event answers it: where the stream was when it was signed. A client that was told nothing of what came
	// behind that cannot say for sure that it was not sequenced.
	After sequencing.Time
}

// Outcome is what became of a send that was not refused.
type Outcome struct {
	// Time is the sequencing time, Cost what was charged, in bytes of traffic.
	Time sequencing.Time
	Cost uint64
	// Contributed says that the batch waits for other senders, as its aggregation rule wants.
	Contributed bool
	// AlreadySent says that the same content was delivered before, under another message id. If sequencers said so before
	// ordering it, Time and Cost are 0.
	AlreadySent bool
}

// tracked is a send whose outcome is awaited. Its fields belong to the client's lock; done is closed once, after they are set.
type tracked struct {
	signed  Signed
	done    chan struct{}
	outcome Outcome
	err     error
	since   sequencing.Time // receipts up to then may be forgotten, as of when it was first looked for
	// replayed: a sequencer says that it was sequenced before; recalled: its receipt had gone by before it was looked for.
	replayed, recalled bool
}

// Sign makes a submission ready to send. Empty fields are filled: Sender and Message (a random one), MaxTime (now and
// [Config.Lifetime]), and Cost (whatever it costs). With amplification and no rule of its own, it gets the rule of its
// sender alone, so that whatever carries the same content is delivered once.
func (c *Client) Sign(s sequencing.Submission) (Signed, error) {
	view, ok := c.believed()
	if !ok {
		return Signed{}, fmt.Errorf("sign a submission: the network is not known yet: configure its id, or wait for %d sequencers", c.config.TrustThreshold)
	}
	s.Sender = orDefault(s.Sender, c.config.Member)
	s.Message = orDefault(s.Message, sequencing.MessageID(rand.Text()))
	s.MaxTime = orDefault(s.MaxTime, sequencing.Time(time.Now().Add(c.config.Lifetime).UnixMicro()))
	s.Cost = orDefault(s.Cost, math.MaxInt64)
	if s.Aggregation == nil && c.config.Amplification.Factor > 1 {
		s.Aggregation = &sequencing.Aggregation{Threshold: 1, Eligible: []sequencing.MemberID{s.Sender}}
	}
	if s.Sender != c.config.Member {
		return Signed{}, fmt.Errorf("sign submission %q: its sender is %s, not %s", s.Message, s.Sender, c.config.Member)
	}
	for i, e := range s.Envelopes {
		if e.Set < 0 || e.Set >= len(s.Sets) {
			return Signed{}, fmt.Errorf("sign submission %q: envelope %d is for recipient set %d of %d", s.Message, i, e.Set, len(s.Sets))
		}
	}
	request := sequencing.Request{Body: &s}
	digest := request.Digest(view.network)
	request.Signatures = []sequencing.KeySignature{{Key: sequencing.Key(c.config.Signing.Public()), Signature: sequencing.Signature(c.config.Signing.Sign(digest[:]))}}
	encoded := request.Encode()
	if _, err := sequencing.Decode(encoded); err != nil {
		return Signed{}, fmt.Errorf("sign submission %q: it breaks a rule of the encoding: %w", s.Message, err)
	}
	return Signed{Message: s.Message, MaxTime: s.MaxTime, Request: encoded, After: c.Position().Known}, nil
}

// believed is the network that the client belongs to, if it knows it.
func (c *Client) believed() (view, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.view == (view{}) && c.config.Network != (sequencing.NetworkID{}) {
		return view{network: c.config.Network}, true
	}
	return c.view, c.view != view{}
}

// To is the set of recipients with these members.
func To(members ...sequencing.MemberID) sequencing.RecipientSet {
	var set sequencing.RecipientSet
	for _, m := range members {
		set = append(set, sequencing.Recipient{Kind: sequencing.ToMember, Member: m})
	}
	slices.SortFunc(set, sequencing.Recipient.Compare)
	return slices.CompactFunc(set, func(x, y sequencing.Recipient) bool { return x.Compare(y) == 0 })
}

// Send signs a submission, sends it, and waits for its outcome; see [Client.SendSigned].
func (c *Client) Send(ctx context.Context, s sequencing.Submission) (Outcome, error) {
	signed, err := c.Sign(s)
	if err != nil {
		return Outcome{}, err
	}
	return c.SendSigned(ctx, signed)
}

// SendSigned sends a submission and waits for its outcome, which is definite once it is agreed: an [Outcome], a
// [DeliverError], or [ErrExpired] at the latest when max-sequencing-time has passed in agreed time. A [Failure] means that
// sequencers refused to take it; they may lie, so the events have the last word. If the wait ends early, the error
// matches [ErrUnknown]; so it does for a submission that was signed before the events that this client was told, or long ago, and
// has no receipt by then.
//
// One sequencer is not believed that the rules refuse a submission, if more are needed to believe anything: with a trust
// threshold above one the next is asked, and if it cannot be reached, again and again.
//
// A sequencer that cannot be reached, is overloaded or has a slow clock is passed over at once for the next. Any number of
// sends may go on beside each other. Receipts are found among the events, so somebody must call Next meanwhile. Sends wait for
// Run to begin.
func (c *Client) SendSigned(ctx context.Context, signed Signed) (Outcome, error) {
	select {
	case <-c.begun:
	case <-ctx.Done():
		return Outcome{}, fmt.Errorf("send %q: %w: call Run: %w", signed.Message, ErrStopped, context.Cause(ctx))
	}
	t, err := c.track(signed)
	if err != nil {
		return Outcome{}, err
	}
	defer c.untrack(t)
	var takers []taker
	if !t.recalled {
		takers, err = c.handOver(ctx, t)
	}
	select {
	case <-t.done:
		if err = t.err; !t.recalled {
			c.judge(takers, t.outcome.Time, err)
		}
	default:
	}
	var refused *Failure
	switch {
	case err == nil:
		return t.outcome, nil
	case errors.As(err, &refused) && refused.Rule == sequencing.AlreadySent.String():
		return Outcome{AlreadySent: true}, nil // what was wanted was done before
	}
	return Outcome{}, fmt.Errorf("send %q: %w", signed.Message, err)
}

// track begins to look for the outcome of a submission, before it is sent for the first time.
func (c *Client) track(signed Signed) (*tracked, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return nil, fmt.Errorf("send %q: %w", signed.Message, c.err)
	case c.tracked[signed.Message] != nil:
		return nil, fmt.Errorf("send %q: a submission with this message id is on its way", signed.Message)
	}
	t := &tracked{signed: signed, done: make(chan struct{}), since: c.receipts.after}
	if c.recall(t) {
		return t, nil
	}
	c.tracked[signed.Message] = t
	if len(c.tracked) == 1 || signed.MaxTime < c.expiry {
		c.expiry = signed.MaxTime
	}
	return t, nil
}

func (c *Client) untrack(t *tracked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tracked[t.signed.Message] == t {
		delete(c.tracked, t.signed.Message)
	}
}

// receipt ends the send that an event answers. The caller holds the lock.
func (c *Client) receipt(d *sequencing.Delivery) {
	if !d.Receipt {
		return
	}
	one := receipt{outcome: Outcome{Time: d.Time, Cost: d.Cost, Contributed: d.Kind == sequencing.Contributed}}
	if d.Kind == sequencing.Refused {
		if one.outcome.AlreadySent = d.Refusal.Code == sequencing.AlreadySent; !one.outcome.AlreadySent {
			one.err = &DeliverError{Time: d.Time, Cost: d.Cost, Refusal: d.Refusal}
		}
	}
	if t := c.tracked[d.Message]; t != nil {
		one.request = sha256.Sum256(t.signed.Request)
		t.outcome, t.err = one.outcome, one.err
		delete(c.tracked, d.Message)
		close(t.done)
	}
	c.receipts.add(d.Message, one)
}

// expire ends the sends whose time has passed. The caller holds the lock.
func (c *Client) expire(known sequencing.Time) {
	if c.config.fault == faultExpireEarly {
		known = sequencing.Time(time.Now().Add(c.config.Lifetime).UnixMicro())
	}
	if len(c.tracked) == 0 || known < c.expiry {
		return
	}
	c.expiry = math.MaxInt64
	for id, t := range c.tracked {
		if t.signed.MaxTime <= known {
			delete(c.tracked, id)
			t.err = c.end(t)
			close(t.done)
			continue
		}
		c.expiry = min(c.expiry, t.signed.MaxTime)
	}
}

// handOver gives a submission to sequencers, one after the other, until its outcome is known or there is nobody left to
// give it to. It returns those that took it.
func (c *Client) handOver(ctx context.Context, t *tracked) (takers []taker, err error) {
	var (
		refused = map[*peer]*Failure{}
		tried   = map[*peer]bool{}
		resting = map[*peer]time.Time{} // until when they asked to be left alone
		rounds  int
	)
	for {
		p, by := c.sender(tried)
		if p == nil { // everybody was asked
			if len(takers) > 0 {
				return takers, c.await(ctx, t, 0)
			}
			if err := c.await(ctx, t, max(c.backoff(rounds), c.allRest(refused, resting))); err != errPatience {
				if len(refused) > 0 && err != nil {
					err = fmt.Errorf("%w; refused meanwhile: %w", err, firstOf(refused))
				}
				return nil, err
			}
			rounds++
			clear(tried)
			for p := range refused {
				tried[p] = true
			}
			for p, until := range resting {
				if time.Now().Before(until) {
					tried[p] = true
				}
			}
			continue
		}
		tried[p] = true
		known := c.Position().Known
		f := c.attempt(ctx, p, by, t.signed)
		if f != nil && f.answer() == accepted {
			c.replayed(t)
			f = nil
		}
		if f == nil {
			if n := len(takers); n > 0 {
				takers[n-1].alone = known
			}
			takers = append(takers, taker{peer: p})
		}
		select {
		case <-t.done:
			return takers, nil
		default:
		}
		switch {
		case f == nil:
			patience := c.config.Amplification.Patience
			if len(takers) >= c.config.Amplification.Factor {
				patience = 0
			}
			if err := c.await(ctx, t, patience); err != errPatience {
				return takers, err
			}
			if c.glimpsed(t.signed.Message) { // a receipt is on its way, unless who told of it lies
				if err := c.await(ctx, t, patience); err != errPatience {
					return takers, err
				}
			}
		case ctx.Err() != nil:
			return takers, unknown(ctx)
		case f.answer() == final:
			refused[p] = f
			if len(takers) == 0 && c.refusedFor(refused, f) {
				believed := firstOf(refused)
				if believed.Rule == sequencing.Expired.String() {
					// It may have been sequenced in time, through an earlier copy: the events that are still to come tell.
					return nil, c.await(ctx, t, 0)
				}
				return nil, believed
			}
		default:
			resting[p] = time.Now().Add(c.rest(f))
		}
	}
}

// rest is how long a sequencer is left alone that asked for it: no longer than one that says nothing, for it may lie.
func (c *Client) rest(f *Failure) time.Duration {
	return max(0, min(f.RetryAfter, c.config.RestartMax))
}

// allRest is how long nobody is left to send through who did not ask to be left alone.
func (c *Client) allRest(refused map[*peer]*Failure, resting map[*peer]time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	soonest := c.config.RestartMax
	for _, p := range c.peers {
		if refused[p] == nil {
			soonest = min(soonest, time.Until(resting[p]))
		}
	}
	return soonest
}

// refusedFor reports whether it is believed that the rules refuse a submission, once f is the last who said so. Fewer sequencers than the
// threshold are not believed, and that many only if they name one rule; among twice as many but one, that many are honest whatever they name.
func (c *Client) refusedFor(refused map[*peer]*Failure, f *Failure) bool {
	if c.config.fault == faultTakeRefusal {
		return true
	}
	same := 0
	for _, other := range refused {
		if other.sameRule(f) {
			same++
		}
	}
	return same >= c.config.TrustThreshold || len(refused) >= 2*c.config.TrustThreshold-1
}

// firstOf is the refusal to report: of the rule that most name, and one that says more than that all is done, if there is one.
func firstOf(refused map[*peer]*Failure) *Failure {
	worth := func(f *Failure) string { // the lowest is reported
		same := 0
		for _, other := range refused {
			if other.sameRule(f) {
				same++
			}
		}
		said := "1"
		if f.Rule == sequencing.AlreadySent.String() {
			said = "2"
		}
		return fmt.Sprintf("%s%06d%s", said, 999_999-same, f.Sequencer)
	}
	var first *Failure
	for _, f := range refused {
		if first == nil || worth(f) < worth(first) {
			first = f
		}
	}
	return first
}

// sender chooses a sequencer at random among those not tried, and a connection to it; nil if there is none. Those that are passed
// over come last.
func (c *Client) sender(tried map[*peer]bool) (*peer, way) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var doubted *peer
	var last way
	now := time.Now()
	for _, i := range c.rng.Perm(len(c.peers)) {
		p := c.peers[i]
		if tried[p] {
			continue
		}
		l := c.pick(p)
		switch {
		case l == nil:
		case now.Before(p.promises.until) && c.config.fault != faultTrustPromises:
			doubted, last = p, l.way
		default:
			return p, l.way
		}
	}
	return doubted, last
}

// attempt gives a submission to a sequencer, nil if it was taken.
func (c *Client) attempt(ctx context.Context, p *peer, by way, signed Signed) *Failure {
	limit := c.config.CallTimeout
	if c.config.Amplification.Factor > 1 {
		limit = min(limit, c.config.Amplification.Patience)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.call(ctx, p, by, func(ctx context.Context, t token) error { return by.outbox.send(ctx, t, signed.Request) })
}

// call makes one call with a token, and once more with a new one if that was refused. Nil means that it was accepted; so does a
// failure whose answer is accepted.
func (c *Client) call(ctx context.Context, p *peer, by way, do func(context.Context, token) error) *Failure {
	for again := false; ; again = true {
		token, err := c.token(ctx, p, by.service)
		if err != nil {
			var f *Failure
			if errors.As(err, &f) {
				return f
			}
			return &Failure{Sequencer: p.alias, Message: err.Error(), Status: codes.Unavailable}
		}
		err = do(ctx, token)
		if err == nil {
			return nil
		}
		f := failureOf(p.alias, err)
		switch {
		case f.answer() != login || again:
			return f
		}
		c.dropToken(p, token)
	}
}

// errPatience says that a wait ended by its time.
var errPatience = errors.New("waited long enough")

// await waits for the outcome of a send, at most for patience, or without limit if that is 0.
func (c *Client) await(ctx context.Context, t *tracked, patience time.Duration) error {
	var over <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-t.done:
		return nil
	case <-over:
		return errPatience
	case <-ctx.Done():
		return unknown(ctx)
	case <-c.ended:
		c.mu.Lock()
		defer c.mu.Unlock()
		return fmt.Errorf("%w: %w", ErrUnknown, c.err)
	}
}

func unknown(ctx context.Context) error { return fmt.Errorf("%w: %w", ErrUnknown, context.Cause(ctx)) }

// glimpsed reports whether any sequencer told of a receipt that is not agreed yet, or not released.
func (c *Client) glimpsed(message sequencing.MessageID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.agreement.order {
		for _, e := range v.pending {
			if d, err := sequencing.DecodeDelivery(e.encoded); err == nil && d.Receipt && d.Message == message {
				return true
			}
		}
	}
	return false
}
