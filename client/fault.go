package client

// fault names a bug that tests plant, to see that they notice it.
type fault int

const (
	faultNone          fault = iota
	faultOneVoteLess         // releases with one vote too few
	faultIgnoreChain         // does not look at previous times
	faultIgnoreLate          // does not compare late events with what is believed
	faultForgetSaid          // does not compare a stream with what its sequencer said on an earlier one
	faultAnyTick             // believes any sequencer's time
	faultKeepLiars           // goes on with liars
	faultResumeEarly         // begins again at the start after each reconnect
	faultAnySignature        // takes any signature
	faultExpireEarly         // takes the wall clock for agreed time
	faultTakeRefusal         // believes one sequencer that the rules refuse a submission
	faultTrustPromises       // sends on through a sequencer that drops what it takes
	faultMixAnswers          // takes the answer to the first submission of a message for that to all
	faultBelieveBroken       // takes what a broken stream left unanswered for queued
	faultLast
)
