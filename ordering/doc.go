// Package ordering states the promise on which a sequencer stands: opaque
// requests go in at any node of a network, one total order comes out at all of
// them.
//
// # The promise
//
// The nodes of one network agree on a sequence of ordered blocks, numbered
// 1, 2, 3 … without gap for the life of the network, over every restart and
// every change of members. Each block holds requests in order; the block's time
// and a request's place in it give every request a time that is unique in the
// network and larger than that of every request before it.
//
//   - Agreement: two nodes that know a block of some height know the same block,
//     byte for byte.
//   - Finality: a block that was delivered once is never taken back. The same
//     node delivers it again to whoever asks, also after a restart, until it is
//     pruned.
//   - Exactly once: a request for which [Orderer.Submit] returned nil is ordered
//     once, unless the node that took it stops first. Then it was ordered once
//     or never, and only reading the order tells which. Submitting it again may
//     order it twice: orderers compare no requests, that is the business of what
//     stands on them.
//   - Progress: while enough nodes are up and connected, what was queued is
//     ordered without anybody doing anything about it.
//
// Nothing is promised about the order between two requests that are queued at
// the same time, also not at one node or in one call: who needs one request
// after another submits it once the other is read back.
//
// # Who implements it
//
// Backends live in the folders below this one. Whatever orders, a fault-tolerant
// engine or one shared database, the sequencer above must not be able to tell:
// the suite in package ordertest holds each backend to this page.
package ordering
