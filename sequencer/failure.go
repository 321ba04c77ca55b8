package sequencer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/synod-network/synod/ordering"
)

// ErrorDomain is the domain in the google.rpc.ErrorInfo of every failure.
const ErrorDomain = "ordering.synod.network"

// Reason is the stable name of a failure. The .proto file lists what each means.
type Reason string

// The reasons.
const (
	Overloaded      Reason = "OVERLOADED"
	TooManyStreams  Reason = "TOO_MANY_STREAMS"
	TooLarge        Reason = "TOO_LARGE"
	Invalid         Reason = "INVALID"
	NotReady        Reason = "NOT_READY"
	ShuttingDown    Reason = "SHUTTING_DOWN"
	Pruned          Reason = "PRUNED"
	Unauthenticated Reason = "UNAUTHENTICATED"
	Internal        Reason = "INTERNAL"
)

// Waits asked of clients, where the orderer names none.
const (
	notReadyRetry = 500 * time.Millisecond
	streamsRetry  = time.Second
)

// failure is an error on its way to a client. The zero reason stands for a
// client that left, to whom there is nothing to say.
type failure struct {
	reason     Reason
	code       codes.Code
	message    string
	retryAfter time.Duration // 0: trying again does not help
	metadata   map[string]string
}

func (f *failure) Error() string { return f.message }

// GRPCStatus makes gRPC send the failure as the API describes.
func (f *failure) GRPCStatus() *status.Status {
	plain := status.New(f.code, f.message)
	if f.reason == "" {
		return plain
	}
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: string(f.reason), Domain: ErrorDomain, Metadata: f.metadata}}
	if f.retryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(f.retryAfter)})
	}
	detailed, err := plain.WithDetails(details...)
	if err != nil {
		// Only messages that cannot be marshalled get here.
		return plain
	}
	return detailed
}

func invalid(format string, args ...any) *failure {
	return &failure{reason: Invalid, code: codes.InvalidArgument, message: fmt.Sprintf(format, args...)}
}

// errDraining is the cause that ends streams when the server stops.
var errDraining = errors.New("the server is draining")

// failureOf translates what an orderer or a context says.
func failureOf(err error) *failure {
	var (
		already    *failure
		overloaded *ordering.Overloaded
		tooLarge   *ordering.TooLarge
		pruned     *ordering.Pruned
	)
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &overloaded):
		return &failure{reason: Overloaded, code: codes.ResourceExhausted, message: err.Error(), retryAfter: overloaded.RetryAfter}
	case errors.As(err, &tooLarge):
		return &failure{reason: TooLarge, code: codes.InvalidArgument, message: err.Error(),
			metadata: map[string]string{"size": strconv.Itoa(tooLarge.Size), "limit": strconv.Itoa(tooLarge.Limit)}}
	case errors.As(err, &pruned):
		return &failure{reason: Pruned, code: codes.OutOfRange, message: err.Error(),
			metadata: map[string]string{"lowest_height": strconv.FormatUint(uint64(pruned.Lowest), 10)}}
	case errors.Is(err, ordering.ErrNotReady):
		return &failure{reason: NotReady, code: codes.Unavailable, message: err.Error(), retryAfter: notReadyRetry}
	case errors.Is(err, ordering.ErrClosed), errors.Is(err, errDraining):
		return &failure{reason: ShuttingDown, code: codes.Unavailable, message: "this sequencer is stopping: go on at another one"}
	case errors.Is(err, context.Canceled):
		return &failure{code: codes.Canceled, message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: codes.DeadlineExceeded, message: err.Error()}
	}
	// What happened is for the operator's log, which the caller writes.
	return &failure{reason: Internal, code: codes.Internal, message: "the sequencer failed: its operator's log says why"}
}
