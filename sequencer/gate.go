package sequencer

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// gate stands before every call: it survives panics, bounds how many calls are
// served at once, and checks who calls, in this order. Streams that it lets in
// end with the draining context, which gRPC's own draining waits for in vain.
type gate struct {
	access   *access
	limit    int64
	log      *slog.Logger
	observer Observer
	draining context.Context
	services []Service
	open     atomic.Int64
}

func (g *gate) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
	if g.aside(info.FullMethod) {
		err = g.survive(ctx, info.FullMethod, func() (err error) {
			response, err = handler(ctx, request)
			return err
		})
		return response, err
	}
	err = g.pass(ctx, info.FullMethod, func() (err error) {
		response, err = handler(ctx, request)
		return err
	})
	return response, err
}

func (g *gate) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if g.aside(info.FullMethod) {
		return g.survive(stream.Context(), info.FullMethod, func() error { return handler(server, stream) })
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	defer context.AfterFunc(g.draining, func() { cancel(errDraining) })()
	return g.pass(ctx, info.FullMethod, func() error {
		return handler(server, &drainedStream{ServerStream: stream, ctx: ctx})
	})
}

// drainedStream is a stream whose context also ends when the server drains.
type drainedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *drainedStream) Context() context.Context { return s.ctx }

// aside reports whether a method belongs to a service that admits its callers itself.
func (g *gate) aside(method string) bool {
	return slices.ContainsFunc(g.services, func(s Service) bool { return strings.HasPrefix(method, s.Prefix()) })
}

// survive turns a panic into a failure.
func (g *gate) survive(ctx context.Context, method string, call func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			g.observer.Panicked()
			g.log.ErrorContext(ctx, "call panicked", "method", method, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = failureOf(fmt.Errorf("panic in %s", method))
		}
	}()
	return call()
}

func (g *gate) pass(ctx context.Context, method string, call func() error) error {
	return g.survive(ctx, method, func() error {
		defer g.open.Add(-1)
		if g.open.Add(1) > g.limit {
			return &failure{reason: TooManyStreams, code: codes.ResourceExhausted, retryAfter: streamsRetry,
				message: fmt.Sprintf("this sequencer serves as many calls as it may, %d: try later or at another one", g.limit)}
		}
		if err := g.access.admit(ctx, method); err != nil {
			return err
		}
		return call()
	})
}
