package sequencer

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/synod-network/synod/internal/turnstile"
)

// gate stands before every call, and before anything that it sends is read: it survives panics, checks who calls, and bounds how many
// calls are served at once. What it lets in is read by an [intake]. Streams end with the draining context, which gRPC's own draining
// waits for in vain.
type gate struct {
	access    *access
	config    Config
	log       *slog.Logger
	observer  Observer
	draining  context.Context
	open      atomic.Int64 // calls of the server's own services
	strangers *turnstile.Calls
	room      *room
}

func newGate(access *access, config Config, draining context.Context) *gate {
	return &gate{access: access, config: config, log: config.Log, observer: config.Observer, draining: draining,
		strangers: turnstile.NewCalls(config.Strangers), room: newRoom(config.LargeBytes)}
}

// gated registers services whose calls go through a gate: gRPC's own interceptor of unary calls comes after the message.
type gated struct {
	*grpc.Server
	gate *gate
}

// RegisterService implements [grpc.ServiceRegistrar].
func (r gated) RegisterService(description *grpc.ServiceDesc, service any) {
	changed := *description
	changed.Methods = slices.Clone(description.Methods)
	for i := range changed.Methods {
		m := &changed.Methods[i]
		m.Handler = r.gate.unary("/"+description.ServiceName+"/"+m.MethodName, m.Handler)
	}
	r.Server.RegisterService(&changed, service)
}

// unary puts the gate before a method.
func (g *gate) unary(method string, handler grpc.MethodHandler) grpc.MethodHandler {
	return func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (response any, err error) {
		err = g.pass(ctx, method, true, func(in *intake) (err error) {
			response, err = handler(service, in.entry.Context, func(m any) error { return in.receive(m, decode) }, nil)
			return err
		})
		if err != nil {
			return nil, err
		}
		return response, nil
	}
}

// stream puts the gate before streams.
func (g *gate) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return g.pass(stream.Context(), info.FullMethod, !info.IsClientStream, func(in *intake) error {
		ctx := in.entry.Context
		if g.serviceOf(info.FullMethod) == nil { // others end their streams themselves
			draining, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			defer context.AfterFunc(g.draining, func() { cancel(errDraining) })()
			ctx = draining
		}
		return handler(server, &gatedStream{ServerStream: stream, ctx: ctx, intake: in})
	})
}

// gatedStream is a stream that is read by an intake, with the context of its entry.
type gatedStream struct {
	grpc.ServerStream
	ctx    context.Context
	intake *intake
}

// Context implements [grpc.ServerStream].
func (s *gatedStream) Context() context.Context { return s.ctx }

// RecvMsg implements [grpc.ServerStream].
func (s *gatedStream) RecvMsg(m any) error { return s.intake.receive(m, s.ServerStream.RecvMsg) }

// serviceOf is the service that admits the callers of a method itself, nil if there is none.
func (g *gate) serviceOf(method string) Service {
	for _, s := range g.config.Services {
		if strings.HasPrefix(method, s.Prefix()) {
			return s
		}
	}
	return nil
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

// pass lets a call in or refuses it; single says that its client sends one message.
func (g *gate) pass(ctx context.Context, method string, single bool, call func(*intake) error) error {
	return g.survive(ctx, method, func() error {
		entry, err := g.enter(ctx, method)
		if err != nil {
			return err
		}
		defer entry.Leave()
		in := g.intake(entry, method, single)
		defer in.close()
		return in.ended(call(in))
	})
}

// enter begins a call. Whoever needs no token shares few places with all who need none.
func (g *gate) enter(ctx context.Context, method string) (entry Entry, err error) {
	if service := g.serviceOf(method); service != nil {
		entry, err = service.Enter(ctx, method)
	} else {
		entry, err = g.enterOwn(ctx, method)
	}
	if err != nil {
		return entry, err
	}
	if entry.Caller != "" {
		if conn := turnstile.Of(ctx); conn != nil {
			conn.Prove()
		}
		return entry, nil
	}
	host, leave := turnstile.HostOf(ctx), entry.Leave
	if !g.strangers.Enter(host) {
		leave()
		g.observer.Limited(LimitStrangers)
		return entry, g.overloaded(method, "as many calls of callers without a token are open here, or from this host, as may be: try later or at another sequencer")
	}
	entry.Leave = func() {
		leave()
		g.strangers.Leave(host)
	}
	return entry, nil
}

// probeBytes are enough for a message of health checks and of reflection.
const probeBytes = 16 << 10

// enterOwn begins a call of the server's own services.
func (g *gate) enterOwn(ctx context.Context, method string) (Entry, error) {
	if err := g.access.admit(ctx, method); err != nil {
		return Entry{}, err
	}
	if isProbe(method) {
		return Entry{Context: ctx, Most: probeBytes, Leave: func() {}}, nil
	}
	if g.open.Add(1) > int64(g.config.Streams) {
		g.open.Add(-1)
		return Entry{}, &failure{reason: TooManyStreams, code: codes.ResourceExhausted, retryAfter: streamsRetry,
			message: fmt.Sprintf("this sequencer serves as many calls as it may, %d: try later or at another one", g.config.Streams)}
	}
	return Entry{Context: ctx, Caller: "a client of the ordering service", Leave: func() { g.open.Add(-1) }}, nil
}

// overloaded is a refusal in the words of the service that a method is of.
func (g *gate) overloaded(method, message string) error {
	if service := g.serviceOf(method); service != nil {
		return service.Overloaded(message, streamsRetry)
	}
	return &failure{reason: TooManyStreams, code: codes.ResourceExhausted, retryAfter: streamsRetry, message: message}
}

// patienceWith is how long a message of a caller may take to arrive.
func (g *gate) patienceWith(entry Entry) time.Duration {
	if entry.Caller == "" {
		return g.config.StrangersPatience
	}
	return g.config.Patience
}
