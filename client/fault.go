package client

// fault names a bug that tests plant, to see that they notice it.
type fault int

const (
	faultNone           fault = iota
	faultOneVoteLess          // releases with one vote too few
	faultIgnoreChain          // does not look at previous times
	faultIgnoreLate           // does not compare late events with what is believed
	faultAnyTick              // believes any sequencer's time
	faultKeepLiars            // goes on with liars
	faultResumeEarly          // begins again at the start after each reconnect
	faultAnySignature         // takes any signature
	faultLoseReceipt          // misses receipts that come while a send is being handed over
	faultExpireEarly          // takes the wall clock for agreed time
	faultOneVoteAddress       // counts each endpoint as a vote
)
