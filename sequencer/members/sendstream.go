package members

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	sequencerv1 "github.com/synod-network/synod/api/synod/sequencer/v1"
)

const (
	// maxBatch bounds the requests in one message of a stream.
	maxBatch = 4096
	// gather is how many requests are judged together, if they are there.
	gather = 256
)

type sendStream = grpc.BidiStreamingServer[sequencerv1.SendStreamRequest, sequencerv1.SendStreamResponse]

// SendStream implements the API: messages that came while others were judged are
// judged together, and answered by one response. A client that does not read its
// answers is not read either.
func (s *Service) SendStream(stream sendStream) error {
	c, leave, refused := s.enterAs(stream.Context())
	if refused != nil {
		return refused
	}
	defer leave()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	messages, broken := make(chan *sequencerv1.SendStreamRequest), make(chan error, 1)
	go func() { broken <- receive(ctx, stream, messages) }() // ends with this call

	ticker := time.NewTicker(s.config.TickEvery)
	defer ticker.Stop()
	var last uint64
	for {
		select {
		case first := <-messages:
			if refused := s.stillHolds(c); refused != nil {
				return refused
			}
			response, refused := s.answer(ctx, c, first, messages, &last)
			if refused != nil {
				return refused
			}
			if err := stream.Send(response); err != nil {
				return err
			}
		case err := <-broken:
			return err
		case <-ticker.C:
			if refused := s.stillHolds(c); refused != nil {
				return refused
			}
		case <-s.stopping:
			return shuttingDown()
		case <-ctx.Done():
			return ended(ctx)
		}
	}
}

// receive hands messages on until the client has sent all.
func receive(ctx context.Context, stream sendStream, messages chan<- *sequencerv1.SendStreamRequest) error {
	for {
		message, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		select {
		case messages <- message:
		case <-ctx.Done():
			return nil
		}
	}
}

// answer queues the requests of a message, and of those behind it that are there.
func (s *Service) answer(ctx context.Context, c caller, message *sequencerv1.SendStreamRequest, more <-chan *sequencerv1.SendStreamRequest, last *uint64) (*sequencerv1.SendStreamResponse, *failure) {
	var requests [][]byte
	var places []place
	for message != nil {
		switch n := len(message.GetRequests()); {
		case message.GetSequence() <= *last:
			return nil, fail(Invalid, "message %d came after message %d: sequences must grow, from 1", message.GetSequence(), *last)
		case n == 0 || n > maxBatch:
			return nil, fail(Invalid, "message %d has %d requests: send 1 to %d", message.GetSequence(), n, maxBatch)
		}
		*last = message.GetSequence()
		for i, request := range message.GetRequests() {
			requests, places = append(requests, request), append(places, place{*last, uint32(i)})
		}
		message = nil
		if len(requests) < gather {
			select {
			case message = <-more:
			default:
			}
		}
	}
	response := &sequencerv1.SendStreamResponse{Sequence: *last}
	for i, refused := range s.send(ctx, c, requests) {
		if refused != nil {
			response.Refusals = append(response.Refusals, places[i].refusal(refused))
		}
	}
	return response, nil
}

// place is where a request came.
type place struct {
	sequence uint64
	index    uint32
}

func (p place) refusal(f *failure) *sequencerv1.SendStreamResponse_Refusal {
	r := &sequencerv1.SendStreamResponse_Refusal{Sequence: p.sequence, Index: p.index, Reason: string(f.reason), Message: f.message, Code: f.metadata["code"]}
	if f.retryAfter > 0 {
		r.RetryAfter = durationpb.New(f.retryAfter)
	}
	return r
}
