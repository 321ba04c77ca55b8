package members

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"strconv"
	"time"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
	"github.com/synod-network/synod/keys"
	"github.com/synod-network/synod/sequencer/sequencing"
	"github.com/synod-network/synod/topology"
)

// SendAsync implements the API.
func (s *Service) SendAsync(ctx context.Context, request *sequencerv1.SendAsyncRequest) (*sequencerv1.SendAsyncResponse, error) {
	c, leave, refused := s.enterAs(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	if refused := s.send(ctx, c, [][]byte{request.GetRequest()})[0]; refused != nil {
		return nil, refused
	}
	return &sequencerv1.SendAsyncResponse{}, nil
}

// send queues the submissions that can be queued and says for each other why not.
func (s *Service) send(ctx context.Context, c caller, requests [][]byte) []*failure {
	refusals := make([]*failure, len(requests))
	decoded := make([]sequencing.Request, len(requests))
	var signed []keys.Signed
	for i, data := range requests {
		if decoded[i], refusals[i] = s.decode(data); refusals[i] != nil {
			continue
		}
		submission, ok := decoded[i].Body.(*sequencing.Submission)
		switch {
		case !ok:
			refusals[i] = fail(Invalid, "the request is no submission: send that, and acknowledge and register by the calls for it")
		case submission.Sender != c.id:
			refusals[i] = notYours(c, submission.Sender)
		default:
			signed = append(signed, s.signed(decoded[i]))
		}
	}
	valid := s.checks.check(signed)
	var queue [][]byte
	var queued []int
	for i := range requests {
		if refusals[i] != nil {
			continue
		}
		genuine := valid[0]
		if valid = valid[1:]; !genuine {
			refusals[i] = badSignature(c)
			continue
		}
		cost, refused := s.judge(decoded[i])
		if refusals[i] = refused; refused == nil {
			s.config.Observer.Cost(cost)
			queue, queued = append(queue, requests[i]), append(queued, i)
		}
	}
	s.orderEach(ctx, queue, func(place int, refused *failure) { refusals[queued[place]] = refused })
	for i, data := range requests {
		s.submitted(refusals[i], len(data))
	}
	return refusals
}

func (s *Service) submitted(refused *failure, size int) {
	if refused == nil {
		s.config.Observer.Submitted("", size)
		return
	}
	s.config.Observer.Submitted(refused.observed(), size)
}

// orderEach hands requests to the orderer, all at once if it takes so many, and else in parts, so that none is refused for what came with
// it. Refuse is told of each that the orderer refuses, by its place.
func (s *Service) orderEach(ctx context.Context, requests [][]byte, refuse func(place int, f *failure)) {
	s.order(ctx, requests, func(f *failure) {
		half := len(requests) / 2
		if f.reason == TooLarge && half > 0 {
			s.orderEach(ctx, requests[:half], refuse)
			s.orderEach(ctx, requests[half:], func(place int, f *failure) { refuse(half+place, f) })
			return
		}
		for place := range requests {
			refuse(place, f)
		}
	})
}

// order hands requests to the orderer, and tells if it refuses.
func (s *Service) order(ctx context.Context, requests [][]byte, refuse func(*failure)) {
	if len(requests) == 0 {
		return
	}
	if err := s.config.Orderer.Submit(ctx, requests...); err != nil {
		refused := failureOf(err)
		if refused.reason == Internal {
			s.config.Log.Error("the orderer took no requests", "error", err)
		}
		refuse(refused)
	}
}

func (s *Service) decode(data []byte) (sequencing.Request, *failure) {
	request, err := sequencing.Decode(data)
	if err != nil {
		return request, fail(Invalid, "%v", err)
	}
	return request, nil
}

// signed is the one signature of a submission or an acknowledgement.
func (s *Service) signed(r sequencing.Request) keys.Signed {
	digest := r.Digest(s.network)
	return keys.Signed{Key: keys.PublicKey(r.Signatures[0].Key), Message: digest[:], Signature: keys.Signature(r.Signatures[0].Signature)}
}

func notYours(c caller, of sequencing.MemberID) *failure {
	return fail(NotYours, "the request is of %.300q, the token of %s: send it with a token of its sender", of, c.id)
}

func badSignature(c caller) *failure {
	return fail(BadSignature, "the signature is not by its key over this request of %s in this network", c.id)
}

// judge says what the rules would make of a genuine submission.
func (s *Service) judge(r sequencing.Request) (cost uint64, refused *failure) {
	submission := r.Body.(*sequencing.Submission)
	cost, err := s.config.State.Check(submission, r.Signatures[0].Key)
	var refusal sequencing.Refusal
	switch {
	case err == nil:
		return cost, nil
	case !errors.As(err, &refusal):
		s.config.Log.Error("the rules could not judge a submission", "error", err)
		return 0, failureOf(err)
	}
	switch refusal.Code {
	case sequencing.UnknownMember, sequencing.Disabled:
		return 0, fail(UnknownMember, "%v", err)
	case sequencing.TooLarge:
		size := 0
		for _, e := range submission.Envelopes {
			size += len(e.Payload)
		}
		return 0, fail(TooLarge, "%v", err).with("size", strconv.Itoa(size)).with("limit", strconv.FormatUint(uint64(s.parameters().MaxRequestSize), 10))
	case sequencing.CannotPay, sequencing.TrafficExhausted:
		return 0, s.cannotPay(submission.Sender, refusal)
	}
	return 0, refusedBy(refusal)
}

func refusedBy(r sequencing.Refusal) *failure {
	f := fail(Refused, "%v", r).with("code", r.Code.String()).with("category", string(r.Code.Category()))
	if r.Detail != "" {
		f.with("detail", r.Detail)
	}
	return f
}

func (s *Service) parameters() (p topology.SynchronizerParameters) {
	s.config.State.Topology(func(view topology.Snapshot) { p = view.Parameters() })
	return p
}

// cannotPay says when the base allowance will do, if it ever will.
func (s *Service) cannotPay(sender sequencing.MemberID, refusal sequencing.Refusal) *failure {
	f := fail(TrafficExhausted, "%v", refusal).with("code", refusal.Code.String())
	rules := s.traffic()
	need, err := strconv.ParseUint(refusal.Detail, 10, 64)
	if err != nil {
		need = rules.EventCost
	}
	traffic, _, known := s.config.State.Traffic(sender)
	if !known {
		traffic.Base = rules.BaseAllowance
	}
	missing := need - min(need, traffic.Left())
	if rules.BaseAllowance == 0 || missing == 0 || traffic.Base+missing > rules.BaseAllowance {
		return f // the allowance alone will never do
	}
	high, low := bits.Mul64(missing, uint64(rules.Window))
	micros, _ := bits.Div64(high, low, rules.BaseAllowance) // missing is not above the allowance
	return f.after(time.Duration(micros+1) * time.Microsecond)
}

// Acknowledge implements the API.
func (s *Service) Acknowledge(ctx context.Context, request *sequencerv1.AcknowledgeRequest) (*sequencerv1.AcknowledgeResponse, error) {
	c, leave, refused := s.enterAs(ctx)
	if refused != nil {
		return nil, refused
	}
	defer leave()
	refused = s.acknowledge(ctx, c, request.GetRequest())
	s.submitted(refused, len(request.GetRequest()))
	if refused != nil {
		return nil, refused
	}
	return &sequencerv1.AcknowledgeResponse{}, nil
}

func (s *Service) acknowledge(ctx context.Context, c caller, data []byte) (refused *failure) {
	request, refused := s.decode(data)
	if refused != nil {
		return refused
	}
	a, ok := request.Body.(*sequencing.Acknowledgement)
	switch {
	case !ok:
		return fail(Invalid, "the request is no acknowledgement")
	case a.Member != c.id:
		return notYours(c, a.Member)
	case !s.checks.check([]keys.Signed{s.signed(request)})[0]:
		return badSignature(c)
	case !s.isKeyOf(c.token.Member, keys.PublicKey(request.Signatures[0].Key)):
		return refusedBy(sequencing.Refusal{Code: sequencing.UnknownKey, Detail: string(c.id)})
	case s.isStale(a):
		return refusedBy(sequencing.Refusal{Code: sequencing.StaleAcknowledgment, Detail: string(c.id)})
	case !s.accounts.acknowledges(c.party(), s.config.Now()):
		return fail(Overloaded, "%s acknowledges more often than %d times a second: once for many events is enough", c.id, acknowledgementRate).after(time.Second)
	}
	s.order(ctx, [][]byte{data}, func(f *failure) { refused = f })
	return refused
}

func (s *Service) isKeyOf(m topology.Member, key keys.PublicKey) (yes bool) {
	s.config.State.Topology(func(view topology.Snapshot) { yes = slices.Contains(view.SigningKeys(m, keys.Protocol), key) })
	return yes
}

// isStale reports whether an acknowledgement would have no effect: it is not above the
// last one, or above the present of every sequencer.
func (s *Service) isStale(a *sequencing.Acknowledgement) bool {
	m, known := s.config.State.Member(a.Member)
	return known && a.UpTo <= m.Acknowledged || a.UpTo > max(s.config.State.Time(), sequencing.Time(s.config.Now().UnixMicro()))
}
