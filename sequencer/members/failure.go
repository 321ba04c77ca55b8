package members

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/synod-network/synod/ordering"
	"github.com/synod-network/synod/sequencer/sequencing"
)

// ErrorDomain is the domain in the google.rpc.ErrorInfo of every failure.
const ErrorDomain = "sequencer.synod.network"

// Reason is the stable name of a failure. The .proto file lists what each means.
type Reason string

// The reasons.
const (
	Overloaded       Reason = "OVERLOADED"
	TooManyCalls     Reason = "TOO_MANY_CALLS"
	TooManyTokens    Reason = "TOO_MANY_TOKENS"
	TrafficExhausted Reason = "TRAFFIC_EXHAUSTED"
	Refused          Reason = "REFUSED"
	Invalid          Reason = "INVALID"
	TooLarge         Reason = "TOO_LARGE"
	BadSignature     Reason = "BAD_SIGNATURE"
	UnknownMember    Reason = "UNKNOWN_MEMBER"
	NotYours         Reason = "NOT_YOURS"
	Unauthenticated  Reason = "UNAUTHENTICATED"
	WrongNetwork     Reason = "WRONG_NETWORK"
	WrongVersion     Reason = "WRONG_VERSION"
	Pruned           Reason = "PRUNED"
	NotReady         Reason = "NOT_READY"
	ShuttingDown     Reason = "SHUTTING_DOWN"
	Internal         Reason = "INTERNAL"
)

// reasons are all reasons, with the code of each.
var reasons = map[Reason]codes.Code{
	Overloaded: codes.ResourceExhausted, TooManyCalls: codes.ResourceExhausted, TooManyTokens: codes.ResourceExhausted,
	TrafficExhausted: codes.ResourceExhausted, Refused: codes.FailedPrecondition, Invalid: codes.InvalidArgument,
	TooLarge: codes.InvalidArgument, BadSignature: codes.InvalidArgument, UnknownMember: codes.PermissionDenied,
	NotYours: codes.PermissionDenied, Unauthenticated: codes.Unauthenticated, WrongNetwork: codes.FailedPrecondition,
	WrongVersion: codes.FailedPrecondition, Pruned: codes.OutOfRange, NotReady: codes.Unavailable,
	ShuttingDown: codes.Unavailable, Internal: codes.Internal,
}

// ClientLeft is what an [Observer] is told of a call that its client gave up. No client sees it.
const ClientLeft Reason = "CLIENT_LEFT"

// Reasons lists what an [Observer] may be told of what was refused or ended.
func Reasons() []Reason { return append(slices.Sorted(maps.Keys(reasons)), ClientLeft) }

// Waits asked of clients, where nothing else names one.
const (
	notReadyRetry = 500 * time.Millisecond
	callsRetry    = time.Second
)

// failure is an error on its way to a client. The zero reason stands for a client
// that left, to whom there is nothing to say.
type failure struct {
	reason     Reason
	message    string
	retryAfter time.Duration // 0: trying again does not help
	metadata   map[string]string

	plain codes.Code // without a reason
}

// observed is the reason as it is counted: never empty.
func (f *failure) observed() Reason { return cmp.Or(f.reason, ClientLeft) }

func (f *failure) Error() string { return f.message }

// GRPCStatus makes gRPC send the failure as the API describes.
func (f *failure) GRPCStatus() *status.Status {
	if f.reason == "" {
		return status.New(f.plain, f.message)
	}
	plain := status.New(reasons[f.reason], f.message)
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(f.reason), Domain: ErrorDomain, Metadata: f.metadata}}
	if f.retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.retryAfter)})
	}
	detailed, err := plain.WithDetails(details...)
	if err != nil {
		return plain // only messages that cannot be marshalled get here
	}
	return detailed
}

func fail(reason Reason, format string, args ...any) *failure {
	return &failure{reason: reason, message: fmt.Sprintf(format, args...)}
}

func (f *failure) with(key, value string) *failure {
	if f.metadata == nil {
		f.metadata = map[string]string{}
	}
	f.metadata[key] = value
	return f
}

func (f *failure) after(wait time.Duration) *failure {
	f.retryAfter = wait
	return f
}

func shuttingDown() *failure {
	return fail(ShuttingDown, "this sequencer is stopping: go on at another one")
}

// failureOf translates what an orderer, a history or a context says.
func failureOf(err error) *failure {
	var (
		already    *failure
		overloaded *ordering.Overloaded
		tooLarge   *ordering.TooLarge
		pruned     *sequencing.Pruned
	)
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &overloaded):
		return fail(Overloaded, "%v", err).after(overloaded.RetryAfter)
	case errors.As(err, &tooLarge):
		return fail(TooLarge, "%v", err).with("size", strconv.Itoa(tooLarge.Size)).with("limit", strconv.Itoa(tooLarge.Limit))
	case errors.As(err, &pruned):
		return fail(Pruned, "%v", err).with("last", strconv.FormatInt(int64(pruned.Last), 10))
	case errors.Is(err, ordering.ErrNotReady):
		return fail(NotReady, "%v", err).after(notReadyRetry)
	case errors.Is(err, ordering.ErrClosed):
		return shuttingDown()
	case errors.Is(err, context.Canceled):
		return &failure{plain: codes.Canceled, message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{plain: codes.DeadlineExceeded, message: err.Error()}
	}
	// What happened is for the operator's log, which the caller writes.
	return fail(Internal, "the sequencer failed: its operator's log says why")
}

// ended translates why a call's context ended. Whoever serves gRPC may end it with a
// cause of its own when it drains.
func ended(ctx context.Context) *failure {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return failureOf(cause)
	}
	return shuttingDown()
}
