// Package p2p links the sequencers of a network: opaque frames over TLS 1.3, authenticated on both ends by the nodes'
// Ed25519 keys. It knows nothing of what the frames mean.
//
// # Who is there
//
// A peer is its public key. Each end shows a self-signed certificate that says nothing but the key, and the other end
// compares that key with its list of peers: there is no authority, no name, and no date on which links stop working.
// An address is only where to look for a peer; it can change at any time. The TLS application protocol (ALPN) names
// the network, so that nodes of different networks part before they exchange anything.
//
// # What is promised
//
// Each peer has two lanes, [Live] and [Bulk], each a TCP connection of its own, so that small frames on the live lane
// never wait behind catch-up traffic. While a connection lasts, the frames of a lane arrive whole, once, in the order
// of Send. When it breaks, queued frames and those in flight are lost, and the next connection starts empty: the
// protocol above must be able to repeat itself, and Up tells it when to.
//
// Send never blocks. A handler that blocks stops the reading of its lane, which fills TCP's window, then the sender's
// queue, until Send says [ErrQueueFull]: nothing grows without bound on either side.
//
// # One connection per lane
//
// Either end may dial, as it may be the only one to know an address. The end with the lower key decides which
// connection is used: after the TLS handshake the other end says that it is ready, and the decider answers on the one
// that it chose. It follows the newest connection that the other end dialed, because a peer dials only when it has no
// connection, and drops its own attempts once it has one. As only one end decides, the two cannot disagree, and a
// connection that is dead on one end only is replaced at once. The decider dials immediately, the other end after a
// short pause, so that the two rarely collide.
//
// # How a dead link is noticed
//
// A process that dies closes its sockets. For everything else each end sends a ping every Limits.PingEvery on each
// link, and gives up a link on which nothing has arrived for Limits.DeadAfter. The time in which the handler keeps the
// reader from reading does not count.
//
// # Who is kept out
//
// Config.Gate judges peers; this package acts on it. A limited peer is read slowly. A banned one is told so in a notice
// on each link that it has and on each that it opens, and then cut off; it is not dialed. The notice is opaque here.
//
// # Where things are
//
//   - network.go: the set of peers, Run, Send
//   - line.go: keeps one lane of one peer connected
//   - link.go: one connection: its reader and its writer
//   - frame.go, queue.go, wire.go: bytes on the wire, bounded queue, buffering and deadlines
//   - gate.go: peers that are limited or banned
//   - handshake.go, identity.go, accept.go, refusal.go: who may connect
package p2p
