// Package topology says who may do what in a network, and from when on.
//
// What the members of a network must agree on beside the order itself, such as who orders, who confirms, whose key is
// whose and which limits hold, is kept as signed statements: a [Transaction] sets or removes one [Mapping]. Transactions
// travel through the order like everything else. Each node judges each of them alone; as the judgement is a pure function
// of the state before and of the bytes, all come to the same one, and nobody needs to be asked or trusted.
//
//	bytes ── DecodeTransaction ──► UnverifiedTransaction ── Verify ──► SignedTransaction ── State.Apply ──► in force later
//	         well formed           anybody may have said it  keys did sign               authorised, next in turn
//
// # Identity
//
// A [Namespace] is the fingerprint of a root key, or a digest of its owners where several share one. Whoever holds the key
// names things under the namespace: a [UID] is name::fingerprint, a [Member] is a UID with its role. So nobody hands out
// names, and a name cannot be stolen without a key.
//
// # Turn, authority, time
//
// Each mapping has a [Key], by which it is replaced, and a serial that grows by exactly one with each change of that key, a
// removal included. So a transaction counts once, a replayed one never, and of two changes made at the same time one wins.
//
// A transaction that lacks signatures is a proposal. Owners sign it one after the other and [SignedTransaction.Merge] their
// copies until nothing is missing; [State.Check] says what is. Proposals do not change the state.
//
// An accepted transaction comes into force at its sequencing time plus the delay that is in force then. In the meantime
// every node learns of it, so that all can act on it from the same instant, however far behind in processing the order they
// are. Changes come into force in the order in which they were accepted, also when the delay shrinks: authority is judged
// by all that was accepted before, which is exactly what holds at the instant at which the transaction comes into force.
//
// [State.Snapshot] answers for any time from the last pruning on. An answer for a time up to which the order was applied
// never changes.
//
// The package is pure: it has no clock, randomness or I/O in it, and no order of a map reaches a result.
package topology
