// Package client is the supported way for a member of a network to use its sequencers: it reads the member's events and
// sends for it, through several sequencers that it trusts only together.
//
//	c, err := client.New(client.Config{Member: …, Authentication: …, Signing: …, Network: …,
//		Sequencers: …, TrustThreshold: 2, LivenessMargin: 1, Start: whereIWas})
//	go c.Run(ctx)
//	for {
//		event, err := c.Next(ctx)
//		…                               // process it, and store event.Position with what came of it
//		c.Confirm(event.Position.Known) // sequencers may forget it
//	}
//	outcome, err := c.Send(ctx, sequencing.Submission{Sets: …, Envelopes: …})
//
// # What is believed
//
// Each sequencer signs what it tells a member. The client reads from TrustThreshold + LivenessMargin of them at once, and
// releases an event when TrustThreshold sequencers delivered it with the same content, at the same place of the stream. In
// the same way it believes that there was nothing up to a time. With a threshold of f + 1, and f of the sequencers lying in
// any way they like, every released stream is the true one: no event is missing, changed, added, exchanged or told twice,
// over any reconnect and any change of sequencers.
//
// A sequencer that tells anything else is found out as soon as the others agreed on that part of the stream; so is one
// that is late, or contradicts itself. It is named in [Client.Lies] with the response that it signed, counted, and not used
// any more. A sequencer that is only slow, silent or away is replaced by another.
//
// # Sending
//
// [Client.Send] ends with the definite outcome. A submission is signed once; the network sequences it once, through however
// many sequencers it was sent. If a sequencer takes a submission and does nothing, only [Config.Amplification] helps before
// max-sequencing-time passes: after some patience it sends through the next sequencer too. Who takes submissions again and again
// and has none sequenced is passed over for a while; [Client.Status] shows it.
//
// # Resuming
//
// Events carry a [Position]. An application that stores the position in one transaction with what it made of the event, and
// passes it as [Config.Start], sees each event exactly once. [Client.Confirm] is about forgetting, not about resuming.
//
// # How it fits
//
// agreement.go decides what to believe, and is pure. peer.go keeps connections, stream.go subscriptions; send.go follows
// submissions to their end, outbox.go carries them, and promise.go remembers who had them sequenced; client.go ties them
// together. Package clienttest has a network in memory, with sequencers that lie on demand, for the tests of applications too.
package client
