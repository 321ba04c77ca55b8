// Package trust is a node's opinion of its peers: a score for each authenticated key, what led to it, and who is kept
// out for how long. It is pure: time is an input, and nothing here opens a connection or a file. Package warden keeps
// it on disk, and package p2p enforces it.
//
// # What a score means
//
// A score lies in [-1, 1], begins at 0, and halves with every [Params].HalfLife. Each [Action] moves it by a step that
// depends on how sure the node can be whose fault it was:
//
//   - provable: two signed statements that no honest member makes. The proof is kept and shown, and the score falls to
//     -1 at once, whatever credit there was.
//   - blame: the peer sent, over its authenticated link, what no correct peer sends. The node knows it and nobody else
//     does; a defect of its own verifier would look the same. Some ten of them in a half-life ban.
//   - ambiguous: late, lost, timed out, of another epoch. Honest peers do it while they restart, or while this node is
//     in trouble. Ambiguous actions alone never limit a peer.
//   - credit: useful work. It is capped far below what faults cost, and never makes up for one.
//
// At [Params].LimitBelow a peer is limited: it is read slowly. At -1 it is banned: its links are closed, and it is told
// why and until when. The first ban lasts minutes and each further one twice as long, until the peer has stayed without one for
// [Params].StrikeWindow.
//
// # What a node must not do to the network
//
// A ban is one node's defence, and agreement needs a quorum. So at most f members are kept out, and none while fewer
// than a quorum of the others are connected: a ban that would break this is put off, and one that comes to break it is
// put on hold. And a node to which f+1 members look bad within one window suspects itself, because at most f are
// faulty: it stops banning, and lifts the bans that led there.
//
// Package bft decides who is built upon ("shunned"), by evidence alone and without this package; nothing here is agreed
// between nodes.
package trust
