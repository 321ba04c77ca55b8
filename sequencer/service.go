package sequencer

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/blockwire"
)

// service implements the API on an orderer.
type service struct {
	orderingv1.UnimplementedOrderingServiceServer
	orderer   ordering.Orderer
	log       *slog.Logger
	observer  Observer
	positions positions
}

// Submit queues the requests of one call.
func (s *service) Submit(ctx context.Context, request *orderingv1.SubmitRequest) (*orderingv1.SubmitResponse, error) {
	requests := request.GetRequests()
	if len(requests) == 0 {
		return nil, invalid("the call holds no request: send at least one")
	}
	if refused := s.submit(ctx, requests); refused != nil {
		return nil, refused
	}
	return &orderingv1.SubmitResponse{}, nil
}

// submit hands requests to the orderer and tells the observer what became of
// them. It returns nil when they are queued.
func (s *service) submit(ctx context.Context, requests [][]byte) *failure {
	size := 0
	for _, request := range requests {
		size += len(request)
	}
	err := s.orderer.Submit(ctx, requests...)
	if err == nil {
		s.observer.Submitted("", len(requests), size)
		return nil
	}
	refused := s.failed("submitting", err)
	s.observer.Submitted(refused.reason, len(requests), size)
	return refused
}

// failed translates an error for the client, and logs those that are the
// sequencer's own fault.
func (s *service) failed(doing string, err error) *failure {
	translated := failureOf(err)
	if translated.reason == Internal {
		s.log.Error("the orderer failed", "doing", doing, "error", err)
	}
	return translated
}

// Subscribe sends blocks as fast as the subscriber takes them: Send blocks while
// the stream's window is full, and the orderer is not read meanwhile.
func (s *service) Subscribe(request *orderingv1.SubscribeRequest, stream grpc.ServerStreamingServer[orderingv1.SubscribeResponse]) error {
	position := s.positions.open(ordering.Height(request.GetFromHeight()))
	defer s.positions.close(position)

	ctx := stream.Context()
	err := s.orderer.Read(ctx, ordering.Height(request.GetFromHeight()), func(block ordering.Block) error {
		size := 0
		for part := range blockwire.Split(block) {
			if err := stream.Send(part); err != nil {
				return &failure{code: status.Code(err), message: err.Error()}
			}
			for _, data := range part.GetData() {
				size += len(data)
			}
		}
		position.next.Store(uint64(block.Height) + 1)
		s.observer.Delivered(block.RequestCount(), size)
		return nil
	})
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	ended := s.failed("reading the order", err)
	s.observer.SubscriptionEnded(ended.reason)
	return ended
}

// GetStatus tells where the order stands.
func (s *service) GetStatus(context.Context, *orderingv1.GetStatusRequest) (*orderingv1.GetStatusResponse, error) {
	now := s.orderer.Status()
	response := &orderingv1.GetStatusResponse{
		HeadHeight:   uint64(now.Head),
		LowestHeight: uint64(now.Lowest),
		Epoch:        now.Epoch,
		TimeMicros:   now.Time,
		Ready:        true,
	}
	if err := s.orderer.Ready(); err != nil {
		response.Ready, response.NotReadyReason = false, err.Error()
	}
	return response, nil
}
