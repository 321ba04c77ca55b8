package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
)

// outbox sends submissions over one connection, in a stream: those that wait while another message is on its way go together in
// the next. A stream is opened when it is needed. When it breaks, whatever was not answered on it fails, as a call would;
// whether the sequencer took it is not known then.
type outbox struct {
	alias   string // of the sequencer
	service sequencerv1.SequencerServiceClient
	parcels chan *parcel
	// room has one element for each parcel that is not answered, in the outbox or on its way.
	room chan struct{}
	// stall is how long a sequencer may leave the oldest message unanswered before the stream is given up.
	stall time.Duration
	// unary says that the sequencer has no streams, so that each submission goes in a call of its own.
	unary atomic.Bool
	ended chan struct{} // closed when run has ended
	fault fault
}

// parcel is a submission on its way. Whoever waits for the answer may have given up.
type parcel struct {
	request []byte
	token   token
	answer  chan error // of capacity 1
}

const (
	// messageMost bounds the submissions in one message, and streamMost their bytes: what is larger goes in a call of its own, so
	// that it breaks no stream of others if it is too large for the sequencer, and does not hold up small ones.
	messageMost = 64
	streamMost  = 64 << 10
	// messagesUnanswered bounds the messages on their way: what comes meanwhile gathers for the next.
	messagesUnanswered = 4
)

func newOutbox(alias string, service sequencerv1.SequencerServiceClient, c Config) *outbox {
	o := &outbox{alias: alias, service: service, parcels: make(chan *parcel), room: make(chan struct{}, c.SendWindow), stall: c.CallTimeout,
		ended: make(chan struct{}), fault: c.fault}
	o.unary.Store(c.Unary)
	return o
}

// send gives one submission to the sequencer. A nil error means that it is queued there.
func (o *outbox) send(ctx context.Context, token token, request []byte) error {
	if !o.unary.Load() && len(request) <= streamMost {
		p := &parcel{request: request, token: token, answer: make(chan error, 1)}
		err := o.hand(ctx, p)
		if status.Code(err) != codes.Unimplemented {
			return err
		}
		o.unary.Store(true)
	}
	_, err := o.service.SendAsync(token.authorize(ctx), &sequencerv1.SendAsyncRequest{Request: request})
	return err
}

// hand puts a parcel into the stream and waits for the answer.
func (o *outbox) hand(ctx context.Context, p *parcel) error {
	select {
	case o.room <- struct{}{}:
	case <-o.ended:
		return errConnectionLost
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
	select {
	case o.parcels <- p:
	case <-o.ended:
		return errConnectionLost
	case <-ctx.Done():
		<-o.room
		return status.FromContextError(ctx.Err()).Err()
	}
	select {
	case err := <-p.answer:
		return err
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

// settle answers a parcel.
func (o *outbox) settle(p *parcel, err error) {
	<-o.room
	p.answer <- err
}

var errConnectionLost = status.Error(codes.Unavailable, "the connection was lost")

// run opens streams as they are needed, until the context ends.
func (o *outbox) run(ctx context.Context) {
	defer close(o.ended)
	var first *parcel
	for {
		if first == nil {
			select {
			case first = <-o.parcels:
			case <-ctx.Done():
				return
			}
		}
		first = o.stream(ctx, first)
	}
}

// message is the parcels in one message of a stream.
type message struct {
	sequence uint64
	parcels  []*parcel
}

// stream sends parcels in one stream until it breaks, or one comes with another token, which it returns.
func (o *outbox) stream(ctx context.Context, first *parcel) (next *parcel) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	sent, over := make(chan message, messagesUnanswered), make(chan struct{})
	stream, err := o.service.SendStream(first.token.authorize(ctx))
	if err != nil {
		o.settle(first, err)
		return nil
	}
	read := reader{alias: o.alias, stream: stream, slots: make(chan struct{}, messagesUnanswered), refusals: map[uint64]map[uint32]error{}}
	go func() { // ends with this function
		defer close(over)
		o.answers(ctx, &read, sent, cancel)
	}()
	token, p := first.token, first
	for sequence := uint64(1); p != nil; sequence++ {
		read.slots <- struct{}{}
		m := message{sequence: sequence}
		request := &sequencerv1.SendStreamRequest{Sequence: sequence}
		for size := 0; p != nil; p = o.waiting() {
			if size += len(p.request); p.token != token || len(m.parcels) == messageMost || size > streamMost {
				break
			}
			m.parcels, request.Requests = append(m.parcels, p), append(request.Requests, p.request)
		}
		read.sent.Store(sequence)
		sent <- m
		_ = stream.Send(request) // whatever is wrong with the stream, reading it says
		if p == nil {
			select {
			case p = <-o.parcels:
			case <-ctx.Done(): // the stream is broken
			}
		}
		if p != nil && p.token != token {
			break
		}
	}
	close(sent)
	_ = stream.CloseSend()
	<-over
	return p
}

// waiting returns a parcel that waits, nil if there is none.
func (o *outbox) waiting() *parcel {
	select {
	case p := <-o.parcels:
		return p
	default:
		return nil
	}
}

// answers passes on what a sequencer answers to the messages of a stream, until no more are sent and all are answered. When the
// stream breaks, parcels that are not answered fail.
func (o *outbox) answers(ctx context.Context, read *reader, sent <-chan message, giveUp context.CancelCauseFunc) {
	var broken error
	for m := range sent {
		if broken == nil {
			patience := time.AfterFunc(o.stall, func() { giveUp(errStalled) })
			broken = read.until(m.sequence)
			patience.Stop()
			if cause := context.Cause(ctx); broken != nil && errors.Is(cause, errStalled) {
				broken = status.Error(codes.DeadlineExceeded, cause.Error())
			}
			if broken != nil {
				giveUp(broken)
			}
		}
		refused := read.refusals[m.sequence]
		delete(read.refusals, m.sequence)
		for i, p := range m.parcels {
			switch {
			case broken == nil && o.fault == faultMixAnswers:
				o.settle(p, refused[0])
			case broken == nil || o.fault == faultBelieveBroken:
				o.settle(p, refused[uint32(i)])
			default:
				o.settle(p, broken)
			}
		}
		<-read.slots
	}
}

var errStalled = errors.New("it leaves submissions unanswered")

// reader reads the answers on one stream.
type reader struct {
	alias  string
	stream interface {
		Recv() (*sequencerv1.SendStreamResponse, error)
	}
	slots    chan struct{} // one element for each message that is not answered
	sent     atomic.Uint64 // the last message
	answered uint64        // everything up to it
	// refusals are of messages that were not passed on yet, by sequence and place in the message.
	refusals map[uint64]map[uint32]error
}

// until reads until a message is answered.
func (r *reader) until(sequence uint64) error {
	for r.answered < sequence {
		answer, err := r.stream.Recv()
		if err == io.EOF {
			return errConnectionLost
		}
		if err != nil {
			return err
		}
		if err := r.take(answer); err != nil {
			return status.Errorf(codes.Unknown, "the stream of sends makes no sense: %v", err)
		}
	}
	return nil
}

// take notes one answer. One that does not fit what was sent is an error, so that nothing grows with it.
func (r *reader) take(answer *sequencerv1.SendStreamResponse) error {
	last := answer.GetSequence()
	if last <= r.answered || last > r.sent.Load() {
		return fmt.Errorf("message %d is answered; the last sent was %d, the last answered %d", last, r.sent.Load(), r.answered)
	}
	for _, refused := range answer.GetRefusals() {
		sequence, index := refused.GetSequence(), refused.GetIndex()
		if sequence <= r.answered || sequence > last || index >= messageMost {
			return fmt.Errorf("the answer to messages %d to %d refuses submission %d of message %d", r.answered+1, last, index, sequence)
		}
		if r.refusals[sequence] == nil {
			r.refusals[sequence] = map[uint32]error{}
		}
		r.refusals[sequence][index] = &Failure{Sequencer: r.alias, Reason: refused.GetReason(), Rule: refused.GetCode(), Message: refused.GetMessage(),
			RetryAfter: refused.GetRetryAfter().AsDuration(), Status: codes.Unknown}
	}
	r.answered = last
	return nil
}
