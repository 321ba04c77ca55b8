package bft

import (
	"encoding/hex"
	"fmt"
	"slices"
)

// Trust bounds how long the keys of a committee are trusted. Members retire
// keys and may lose them later; whoever has a quorum's retired keys can sign
// another history from then on. Live members are not deceived, for they have
// passed that point; a member that was away, or is new, can be.
type Trust struct {
	// Period is how old the newest commit that a member knows may be for it to
	// go on from there by itself; 0 means any age.
	Period Time
	// Handover is the digest of a hand-over that the operator was told on
	// another way; the digest of the genesis stands for the beginning. Zero if
	// there is none. Whatever its age, the member goes nowhere before its own
	// chain contains it, and then it has done its work.
	Handover Digest
}

// checkTrust decides whether this member may follow the chain of trust from
// where it stands: at the start, and before it follows others.
func (e *Engine) checkTrust() {
	t := e.trust
	age := e.now.Wall - e.schedule.LastTime
	switch {
	case e.distrusting || t.Handover == e.committee.Anchor:
	case t.Handover != Digest{} && !e.trustPassed:
		e.distrusting = true
		e.report(Event{Kind: EventDistrust, Text: fmt.Sprintf("looking for the hand-over %s, which trust.handover names; the newest commit here is %s old", hexOf(t.Handover), inWords(age))})
	case t.Period == 0 || age <= t.Period || e.alone():
	case e.trustPassed:
		e.halt(fmt.Sprintf("the newest commit here is %s old, more than the trust period of %s, and trust.handover names a hand-over before it, %s: keys that were retired since could sign a false history; %s",
			inWords(age), inWords(t.Period), hexOf(t.Handover), e.whomToTrust()))
	default:
		e.halt(fmt.Sprintf("the newest commit here is %s old, more than the trust period of %s: keys that were retired since could sign a false history; %s",
			inWords(age), inWords(t.Period), e.whomToTrust()))
	}
}

// alone reports that there is nobody else whose keys could have been retired.
func (e *Engine) alone() bool { return e.member && e.committee.Size() == 1 }

// whomToTrust says what an operator has to find out.
func (e *Engine) whomToTrust() string {
	return fmt.Sprintf("set trust.handover to the digest of the newest hand-over at another operator's sequencer (its log has it at the start of each epoch), or, if the whole network was down, to the newest here, %s",
		hexOf(e.committee.Anchor))
}

// passTrusted notes that the own chain contains the trusted hand-over: from
// here on the trust period alone decides.
func (e *Engine) passTrusted() {
	if e.trust.Handover == (Digest{}) || e.trustPassed {
		return
	}
	e.trustPassed, e.distrusting = true, false
	e.report(Event{Kind: EventTrustPassed, Text: fmt.Sprintf("the history here contains the hand-over %s, which trust.handover names; the setting has done its work and can be removed", hexOf(e.trust.Handover))})
}

// judgeTrust finds the trusted hand-over on the trail: the state of the newest
// one, whose chain of trust runs through it, can then be installed.
func (e *Engine) judgeTrust() {
	if !e.distrusting {
		return
	}
	trusted := e.trustedOnTrail()
	if trusted == nil {
		return
	}
	newest := e.catchUp.handovers[len(e.catchUp.handovers)-1]
	age := e.now.Wall - trusted.Schedule.LastTime
	switch {
	case newest.End == e.last.Index && newest.EndDigest == e.last.Digest:
		e.passTrusted() // its end is here: there is no state to fetch
	case newest.End == e.last.Index:
		e.halt(fmt.Sprintf("the trusted history ends epoch %d with another commit %d than the one here; keep the data for analysis and rejoin with an empty store", newest.Epoch, newest.End))
	case e.trust.Period > 0 && age > e.trust.Period:
		e.halt(fmt.Sprintf("the hand-over of epoch %d that trust.handover names, %s, is itself %s old, more than the trust period of %s: keys that were retired since could sign a false history behind it; name the newest hand-over at another operator's sequencer (its log has it at the start of each epoch), and if the whole network was down, the one with which its other sequencers go on",
			trusted.Epoch, hexOf(e.trust.Handover), inWords(age), inWords(e.trust.Period)))
	}
	e.catchUp.snapshotDue = true
}

// trustedOnTrail is the trusted hand-over, if the trail runs through it.
func (e *Engine) trustedOnTrail() *Handover {
	if i := slices.IndexFunc(e.catchUp.handovers, func(h *Handover) bool { return h.Digest() == e.trust.Handover }); i >= 0 {
		return e.catchUp.handovers[i]
	}
	return nil
}

// contradicted stops a member that is shown the trusted hand-over and has
// passed its epoch with another one. Its signatures do not matter: the operator
// vouches for it, and its digest names its epoch.
func (e *Engine) contradicted(list []*Handover) bool {
	if !e.distrusting {
		return false
	}
	for _, h := range list {
		if h.Epoch < e.committee.Epoch && h.Network == e.committee.Network && h.Digest() == e.trust.Handover {
			e.halt(fmt.Sprintf("epoch %d ended here with another hand-over than %s, which trust.handover names: what is stored here is another history, or the setting is wrong; compare the log of another operator's sequencer, and if it names the same digest, keep the data for analysis and rejoin with an empty store",
				h.Epoch, hexOf(e.trust.Handover)))
			return true
		}
	}
	return false
}

// maxTrustAsks is how often the others are asked for hand-overs before this member gives up: each time all that they have is followed, so
// that what is not found by then is on no trail. It is several minutes.
const maxTrustAsks = 300

// pumpTrust asks the others for hand-overs until the trusted one is found.
func (e *Engine) pumpTrust() {
	pause := e.committee.Params.LeaderTimeout + e.committee.Params.IdleInterval
	if at := e.trustAskedAt + pause; e.trustAskedAt != 0 && at > e.now.Mono {
		e.tickAt(at)
		return
	}
	e.trustAskedAt = e.now.Mono
	if (len(e.links) > 0 || e.alone()) && e.catchUp.installing == nil {
		if e.trustAsks++; e.trustAsks > maxTrustAsks && e.trustedOnTrail() == nil {
			e.halt(fmt.Sprintf("no hand-over that the others know is %s, which trust.handover names, though they were asked %d times: compare it with the log of another operator's sequencer",
				hexOf(e.trust.Handover), maxTrustAsks))
			return
		}
		e.askForTrusted()
	}
	e.tickAt(e.now.Mono + pause)
}

// askForTrusted asks one after the other for the newest hand-overs and for a
// page of those of epochs that are passed, in turn: the trusted one may lie
// there, on another history than this member's.
func (e *Engine) askForTrusted() {
	if len(e.links) == 0 {
		return
	}
	turn := (e.trustAsks - 1) / 2
	from := e.newestKnown()
	if pages := (int(e.committee.Epoch) + MaxHandovers - 1) / MaxHandovers; e.trustAsks%2 == 0 && pages > 0 {
		from = e.committee.Epoch - min(e.committee.Epoch, MaxHandovers*Epoch(1+turn/len(e.links)%pages))
	}
	e.send(e.links[turn%len(e.links)], &HandoverRequest{From: from})
}

// heeds reports whether an input is taken in while this member trusts nobody
// yet: only what leads to the trusted hand-over and its state.
func (e *Engine) heeds(in Input) bool {
	if !e.distrusting {
		return true
	}
	switch in := in.(type) {
	case BlockArrived:
		return false
	case MessageArrived:
		switch in.Message.(type) {
		case *HandoverMessage, *BlockRequest, *DAGRequest, *HandoverRequest, *ChainRequest:
			return true
		}
		return false
	}
	return true
}

func hexOf(d Digest) string { return hex.EncodeToString(d[:]) }

func inWords(t Time) string {
	const day = 24 * 3600 * Second
	if t < 2*day {
		return fmt.Sprintf("%.1f s", float64(t)/float64(Second))
	}
	return fmt.Sprintf("%d days", t/day)
}
