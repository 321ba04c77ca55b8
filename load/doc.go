// Package load puts a sequencer network under load and judges what comes out.
//
// It submits requests that carry who they are and when they were due, reads the
// order back from several sequencers at once, and compares: everything accepted
// must come out, once, and at the same place everywhere. Each request costs the
// judge a few bits and a checksum, so that the generator can share a machine with
// what it measures.
//
// A sequencer may die and come back meanwhile. Its share of the load moves to the
// others; what it had accepted and nobody ever delivered is unknown, not lost,
// because that is all the network promises.
//
// Latency runs from the moment a request was due, not from when the generator got
// around to sending it, to its first delivery by any sequencer: a stall is counted
// with all that should have been sent during it.
package load
