// Package members puts a network under load as its members do: every one of them
// has keys and a place in the topology, signs what it sends to others through one
// sequencer, and reads what it was sent at others.
//
// # What is checked
//
// A payload names its sender and number, so that each delivery is known again. At
// every sequencer that a member listens to, each submission that was accepted must
// come back to its sender as a receipt, and to its recipients as a delivery, once;
// each event must name the event before it; all sequencers must tell a member the same;
// and what they tell must be signed by them. What is missing counts as lost, what comes
// twice as duplicated, a broken chain or a difference as reordered, a bad signature as
// forged. Who it was that told otherwise is in [Result.Suspects].
//
// Accepted means queued at one sequencer. What that one had not ordered when it stopped, or
// when the connection to it broke, may be gone: if it comes out nowhere it is unknown, and not lost.
//
// # Why it does not use package client
//
// What the client decides is what the load must be able to judge: a verdict by the same code would not notice that code's faults. Nor
// may a measure cost as much as what it measures: a client releases what a threshold agreed on and follows each send by itself,
// where the load only counts. BenchmarkThroughTheRealService in package client has both.
package members
