package event

import (
	"context"
	"time"
)

// Sink is where a source puts what it read.
type Sink interface {
	// Append hands over events of any number of origins, in the order in which they came. It returns nil once all of them, and
	// with them the position of each origin, survive a kill of this process: in the database, or in the spool on disk while the
	// database is away. Duplicates of what is stored are dropped in silence, and count as accepted.
	//
	// While nothing can be made durable (disk full, spool full) it blocks: the source then stops reading, and the node keeps
	// what was not read. It returns an error only when ctx ends or the sink is closed; then any beginning of the batch may have
	// been accepted, and sending it again is safe.
	//
	// Many goroutines may call it at once; their events are committed together. A batch is the caller's again afterwards,
	// except for the bytes of bodies, which the sink keeps.
	Append(ctx context.Context, batch []Event) error
}

// Positions are the numbers of the last durable event of each origin, from which a source resumes.
type Positions interface {
	// Position returns the ID of the event of this origin that was appended last, and false if there is none. It is the last
	// one, not the highest: a node that starts counting anew is followed.
	Position(ctx context.Context, origin Origin) (id uint32, known bool, err error)
}

// Status is how the sidecar stands with a node. The numbers are those of the metric node_statuses.
type Status int

// The states of a connection to a node.
const (
	Preparing    Status = 0
	Connecting   Status = 1
	Connected    Status = 2  // events arrive
	Reconnecting Status = 3  // the connection was lost
	Defunct      Status = -1 // given up: all attempts used
	Incompatible Status = -2 // given up: the node's version is too old
)

// NodeState is what is known about one node. Each is a whole: a later one replaces it.
type NodeState struct {
	Node       string    `json:"node"`     // "ip:sse_port"
	Status     Status    `json:"status"`   // as in the metric
	Attempts   int       `json:"attempts"` // since data last flowed
	APIVersion string    `json:"api_version,omitempty"`
	Build      string    `json:"build_version,omitempty"`
	Network    string    `json:"network_name,omitempty"`
	LastEvent  time.Time `json:"last_event,omitzero"`
	LastError  string    `json:"last_error,omitempty"`
}

// Observer hears what a source has to tell besides events. Its methods return at once and may be called by many goroutines.
type Observer interface {
	// Node reports a change of a node's state.
	Node(NodeState)

	// Received reports the size in bytes of one event's data.
	Received(filter Filter, kind Kind, bytes int)

	// Fault counts something that went wrong, by the category and description of the metric error_counts, for example
	// "connection_manager" and "event_without_id". Both come from a bounded set.
	Fault(category, description string)
}
