// Package history keeps on disk what a sequencer tells its members: the durable
// form of [sequencing.History].
//
// # The order is the write-ahead log
//
// All that is stored here can be computed again from the order, which is durable
// before anything is applied. So nothing is synced block by block. [Store.Append]
// writes records to a log file and notes in memory where they are; they can be read
// at once. A checkpoint, every few MiB, first syncs the log and then commits, in
// one batch of a Pebble database, where the records are and the position they
// reach. After a crash the store is as it was at some checkpoint; whatever was
// applied since is applied again, and what is here already is skipped.
//
//	Append      records → segment file (not synced), places → memory
//	Checkpoint  sync segment, then one batch: places, members, position
//	Open        the position of the last batch; what lies behind it in the log is forgotten
//
// A row of the index therefore never points at bytes that were not synced, and no
// half of a block is ever seen.
//
// # What is where
//
//	NNNNNNNNNNNNNNNN.log  segment: header, then records: frame, head, payloads
//	index/                Pebble:
//	  state                             position, pruned up to, oldest and newest segment
//	  segment number                 →  times of its first and last record
//	  event  segment member time     →  times and offsets of a run of events of the member
//	  member number                  →  time of its newest event
//	  name   number                  →  the member's id
//	  chunk  digest, snapshot        →  the newest snapshot of the state
//
// A record is in the log once, however many members it concerns. A member's event
// costs a few bytes in a run, because runs hold differences. Runs lie by segment, so
// that they go with it in one range when it is pruned, and Pebble has little to
// sort: new runs have higher keys than old ones.
//
// The newest records are in memory as well, as they were appended: most events are told
// right after they were ordered.
//
// # Who may call what
//
// One goroutine calls Begin, Append, Checkpoint and Close. Any number may read
// meanwhile, one may prune, and one may store snapshots. Readers take a lock only
// to copy a few words. A page of events is the most that a reader holds.
//
// # What is damaged stops
//
// Heads have a checksum, payloads the digest that the recipient will check, rows
// the checksums of Pebble. Each event names the time of the one before, and each
// member's row that of its newest, so a run that is missing is noticed as well. All
// of that is [ErrCorrupt], with file or key, and never skipped: restore from a
// snapshot of another sequencer. After an error of the disk while writing, the store
// takes nothing more ([ErrFailed]); open it again.
package history
