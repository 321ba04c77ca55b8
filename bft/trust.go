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
	// there is none.
	Handover Digest
}

// checkTrust decides whether this member may follow the chain of trust from
// where it stands: at the start, and before it follows others.
func (e *Engine) checkTrust() {
	t := e.trust
	age := e.now.Wall - e.schedule.LastTime
	alone := e.member && e.committee.Size() == 1
	switch {
	case t.Period == 0 || age <= t.Period || alone || e.distrusting:
	case t.Handover == e.committee.Anchor:
	case t.Handover == Digest{}:
		e.halt(fmt.Sprintf("the newest commit here is %s old, more than the trust period of %s: keys that were retired since could sign a false history; set trust.handover to the digest of the newest hand-over at another operator's sequencer (its log has it at the start of each epoch), or, if the whole network was down, to the newest here, %s",
			inWords(age), inWords(t.Period), hexOf(e.committee.Anchor)))
	default:
		e.distrusting = true
		e.report(Event{Kind: EventDistrust, Text: fmt.Sprintf("the newest commit here is %s old; looking for the trusted hand-over %s", inWords(age), hexOf(t.Handover))})
	}
}

// judgeTrust finds the trusted hand-over on the trail: the state of the newest
// one, whose chain of trust runs through it, can then be installed.
func (e *Engine) judgeTrust() {
	if !e.distrusting {
		return
	}
	if !e.onTrustedTrail() {
		return
	}
	e.catchUp.snapshotDue = true
	switch newest := e.catchUp.handovers[len(e.catchUp.handovers)-1]; {
	case newest.End != e.last.Index:
	case newest.EndDigest == e.last.Digest:
		e.distrusting = false // its end is here: there is no state to fetch
	default:
		e.halt(fmt.Sprintf("the trusted history ends epoch %d with another commit %d than the one here; keep the data for analysis and rejoin with an empty store", newest.Epoch, newest.End))
	}
}

// onTrustedTrail reports whether the trail runs through the trusted hand-over.
func (e *Engine) onTrustedTrail() bool {
	return slices.ContainsFunc(e.catchUp.handovers, func(h *Handover) bool { return h.Digest() == e.trust.Handover })
}

// maxTrustAsks is how often the others are asked for hand-overs before this member gives up: each time all that they have is followed, so
// that what is not found by then is on no trail. It is several minutes.
const maxTrustAsks = 300

// pumpTrust asks the others for hand-overs, one after the other.
func (e *Engine) pumpTrust() {
	pause := e.committee.Params.LeaderTimeout + e.committee.Params.IdleInterval
	if at := e.trustAskedAt + pause; e.trustAskedAt != 0 && at > e.now.Mono {
		e.tickAt(at)
		return
	}
	e.trustAskedAt = e.now.Mono
	if len(e.links) > 0 && e.catchUp.installing == nil {
		if e.trustAsks++; e.trustAsks > maxTrustAsks && !e.onTrustedTrail() {
			e.halt(fmt.Sprintf("no hand-over that the others know after epoch %d is %s, which trust.handover names, though they were asked %d times: compare it with the log of another operator's sequencer",
				e.committee.Epoch, hexOf(e.trust.Handover), maxTrustAsks))
			return
		}
		e.send(e.links[int(e.now.Mono/pause)%len(e.links)], &HandoverRequest{From: e.newestKnown()})
	}
	e.tickAt(e.now.Mono + pause)
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
