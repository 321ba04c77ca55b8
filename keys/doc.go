// Package keys holds the keys by which the nodes and members of a network know each other: Ed25519 keys that sign, and
// X25519 keys for which others encrypt.
//
// A node is its public key: the key names it in the topology, signs what it proposes, and authenticates its
// peer links. Addresses, host names and certificates are only ways to reach it.
//
// A member of the ledger is a name under a namespace, and has several keys. Each key has one [Purpose] for life and is
// named by its [Fingerprint]; package topology says which keys are whose. Whatever a key signs or opens belongs to one
// [Domain] of one network. Package keys/vault stores the keys of a node.
//
// # One verification rule
//
// Implementations of Ed25519 agree about honest signatures and disagree about crafted ones: small-order points,
// non-canonical encodings, cofactored or cofactorless equations. A network in which two nodes disagree about one
// signature has forked. So everything that the network must agree on is verified by [Verify], and [Verify] is
// exactly ZIP-215 (https://zips.z.cash/zip-0215), whose answer is the same one by one and in batches:
//
//   - encodings of the key A and of the point R may be non-canonical, and may be of small order;
//   - the scalar S must be canonical, that is smaller than the order of the base point;
//   - the equation is the cofactored one, [8][S]B = [8]R + [8][k]A.
//
// The standard library follows another rule. It is right for TLS, where only two ends look at a signature once, and
// wrong for anything that is stored, forwarded or counted towards a quorum.
package keys
