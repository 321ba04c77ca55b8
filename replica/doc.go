// Package replica makes the effects of one ordering engine real: it is the
// thin loop between the pure core (package bft), the disk (replica/store) and
// the other members (replica/p2p).
//
// # The loop
//
// One goroutine owns the engine (loop.go). It feeds it what happened — blocks
// and messages that the links' readers have decoded and verified, requests
// that wait, time that passed, writes that became durable — and carries out
// what comes back. It never waits for a disk, a peer or the application:
//
//	links' readers ──► inbox ──► loop (engine) ──► persister ──► links
//	queue of requests ──────────►   │                 one synced group commit,
//	                                 └──► chain ──► application, subscribers
//
// The persister (persist.go) writes everything that the loop has handed over
// since its last write as one group and syncs it once; only then do the
// messages leave that depend on it. A storage error stops the replica.
//
// # What is bounded
//
// The inbox by bytes, the writes by bytes (while too much waits for the disk
// the loop takes nothing from peers, which TCP passes on to them), the queue by
// requests and bytes, the chain's memory by bytes (older commits are read from
// disk), answers to peers by their number and rate.
package replica
