package ordering

import (
	"errors"
	"fmt"
	"time"
)

// What an [Orderer] refuses, for errors.Is. Those that carry numbers come as the
// type of the same name, for errors.As.
var (
	// ErrOverloaded says that the queue is full; see [Overloaded].
	ErrOverloaded = errors.New("the ordering queue is full")
	// ErrTooLarge says that a request can never be ordered; see [TooLarge].
	ErrTooLarge = errors.New("the request is too large to be ordered")
	// ErrNotReady says that nothing can be ordered at the moment; see [NotReady].
	ErrNotReady = errors.New("not ready to order requests")
	// ErrPruned says that a block is no longer kept; see [Pruned].
	ErrPruned = errors.New("the ordered block is no longer kept")
	// ErrClosed says that the node is stopping or has stopped.
	ErrClosed = errors.New("the orderer is closed")
)

// Overloaded is the [ErrOverloaded] that tells when to try again.
type Overloaded struct {
	// RetryAfter is how long to wait before the same call has a fair chance.
	RetryAfter time.Duration
}

func (e *Overloaded) Error() string {
	return fmt.Sprintf("%v: try again in %v", ErrOverloaded, e.RetryAfter)
}

func (e *Overloaded) Unwrap() error { return ErrOverloaded }

// TooLarge is the [ErrTooLarge] that tells the limit.
type TooLarge struct {
	// Size is that of the request, or of all requests of the call when only
	// together they are too large; Limit is the largest admitted. In bytes, or in
	// requests for a call of too many.
	Size, Limit int
}

func (e *TooLarge) Error() string {
	return fmt.Sprintf("%v: size %d, limit %d", ErrTooLarge, e.Size, e.Limit)
}

func (e *TooLarge) Unwrap() error { return ErrTooLarge }

// NotReady is the [ErrNotReady] that tells why.
type NotReady struct {
	// Reason is for an operator: what is missing, such as "2 of 4 sequencers
	// connected, 3 needed".
	Reason string
}

func (e *NotReady) Error() string { return fmt.Sprintf("%v: %s", ErrNotReady, e.Reason) }

func (e *NotReady) Unwrap() error { return ErrNotReady }

// Pruned is the [ErrPruned] that tells what is left.
type Pruned struct {
	// Wanted is the block that was asked for, Lowest the oldest one kept.
	Wanted, Lowest Height
}

func (e *Pruned) Error() string {
	return fmt.Sprintf("%v: wanted height %d, lowest kept is %d", ErrPruned, e.Wanted, e.Lowest)
}

func (e *Pruned) Unwrap() error { return ErrPruned }
