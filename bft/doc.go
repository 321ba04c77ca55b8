// Package bft is synod's Byzantine-fault-tolerant ordering engine: n members
// turn the requests handed to any of them into one sequence of commits, the
// same at every honest member, while fewer than a third of them lie, crash or
// are cut off.
//
// # How it orders
//
// Time is cut into rounds. In each round every member signs one [Block], which
// names at least a quorum of the blocks of the round before as its parents and
// carries a payload of opaque requests. The blocks form a directed acyclic
// graph (DAG), and the graph is the whole protocol: a block is at once a
// proposal, a vote for the leader block of the round before (it is among its
// parents) and a certificate for the leader block two rounds before (a quorum
// of its parents vote for it). The decision rule (decide.go) is a pure
// function of the graph, so members that hold the same graph need not exchange
// another word to agree; the design follows Mysticeti-C (Babel et al., NDSS
// 2025) and its ancestors Cordial Miners and Bullshark.
//
// # How it is built
//
// [Engine] is one value with one method, Step(clock, input) → effects. In it
// there is no goroutine, clock, randomness, input or output, and nothing
// depends on the order of a map: the same inputs give the same effects, which
// is what lets a whole network run under a virtual clock from one seed. The
// runtime (package replica) verifies what arrives, feeds it in as an [Input]
// and carries out each [Effect]; the simulator (package sim) does the same to
// a network of engines with every fault it can think of.
//
// A reader may take the files in this order: block.go and commit.go (what is
// agreed on), step.go (inputs and effects), dag.go (accepting blocks),
// decide.go (committing them), linearise.go (ordering and time), schedule.go
// (leaders), propose.go (building blocks, pace), handover.go and epoch.go (how
// one committee passes the ledger on to the next), catchup.go (how a member
// that is behind catches up), recover.go (restart).
package bft
