package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"

	orderingv1 "github.com/synod-network/synod/api/synod/ordering/v1"
	"github.com/synod-network/synod/internal/grpclink"
	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/ordering/blockwire"
)

// maxBlockBytes is the largest block believed, a bound for a sequencer that lies.
const maxBlockBytes = 256 << 20

// Endpoint makes a target of a running sequencer's gRPC address. Options say how
// to secure and authenticate the connections; each path and each subscription has
// one of its own.
func Endpoint(address string, options ...grpc.DialOption) Target {
	options = append([]grpc.DialOption{
		grpc.WithInitialWindowSize(4 << 20),
		grpc.WithInitialConnWindowSize(8 << 20),
		grpc.WithWriteBufferSize(128 << 10),
		grpc.WithReadBufferSize(128 << 10),
	}, options...)
	return &endpoint{address: address, options: options}
}

type endpoint struct {
	address string
	options []grpc.DialOption
}

func (e *endpoint) dial() (*grpc.ClientConn, orderingv1.OrderingServiceClient, error) {
	conn, err := grpclink.Dial(e.address, e.options...)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", e.address, err)
	}
	return conn, orderingv1.NewOrderingServiceClient(conn), nil
}

// Head implements [Target].
func (e *endpoint) Head(ctx context.Context) (ordering.Height, error) {
	conn, client, err := e.dial()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	status, err := client.GetStatus(ctx, &orderingv1.GetStatusRequest{})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", e.address, err)
	}
	return ordering.Height(status.GetHeadHeight()), nil
}

// Read implements [Target].
func (e *endpoint) Read(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error {
	conn, client, err := e.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := client.Subscribe(ctx, &orderingv1.SubscribeRequest{FromHeight: uint64(from)})
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", e.address, err)
	}
	joiner := blockwire.NewJoiner(maxBlockBytes)
	for {
		part, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("reading from %s: %w", e.address, err)
		}
		block, whole, err := joiner.Add(part)
		if err != nil {
			return fmt.Errorf("reading from %s: %w", e.address, err)
		}
		if !whole {
			continue
		}
		if err := fn(block); err != nil {
			return err
		}
	}
}

// Open implements [Target].
func (e *endpoint) Open(ctx context.Context, answered func(error)) (Path, error) {
	conn, client, err := e.dial()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	stream, err := client.SubmitStream(ctx)
	if err != nil {
		cancel()
		conn.Close()
		return nil, fmt.Errorf("opening a stream to %s: %w", e.address, err)
	}
	p := &streamPath{stream: stream, answered: answered, ended: make(chan struct{})}
	// Ends with the stream: at the latest in Close, which waits for it.
	go p.receive()
	p.hangUp = func() {
		cancel()
		<-p.ended
		conn.Close()
	}
	return p, nil
}

// streamPath is a path over one SubmitStream.
type streamPath struct {
	stream   grpc.BidiStreamingClient[orderingv1.SubmitStreamRequest, orderingv1.SubmitStreamResponse]
	answered func(error)
	hangUp   func()
	ended    chan struct{} // closed when receiving has ended, of err

	// Of the sender.
	sequence uint64

	mu  sync.Mutex
	err error
}

// Send implements [Path].
func (p *streamPath) Send(batch ordering.Payload) error {
	p.sequence++
	err := p.stream.Send(&orderingv1.SubmitStreamRequest{Sequence: p.sequence, RequestCount: uint32(batch.Count), Data: batch.Data})
	if errors.Is(err, io.EOF) {
		// The stream has ended; why is known to the receiver.
		<-p.ended
		return p.Broken()
	}
	return err
}

// Broken implements [Path].
func (p *streamPath) Broken() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close implements [Path].
func (p *streamPath) Close() { p.hangUp() }

// receive turns the stream's cumulative answers into one for each batch.
func (p *streamPath) receive() {
	defer close(p.ended)
	for last := uint64(0); ; {
		answer, err := p.stream.Recv()
		if err != nil {
			p.mu.Lock()
			p.err = fmt.Errorf("the stream of submissions ended: %w", err)
			p.mu.Unlock()
			return
		}
		for last++; last < answer.GetSequence(); last++ {
			p.answered(nil)
		}
		last = answer.GetSequence()
		p.answered(refusal(answer.GetRejection()))
	}
}

// refusal translates a rejection back into the orderer's words.
func refusal(rejection *orderingv1.Rejection) error {
	switch {
	case rejection == nil:
		return nil
	case rejection.GetReason() == orderingv1.Rejection_REASON_OVERLOADED:
		return &ordering.Overloaded{RetryAfter: rejection.GetRetryAfter().AsDuration()}
	default:
		return errors.New(rejection.GetMessage())
	}
}
