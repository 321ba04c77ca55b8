package load

import (
	"context"
	"errors"
	"slices"

	"github.com/synod-network/synod/ordering"
)

// Target is a sequencer to submit to and to read from: a running one behind
// [Endpoint], or an orderer in this process behind [InProcess].
type Target interface {
	// Head is the newest ordered block that the sequencer knows.
	Head(ctx context.Context) (ordering.Height, error)
	// Read delivers the order as [ordering.Orderer] does.
	Read(ctx context.Context, from ordering.Height, fn func(ordering.Block) error) error
	// Open makes a path for submissions that lasts until ctx ends or it breaks.
	// Answered is called once for each batch sent, in order, with nil if it is
	// queued or the reason why not, from any goroutine, one call at a time, and
	// not after Close has returned.
	Open(ctx context.Context, answered func(error)) (Path, error)
}

// Path takes batches to one sequencer. It is used by one goroutine.
type Path interface {
	// Send hands a batch over; it waits while the path is congested. An error
	// means that the path is broken.
	Send(batch ordering.Payload) error
	// Broken returns why the path is of no more use, or nil.
	Broken() error
	// Close gives the path up. What was sent and not answered is unknown.
	Close()
}

// InProcess makes a target of an orderer in this process.
func InProcess(orderer ordering.Orderer) Target { return inProcess{orderer} }

type inProcess struct{ ordering.Orderer }

func (t inProcess) Head(context.Context) (ordering.Height, error) { return t.Status().Head, nil }

func (t inProcess) Open(ctx context.Context, answered func(error)) (Path, error) {
	path := &inProcessPath{ctx: ctx, orderer: t.Orderer, answered: answered}
	return path, path.Broken()
}

// inProcessPath belongs to the goroutine that sends.
type inProcessPath struct {
	ctx      context.Context
	orderer  ordering.Orderer
	answered func(error)
	requests [][]byte // scratch space
}

func (p *inProcessPath) Send(batch ordering.Payload) error {
	p.requests = slices.AppendSeq(p.requests[:0], batch.Requests())
	err := p.orderer.Submit(p.ctx, p.requests...)
	if errors.Is(err, ordering.ErrClosed) || p.ctx.Err() != nil && err != nil {
		return err
	}
	p.answered(err)
	return nil
}

func (p *inProcessPath) Broken() error {
	if err := p.orderer.Ready(); errors.Is(err, ordering.ErrClosed) {
		return err
	}
	return nil
}

func (p *inProcessPath) Close() {}
