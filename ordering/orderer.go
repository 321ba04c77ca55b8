package ordering

import "context"

// Orderer is one node's end of a network that orders requests. All methods may
// be called from any number of goroutines.
type Orderer interface {
	// Submit queues opaque requests to be ordered. It copies them before it
	// returns, so the caller may reuse the slices at once. A request may be
	// empty; a call without requests does nothing.
	//
	// Nil means that all of them are queued here, and that each will be ordered
	// exactly once unless this node stops first; the outcome is then unknown to
	// the caller. Nil does not mean that anything is durable yet: a request is
	// durable once it is read back in a block.
	//
	// An error means that none of this call's requests is queued, and none will
	// be ordered by this call:
	//
	//   - [ErrOverloaded]: the queue is full. Wait for [Overloaded.RetryAfter],
	//     then try the same call again.
	//   - [ErrTooLarge]: one request, or the call as a whole, exceeds what this
	//     node could ever queue. Trying again cannot help.
	//   - [ErrNotReady]: the node cannot take requests at the moment. A backend
	//     may also go on queueing while it is not ready, until it is overloaded.
	//   - [ErrClosed]: the node is stopping or has stopped.
	//   - the context's error: it ended before the requests were queued.
	//
	// Submit does not wait for room in the queue and never for the order.
	Submit(ctx context.Context, requests ...[]byte) error

	// Read calls fn with each ordered block from the given height on, one at a
	// time, in order, without gap, and waits for new blocks until ctx ends or
	// fn fails. Height 0 stands for 1. A height above the head is waited for.
	//
	// A slow fn delays this Read only, never the order or other readers; nothing
	// is queued on its behalf. The block is immutable and shared: fn may keep it
	// for as long as it likes and must not modify it.
	//
	// Read always returns an error: that of fn as it is, the context's,
	// [ErrPruned] if the next block is no longer kept here (at the start, or
	// because pruning overtook a slow reader), [ErrClosed] once the node stops,
	// or else what kept the node from reading its own store.
	Read(ctx context.Context, from Height, fn func(Block) error) error

	// Status says where the order stands at this node. It is cheap, never
	// blocks, and its fields belong together.
	Status() Status

	// Ready returns nil when a request submitted now can be ordered, else an
	// error that matches [ErrNotReady] or [ErrClosed] and tells an operator what
	// is missing. It is cheap and never blocks.
	Ready() error
}

// Status is one node's view of the order at one moment.
type Status struct {
	// Head is the newest ordered block known here, 0 before the first.
	Head Height
	// Lowest is the oldest block still kept here, 1 while nothing was pruned.
	// It may be Head+1: everything ordered so far was pruned.
	Lowest Height
	// Epoch is the epoch in which this node now orders.
	Epoch uint64
	// Time is the last time given out: that of the last request of the head
	// block, in µs since the Unix epoch, UTC; 0 before the first block.
	Time int64
}
