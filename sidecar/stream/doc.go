// Package stream serves the sidecar's events to any number of subscribers as server-sent events.
//
//	log ── Publish ──► list of nodes, each with its frame encoded once ──► workers ──► sockets
//	                     ▲ ring: the newest, bounded by count and bytes
//	                     └ older ones: read from the log (History) until the subscriber reaches the ring
//
// The list is the whole trick. Every event is one node, encoded once, linked to the next. A subscriber is a socket and a pointer
// to the node it was sent last: subscribing picks the node where the replay begins, and everything published later hangs off it,
// so nothing can slip between a snapshot and the live stream. Nodes that all subscribers have passed and the ring has let go
// are garbage.
//
// Subscribers have no goroutine. A few workers, each the owner of its share, write to sockets that never block: what a socket does
// not take stays to be sent, as a node and an offset. Who falls too far behind is cut ([Options.MaxBehind]), because what it
// has yet to be sent is memory for everybody.
//
// Events beyond a size are written to a file once and copied from there, so that they weigh nothing in the ring.
package stream
