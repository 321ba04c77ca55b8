package sequencer

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/synod-network/synod/internal/grpcread"
)

// intake reads the messages of one call: none is longer than it may be, none begins to come for which there is no room, and none takes
// longer to arrive than the gate is patient. Only one goroutine may read; it may be another than the one that serves the call, and still read
// when that has ended it.
type intake struct {
	gate   *gate
	entry  Entry
	method string
	reader *grpcread.Reader // nil: as gRPC reads
	single bool             // the client sends one message
	cancel context.CancelFunc
	late   atomic.Bool

	mu     sync.Mutex
	timer  *time.Timer // while a message is waited for
	held   int64       // room, in bytes
	closed bool
}

type cancelKey struct{}

// tapped makes the context of a call one that can be ended from outside: what waits for a message then waits no longer.
func tapped(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, cancel := context.WithCancel(ctx) // ends with the call's own, too
	return context.WithValue(ctx, cancelKey{}, cancel), nil
}

func (g *gate) intake(entry Entry, method string, single bool) *intake {
	cancel, _ := entry.Context.Value(cancelKey{}).(context.CancelFunc)
	return &intake{gate: g, entry: entry, method: method, reader: grpcread.Of(entry.Context, single), single: single, cancel: cancel}
}

// receive reads a message into m; otherwise reads it as gRPC does.
func (in *intake) receive(m any, otherwise func(any) error) error {
	in.begin()
	defer in.arrived()
	if in.reader == nil {
		return otherwise(m)
	}
	return in.reader.Read(m, in.admit)
}

// ended is how the call ended: not by what its handler says, where it was given up.
func (in *intake) ended(err error) error {
	if !in.late.Load() {
		return err
	}
	in.gate.observer.Limited(LimitPatience)
	return status.Errorf(codes.DeadlineExceeded, "the message of this call did not arrive within %s", in.gate.patienceWith(in.entry))
}

// admit judges a message by its length.
func (in *intake) admit(length int) error {
	if most := cmp.Or(in.entry.Most, in.gate.config.MessageBytes); length > most {
		in.gate.observer.Limited(LimitSize)
		return status.Errorf(codes.ResourceExhausted, "the message has %d bytes, and at most %d are read in a call of %s", length, most, in.method)
	}
	if length <= streamWindow {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return status.Error(codes.Canceled, "the call has ended")
	}
	if !in.gate.room.take(in.entry.Caller, int64(length)) {
		in.gate.observer.Limited(LimitBytes)
		return in.gate.overloaded(in.method, fmt.Sprintf("there is no room now for a message of %d bytes: try later or at another sequencer", length))
	}
	in.held = int64(length)
	in.expect()
	return nil
}

// begin says that the message before is handled, and the next one wanted. That of a call which has only one should be on its way.
func (in *intake) begin() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.release()
	if in.single {
		in.expect()
	}
}

// expect waits for a message from now on. The caller holds the mutex.
func (in *intake) expect() {
	if in.cancel == nil || in.closed || in.timer != nil {
		return
	}
	in.timer = time.AfterFunc(in.gate.patienceWith(in.entry), func() {
		in.late.Store(true)
		in.cancel()
	})
}

// arrived ends the wait.
func (in *intake) arrived() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stop()
}

// stop stops the timer. The caller holds the mutex, as does that of release.
func (in *intake) stop() {
	if in.timer != nil {
		in.timer.Stop()
		in.timer = nil
	}
}

// release gives room back.
func (in *intake) release() {
	if in.held > 0 {
		in.gate.room.give(in.entry.Caller, in.held)
		in.held = 0
	}
}

func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.closed = true
	in.stop()
	in.release()
}
