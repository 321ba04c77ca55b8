// Package tx holds transactions: what interpreting commands gives, what participants sign, split, exchange, check and store.
//
// A [Transaction] is a forest of nodes: creates, exercises with the nodes that they caused, fetches, key queries, and rolled-back
// parts. Its ids are those in the order of a depth-first walk. The contract ids of its creates are local, that is without the
// suffix that the synchronizer adds later.
//
// Around it the package has all that is a function of a transaction alone: contract and key hashes ([HashContract], [HashKey]),
// seeds and local ids ([NodeSeed], [LocalID]), the normal form of rollbacks ([Builder]), who sees what ([Blind], [Project]), the
// hash that external parties sign ([SigningHash]), and the stored form ([Encode]).
package tx
