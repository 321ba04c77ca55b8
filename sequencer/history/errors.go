package history

import "errors"

// Errors that callers tell apart. They come wrapped, with the file or key and what
// to do.
var (
	// ErrCorrupt: what was stored is damaged or gone.
	ErrCorrupt = errors.New("history is damaged")
	// ErrFailed: an earlier storage error made the store unusable; the node must stop,
	// and may be started again.
	ErrFailed = errors.New("history has failed")
	// ErrLocked: another process has the history open.
	ErrLocked = errors.New("history is in use by another process")
	// ErrFormat: the history was written by a version that this one does not understand.
	ErrFormat = errors.New("unknown format of the history")
	// ErrNetwork: the history belongs to another network.
	ErrNetwork = errors.New("history belongs to another network")
	// ErrTooLarge: a record is larger than can be stored.
	ErrTooLarge = errors.New("record is too large")
	// ErrNoSnapshot: none was stored.
	ErrNoSnapshot = errors.New("no snapshot is stored")
)
