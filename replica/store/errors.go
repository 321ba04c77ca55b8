package store

import "errors"

// Errors that callers tell apart. They come wrapped, with the path and what to do.
var (
	// ErrMissing: there is no store in the directory; Create makes one.
	ErrMissing = errors.New("no store here")
	// ErrExists: Create found a store already.
	ErrExists = errors.New("a store exists here already")
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("store is in use by another process")
	// ErrNetwork: the store belongs to another network.
	ErrNetwork = errors.New("store belongs to another network")
	// ErrFormat: the store was written by a version that this one does not understand.
	ErrFormat = errors.New("unknown store format")
	// ErrCorrupt: acknowledged data is damaged or gone.
	ErrCorrupt = errors.New("store is damaged")
	// ErrFailed: an earlier storage error made the store unusable; the node must stop, and may be started again.
	ErrFailed = errors.New("store has failed")
	// ErrNotFound: nothing is stored under that name, or it was pruned.
	ErrNotFound = errors.New("not in the store")
	// ErrOrder: a commit does not have a higher index than the last.
	ErrOrder = errors.New("commit out of order")
	// ErrTooLarge: a group exceeds MaxGroup; nothing was written.
	ErrTooLarge = errors.New("group is too large")
)
