// Package sim runs a whole ordering network in one goroutine: n engines of
// package bft, each with a disk, a clock, clients and an application, on a
// network that loses, delays, repeats, reorders and damages what it carries,
// while up to a third of the members lie.
//
// # A world is a seed
//
// Nothing in a [World] asks the machine for the time or for randomness. Time is
// an agenda of events; chance is one generator. A seed therefore names a run:
// the same seed and [Options] give the same story, byte for byte, and a failure
// is reported as the command that repeats it.
//
// # What is real and what is not
//
// The engine, its messages with their encodings, the verification of blocks and
// the answers served from an archive are the code that runs in production. The
// world stands in for what surrounds them: a member (member.go) carries out the
// engine's effects by the contract that the real runtime keeps, a disk
// (disk.go) keeps after a crash only what was synced, and signatures
// (signature.go) are keyed hashes, which nobody but the holder of the key can
// make.
//
// # What is checked
//
// After every step one checker (checker.go), which sees all members at once,
// compares what the honest ones did with what was promised: one order, nothing
// twice, nothing invented, time that only grows and that liars cannot move, no
// two blocks of one member for one round, nothing sent before it was durable,
// bounded memory. When the faults have stopped, every request given to an
// honest member must be ordered within a bound of virtual time.
//
// # The checker is checked
//
// [bft.Rules] can break one rule of the engine at a time. A test (planted_test.go)
// asserts for each that the checker notices, and that the unbroken engine
// passes in the same worlds.
package sim
