package sequencing

import "math/bits"

// Traffic is what a member may still spend, in bytes.
type Traffic struct {
	// Base is what is left of the allowance, at Updated.
	Base    uint64
	Updated Time
	// Purchased is all that was ever bought, by the purchase with Serial, and
	// Consumed what was spent of it.
	Purchased, Serial, Consumed uint64

	// carry is the part of a byte that accrued, in 1/Refill bytes.
	carry uint64
}

// Left is what can be spent.
func (t Traffic) Left() uint64 {
	left := t.Base
	if t.Purchased > t.Consumed {
		left += min(t.Purchased-t.Consumed, ^uint64(0)-left)
	}
	return left
}

// refill adds what accrued by a time. To refill in two steps or in one is the
// same, to the last fraction of a byte.
func (t *Traffic) refill(rules TrafficRules, now Time) {
	if !rules.metered() {
		return
	}
	full, passed := uint64(rules.Refill), uint64(max(0, now-t.Updated))
	t.Updated = max(t.Updated, now)
	t.carry = min(t.carry, full-1) // it may have shrunk
	if passed >= full {
		t.Base, t.carry = rules.Base, 0
		return
	}
	// Base × passed + carry < Base × full + full: the quotient fits.
	high, low := bits.Mul64(rules.Base, passed)
	low, over := bits.Add64(low, t.carry, 0)
	accrued, carry := bits.Div64(high+over, low, full)
	t.Base, t.carry = min(t.Base, rules.Base)+accrued, carry
	if t.Base >= rules.Base {
		t.Base, t.carry = rules.Base, 0
	}
}

// charge spends cost, which is not above Left: the allowance first, because what
// is left of it is lost when it is full.
func (t *Traffic) charge(cost uint64) {
	fromBase := min(cost, t.Base)
	t.Base -= fromBase
	t.Consumed += cost - fromBase
}

// costOf is what a submission costs: a price for the event, and for each envelope
// a price, one for each recipient, its size and a share of that for each recipient.
// What is empty is not free: it is stored and told like anything else.
func (r TrafficRules) costOf(s *Submission, recipients func(set int) int) uint64 {
	cost := r.Event
	for _, e := range s.Envelopes {
		size, to := uint64(len(e.Payload)), uint64(recipients(e.Set))
		of := r.Envelope + to*r.Recipient + size*(r.Write+to*r.Factor)/10_000 // at most 2^62 + 2^41 by the limits
		cost += min(of, ^uint64(0)-cost)
	}
	return cost
}
