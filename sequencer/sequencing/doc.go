// Package sequencing is the deterministic state machine between the order and
// the members of a network: it turns ordered, opaque requests into events for
// their recipients, the same at every sequencer and over every backend that
// orders.
//
// # What it does
//
// A member signs a [Submission]: a batch of envelopes, each with an opaque payload
// and a set of recipients, members or groups. Once ordered, the submission has a
// time that no other has, and the rules decide: it is delivered to all recipients
// with that time, or to nobody, and then the sender is told by a code that is the
// same everywhere. Each event names the member's event before it, so a member
// notices what it missed, whichever sequencer it reads from.
//
// Acknowledgements, purchases of traffic, the shutting out of members and changes
// of the topology are requests too, because whatever the sequencers must agree on
// has a place in the order.
//
// # How it fits
//
//	ordering.Block → Parse → UnverifiedBlock → Verify → Block → Machine.Apply → Output → History
//
// [Parse] and [UnverifiedBlock.Verify] depend on bytes alone: they may run for many
// blocks ahead and on every core. A signature names its key, so checking it needs
// no topology; whether the key may sign for the sender is asked in the order.
// [Machine.Apply] is the sequential part. Nothing in it starts a goroutine, reads a
// clock, does input or output, draws a random number or walks a map: who is who
// comes from [Topology], what time it is from the block.
//
// [Output] is what to store: each [Record] once, under its time, and for each
// member only the times of its events. [History] is who stores it: [MemoryHistory]
// in memory, package history on disk.
//
// # What is agreed and what is not
//
// [Machine.Digest] stands for the agreed state, and changes with every record: that
// two sequencers have equal digests means that they told every member the same. A
// [Snapshot] carries that state to a newcomer or over a restart. What was
// delivered is kept beside it, as long as each sequencer likes, but not shorter
// than [Machine.PruningPoint] allows.
//
// # What cannot be made to grow
//
// Requests that anybody could repeat or forge leave nothing behind: they are
// dropped and counted. Whatever does leave something behind is signed by a member
// and paid for from its traffic, refusals too; it is remembered until its
// max-sequencing-time, which is bounded, and for each member only so many.
//
// A reader may take the files in this order: submission.go and request.go (what
// is ordered), verify.go, topology.go (whom the machine asks), machine.go,
// judge.go (the rules), code.go (their names), system.go, inflight.go and
// members.go (the state), output.go, history.go and delivery.go (what is
// delivered), record.go (how it is stored), snapshot.go.
package sequencing
