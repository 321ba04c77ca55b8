// Package members serves a sequencer to the members of its network over gRPC, as
// api/synod/sequencer/v1 describes it: members authenticate, send signed requests
// into the order, and are told what the order has for them.
//
// # Who calls
//
// A member signs a nonce and gets a [Token], which the sequencer signs with its
// protocol key. Nothing about a token is stored: every sequencer of the network
// verifies it from the topology, so a balanced connection needs no second login. Each
// call asks anew whether the token still holds: its time, the member, the member's
// key, the sequencer that made it and that sequencer's key, each as the topology has
// them now, and no [Revocation]. Streams ask again every second and before whatever
// they tell.
//
// # What can be made to grow
//
// Nothing without a bound. Strangers can leave two nonces for each active member.
// Members have so many calls, subscriptions, tokens and revocations. A request is
// decoded, verified and judged by the rules of the order before it is queued, and the
// queue's own bound is told to the sender with a delay. A subscriber is read for at
// its own pace and never queued for.
//
// # Order of reading
//
// service.go, failure.go, token.go, account.go (what is kept of a member), login.go,
// send.go, sendstream.go, subscribe.go, topology.go.
package members
