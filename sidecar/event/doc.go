// Package event is the word that the parts of the sidecar exchange: one [Event] of a node, its JSON untouched, with where it came
// from.
//
//	source ── Event ──► Sink (log: deduplicate, number, make durable) ──► stream ──► subscribers
//	   ▲                                                     │
//	   └───────────── Positions, read at the start ──────────┘
//
// A source (a package below sidecar/source) reads one kind of node and turns what it says into Events. It knows nothing of
// databases and subscribers; the log and the stream know nothing of nodes. Whatever else a source has to tell, it tells an
// [Observer].
//
// The JSON of an event is passed through as bytes from the node to the subscriber. Only its tag, and the few fields that make its
// [Key], are ever looked at, so an event that this code does not know ([Unknown]) travels as well as any other.
package event
