// Package synchronizer is what a sequencer knows of its network: the application
// that stands on the order.
//
//	ordered block → verify signatures → sequencing.Machine  → history.Store → members
//	                                    membership.Topology
//
// [State] holds the three together: who is who (package topology), what was
// sequenced and for whom (package sequencing), and the events as they are told to
// members (package history). One goroutine, that of the order, changes it; any
// number read.
//
// # What survives
//
// The order is durable before anything here is, so whatever was lost is applied
// again. What is kept is the state after the last block of some epoch, in one batch
// with the position of the history: [State.Keep]. After a restart the blocks behind
// it are applied; events that the history has already are skipped.
//
// # What is handed over
//
// The digest in a hand-over between epochs stands for topology and sequencing state
// together, and is known from a manifest that lists digests of pieces: of the
// topology in pieces of a MiB, and of the chunks of the sequencing state, of which
// only those that changed are hashed. Who fetches a state checks each piece as it
// arrives. Events of the past are not handed over; members read them elsewhere.
package synchronizer
