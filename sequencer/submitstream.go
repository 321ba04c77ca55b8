package sequencer

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/ordering"
)

type submitStream = grpc.BidiStreamingServer[orderingv1.SubmitStreamRequest, orderingv1.SubmitStreamResponse]

// answerQueue is how many answers wait for a client that does not read them,
// before its batches are not read either.
const answerQueue = 64

// SubmitStream queues batches as they come, and answers beside: a batch need not
// wait for the answer to the one before to have been sent.
func (s *service) SubmitStream(stream submitStream) error {
	ctx := stream.Context()
	answers, received := make(chan *orderingv1.SubmitStreamResponse, answerQueue), make(chan error, 1)
	// Ends when the client does or, at the latest, when this method returns:
	// the stream's context then ends, and with it Recv.
	go func() {
		defer close(answers)
		received <- s.receive(ctx, stream, answers)
	}()
	for {
		select {
		case answer, more := <-answers:
			if !more {
				return <-received
			}
			if err := sendMerged(stream, answer, answers); err != nil {
				return err
			}
		case <-ctx.Done():
			return failureOf(context.Cause(ctx))
		}
	}
}

// sendMerged sends an answer together with those behind it that it can stand
// for: one acceptance covers all before it.
func sendMerged(stream submitStream, answer *orderingv1.SubmitStreamResponse, answers <-chan *orderingv1.SubmitStreamResponse) error {
	for range len(answers) {
		next, more := <-answers
		if !more {
			break
		}
		if answer.GetRejection() != nil || next.GetRejection() != nil {
			if err := stream.Send(answer); err != nil {
				return err
			}
		}
		answer = next
	}
	return stream.Send(answer)
}

// receive queues one batch after the other and leaves the answers.
func (s *service) receive(ctx context.Context, stream submitStream, answers chan<- *orderingv1.SubmitStreamResponse) error {
	var last uint64
	var requests [][]byte
	for {
		batch, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if batch.GetSequence() <= last {
			return invalid("batch %d came after batch %d: sequences must grow, from 1", batch.GetSequence(), last)
		}
		last = batch.GetSequence()

		answer := &orderingv1.SubmitStreamResponse{Sequence: last}
		refused := s.submitBatch(ctx, batch, &requests)
		if refused != nil {
			if answer.Rejection = rejection(refused); answer.Rejection == nil {
				return refused
			}
		}
		select {
		case answers <- answer:
		case <-ctx.Done():
			return failureOf(ctx.Err())
		}
	}
}

// submitBatch queues one batch. Requests is scratch space, kept from batch to
// batch.
func (s *service) submitBatch(ctx context.Context, batch *orderingv1.SubmitStreamRequest, requests *[][]byte) *failure {
	payload, err := ordering.ParsePayload(int(batch.GetRequestCount()), batch.GetData())
	switch {
	case err != nil:
		s.observer.Submitted(Invalid, int(batch.GetRequestCount()), len(batch.GetData()))
		return invalid("batch %d: %v", batch.GetSequence(), err)
	case payload.Count == 0:
		return invalid("batch %d holds no request: send at least one", batch.GetSequence())
	}
	*requests = (*requests)[:0]
	for request := range payload.Requests() {
		*requests = append(*requests, request)
	}
	defer clear(*requests) // keeps no batch alive
	return s.submit(ctx, *requests)
}

// rejection is the answer to a batch that was refused, or nil if the refusal
// ends the stream.
func rejection(refused *failure) *orderingv1.Rejection {
	var reason orderingv1.Rejection_Reason
	switch refused.reason {
	case Overloaded:
		reason = orderingv1.Rejection_REASON_OVERLOADED
	case TooLarge:
		reason = orderingv1.Rejection_REASON_TOO_LARGE
	case NotReady:
		reason = orderingv1.Rejection_REASON_NOT_READY
	case Invalid:
		reason = orderingv1.Rejection_REASON_INVALID
	default:
		return nil
	}
	answer := &orderingv1.Rejection{Reason: reason, Message: refused.message}
	if refused.retryAfter > 0 {
		answer.RetryAfter = durationpb.New(refused.retryAfter)
	}
	return answer
}
