// Package store is the durable state of one sequencer: blocks with their payloads, commits, hand-overs, evidence, and
// small values of the layers above.
//
// # The log is the truth
//
// Everything that has to become durable together is a [Batch]. [Store.Persist] writes it as one group into an append-only
// log, in one or a few large writes, and syncs once. When Persist returns nil the group is durable, and whatever happens
// a group is never there in part.
//
// The log is a sequence of segment files. A segment is written with zeros before it is used, and used again when pruning
// has emptied it, because writing into extents that exist costs a tenth of writing into fresh ones: a sync then moves
// data only, no metadata of the file system. Writes bypass the page cache where the file system allows it.
//
//	segment:  header page | group | group | … | zeros, or groups of an earlier life
//	group:    header (64 bytes) | table of records | bodies | padding to a page
//
// Every activation of a segment draws a random salt, which each of its groups repeats. So groups of an earlier life never
// parse as current, and no client can plant bytes in a payload that look like a group.
//
// # The index follows
//
// A Pebble database tells where in the log a block or a commit lies, and holds the small things that outlive their
// segments (hand-overs, evidence, values). It is written behind the log and does not sync on its own: each of its batches
// also says up to where in the log it goes, and what it lacks is replayed from the log when the store is opened. Until
// then entries are read from memory. So the two cannot disagree, and indexing delays nobody.
//
// # What survives
//
// A group that was being written when the machine stopped is kept if it is complete and cut off if it is not. Anything
// else that does not parse is corruption, and Open refuses: dropping acknowledged blocks silently could make a member
// sign two blocks for one round. After a storage error the store takes nothing more ([ErrFailed]), because what a failed
// sync left on the disk is known only after reading it back.
//
// # Who may call what
//
// One goroutine persists. Any number may read meanwhile, one may prune, and [Store.Run] does the work that can wait. A
// reader pins the segment it reads from, so that nothing overwrites it, and checks a checksum on every read.
package store
