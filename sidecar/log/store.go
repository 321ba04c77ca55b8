package log

import (
	"context"
	"errors"

	"github.com/synod-network/synod/sidecar/event"
)

// Entry is an event on its way into a store.
type Entry struct {
	event.Numbered
	Key   event.Key
	Keyed bool // Key identifies the event; else it is never a duplicate

	Fixed     bool // has its number already, from the spool
	Duplicate bool // is stored already: only moves its origin's position. Set by the log, or by Commit
}

// State is what a store knows at the start.
type State struct {
	Next       event.Seq // the next number
	APIVersion string    // in force for subscribers when the last event was stored; empty if none was
	Positions  map[event.Origin]uint32
	Recent     []Identity // of the events stored last, oldest first, at most as many as asked for
}

// Totals are sizes for people and metrics; they may be estimates.
type Totals struct {
	Events int64 // stored through this sidecar, less those that retention removed
	Bytes  int64 // of their JSON
	Disk   int64 // that the database takes; 0 if unknown
}

// Store keeps events. Its methods may be called by many goroutines, but Commit and Prune only by one at a time.
type Store interface {
	// State reads where an earlier run ended.
	State(ctx context.Context, recent int) (State, error)

	// Commit stores a group in one durable transaction. In order of the entries it sets Duplicate for each keyed entry that this
	// sidecar stored before, and gives every other entry that is not Fixed the next number, from next on. Positions move to the
	// last entry of each origin, duplicates included. It returns the number after the last one given, which from then on is what
	// State returns, unless that was higher. A Fixed entry whose number is stored already is left alone. An error means that
	// nothing of it was stored, as far as the store knows; the numbers and marks in the entries are then worthless.
	Commit(ctx context.Context, group []*Entry, next event.Seq) (event.Seq, error)

	// Prune removes up to limit of the oldest events beyond the retention and returns how many it removed.
	Prune(ctx context.Context, keep Retention, limit int) (int, error)

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error

	Totals(ctx context.Context) (Totals, error)
	History
	Reader
	Close() error
}

// History reads back what was published.
type History interface {
	// After returns up to limit stored events with numbers from on, ascending. Events that retention removed are left out.
	// Their bodies have at most maxBytes together, unless it is one event alone. None means that there are no more now.
	After(ctx context.Context, from event.Seq, limit int, maxBytes int) ([]event.Numbered, error)
}

// Found is a stored event as the REST server shows it.
type Found struct {
	Raw        []byte // the JSON in the database
	APIVersion string // empty in databases of layout V1
	Network    string
}

// ErrNotFound is returned by the methods of [Reader] when nothing is stored under the key.
var ErrNotFound = errors.New("not in the database")

// Reader looks up stored events by what they are about.
type Reader interface {
	Layout() Layout
	LatestBlock(ctx context.Context) (Found, error)
	BlockByHash(ctx context.Context, hash string) (Found, error)
	BlockByHeight(ctx context.Context, height uint64) (Found, error)

	// Deploy returns the event of a kind (DeployAccepted … TransactionExpired) for a deploy or transaction; variant is
	// "Deploy" or "Version1" for transactions, empty for deploys.
	Deploy(ctx context.Context, kind event.Kind, variant, hash string) (Found, error)

	// FaultsByKey, FaultsByEra and Signatures return an empty slice when there are none.
	FaultsByKey(ctx context.Context, publicKey string) ([]Found, error)
	FaultsByEra(ctx context.Context, era uint64) ([]Found, error)
	Signatures(ctx context.Context, blockHash string) ([]Found, error)
	Step(ctx context.Context, era uint64) (Found, error)
}
